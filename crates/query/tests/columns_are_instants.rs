//! A range query gives at each step what an instant query gives at that time, bit for bit, whatever the data.

use std::collections::BTreeMap;

use barograph_model::{Budget, Histogram, HistogramParts, Labels, ResetHint, Timestamp, stale_marker};
use barograph_query::{
    Datum, Options, Steps, Value, evaluate_instant, evaluate_range, parse, script::Memory,
};
use proptest::prelude::*;

const STEP: i64 = 20_000;
const STEPS: i64 = 12;

/// Queries whose value at a time does not depend on the other steps.
const QUERIES: [&str; 78] = [
    "x",
    "x offset 45s",
    "x offset -45s",
    "x @ 100",
    "-x",
    "x > 3",
    "x + on (i) group_left () y",
    "x and on (i) y",
    "x or y",
    "x unless on (i) (y > 5)",
    "x / ignoring (j) group_left () y",
    "y + fill (1) y offset 1m",
    "sum by (j) (x)",
    "avg(x)",
    "stddev by (i) (x)",
    "max without (i) (x)",
    "quantile(0.3, x)",
    "topk(1, x)",
    "bottomk by (j) (2, x)",
    "limitk(2, x)",
    "count_values(\"v\", x)",
    "count(x) by (j) > bool scalar(y{i=\"a\"})",
    "rate(x[1m])",
    "increase(x[50s])",
    "delta(x[1m30s] offset 10s)",
    "irate(x[1m])",
    "idelta(x[1m])",
    "resets(x[2m])",
    "changes(x[2m])",
    "deriv(x[1m])",
    "predict_linear(x[1m], 30)",
    "predict_linear(x[1m] @ 100, 30)",
    "sum_over_time(x[1m])",
    "avg_over_time(x[1m])",
    "min_over_time(x[1m])",
    "quantile_over_time(0.7, x[1m])",
    "quantile_over_time(scalar(y{i=\"a\"}) / 10, x[2m] @ 120)",
    "mad_over_time(x[1m])",
    "ts_of_max_over_time(x[1m])",
    "double_exponential_smoothing(x[2m], 0.3, 0.6)",
    "absent_over_time(x[15s])",
    "increase(x[1m] anchored)",
    "rate(x[1m] smoothed)",
    "changes(x[1m] anchored)",
    "x smoothed",
    "max_over_time(rate(x[40s])[2m:15s])",
    "sum_over_time(x[1m:7s] @ 90) + time()",
    "label_replace(timestamp(x), \"k\", \"$1\", \"i\", \"(.*)\") + ignoring (k) hour(x)",
    "h",
    "h smoothed",
    "-h",
    "h * 2 - on (i) h offset 20s",
    "h != h offset 30s",
    "h </ 1.5",
    "h and on (i) x",
    "h or y",
    "sum(h)",
    "avg(h)",
    "count(h)",
    "limitk(1, h)",
    "count_values(\"v\", h)",
    "histogram_count(sum(h))",
    "histogram_quantile(0.4, h)",
    "histogram_stddev(h) + histogram_fraction(0, 3, h)",
    "rate(h[1m])",
    "irate(h[1m])",
    "delta(h[40s])",
    "increase(h[1m] smoothed)",
    "increase(h[30s] anchored)",
    "resets(h[2m])",
    "changes(h[1m] anchored)",
    "count_over_time(h[30s] @ 100)",
    "sum_over_time(h[22s])",
    "avg_over_time(h[1m:9s])",
    "last_over_time(h[25s])",
    "quantile_over_time(scalar(y{i=\"a\"}) / 10, h[2m] @ 120)",
    "min_over_time(h[1m]) + ts_of_last_over_time(h[1m])",
    "timestamp(h)",
];

/// Some series with gaps, resets, and ends.
fn series() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![
        8 => (0..10).prop_map(|v| Some(f64::from(v))),
        3 => Just(None),
        1 => Just(Some(stale_marker())),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(-0.1)),
    ];
    prop::collection::vec(value, 0..30)
}

