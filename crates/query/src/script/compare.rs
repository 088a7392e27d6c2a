//! Whether an answer is what a script expects.

use barograph_model::{Labels, Timestamp, is_stale};

use super::{
    command::{Eval, Notes, When},
    items::Item,
};
use crate::{
    eval::{Answer, Datum, Track, Value},
    native::FloatHistogram,
};

/// How far two numbers may be apart, as a share of their sum.
const TOLERANCE: f64 = 1e-6;
/// The smallest number that is not subnormal.
const MIN_NORMAL: f64 = f64::MIN_POSITIVE;

/// What does not agree: what was expected, and what came.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) expected: String,
    pub(super) got: String,
}

fn differ<T>(expected: impl Into<String>, got: impl Into<String>) -> Result<T, Difference> {
    Err(Difference { expected: expected.into(), got: got.into() })
}

/// Compares the answer of the query as the script asks it.
pub(super) fn answer(eval: &Eval, answer: &Answer) -> Result<(), Difference> {
    let expected = &eval.expected;
    notes("warning", &expected.warn, &answer.warnings)?;
    notes("info", &expected.info, &answer.infos)?;
    if let Some(text) = &expected.string {
        return match &answer.value {
            Value::String(_, got) if got == text => Ok(()),
            got => differ(format!("string {text:?}"), show(got)),
        };
    }
    if let Some(value) = expected.scalar {
        return match &answer.value {
            Value::Scalar(sample) if alike(sample.value, value) => Ok(()),
            got => differ(format!("scalar {value}"), show(got)),
        };
    }
    match (eval.when, expected.matrix, &answer.value) {
        (_, Some((from, _, step)), Value::Matrix(matrix)) => table(eval, from, step, matrix),
        (When::Range { from, step, .. }, None, Value::Matrix(matrix)) => {
            if !matrix.is_sorted_by(|a, b| a.0 < b.0) {
                return differ("series sorted by labels", show(&answer.value));
            }
            table(eval, from, step, matrix)
        }
        (When::Instant(at), None, Value::Vector(vector)) => instant(eval, at, vector),
        (.., got) => differ(expected_text(eval), show(got)),
    }
}

fn notes(kind: &str, expected: &Notes, got: &[String]) -> Result<(), Difference> {
    if expected.none && !got.is_empty() {
        return differ(format!("no {kind}"), got.join("; "));
    }
    if expected.some && got.is_empty() {
        return differ(format!("some {kind}: {:?}", expected.texts), format!("no {kind}"));
    }
    if let Some(text) = expected.texts.iter().find(|text| !got.iter().any(|note| text.accepts(note))) {
        return differ(format!("{kind} {text:?}"), got.join("; "));
    }
    let unexpected = got.iter().find(|note| !expected.texts.iter().any(|text| text.accepts(note)));
    match unexpected.filter(|_| !expected.texts.is_empty()) {
        Some(note) => differ(format!("no other {kind}"), note),
        None => Ok(()),
    }
}

/// Compares the samples of an instant query; in order if that is expected.
pub(super) fn instant(eval: &Eval, at: i64, vector: &[(Labels, Datum)]) -> Result<(), Difference> {
    let series = &eval.expected.series;
    let complain = || differ(expected_text(eval), show(&Value::Vector(vector.to_vec())));
    if series.len() != vector.len() {
        return complain();
    }
    for (i, (labels, items)) in series.iter().enumerate() {
        let found = if eval.expected.ordered {
            vector.get(i).filter(|pair| pair.0 == *labels)
        } else {
            vector.iter().find(|pair| pair.0 == *labels)
        };
        match (found, items.as_slice()) {
            (Some((_, datum)), [item]) if fits(datum, (at, item)) => {}
            _ => return complain(),
        }
    }
    Ok(())
}

