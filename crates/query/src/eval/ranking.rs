//! Aggregations that choose series (`topk`, `bottomk`, `limitk`, `limit_ratio`) or count equal values.

use std::{cmp::Ordering, collections::HashMap};

use barograph_model::{Labels, LabelsBuilder};

use super::{
    Error,
    aggregate::Groups,
    column::{ABSENT, Rows, Series, Vector, at, is_present},
    context::Context,
    expr,
    grid::Grid,
    notes::go_float,
};
use crate::syntax::{
    ast::{Aggregate, AggregateOp},
    quote_bytes,
};

/// The `k` largest or smallest values of each group and step; the rest becomes absent.
pub(super) fn top(
    context: &Context<'_>,
    grid: Grid,
    node: &Aggregate,
    vector: Vector,
    groups: &Groups,
    parameter: &[f64],
) -> Result<Vector, Error> {
    let largest = node.op == AggregateOp::Topk;
    let mut vector = vector;
    vector.series.iter_mut().for_each(|series| series.histograms.clear());
    let mut kept = mask(context, &vector)?;
    let members = groups.members();
    let mut order: Vec<usize> = Vec::new();
    for (step, kept) in kept.iter_mut().enumerate() {
        let k = count(at(parameter, step))?;
        context.check()?;
        for group in &members {
            order.clear();
            order.extend(group.iter().copied().filter(|&i| is_present(vector.series[i].values[step])));
            if k < order.len() {
                let before =
                    |a: &usize, b: &usize| ranked(*a, *b, |i| vector.series[i].values[step], largest);
                order.select_nth_unstable_by(k, before);
                order.truncate(k);
            }
            order.iter().for_each(|&i| kept[i] = true);
        }
    }
    let mut chosen = masked(vector, &kept);
    if grid.instant && chosen.width == 1 {
        // The groups in the order of their first series, each by value.
        let mut rank: Vec<usize> = Vec::with_capacity(chosen.series.len());
        for group in &members {
            let mut best: Vec<usize> = group.iter().copied().filter(|&i| kept[0][i]).collect();
            best.sort_unstable_by(|&a, &b| ranked(a, b, |i| chosen.series[i].values[0], largest));
            rank.extend(best);
        }
        let mut taken: Vec<Option<Series>> = chosen.series.into_iter().map(Some).collect();
        chosen.series = rank.into_iter().filter_map(|i| taken[i].take()).collect();
    }
    Ok(chosen)
}

/// The first `k` series that have a value, of each group and step.
pub(super) fn limit(
    context: &Context<'_>,
    vector: Vector,
    groups: &Groups,
    parameter: &[f64],
) -> Result<Vector, Error> {
    let mut kept = mask(context, &vector)?;
    let mut taken = vec![0usize; groups.labels.len()];
    for (step, kept) in kept.iter_mut().enumerate() {
        let k = count(at(parameter, step))?;
        context.check()?;
        taken.fill(0);
        for (i, &group) in groups.of_series.iter().enumerate() {
            if taken[group] < k && vector.series[i].is_present(step) {
                taken[group] += 1;
                kept[i] = true;
            }
        }
    }
    Ok(masked(vector, &kept))
}

/// The share of series whose label hash falls below the ratio, or from its complement on if it is negative.
pub(super) fn ratio(
    context: &Context<'_>,
    node: &Aggregate,
    mut vector: Vector,
    parameter: &[f64],
) -> Result<Vector, Error> {
    let span = node.param.as_ref().map_or(node.expr.span, |param| param.span);
    let mut ratios = Vec::with_capacity(parameter.len());
    for &ratio in parameter {
        if ratio.is_nan() {
            return Err(Error::Execution("Ratio value is NaN".into()));
        }
        let capped = ratio.clamp(-1.0, 1.0);
        if capped != ratio {
            let shown = go_float(ratio);
            let message = format!("ratio value should be between -1 and 1, got {shown}, capping to {capped}");
            context.notes.warn(&message, span);
        }
        ratios.push(capped);
    }
    for series in &mut vector.series {
        let place = label_hash(&series.labels) as f64 / u64::MAX as f64;
        let falls = |ratio: f64| if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio };
        for (_, value) in series.values.iter_mut().enumerate().filter(|pair| !falls(at(&ratios, pair.0))) {
            *value = ABSENT;
        }
        let histograms = series.histograms.iter_mut().enumerate();
        histograms.filter(|pair| !falls(at(&ratios, pair.0))).for_each(|pair| *pair.1 = None);
    }
    Ok(vector)
}