fn memory(columns: &[Vec<Option<f64>>]) -> Memory {
    let names = [("x", "a", "p"), ("x", "b", "p"), ("x", "a", "q"), ("y", "a", ""), ("y", "b", "")];
    let mut memory = Memory::new();
    for ((name, i, j), column) in names.into_iter().zip(columns) {
        let labels = Labels::from_pairs([("__name__", name), ("i", i), ("j", j)]).expect("these are labels");
        let at = (0..).map(|k: i64| k * 11_000);
        memory.load(labels, at.clone().zip(column).filter_map(|(at, value)| Some((at, (*value)?))));
        if name == "y" {
            let (histograms, floats): (Vec<_>, Vec<_>) =
                at.zip(column).filter_map(|(at, value)| Some((at, (*value)?))).partition(|pair| pair.1 > 1.0);
            let labels = Labels::from_pairs([("__name__", "h"), ("i", i)]).expect("these are labels");
            memory.load(labels.clone(), floats);
            memory.load_histograms(labels, histograms.into_iter().map(|(at, value)| (at, histogram(value))));
        }
    }
    memory
}

/// Some distribution.
fn histogram(value: f64) -> Histogram {
    let gauge = value == 9.0;
    let parts = HistogramParts {
        schema: if value > 5.0 { 1 } else { 0 },
        hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
        zero_threshold: 0.5,
        zero_count: value,
        count: 3.0 * value,
        sum: value * value,
        positive: vec![(1, value), (3, value)],
        ..HistogramParts::default()
    };
    Histogram::new(parts).expect("a histogram")
}

type Points = BTreeMap<(String, i64), String>;

fn float(value: f64) -> String {
    format!("{:x}", if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
}

/// All samples of the range query, or its error.
fn columns(memory: &Memory, query: &str) -> Result<Points, String> {
    let expr = parse(query).map_err(|error| error.to_string())?;
    let steps = Steps { start: Timestamp(0), end: Timestamp(STEP * (STEPS - 1)), step_ms: STEP };
    let answer = evaluate_range(memory, &expr, steps, &Options::experimental(), &Budget::unlimited())
        .map_err(|error| error.to_string())?;
    let Value::Matrix(matrix) = answer.value else { return Err("no matrix".into()) };
    let points = matrix.into_iter().flat_map(|(labels, track)| {
        let floats = track.floats.into_iter().map(|sample| (sample.at.0, float(sample.value)));
        let histograms = track.histograms.into_iter().map(|(at, histogram)| (at.0, format!("{histogram:?}")));
        floats.chain(histograms).map(move |(at, value)| ((labels.to_string(), at), value)).collect::<Vec<_>>()
    });
    Ok(points.collect())
}

/// The same, step by step.
fn instants(memory: &Memory, query: &str) -> Result<Points, String> {
    let expr = parse(query).map_err(|error| error.to_string())?;
    let mut points = Points::new();
    for step in 0..STEPS {
        let at = Timestamp(step * STEP);
        let answer = evaluate_instant(memory, &expr, at, &Options::experimental(), &Budget::unlimited())
            .map_err(|error| error.to_string())?;
        let Value::Vector(vector) = answer.value else { return Err("no vector".into()) };
        for (labels, datum) in vector {
            let value = match &datum {
                Datum::Float(sample) => float(sample.value),
                Datum::Histogram(_, histogram) => format!("{histogram:?}"),
            };
            points.insert((labels.to_string(), datum.at().0), value);
        }
    }
    Ok(points)
}

#[test]
fn each_query_has_an_answer() {
    let full: Vec<_> = (0..5).map(|k| (0..30).map(|i| Some(f64::from((i * 7 + k) % 11))).collect()).collect();
    let memory = memory(&full);
    // Where floats and histograms are read together nothing stands between them.
    let has_none = |query: &&str| query.starts_with("absent") || query.starts_with("increase(h");
    for query in QUERIES.into_iter().filter(|query| !has_none(query)) {
        let points = columns(&memory, query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(!points.is_empty(), "{query}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn columns_are_instants(data in prop::collection::vec(series(), 5)) {
        let memory = memory(&data);
        for query in QUERIES {
            match (columns(&memory, query), instants(&memory, query)) {
                (Err(_), Err(_)) => {}
                (range, instant) => prop_assert_eq!(range, instant, "{}", query),
            }
        }
    }
}
