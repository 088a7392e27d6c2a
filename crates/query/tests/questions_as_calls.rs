//! The query engine of programs: what it answers, and what it makes of points that are at hand.

use std::collections::BTreeMap;

use barograph_model::{Budget, Labels, Sample, Tier, Timestamp};
use barograph_query::{
    engine::{
        AggregationFunction as Function, MetricsQueryFilter, QueryEngine, apply_aggregation, downsample,
    },
    script::Memory,
};

const MINUTE: i64 = 60_000;
const START: Timestamp = Timestamp(1_699_999_200_000);

/// An hour of two series of `load`, one counting up from 0 by a minute, the other constantly 100.
fn store() -> Memory {
    let mut memory = Memory::default();
    for (host, slope, base) in [("a", 1.0, 0.0), ("b", 0.0, 100.0)] {
        let labels = Labels::from_pairs([("__name__", "load"), ("host", host)]).expect("labels are good");
        memory.load(labels, (0..60).map(|n| (START.0 + n * MINUTE, base + slope * n as f64)));
    }
    memory
}

fn later(minutes: i64) -> Timestamp {
    START.saturating_add(minutes * MINUTE)
}

fn points(values: &[f64]) -> Vec<Sample> {
    (0..).zip(values).map(|(n, &value)| Sample { at: later(n), value }).collect()
}

#[test]
fn filters_choose_series_and_function() {
    let (store, budget) = (store(), Budget::unlimited());
    let engine = QueryEngine::new(&store, later(60), &budget);
    let mut filter = MetricsQueryFilter::of(["load"], START, later(60));
    let both = engine.query(&filter).unwrap();
    assert_eq!(both.len(), 2);
    assert_eq!((both[0].labels.value("host"), both[0].granularity.as_str()), (Some("a"), "raw"));
    assert_eq!(both[0].data_points.len(), 60);

    filter.labels = BTreeMap::from([("host".to_owned(), "a".to_owned())]);
    filter.target_points = Some(6);
    for (function, first) in [(Function::Max, 9.0), (Function::Count, 10.0), (Function::P50, 4.5)] {
        filter.aggregation = function;
        let found = engine.query(&filter).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].data_points.len() <= 6, "{found:?}");
        assert_eq!(found[0].data_points[0], Sample { at: START, value: first }, "{function}");
    }
    filter.granularity = Some(Tier::Raw);
    assert_eq!(engine.query(&filter).unwrap()[0].granularity, "raw");
    filter.names = vec!["nothing".into()];
    assert_eq!(engine.query(&filter).unwrap(), []);
}

#[test]
fn metrics_by_name() {
    let (store, budget) = (store(), Budget::unlimited());
    let engine = QueryEngine::new(&store, later(59), &budget);
    let found = engine.time_range_query(&["load", "nothing"], START, later(2)).unwrap();
    assert_eq!(found["load"], [(0, 50.0), (1, 50.5)].map(|(n, value)| Sample { at: later(n), value }));
    assert_eq!(found["nothing"], []);
    let latest = engine.latest(&["load", "nothing"]).unwrap();
    assert_eq!(latest.len(), 1);
    assert_eq!(latest["load"].at, later(59));
}

#[test]
fn figures_of_a_time_range() {
    let (store, budget) = (store(), Budget::unlimited());
    let engine = QueryEngine::new(&store, later(60), &budget);
    let stats = engine.calculate_stats("load", START, later(10)).unwrap();
    assert_eq!((stats.count, stats.sum, stats.avg), (20.0, 1045.0, 52.25));
    assert_eq!((stats.min, stats.max, stats.first, stats.last), (0.0, 100.0, 50.0, 54.5));
    assert_eq!((stats.p50, stats.p99), (54.5, 100.0));
    assert!(stats.stddev > 47.0 && stats.stddev < 48.0, "{stats:?}");
    let none = engine.calculate_stats("nothing", START, later(10)).unwrap();
    assert!(none.count == 0.0 && none.avg.is_nan());
}

#[test]
fn each_function_of_points() {
    let values = points(&[4.0, 1.0, 3.0, 2.0, 10.0]);
    let check = |function: Function, expected: f64| {
        let found = apply_aggregation(&values, function);
        assert_eq!((found.len(), found[0].at), (1, START));
        assert!((found[0].value - expected).abs() < 1e-9, "{function}: {found:?}");
    };
    check(Function::Sum, 20.0);
    check(Function::Avg, 4.0);
    check(Function::Min, 1.0);
    check(Function::Max, 10.0);
    check(Function::Count, 5.0);
    check(Function::P50, 3.0);
    check(Function::P95, 8.8);
    check(Function::P99, 9.76);
    assert!(Function::ALL.into_iter().all(|function| apply_aggregation(&[], function).is_empty()));
}

#[test]
fn functions_have_names() {
    for function in Function::ALL {
        assert_eq!(function.name().to_uppercase().parse(), Ok(function));
        assert_eq!(serde_json::to_value(function).unwrap(), function.name());
    }
    let error = "p42".parse::<Function>().unwrap_err();
    assert_eq!(error.to_string(), "\"p42\" is none of sum, avg, min, max, count, p50, p95, p99");
}

#[test]
fn points_are_thinned_out_by_a_function() {
    let all = points(&(0..100).map(f64::from).collect::<Vec<_>>());
    let found = downsample(&all, 10, Function::Max);
    let expected: Vec<_> =
        (0..10).map(|n| Sample { at: later(n * 10), value: (n * 10 + 9) as f64 }).collect();
    assert_eq!(found, expected);
    assert_eq!(downsample(&all, 100, Function::Avg), all);
    assert_eq!(downsample(&all, 1, Function::Count), [Sample { at: START, value: 100.0 }]);
    assert_eq!(downsample(&all, 0, Function::Avg), []);
    let edges = [i64::MIN, 0, i64::MAX].map(|at| Sample { at: Timestamp(at), value: 1.0 });
    assert_eq!(downsample(&edges, 2, Function::Sum).len(), 2);
}
