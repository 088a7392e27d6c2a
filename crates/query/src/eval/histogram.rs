//! Quantiles and fractions of histograms: native ones, and classic ones, which are series of cumulative counts, one a
//! bucket, told apart by `le`.
//!
//! Inside a classic bucket observations are taken as evenly spread. Within the outermost ones that is not possible: there
//! the nearest finite bound is the answer.

use barograph_model::{Labels, quote};

use super::{
    Error,
    column::{Map, Rows, Vector, at, is_present},
    context::Context,
    notes::{for_metric, go_float},
};
use crate::{
    native::FloatHistogram,
    syntax::{
        Span,
        ast::{Expr, Text},
    },
};

const BUCKET_LABEL: &str = "le";
/// Counts that differ by less than this share are the same count, computed in two ways.
const TOLERANCE: f64 = 1e-12;

/// `histogram_quantile(q, buckets)`
pub(super) fn quantile(
    context: &Context<'_>,
    quantile_arg: &Expr,
    quantiles: &[f64],
    buckets_arg: &Expr,
    vector: Vector,
) -> Result<Vector, Error> {
    note_invalid(context, quantiles, quantile_arg.span);
    let span = buckets_arg.span;
    each_histogram(context, vector, quantiles.len(), span, |labels, rows, step, found| {
        let q = at(quantiles, step);
        let value = match found {
            Found::Classic(buckets) => quantile_of(context, q, buckets, labels, span),
            Found::Native(histogram) => native_quantile(context, q, histogram, labels, span),
        };
        let row = rows.row(context.budget, labels.clone(), true)?;
        *rows.cell(row, step) = value;
        Ok(())
    })
}

/// A quantile of a native histogram, with a word about observations that are not numbers.
fn native_quantile(
    context: &Context<'_>,
    q: f64,
    histogram: &FloatHistogram,
    labels: &Labels,
    span: Span,
) -> f64 {
    let value = histogram.quantile(q);
    if histogram.has_nan_observations() && (0.0..=1.0).contains(&q) && histogram.count() != 0.0 {
        let result = if value.is_nan() { "result is NaN" } else { "result is skewed higher" };
        let metric = for_metric(labels.metric_name());
        let message = format!("input to histogram_quantile has NaN observations, {result}{metric}");
        context.notes.inform(&message, span);
    }
    value
}

/// `histogram_quantiles(buckets, label, q, ...)`: one series for each quantile.
pub(super) fn quantiles(
    context: &Context<'_>,
    buckets_arg: &Expr,
    vector: Vector,
    label: &Text,
    quantiles: &[(Vec<f64>, Span)],
) -> Result<Vector, Error> {
    for (values, span) in quantiles {
        note_invalid(context, values, *span);
    }
    let width = quantiles.iter().map(|pair| pair.0.len()).max().unwrap_or(1);
    let span = buckets_arg.span;
    let mut clash = false;
    let result = each_histogram(context, vector, width, span, |labels, rows, step, found| {
        for (values, _) in quantiles {
            let q = at(values, step);
            let value = match &found {
                Found::Classic(buckets) => quantile_of(context, q, &mut buckets.to_vec(), labels, span),
                Found::Native(histogram) => native_quantile(context, q, histogram, labels, span),
            };
            let labels = labels.with(&label.value, &exposition_float(q));
            let row = rows.row(context.budget, labels, true)?;
            let cell = rows.cell(row, step);
            clash |= is_present(*cell);
            *cell = value;
        }
        Ok(())
    })?;
    if clash { Err(super::column::same_labels()) } else { Ok(result) }
}

/// `histogram_fraction(lower, upper, buckets)`
pub(super) fn fraction(
    context: &Context<'_>,
    (lower, upper): (&[f64], &[f64]),
    buckets_arg: &Expr,
    vector: Vector,
) -> Result<Vector, Error> {
    let (width, span) = (lower.len().max(upper.len()), buckets_arg.span);
    each_histogram(context, vector, width, span, |labels, rows, step, found| {
        let (lower, upper) = (at(lower, step), at(upper, step));
        let value = match found {
            Found::Classic(buckets) => fraction_of(lower, upper, buckets),
            Found::Native(histogram) => {
                let value = histogram.fraction(lower, upper);
                if histogram.has_nan_observations() && lower < upper && !value.is_nan() {
                    let metric = for_metric(labels.metric_name());
                    let what = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
                    context.notes.inform(&format!("{what}{metric}"), span);
                }
                value
            }
        };
        let row = rows.row(context.budget, labels.clone(), true)?;
        *rows.cell(row, step) = value;
        Ok(())
    })
}

