//! Aggregations over series: `sum`, `avg`, `quantile` and their like.
//!
//! The group of a series is found once; then its column is folded into the group's column. Those that choose
//! series instead of computing new ones are in `ranking`.

use barograph_model::{Labels, METRIC_NAME};

use super::{
    Error,
    column::{ABSENT, Map, Series, Vector, at, is_present},
    context::Context,
    expr,
    grid::Grid,
    math::{self, Mean, Sum, Variance},
    pooled, ranking,
};
use crate::syntax::{
    Span,
    ast::{Aggregate, AggregateOp},
};

mod of_histograms;

pub(super) fn evaluate(
    context: &Context<'_>,
    grid: Grid,
    node: &Aggregate,
    span: Span,
) -> Result<Vector, Error> {
    if node.op == AggregateOp::Pooled {
        return pooled::evaluate(context, grid, node);
    }
    if node.op == AggregateOp::CountValues {
        let vector = expr::vector(context, grid, &node.expr)?;
        return ranking::count_values(context, node, vector);
    }
    let parameter = match &node.param {
        Some(param) => expr::scalar(context, grid, param)?,
        None if node.op.takes_param() => {
            return Err(Error::Execution(format!("{} needs a parameter", node.op.as_str())));
        }
        None => Vec::new(),
    };
    let mut vector = expr::vector(context, grid, &node.expr)?;
    vector.widen(context.budget, parameter.len())?;
    let groups = Groups::of(context, node, &vector)?;
    note_ignored(context, node, span, &vector);
    let chosen = match node.op {
        AggregateOp::Topk | AggregateOp::Bottomk => {
            ranking::top(context, grid, node, vector, &groups, &parameter)?
        }
        AggregateOp::Limitk => ranking::limit(context, vector, &groups, &parameter)?,
        AggregateOp::LimitRatio => ranking::ratio(context, node, vector, &parameter)?,
        AggregateOp::Quantile => {
            for &q in parameter.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                let span = node.param.as_ref().map_or(node.expr.span, |param| param.span);
                context.notes.invalid_quantile(q, span);
            }
            quantile(context, &vector, groups, &parameter)?
        }
        op if vector.has_histograms() => {
            of_histograms::fold_all(context, (op, node.expr.span), &vector, groups)?
        }
        op => fold(context, op, &vector, groups)?,
    };
    Ok(chosen)
}

/// Says so where an aggregation passes over histograms.
fn note_ignored(context: &Context<'_>, node: &Aggregate, span: Span, vector: &Vector) {
    let span = match node.op {
        AggregateOp::Topk | AggregateOp::Bottomk => span,
        AggregateOp::Max | AggregateOp::Min | AggregateOp::Quantile => node.expr.span,
        AggregateOp::Stddev | AggregateOp::Stdvar => node.expr.span,
        _ => return,
    };
    if vector.series.iter().any(|series| series.histograms.iter().any(Option::is_some)) {
        context.notes.ignored_in_aggregation(node.op.as_str(), span);
    }
}

/// Which group each series is in, and the labels of the groups.
pub(super) struct Groups {
    pub(super) of_series: Vec<usize>,
    pub(super) labels: Vec<Labels>,
    /// Whether the name of the group is to be dropped, since it is of one of its series.
    pub(super) drop_name: Vec<bool>,
}

impl Groups {
    pub(super) fn of(context: &Context<'_>, node: &Aggregate, vector: &Vector) -> Result<Self, Error> {
        let mut groups = Self {
            of_series: Vec::with_capacity(vector.series.len()),
            labels: Vec::new(),
            drop_name: Vec::new(),
        };
        let mut index: Map<Vec<u8>, usize> = Map::default();
        let mut key = Vec::new();
        let keeps_nothing = node.grouping.is_empty() && !node.without;
        for series in &vector.series {
            context.check()?;
            key.clear();
            if !keeps_nothing {
                series.labels.append_kept(&mut key, |name| keeps(node, name));
            }
            let group = match index.get(&key) {
                Some(&group) => group,
                None => {
                    groups
                        .labels
                        .push(Labels::from_canonical_bytes(&key).expect("a subset of labels is in order"));
                    groups.drop_name.push(false);
                    index.insert(key.clone(), groups.labels.len() - 1);
                    groups.labels.len() - 1
                }
            };
            groups.drop_name[group] |= series.drop_name && series.is_present_anywhere();
            groups.of_series.push(group);
        }
        Ok(groups)
    }

