//! What documents make of native histograms: the same figures, within a bucket's width, as of what was observed, whatever
//! answers; and beside other kinds of metrics.

use std::collections::BTreeMap;

use barograph_model::{Histogram, HistogramParts, Labels, Tier, TimeRange, index_of};
use barograph_query::script::Memory;
use serde_json::{Value, json};

use crate::{HOUR, MINUTE, ask, asked, lines, load};

/// A bucket is so much wider than its lower bound, at most.
const WIDTH: f64 = 0.022;

/// Each minute of two hours, each of two hosts observes 1, 2, … 100 times a factor.
fn observed() -> Memory {
    let mut memory = Memory::new();
    for (host, factor) in [("a", 1.0), ("b", 2.0)] {
        let values: Vec<f64> = (1..=100).map(|i| factor * f64::from(i)).collect();
        let mut buckets: BTreeMap<i32, f64> = BTreeMap::new();
        values.iter().for_each(|value| *buckets.entry(index_of(*value) + 1).or_default() += 1.0);
        let after = |minutes: i64| {
            let times = f64::from(i32::try_from(minutes).unwrap());
            let positive = buckets.iter().map(|(index, count)| (*index, times * count)).collect();
            let (count, sum) = (100.0 * times, times * values.iter().sum::<f64>());
            Histogram::new(HistogramParts { schema: 5, count, sum, positive, ..Default::default() }).unwrap()
        };
        let labels = Labels::from_pairs([("__name__", "took_seconds"), ("host", host)]).unwrap();
        memory.load_histograms(labels, (0..120).map(|minute| (minute * MINUTE, after(minute))));
    }
    load(&mut memory, &[("__name__", "up"), ("host", "a")], (0..120).map(|minute| (minute * MINUTE, 1.0)));
    memory
}

fn document(by: &Value, function: &str, tier: Tier) -> Value {
    json!({"query": {
        "metrics": ["took"], "groupBy": by, "granularity": tier.as_str(),
        "filter": {"timeRange": {"start": 0, "end": 2 * HOUR}}, "aggregations": [{"type": function, "window": "1h"}],
    }})
}

#[test]
fn figures_are_those_of_what_was_observed() {
    for tier in Tier::ALL {
        let mut memory = observed();
        if tier != Tier::Raw {
            memory.keep(tier, TimeRange::ALL);
        }
        let check = |by: Value, function: &str, expected: &[f64]| {
            let reply = asked(&memory, &document(&by, function, tier));
            assert_eq!(reply.results.len(), expected.len(), "{function} {tier}: {reply:?}");
            for (series, expected) in reply.results.iter().zip(expected) {
                let last = series.points.last().unwrap().value;
                assert!(
                    (last - expected).abs() <= WIDTH * expected,
                    "{function} {tier}: {last}, not {expected}"
                );
            }
        };
        check(json!(["host"]), "COUNT", &[6_000.0, 6_000.0]);
        check(json!(["*"]), "INCREASE", &[6_000.0, 6_000.0]);
        check(json!(["host"]), "RATE", &[100.0 / 60.0, 100.0 / 60.0]);
        check(json!([]), "COUNT", &[12_000.0]);
        check(json!([]), "SUM", &[60.0 * 3.0 * 5_050.0]);
        check(json!([]), "AVG", &[75.75]);
        check(json!(["host"]), "AVG", &[50.5, 101.0]);
        check(json!(["host"]), "P50", &[50.5, 101.0]);
        check(json!([]), "P95", &[181.0]);
        check(json!(["*"]), "MIN", &[1.0, 2.0]);
        check(json!([]), "MAX", &[200.0]);
        check(json!(["host"]), "STDDEV", &[28.87, 57.73]);
    }
}

#[test]
fn they_stand_beside_others() {
    let memory = observed();
    let reply = asked(
        &memory,
        &json!({"query": {
            "metrics": ["*"], "filter": {"timeRange": {"start": 0, "end": HOUR}, "dimensions": {"host": "a"}},
            "aggregations": [{"type": "MAX"}],
            "calculations": [{"name": "slow", "expression": "p99(took) > 98"}, {"expression": "max(took) / max(up)", "name": "both"}],
        }}),
    );
    assert_eq!(lines(&reply, "up"), [": 1"]);
    assert_eq!(lines(&reply, "took_seconds").len(), 1);
    assert_eq!(lines(&reply, "slow"), [": 1"]);
    assert_eq!(lines(&reply, "both").len(), 1);
    assert_eq!(reply.meta.warnings, Vec::<String>::new());
}

#[test]
fn what_they_do_not_tell_is_refused() {
    let refused = ask(&observed(), &document(&json!([]), "LAST", Tier::Raw)).unwrap_err().to_string();
    let expected =
        "query.aggregations[0].type: took_seconds is a native histogram, which has no LAST value; ask for";
    assert!(refused.starts_with(expected), "{refused}");
}