fn note_invalid(context: &Context<'_>, quantiles: &[f64], span: Span) {
    for &q in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        context.notes.invalid_quantile(q, span);
    }
}

/// A number as the exposition format writes it: always with a point or an exponent.
fn exposition_float(value: f64) -> String {
    let text = go_float(value);
    if value.is_finite() && !text.contains(['.', 'e']) { text + ".0" } else { text }
}

/// A bucket at one step.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    upper: f64,
    /// All observations up to the bound.
    count: f64,
}

/// A histogram at one step, of either form.
enum Found<'a> {
    Classic(&'a mut Vec<Bucket>),
    Native(&'a FloatHistogram),
}

/// Calls `visit` for each histogram and step at which it is there. Where both forms have the same labels nothing is
/// known, and a warning says so.
fn each_histogram(
    context: &Context<'_>,
    mut vector: Vector,
    width: usize,
    span: Span,
    mut visit: impl FnMut(&Labels, &mut Rows, usize, Found<'_>) -> Result<(), Error>,
) -> Result<Vector, Error> {
    vector.widen(context.budget, width)?;
    let mut rows = Rows::new(vector.width);
    let histograms = Histogram::all(context, &vector, span);
    let natives: Map<&Labels, usize> = (vector.series.iter().enumerate())
        .filter(|(_, series)| !series.histograms.is_empty())
        .map(|(i, series)| (&series.labels, i))
        .collect();
    let mut buckets = Vec::new();
    for histogram in &histograms {
        context.check()?;
        let native = natives.get(&histogram.labels).map(|&i| &vector.series[i]);
        for step in 0..vector.width {
            buckets.clear();
            for &(upper, series) in &histogram.bounds {
                let count = vector.series[series].values[step];
                if is_present(count) {
                    buckets.push(Bucket { upper, count });
                }
            }
            if buckets.is_empty() {
                continue;
            }
            if native.is_some_and(|native| native.histogram(step).is_some()) {
                context.notes.classic_and_native(histogram.labels.metric_name(), span);
            } else {
                visit(&histogram.labels, &mut rows, step, Found::Classic(&mut buckets))?;
            }
        }
    }
    if !natives.is_empty() {
        let classic: Map<&Labels, &Histogram> = histograms.iter().map(|h| (&h.labels, h)).collect();
        for native in vector.series.iter().filter(|series| !series.histograms.is_empty()) {
            context.check()?;
            let classic = classic.get(&native.labels);
            for step in 0..vector.width {
                let Some(histogram) = native.histogram(step) else { continue };
                let has_bucket = |&(_, series): &(f64, usize)| is_present(vector.series[series].values[step]);
                if !classic.is_some_and(|classic| classic.bounds.iter().any(has_bucket)) {
                    visit(&native.labels, &mut rows, step, Found::Native(histogram))?;
                }
            }
        }
    }
    let vector = rows.finish();
    if context.options.delayed_name_removal { Ok(vector) } else { vector.settle() }
}

/// The series of one histogram.
struct Histogram {
    labels: Labels,
    /// Upper bounds in order, each with the index of its series.
    bounds: Vec<(f64, usize)>,
}

impl Histogram {
    fn all(context: &Context<'_>, vector: &Vector, span: Span) -> Vec<Self> {
        let mut histograms: Vec<Self> = Vec::new();
        let mut index: Map<Labels, usize> = Map::default();
        for (i, series) in vector.series.iter().enumerate() {
            let bound = series.labels.value(BUCKET_LABEL).unwrap_or_default();
            let Some(upper) = parse_bound(bound) else {
                if series.values.iter().copied().any(is_present) {
                    let metric = for_metric(series.labels.metric_name());
                    let bound = quote(bound);
                    let message =
                        format!("bucket label \"le\" is missing or has a malformed value of {bound}{metric}");
                    context.notes.warn(&message, span);
                }
                continue;
            };
            let labels = series.labels.without(|name| name == BUCKET_LABEL.as_bytes());
            let next = histograms.len();
            let at = *index.entry(labels.clone()).or_insert(next);
            if at == next {
                histograms.push(Self { labels, bounds: Vec::new() });
            }
            histograms[at].bounds.push((upper, i));
        }
        for histogram in &mut histograms {
            histogram.bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        histograms
    }
}

/// A bound as the exposition formats write it.
fn parse_bound(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|c| c.is_ascii_digit() || b"+-.eEinfINFtyTYaA".contains(&c));
    text.parse().ok().filter(|_| plain)
}

/// Joins buckets of equal bounds and makes counts rise; says whether that changed anything of size.
fn repair(buckets: &mut Vec<Bucket>) -> bool {
    buckets.dedup_by(|later, kept| {
        let same = later.upper == kept.upper;
        if same {
            kept.count += later.count;
        }
        same
    });
    let mut forced = false;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let close = (bucket.count - before).abs() <= TOLERANCE * (bucket.count.abs() + before.abs());
        if close {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            forced = true;
        } else {
            before = bucket.count;
        }
    }
    forced
}

/// Whether the last bucket takes everything, without which nothing is known.
fn is_complete(buckets: &[Bucket]) -> bool {
    buckets.last().is_some_and(|last| last.upper == f64::INFINITY)
}

fn quantile_of(context: &Context<'_>, q: f64, buckets: &mut Vec<Bucket>, labels: &Labels, span: Span) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if !is_complete(buckets) {
        return f64::NAN;
    }
    if repair(buckets) {
        let metric = for_metric(labels.metric_name());
        let message = format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){metric}"
        );
        context.notes.inform(&message, span);
    }
    let last = buckets.len() - 1;
    let total = buckets[last].count;
    if last == 0 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = q * total;
    let found = buckets[..last].iter().position(|bucket| bucket.count >= rank).unwrap_or(last);
    if found == last {
        return buckets[last - 1].upper;
    }
    if found == 0 && buckets[0].upper <= 0.0 {
        return buckets[0].upper;
    }
    let before = match found {
        0 => Bucket { upper: 0.0, count: 0.0 },
        found => buckets[found - 1],
    };
    let (width, count) = (buckets[found].upper - before.upper, buckets[found].count - before.count);
    before.upper + width * ((rank - before.count) / count)
}