    /// The series of each group.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.labels.len()];
        for (i, &group) in self.of_series.iter().enumerate() {
            members[group].push(i);
        }
        members
    }

    fn into_vector(self, columns: Vec<Vec<f64>>, width: usize) -> Vector {
        let named = self.labels.into_iter().zip(self.drop_name).zip(columns);
        let series =
            named.map(|((labels, drop_name), values)| Series::floats(labels, drop_name, values)).collect();
        Vector { series, width }
    }
}

/// Whether a label goes into the key of the group.
pub(super) fn keeps(node: &Aggregate, name: &[u8]) -> bool {
    let listed = node.grouping.iter().any(|label| label.as_bytes() == name);
    if node.without { !listed && name != METRIC_NAME.as_bytes() } else { listed }
}

/// Folds the columns of each group, value by value.
fn fold(context: &Context<'_>, op: AggregateOp, vector: &Vector, groups: Groups) -> Result<Vector, Error> {
    match op {
        AggregateOp::Sum => folded(
            context,
            vector,
            groups,
            Option::<Sum>::None,
            |sum, value| {
                *sum = Some(sum.unwrap_or_default().plus(value));
            },
            |sum| sum.map_or(ABSENT, Sum::total),
        ),
        AggregateOp::Avg => {
            let finish = |mean: Mean| if mean.is_empty() { ABSENT } else { mean.mean() };
            folded(context, vector, groups, Mean::default(), Mean::add, finish)
        }
        AggregateOp::Stddev | AggregateOp::Stdvar => {
            let root = op == AggregateOp::Stddev;
            let finish = |variance: Variance| match (variance.is_empty(), root) {
                (true, _) => ABSENT,
                (false, true) => variance.variance().sqrt(),
                (false, false) => variance.variance(),
            };
            folded(context, vector, groups, Variance::default(), Variance::add, finish)
        }
        AggregateOp::Count => folded(
            context,
            vector,
            groups,
            0.0,
            |count, _| *count += 1.0,
            |n| if n == 0.0 { ABSENT } else { n },
        ),
        AggregateOp::Group => folded(context, vector, groups, ABSENT, |one, _| *one = 1.0, |one| one),
        AggregateOp::Min => folded(
            context,
            vector,
            groups,
            ABSENT,
            |min, value| {
                if !is_present(*min) || value < *min || min.is_nan() {
                    *min = value;
                }
            },
            |min| min,
        ),
        AggregateOp::Max => folded(
            context,
            vector,
            groups,
            ABSENT,
            |max, value| {
                if !is_present(*max) || value > *max || max.is_nan() {
                    *max = value;
                }
            },
            |max| max,
        ),
        _ => Ok(Vector::empty()),
    }
}

fn folded<S: Clone>(
    context: &Context<'_>,
    vector: &Vector,
    groups: Groups,
    start: S,
    mut add: impl FnMut(&mut S, f64),
    finish: impl Fn(S) -> f64,
) -> Result<Vector, Error> {
    let mut columns = Vec::with_capacity(groups.labels.len());
    let mut states = Vec::with_capacity(vector.width);
    for members in groups.members() {
        states.clear();
        states.resize(vector.width, start.clone());
        for series in members.into_iter().map(|i| &vector.series[i]) {
            context.check()?;
            for (state, &value) in states.iter_mut().zip(&series.values).filter(|pair| is_present(*pair.1)) {
                add(state, value);
            }
        }
        columns.push(states.drain(..).map(&finish).collect());
    }
    Ok(groups.into_vector(columns, vector.width))
}

fn quantile(
    context: &Context<'_>,
    vector: &Vector,
    groups: Groups,
    parameter: &[f64],
) -> Result<Vector, Error> {
    let mut columns = vec![vec![ABSENT; vector.width]; groups.labels.len()];
    let mut gathered: Vec<Vec<f64>> = vec![Vec::new(); groups.labels.len()];
    for step in 0..vector.width {
        context.check()?;
        for (series, &group) in vector.series.iter().zip(&groups.of_series) {
            let value = series.values[step];
            if is_present(value) {
                gathered[group].push(value);
            }
        }
        for (values, column) in gathered.iter_mut().zip(&mut columns).filter(|pair| !pair.0.is_empty()) {
            column[step] = math::quantile(at(parameter, step), values);
            values.clear();
        }
    }
    Ok(groups.into_vector(columns, vector.width))
}