/// How many series have the same value, by value.
pub(super) fn count_values(context: &Context<'_>, node: &Aggregate, vector: Vector) -> Result<Vector, Error> {
    let Some(label) = node.param.as_ref().map(expr::text).transpose()? else {
        return Err(Error::Execution("count_values needs a label name".into()));
    };
    if let Some(bytes) = &label.bytes {
        return Err(Error::Execution(format!("invalid label name {}", quote_bytes(bytes))));
    }
    if label.value.is_empty() {
        return Err(Error::Execution("invalid label name \"\"".into()));
    }
    let groups = Groups::of(context, node, &vector)?;
    let mut rows = Rows::new(vector.width);
    let mut labels_of: HashMap<(usize, u64), Labels> = HashMap::new();
    for (series, &group) in vector.series.iter().zip(&groups.of_series) {
        context.check()?;
        for (step, &value) in series.values.iter().enumerate().filter(|pair| is_present(*pair.1)) {
            let key = if value.is_nan() { f64::NAN } else { value };
            let labels = labels_of.entry((group, key.to_bits())).or_insert_with(|| {
                let mut builder = LabelsBuilder::from(&groups.labels[group]);
                builder.set(&label.value, &plain_float(value));
                builder.build()
            });
            count_one(context, &mut rows, (labels.clone(), groups.drop_name[group]), step)?;
        }
        for (step, histogram) in series.histograms.iter().enumerate() {
            let Some(histogram) = histogram else { continue };
            let mut builder = LabelsBuilder::from(&groups.labels[group]);
            builder.set(&label.value, &histogram.to_string());
            count_one(context, &mut rows, (builder.build(), groups.drop_name[group]), step)?;
        }
    }
    Ok(rows.finish())
}

fn count_one(
    context: &Context<'_>,
    rows: &mut Rows,
    (labels, drop_name): (Labels, bool),
    step: usize,
) -> Result<(), Error> {
    let row = rows.row(context.budget, labels, drop_name)?;
    let cell = rows.cell(row, step);
    *cell = if is_present(*cell) { *cell + 1.0 } else { 1.0 };
    Ok(())
}

/// A number without an exponent, as Go's `%f` with the fewest digits.
fn plain_float(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { go_float(value) }
}

/// Which values are kept, by step and series: none yet.
fn mask(context: &Context<'_>, vector: &Vector) -> Result<Vec<Vec<bool>>, Error> {
    context.budget.reserve((vector.series.len() as u64).saturating_mul(vector.width as u64))?;
    Ok(vec![vec![false; vector.series.len()]; vector.width])
}

/// How many a parameter asks for; none if it is below one.
fn count(parameter: f64) -> Result<usize, Error> {
    if parameter.is_nan() {
        return Err(Error::Execution("Parameter value is NaN".into()));
    }
    if parameter >= i64::MAX as f64 || parameter <= i64::MIN as f64 {
        return Err(Error::Execution(format!("Scalar value {} overflows int64", go_float(parameter))));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "negative numbers become zero"
    )]
    Ok(parameter.max(0.0) as usize)
}

/// By value, NaN last; equals in the order of their numbers.
fn ranked(a: usize, b: usize, value: impl Fn(usize) -> f64, largest: bool) -> Ordering {
    let (x, y) = (value(a), value(b));
    let by_value = if largest { y.partial_cmp(&x) } else { x.partial_cmp(&y) };
    by_value.unwrap_or_else(|| x.is_nan().cmp(&y.is_nan())).then(a.cmp(&b))
}

/// Only the values that are kept at each step.
fn masked(mut vector: Vector, kept: &[Vec<bool>]) -> Vector {
    for (i, series) in vector.series.iter_mut().enumerate() {
        for (value, _) in series.values.iter_mut().zip(kept).filter(|pair| !pair.1[i]) {
            *value = ABSENT;
        }
        for (histogram, _) in series.histograms.iter_mut().zip(kept).filter(|pair| !pair.1[i]) {
            *histogram = None;
        }
    }
    vector
}

/// The hash by which Prometheus tells label sets apart, so that both choose the same series: xxHash64 over names
/// and values, each after its length, which takes one byte, or `0xff` and three.
fn label_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::with_capacity(128);
    for (name, value) in labels {
        for part in [name, value] {
            match u8::try_from(part.len()) {
                Ok(short) if short < 255 => bytes.push(short),
                _ => {
                    bytes.push(255);
                    bytes.extend_from_slice(&(part.len() as u64).to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0)
}
