//! Functions that fit no pattern.

use barograph_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, Timestamp};

use super::{
    Error, calendar,
    column::{ABSENT, Cell, Series, Vector, at, is_present},
    context::Context,
    expr::{self, Columns, column, single},
    grid::Grid,
    histogram, info,
    kernels::{Date, Special},
    label_functions, math, over,
    select::{self, Give},
};
use crate::syntax::{
    Span,
    ast::{Call, Expr, Node, Reading},
};

pub(super) fn evaluate(
    context: &Context<'_>,
    grid: Grid,
    node: &Call,
    special: Special,
    span: Span,
) -> Result<Columns, Error> {
    if !context.query.instant && special.sorts() {
        let message = "sort is ineffective for range queries since results are always ordered by labels";
        context.notes.warn(message, span);
    }
    let args = &node.args;
    let scalar = |i: usize| expr::scalar(context, grid, &args[i]);
    let vector = |i: usize| expr::vector(context, grid, &args[i]);
    let query = context.query;
    let seconds = |millis: i64| Columns::Scalar(vec![Timestamp(millis).seconds()]);
    Ok(match special {
        Special::Pi => Columns::Scalar(vec![std::f64::consts::PI]),
        Special::Time => Columns::Scalar(column(context, grid, |step| Timestamp(grid.at(step)).seconds())?),
        Special::Start => seconds(query.start),
        Special::End => seconds(query.last()),
        Special::QueryRange => seconds(context.query_range()),
        Special::Step => seconds(context.step()),
        Special::MinOf => Columns::Scalar(paired(&scalar(0)?, &scalar(1)?, math::min)),
        Special::MaxOf => Columns::Scalar(paired(&scalar(0)?, &scalar(1)?, math::max)),
        Special::Scalar => Columns::Scalar(only_value(&vector(0)?)),
        Special::Vector => Columns::Vector(single(scalar(0)?)),
        Special::Absent => {
            let vector = vector(0)?;
            let seen = |step| vector.series.iter().any(|series| series.is_present(step));
            let values = (0..vector.width).map(|step| if seen(step) { ABSENT } else { 1.0 }).collect();
            absent(&args[0], values)
        }
        Special::AbsentOverTime => {
            let seen = over::present(context, grid, node)?;
            absent(&args[0], seen.into_iter().map(|seen| if seen { ABSENT } else { 1.0 }).collect())
        }
        Special::Timestamp => timestamp(context, grid, &args[0])?,
        Special::StartTimestamp => start_timestamp(context, grid, &args[0])?,
        Special::Round => {
            let to = if args.len() > 1 { scalar(1)? } else { vec![1.0] };
            computed(context, vector(0)?, &[&to], |value, p| {
                // Computed by the inverse, since tenths have no exact value but ten has.
                let inverse = 1.0 / p[0];
                (value * inverse + 0.5).floor() / inverse
            })?
        }
        Special::Clamp => {
            let (low, high) = (scalar(1)?, scalar(2)?);
            computed(context, vector(0)?, &[&low, &high], |value, p| {
                if p[1] < p[0] { ABSENT } else { math::max(p[0], math::min(p[1], value)) }
            })?
        }
        Special::ClampMax => {
            computed(context, vector(0)?, &[&scalar(1)?], |value, p| math::min(p[0], value))?
        }
        Special::ClampMin => {
            computed(context, vector(0)?, &[&scalar(1)?], |value, p| math::max(p[0], value))?
        }
        Special::Sort | Special::SortDesc => {
            let mut vector = vector(0)?;
            // Histograms have no order.
            vector.series.iter_mut().for_each(|series| series.histograms.clear());
            if grid.instant {
                vector.series.retain(|series| is_present(series.values[0]));
                sort(&mut vector, special == Special::SortDesc);
            }
            Columns::Vector(vector)
        }
        Special::SortByLabel | Special::SortByLabelDesc => {
            let mut vector = vector(0)?;
            if grid.instant {
                let labels = args[1..].iter().map(expr::text).collect::<Result<Vec<_>, _>>()?;
                label_functions::sort_by(&mut vector, &labels, special == Special::SortByLabelDesc);
            }
            Columns::Vector(vector)
        }
        Special::LabelReplace => Columns::Vector(label_functions::replace(context, args, vector(0)?)?),
        Special::LabelJoin => Columns::Vector(label_functions::join(context, args, vector(0)?)?),
        Special::HistogramQuantile => {
            Columns::Vector(histogram::quantile(context, &args[0], &scalar(0)?, &args[1], vector(1)?)?)
        }
        Special::HistogramQuantiles => {
            let mut quantiles = Vec::with_capacity(args.len() - 2);
            for arg in &args[2..] {
                quantiles.push((expr::scalar(context, grid, arg)?, arg.span));
            }
            Columns::Vector(histogram::quantiles(
                context,
                &args[0],
                vector(0)?,
                expr::text(&args[1])?,
                &quantiles,
            )?)
        }
        Special::HistogramFraction => {
            Columns::Vector(histogram::fraction(context, (&scalar(0)?, &scalar(1)?), &args[2], vector(2)?)?)
        }
        Special::Info => Columns::Vector(info::join(context, grid, args)?),
    })
}

