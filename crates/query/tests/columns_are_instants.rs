//! A range query gives at each step what an instant query gives at that time, bit for bit, whatever the data.

mod support;

use std::collections::BTreeMap;

use barograph_model::{Budget, Timestamp};
use barograph_query::{
    Datum, Options, Steps, Value, evaluate_instant, evaluate_range, parse, script::Memory,
};
use proptest::prelude::*;
use support::{QUERIES, float, memory, series};

const STEP: i64 = 20_000;
const STEPS: i64 = 12;

type Points = BTreeMap<(String, i64), String>;

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
