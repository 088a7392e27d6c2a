//! `info()`: labels of info metrics, joined to other series by the labels that identify a target.

use std::collections::{BTreeMap, HashMap};

use barograph_model::{
    Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, Selection, TimeRange, Timestamp,
};

use super::{
    Error,
    column::{Rows, Vector, is_present},
    context::{Context, Reference},
    expr,
    grid::Grid,
    select::{self, Give},
};
use crate::syntax::ast::{Expr, Length, LengthNode, Node, Number, Reading, Selector, Shift};

/// What info metric is taken if none is named.
const DEFAULT_METRIC: &str = "target_info";
/// The labels by which a target is known.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// `info(v, {selector})`
pub(super) fn join(context: &Context<'_>, grid: Grid, args: &[Expr]) -> Result<Vector, Error> {
    let mut base = expr::vector(context, grid, &args[0])?;
    let wanted = Wanted::of(args.get(1));
    let shift = reference(context, &args[0])?;
    let mut matchers = wanted.names.clone();
    matchers.extend(wanted.labels.iter().cloned());
    let selector = Selector { name: None, matchers, shift, reading: Reading::Plain };
    refuse_histograms(context, grid, &selector)?;
    let mut infos = select::instant(context, grid, (&selector, args[0].span), Give::Time)?;
    let width = base.width.max(infos.width);
    base.widen(context.budget, width)?;
    infos.widen(context.budget, width)?;
    let mut by_target: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (i, series) in infos.series.iter().enumerate() {
        by_target.entry(target(&series.labels)).or_default().push(i);
    }
    let mut rows = Rows::new(width);
    for series in base.series {
        context.check()?;
        let ignored = wanted.is_info(&series.labels);
        let candidates = by_target.get(&target(&series.labels)).filter(|_| !ignored);
        for step in (0..width).filter(|&step| series.is_present(step)) {
            let latest = latest(&infos, candidates.map_or(&[], Vec::as_slice), step)?;
            if latest.is_empty() && !ignored && !wanted.labels.iter().all(Matcher::matches_absent) {
                continue;
            }
            let labels = enriched(&series.labels, &infos, &latest, &wanted)?;
            let row = rows.row(context.budget, labels, series.drop_name)?;
            rows.put(row, step, series.cell(step));
        }
    }
    Ok(rows.finish())
}

/// Info metrics are floats.
fn refuse_histograms(context: &Context<'_>, grid: Grid, selector: &Selector) -> Result<(), Error> {
    let Reference { at, offset } = context.reference(&selector.shift)?;
    let first = at.unwrap_or(grid.start).saturating_sub(offset);
    let last = at.unwrap_or(grid.last()).saturating_sub(offset);
    let after = Timestamp(first.saturating_sub(context.options.lookback_ms));
    let range = TimeRange::left_open(after, Timestamp(last));
    let selection = Selection { matchers: &selector.matchers, range };
    match context.source.histograms(&selection, context.budget)?.first() {
        Some((labels, _)) => {
            Err(Error::Execution(format!("this should be an info metric, with float samples: {labels}")))
        }
        None => Ok(()),
    }
}

/// What the second argument asks for.
struct Wanted {
    /// Conditions on the name of the info metrics.
    names: Vec<Matcher>,
    /// Conditions on their labels, which also say which labels are taken over. None: all of them.
    labels: Vec<Matcher>,
}

impl Wanted {
    fn of(arg: Option<&Expr>) -> Self {
        let matchers: &[Matcher] = match arg.map(|arg| &arg.bare().node) {
            Some(Node::Selector(selector)) => &selector.matchers,
            _ => &[],
        };
        let (mut names, labels): (Vec<_>, Vec<_>) =
            matchers.iter().cloned().partition(|m| m.name() == METRIC_NAME);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_METRIC));
        }
        debug_assert!(names.iter().all(|m| m.op() != MatchOp::Equal || !m.value().is_empty()));
        Self { names, labels }
    }

    /// Whether a series is itself one of the info metrics, which are left as they are.
    fn is_info(&self, labels: &Labels) -> bool {
        let name = labels.metric_name().unwrap_or_default();
        self.names.iter().all(|matcher| matcher.matches(name))
    }

    fn takes(&self, label: &str) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|matcher| matcher.name() == label)
    }
}

