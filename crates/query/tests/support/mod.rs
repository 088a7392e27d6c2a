//! Queries and series that several tests play with.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part of this")]

use barograph_model::{Histogram, HistogramParts, Labels, ResetHint, stale_marker};
use barograph_query::script::Memory;
use proptest::prelude::*;

/// Queries whose value at a time does not depend on the other steps.
pub const QUERIES: [&str; 78] = [
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
pub fn series() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![
        8 => (0..10).prop_map(|v| Some(f64::from(v))),
        3 => Just(None),
        1 => Just(Some(stale_marker())),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(-0.1)),
    ];
    prop::collection::vec(value, 0..30)
}

pub fn memory(columns: &[Vec<Option<f64>>]) -> Memory {
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
pub fn histogram(value: f64) -> Histogram {
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

/// The bits of a value, the same for everything that is no number.
pub fn float(value: f64) -> String {
    format!("{:x}", if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
}