fn fraction_of(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !is_complete(buckets) {
        return f64::NAN;
    }
    repair(buckets);
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (observations_up_to(upper, buckets) - observations_up_to(lower, buckets)) / total
}

/// How many observations are at most `bound`, as far as buckets tell.
fn observations_up_to(bound: f64, buckets: &[Bucket]) -> f64 {
    let mut before =
        Bucket { upper: if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 }, count: 0.0 };
    for bucket in buckets {
        if before.upper >= bound {
            return before.count;
        }
        if bucket.upper > bound {
            if before.upper == f64::NEG_INFINITY {
                return bucket.count;
            }
            // In the bucket without an upper bound the share is zero.
            let share = (bound - before.upper) / (bucket.upper - before.upper);
            return before.count + (bucket.count - before.count) * share;
        }
        before = *bucket;
    }
    before.count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_a_bound() {
        let buckets =
            [(1.0, 2.0), (3.0, 6.0), (f64::INFINITY, 10.0)].map(|(upper, count)| Bucket { upper, count });
        let check =
            |bound, expected: f64| assert_eq!(observations_up_to(bound, &buckets), expected, "{bound}");
        check(f64::NEG_INFINITY, 0.0);
        check(0.5, 1.0);
        check(1.0, 2.0);
        check(2.0, 4.0);
        check(100.0, 6.0);
        check(f64::INFINITY, 10.0);
    }

    #[test]
    fn repairs_falling_counts() {
        let mut buckets: Vec<_> = [(1.0, 5.0), (1.0, 1.0), (2.0, 4.0), (3.0, 6.0 + 1e-13)]
            .map(|(upper, count)| Bucket { upper, count })
            .into();
        assert!(repair(&mut buckets));
        assert_eq!(buckets.iter().map(|b| b.count).collect::<Vec<_>>(), [6.0, 6.0, 6.0]);
    }

    #[test]
    fn writes_quantiles_as_labels() {
        assert_eq!([1.0, 0.25, f64::NAN].map(exposition_float), ["1.0", "0.25", "NaN"]);
    }
}