/// A part of the date of each value, or of each step.
pub(super) fn date(context: &Context<'_>, grid: Grid, node: &Call, date: Date) -> Result<Vector, Error> {
    match node.args.first() {
        None => {
            let part = |step: usize| calendar::part(Timestamp(grid.at(step)).seconds(), date);
            Ok(single(column(context, grid, part)?))
        }
        Some(arg) => {
            let mut vector = expr::vector(context, grid, arg)?;
            vector.map(|seconds| calendar::part(seconds, date));
            vector.drop_names(context.options.delayed_name_removal)
        }
    }
}

fn paired(a: &[f64], b: &[f64], compute: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    (0..a.len().max(b.len())).map(|step| compute(at(a, step), at(b, step))).collect()
}

/// The value of the only series at each step, NaN if there is none or more than one.
fn only_value(vector: &Vector) -> Vec<f64> {
    let mut values = vec![ABSENT; vector.width];
    let mut count = vec![0u32; vector.width];
    for series in &vector.series {
        for (step, &value) in series.values.iter().enumerate().filter(|pair| is_present(*pair.1)) {
            values[step] = value;
            count[step] += 1;
        }
    }
    values.into_iter().zip(count).map(|(value, count)| if count == 1 { value } else { f64::NAN }).collect()
}

/// Each value with scalar parameters, the name dropped.
fn computed(
    context: &Context<'_>,
    mut vector: Vector,
    parameters: &[&[f64]],
    compute: impl Fn(f64, &[f64]) -> f64,
) -> Result<Columns, Error> {
    for parameter in parameters {
        vector.widen(context.budget, parameter.len())?;
    }
    let mut here = vec![0.0; parameters.len()];
    vector.map_steps(|step, value| {
        for (here, parameter) in here.iter_mut().zip(parameters) {
            *here = at(parameter, step);
        }
        compute(value, &here)
    });
    Ok(Columns::Vector(vector.drop_names(context.options.delayed_name_removal)?))
}

/// One series with the labels that a selector says its series would have.
fn absent(arg: &Expr, values: Vec<f64>) -> Columns {
    let matchers: &[Matcher] = match &arg.bare().node {
        Node::Selector(selector) => &selector.matchers,
        Node::Range(range) => &range.selector.matchers,
        _ => &[],
    };
    let mut builder = LabelsBuilder::new();
    for (i, matcher) in matchers.iter().enumerate().filter(|pair| pair.1.name() != METRIC_NAME) {
        let alone = matchers.iter().enumerate().all(|(j, other)| i == j || other.name() != matcher.name());
        if alone && matcher.op() == MatchOp::Equal {
            builder.set(matcher.name(), matcher.value());
        }
    }
    let labels: Labels = builder.build();
    let width = values.len();
    Columns::Vector(Vector { series: vec![Series::floats(labels, false, values)], width })
}

/// The times of the samples where the argument reads them, else of the steps.
fn timestamp(context: &Context<'_>, grid: Grid, arg: &Expr) -> Result<Columns, Error> {
    let delayed = context.options.delayed_name_removal;
    if let Node::Selector(selector) = &arg.bare().node
        && selector.reading == Reading::Plain
    {
        let work = || select::instant(context, grid, (selector, arg.bare().span), Give::Time);
        let vector = context.watch(arg.bare(), work, |vector| vector.series.len())?;
        return Ok(Columns::Vector(vector.drop_names(delayed)?));
    }
    let mut vector = expr::vector(context, grid, arg)?;
    vector.widen(context.budget, grid.len)?;
    vector.map_cells(|step, _| Cell::Float(Timestamp(grid.at(step)).seconds()));
    Ok(Columns::Vector(vector.drop_names(delayed)?))
}

/// Since when samples count, where the argument reads them; else nothing is known of that.
fn start_timestamp(context: &Context<'_>, grid: Grid, arg: &Expr) -> Result<Columns, Error> {
    let bare = arg.bare();
    let Node::Selector(selector) = &bare.node else { return Ok(Columns::Vector(Vector::empty())) };
    let work = || select::instant(context, grid, (selector, bare.span), Give::Start);
    let vector = context.watch(bare, work, |vector| vector.series.len())?;
    Ok(Columns::Vector(vector.drop_names(context.options.delayed_name_removal)?))
}

/// By value, NaN last in both directions.
fn sort(vector: &mut Vector, descending: bool) {
    vector.series.sort_by(|a, b| {
        let (a, b) = (a.values[0], b.values[0]);
        let order = if descending { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
        order.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
}