/// Compares series whose values lie at `from`, `from + step` and so on.
fn table(eval: &Eval, from: i64, step: i64, matrix: &[(Labels, Track)]) -> Result<(), Difference> {
    let complain = || differ(expected_text(eval), show(&Value::Matrix(matrix.to_vec())));
    let expected: Vec<(&Labels, Vec<(i64, &Item)>)> = eval
        .expected
        .series
        .iter()
        .map(|(labels, items)| (labels, (0..).map(|i: i64| from + i * step).zip(items).collect()))
        .map(|(labels, points): (_, Vec<(i64, &Item)>)| {
            (labels, points.into_iter().filter(|point| *point.1 != Item::Missing).collect())
        })
        .collect();
    if expected.len() != matrix.len() {
        return complain();
    }
    for (labels, points) in &expected {
        let Some((_, track)) = matrix.iter().find(|pair| pair.0 == **labels) else { return complain() };
        let data = data(track);
        if data.len() != points.len() || !data.iter().zip(points).all(|(datum, point)| fits(datum, *point)) {
            return complain();
        }
    }
    Ok(())
}

/// All samples of a series in time order.
pub(super) fn data(track: &Track) -> Vec<Datum> {
    let histograms = track.histograms.iter().map(|(at, histogram)| Datum::Histogram(*at, histogram.clone()));
    let mut data: Vec<Datum> = track.floats.iter().copied().map(Datum::Float).chain(histograms).collect();
    data.sort_by_key(Datum::at);
    data
}

fn fits(datum: &Datum, (at, item): (i64, &Item)) -> bool {
    let same = match (datum, item) {
        (Datum::Float(sample), Item::Float(value)) => alike(sample.value, *value),
        (Datum::Histogram(_, histogram), Item::Histogram(literal)) => {
            let hints = !literal.states_hint || literal.histogram.hint() == histogram.hint();
            hints && histograms_alike(histogram, &literal.histogram)
        }
        _ => false,
    };
    same && datum.at() == Timestamp(at)
}

/// Whether two histograms are the same up to rounding of their counts.
fn histograms_alike(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let buckets = |a: &[(i32, f64)], b: &[(i32, f64)]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && alike(a.1, b.1))
    };
    a.schema() == b.schema()
        && a.zero_threshold() == b.zero_threshold()
        && alike(a.zero_count(), b.zero_count())
        && alike(a.count(), b.count())
        && alike(a.sum(), b.sum())
        && a.bounds() == b.bounds()
        && buckets(a.positive(), b.positive())
        && buckets(a.negative(), b.negative())
}

/// Whether two numbers are the same up to rounding. A staleness marker is only like itself.
pub(super) fn alike(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, distance) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < MIN_NORMAL {
        return distance < TOLERANCE * MIN_NORMAL;
    }
    distance / sum.min(f64::MAX) < TOLERANCE
}

pub(super) fn expected_text(eval: &Eval) -> String {
    if eval.expected.series.is_empty() {
        return "nothing".into();
    }
    let value = |item: &Item| match item {
        Item::Missing => "_".to_owned(),
        Item::Float(value) => value.to_string(),
        Item::Histogram(literal) => shown(&literal.histogram),
    };
    let line = |(labels, items): &(Labels, Vec<Item>)| {
        format!("{labels} {}", items.iter().map(value).collect::<Vec<_>>().join(" "))
    };
    eval.expected.series.iter().map(line).collect::<Vec<_>>().join(", ")
}

pub(super) fn show(value: &Value) -> String {
    let join = |lines: Vec<String>| if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") };
    match value {
        Value::Scalar(sample) => format!("scalar {}", sample.value),
        Value::String(_, text) => format!("string {text:?}"),
        Value::Vector(vector) => {
            join(vector.iter().map(|(labels, datum)| format!("{labels} {}", show_datum(datum))).collect())
        }
        Value::Matrix(matrix) => join(
            matrix
                .iter()
                .map(|(labels, track)| {
                    let point = |datum: &Datum| format!("{}@{}", show_datum(datum), datum.at());
                    let points: Vec<String> = data(track).iter().map(point).collect();
                    format!("{labels} {}", points.join(" "))
                })
                .collect(),
        ),
    }
}

fn show_datum(datum: &Datum) -> String {
    match datum {
        Datum::Float(sample) => sample.value.to_string(),
        Datum::Histogram(_, histogram) => shown(histogram),
    }
}

fn shown(histogram: &FloatHistogram) -> String {
    format!("{histogram} of schema {} ({:?})", histogram.schema(), histogram.hint())
}