fn target(labels: &Labels) -> Labels {
    labels.without(|name| !IDENTIFYING.iter().any(|label| label.as_bytes() == name))
}

/// Of each info metric the series with the latest sample at a step.
fn latest<'a>(
    infos: &'a Vector,
    candidates: &[usize],
    step: usize,
) -> Result<BTreeMap<&'a str, usize>, Error> {
    let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
    for &i in candidates {
        let series = &infos.series[i];
        let time = series.values[step];
        if !is_present(time) {
            continue;
        }
        let name = series.labels.metric_name().unwrap_or_default();
        let chosen = latest.entry(name).or_insert(i);
        let chosen_time = infos.series[*chosen].values[step];
        if *chosen != i && time == chosen_time {
            let (a, b) = (&infos.series[*chosen].labels, &series.labels);
            let message =
                format!("found duplicate series for info metric: existing {a} @ {time}, new {b} @ {time}");
            return Err(Error::Execution(message));
        }
        if time > chosen_time {
            *chosen = i;
        }
    }
    Ok(latest)
}

/// The labels of a series with those of the info series that it does not have itself.
fn enriched(
    labels: &Labels,
    infos: &Vector,
    latest: &BTreeMap<&str, usize>,
    wanted: &Wanted,
) -> Result<Labels, Error> {
    if latest.is_empty() {
        return Ok(labels.clone());
    }
    let mut builder = LabelsBuilder::from(labels);
    let mut added: HashMap<&str, &str> = HashMap::new();
    for &i in latest.values() {
        for (name, value) in infos.series[i].labels.iter() {
            let own = name == METRIC_NAME || labels.value(name).is_some();
            if own || !wanted.takes(name) {
                continue;
            }
            if added.insert(name, value).is_some_and(|other| other != value) {
                return Err(Error::Execution(format!("conflicting label: {name}")));
            }
            builder.set(name, value);
        }
    }
    Ok(builder.build())
}

/// When the argument looks: that of its first selector, shifted by the subqueries around it.
fn reference(context: &Context<'_>, expr: &Expr) -> Result<Shift, Error> {
    let mut shifts = Vec::new();
    first_selector(expr, &mut shifts);
    let (mut at, mut offset) = (None, 0i64);
    for shift in shifts {
        let reference = context.reference(shift)?;
        if reference.at.is_some() {
            (at, offset) = (reference.at, 0);
        }
        offset = offset.saturating_add(reference.offset);
    }
    let number = Number { value: offset as f64 / 1e3, duration: false };
    let offset = Length { node: LengthNode::Number(number), span: expr.span };
    Ok(Shift { offset: Some(offset), at: at.map(crate::syntax::ast::At::Time) })
}

/// The shifts on the way to the first selector, outermost first. Whether there is one.
fn first_selector<'a>(expr: &'a Expr, shifts: &mut Vec<&'a Shift>) -> bool {
    match &expr.node {
        Node::Number(_) | Node::Text(_) => false,
        Node::Selector(selector) => {
            shifts.push(&selector.shift);
            true
        }
        Node::Range(range) => {
            shifts.push(&range.selector.shift);
            true
        }
        Node::Subquery(subquery) => {
            shifts.push(&subquery.shift);
            let found = first_selector(&subquery.expr, shifts);
            if !found {
                shifts.pop();
            }
            found
        }
        Node::Call(call) => call.args.iter().any(|arg| first_selector(arg, shifts)),
        Node::Aggregate(aggregate) => first_selector(&aggregate.expr, shifts),
        Node::Binary(binary) => first_selector(&binary.lhs, shifts) || first_selector(&binary.rhs, shifts),
        Node::Unary(unary) => first_selector(&unary.expr, shifts),
        Node::Paren(inner) => first_selector(inner, shifts),
    }
}
