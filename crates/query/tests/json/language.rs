//! What a document means, clause by clause.

use barograph_model::{Labels, Sample, Tier, TimeRange, Timestamp};
use barograph_query::{
    json::{Direction, Finding},
    script::Memory,
};
use serde_json::{Value, json};

use crate::{APRIL, HOUR, MINUTE, asked, lines, load};

/// Two versions of two services, a value a minute for a day.
fn flows() -> Memory {
    let mut memory = Memory::new();
    for (version, service, base) in [("1.0", "batch", 10.0), ("1.0", "online", 1.0), ("2.0", "batch", 5.0)] {
        let labels = |name| {
            [
                ("__name__", name),
                ("flowId", "f1"),
                ("instance", "i"),
                ("service_type", service),
                ("versionId", version),
            ]
        };
        let at = |i: i64| APRIL + i * MINUTE;
        let minute = |i: i64| f64::from(i32::try_from(i % 60).unwrap());
        load(
            &mut memory,
            &labels("flow_execution_duration_seconds"),
            (0..1440).map(|i| (at(i), base + minute(i) / 60.0)),
        );
        load(&mut memory, &labels("flow_data_volume_bytes"), (0..1440).map(|i| (at(i), 2.0 * base)));
        load(&mut memory, &labels("api_requests_total"), (0..1440).map(|i| (at(i), base * 60.0 * i as f64)));
    }
    memory
}

fn document(query: Value) -> Value {
    let mut document = json!({"query": {"filter": {"timeRange": {"start": "2025-04-01T00:00:00Z", "end": "2025-04-02T00:00:00Z"}}}});
    for (key, value) in query.as_object().unwrap() {
        match key.as_str() {
            "dimensions" | "timeRange" => document["query"]["filter"][key] = value.clone(),
            _ => document["query"][key] = value.clone(),
        }
    }
    document
}

#[test]
fn the_example_of_the_requirements() {
    let reply = asked(
        &flows(),
        &json!({"query": {
            "metrics": ["flow.execution.duration", "flow.data.volume"],
            "filter": {
                "timeRange": {"start": "2025-04-01T00:00:00Z", "end": "2025-04-02T00:00:00Z"},
                "dimensions": {"flowId": "f1", "serviceType": "batch"}
            },
            "groupBy": ["versionId", "flowId"],
            "aggregations": [{"type": "AVG", "window": "1h"}, {"type": "MAX", "window": "1d"}],
            "calculations": [{"name": "efficiency", "expression": "flow.execution.duration / flow.data.volume"}],
            "sort": {"field": "flow.execution.duration", "order": "DESC"},
            "limit": 100
        }}),
    );
    let names: Vec<(&str, Option<&str>)> =
        reply.results.iter().map(|series| (series.name.as_str(), series.aggregation.as_deref())).collect();
    let group = [
        ("flow.execution.duration", Some("avg")),
        ("flow.execution.duration", Some("max")),
        ("flow.data.volume", Some("avg")),
        ("flow.data.volume", Some("max")),
        ("efficiency", None),
    ];
    assert_eq!(names, [group, group].concat());
    let efficiency = &reply.results[4];
    assert_eq!(efficiency.labels, Labels::from_pairs([("versionId", "1.0"), ("flowId", "f1")]).unwrap());
    assert_eq!(efficiency.points.len(), 24);
    let expected = (10.0 + 29.5 / 60.0) / 20.0;
    assert!(efficiency.points.iter().all(|point| (point.value - expected).abs() < 1e-12));
    assert_eq!(reply.results[1].points, [Sample { at: Timestamp(APRIL), value: 10.0 + 59.0 / 60.0 }]);
    assert_eq!((reply.meta.tier.as_str(), reply.meta.reason.as_str()), ("5m", "the span is 1d"));
    assert_eq!((reply.meta.error, reply.meta.groups, reply.meta.warnings.len()), (Some(0.0), 2, 0));
}

#[test]
fn every_aggregation_of_a_group() {
    let mut memory = Memory::new();
    load(
        &mut memory,
        &[("__name__", "m"), ("g", "a"), ("i", "1")],
        [(APRIL, 1.0), (APRIL + 1, 2.0), (APRIL + 2, 6.0)],
    );
    load(&mut memory, &[("__name__", "m"), ("g", "a"), ("i", "2")], [(APRIL, 11.0)]);
    let check = |aggregation: Value, expected: f64| {
        let range = json!({"start": APRIL, "end": APRIL + MINUTE});
        let query =
            json!({"metrics": ["m"], "timeRange": range, "groupBy": ["g"], "aggregations": [aggregation]});
        let reply = asked(&memory, &document(query));
        let points = &reply.results[0].points;
        assert_eq!((reply.results.len(), points.len(), points[0].at), (1, 1, Timestamp(APRIL)));
        assert!((points[0].value - expected).abs() < 1e-9, "{aggregation}: {}", points[0].value);
    };
    check(json!({"type": "SUM"}), 20.0);
    check(json!({"type": "AVG"}), 5.0);
    check(json!({"type": "avg"}), 5.0);
    check(json!({"type": "MIN"}), 1.0);
    check(json!({"type": "MAX"}), 11.0);
    check(json!({"type": "COUNT"}), 4.0);
    check(json!({"type": "FIRST"}), 6.0);
    check(json!({"type": "LAST"}), 8.5);
    check(json!({"type": "STDDEV"}), 15.5_f64.sqrt());
    check(json!({"type": "PERCENTILE", "percentile": 50}), 4.0);
    check(json!({"type": "P50"}), 4.0);
    check(json!({"type": "percentile", "percentile": 100}), 11.0);
    check(json!({"type": "p25"}), 1.75);
}

#[test]
fn ranges_are_half_open_and_buckets_are_cut() {
    let mut memory = Memory::new();
    load(&mut memory, &[("__name__", "m")], (0..60).map(|i| (APRIL + i * MINUTE, 1.0)));
    let counts = |start: i64, end: i64, window: Value| -> Vec<(i64, f64)> {
        let range = json!({"start": start, "end": end});
        let aggregation = json!({"type": "COUNT", "window": window});
        let query = json!({"metrics": ["m"], "timeRange": range, "aggregations": [aggregation]});
        let reply = asked(&memory, &document(query));
        let pair = |point: &Sample| ((point.at.0 - APRIL) / MINUTE, point.value);
        reply
            .results
            .first()
            .map(|series| series.points.iter().map(pair).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    assert_eq!(counts(APRIL, APRIL + 10 * MINUTE, Value::Null), [(0, 10.0)]);
    assert_eq!(counts(APRIL + 1, APRIL + 10 * MINUTE + 1, Value::Null), [(0, 10.0)]);
    assert_eq!(
        counts(APRIL + 5 * MINUTE, APRIL + 25 * MINUTE, json!("10m")),
        [(0, 5.0), (10, 10.0), (20, 5.0)]
    );
    // Seven minutes are counted from the epoch.
    let seven = counts(APRIL, APRIL + 21 * MINUTE, json!("7m"));
    assert_eq!(seven.iter().map(|pair| pair.1).sum::<f64>(), 21.0);
    assert!(seven.iter().all(|(at, _)| (APRIL / MINUTE + at) % 7 == 0), "{seven:?}");
    assert_eq!(counts(APRIL + HOUR, APRIL + 2 * HOUR, Value::Null), []);
}

#[test]
fn filters() {
    let memory = flows();
    let check = |dimensions: Value, expected: &[&str]| {
        let aggregation = json!([{"type": "COUNT"}]);
        let query = json!({
            "metrics": ["flow.data.volume"], "dimensions": dimensions, "groupBy": ["serviceType", "versionId"],
            "aggregations": aggregation,
        });
        let found = lines(&asked(&memory, &document(query)), "flow.data.volume");
        assert_eq!(found, expected, "{dimensions}");
    };
    let (old_batch, old_online, new_batch) = (
        "serviceType=batch,versionId=1.0: 1440",
        "serviceType=online,versionId=1.0: 1440",
        "serviceType=batch,versionId=2.0: 1440",
    );
    check(json!({}), &[old_batch, new_batch, old_online]);
    check(json!({"versionId": "2.0"}), &[new_batch]);
    check(json!({"version_id": {"equals": "2.0"}}), &[new_batch]);
    check(json!({"versionId": {"notEquals": "1.0"}}), &[new_batch]);
    check(json!({"ServiceType": ["online", "none"]}), &[old_online]);
    check(json!({"serviceType": {"in": ["batch"]}, "versionId": {"notIn": ["2.0", "3.0"]}}), &[old_batch]);
    check(json!({"serviceType": {"regex": "on.*"}}), &[old_online]);
    check(json!({"serviceType": {"notRegex": "on.*"}, "versionId": {"regex": "1.*"}}), &[old_batch]);
    check(json!({"versionId": {"prefix": "1."}, "serviceType": {"prefix": "b"}}), &[old_batch]);
    check(json!({"versionId": {"prefix": "10"}}), &[]);
    check(json!({"serviceType": {"exists": true, "notEquals": "batch"}}), &[old_online]);
    check(json!({"nothing": {"exists": false}, "versionId": "2.0"}), &[new_batch]);
    check(json!({"nothing": "x"}), &[]);
}

#[test]
fn groups() {
    let memory = flows();
    let check = |group_by: Value, expected: &[&str]| {
        let query = json!({
            "metrics": ["flow_data_volume_bytes"], "groupBy": group_by, "aggregations": [{"type": "MAX"}],
        });
        assert_eq!(lines(&asked(&memory, &document(query)), "flow_data_volume_bytes"), expected);
    };
    check(Value::Null, &[": 20"]);
    check(json!([]), &[": 20"]);
    check(json!(["versionId"]), &["versionId=1.0: 20", "versionId=2.0: 10"]);
    check(json!(["nothing"]), &[": 20"]);
    check(
        json!(["*"]),
        &[
            "flowId=f1,instance=i,service_type=batch,versionId=1.0: 20",
            "flowId=f1,instance=i,service_type=batch,versionId=2.0: 10",
            "flowId=f1,instance=i,service_type=online,versionId=1.0: 2",
        ],
    );
}

#[test]
fn an_attribute_may_be_spelled_differently_on_two_metrics() {
    let mut memory = Memory::new();
    load(&mut memory, &[("__name__", "a"), ("flowId", "x")], [(APRIL, 6.0)]);
    load(&mut memory, &[("__name__", "b"), ("flow_id", "x")], [(APRIL, 2.0)]);
    for (function, expected) in [("AVG", 3.0), ("P50", 3.0), ("STDDEV", f64::NAN)] {
        let query = json!({
            "metrics": ["a", "b"], "groupBy": ["flowId"], "aggregations": [{"type": function}],
            "calculations": [{"name": "ratio", "expression": "a / b"}],
            "timeRange": {"start": APRIL, "end": APRIL + MINUTE},
        });
        let found = lines(&asked(&memory, &document(query)), "ratio");
        assert_eq!(found, [format!("flowId=x: {expected}")], "{function}");
    }
}

#[test]
fn metrics_by_pattern() {
    let memory = flows();
    let names = |metrics: Value| {
        let reply =
            asked(&memory, &document(json!({"metrics": metrics, "aggregations": [{"type": "COUNT"}]})));
        reply.results.into_iter().map(|series| series.name).collect::<Vec<_>>()
    };
    assert_eq!(names(json!(["flow.*"])), ["flow_data_volume_bytes", "flow_execution_duration_seconds"]);
    assert_eq!(names(json!(["flow.*.duration"])), ["flow_execution_duration_seconds"]);
    assert_eq!(names(json!(["/api.*|nothing/"])), ["api_requests_total"]);
    assert_eq!(
        names(json!([{"regex": "flow_data.*"}, "api.requests"])),
        ["flow_data_volume_bytes", "api.requests"]
    );
    let reply = asked(&memory, &document(json!({"metrics": ["nothing", "x.*"]})));
    assert!(reply.results.is_empty());
    assert_eq!(reply.meta.warnings.len(), 2, "{:?}", reply.meta.warnings);
}

#[test]
fn calculations() {
    let memory = flows();
    let check = |expression: &str, expected: &[&str]| {
        let query = json!({
            "groupBy": ["versionId"], "dimensions": {"serviceType": "batch"},
            "aggregations": [{"type": "AVG", "window": "1d"}],
            "calculations": [{"name": "c", "expression": expression}],
        });
        assert_eq!(lines(&asked(&memory, &document(query)), "c"), expected, "{expression}");
    };
    check("flow.data.volume", &["versionId=1.0: 20", "versionId=2.0: 10"]);
    check("flow.data.volume*2+1", &["versionId=1.0: 41", "versionId=2.0: 21"]);
    check("100 - flow.data.volume", &["versionId=1.0: 80", "versionId=2.0: 90"]);
    check("-flow.data.volume % 3", &["versionId=1.0: -2", "versionId=2.0: -1"]);
    check("count(flow.data.volume) ^ 2 / 1440", &["versionId=1.0: 1440", "versionId=2.0: 1440"]);
    check("sqrt(max(flow.data.volume) - 4)", &["versionId=1.0: 4", "versionId=2.0: 2.449489742783178"]);
    check("flow.data.volume > 10", &["versionId=1.0: 1", "versionId=2.0: 0"]);
    check("round(rate(api.requests.total))", &["versionId=1.0: 10", "versionId=2.0: 5"]);
    check("p50(flow.data.volume) / min(flow.data.volume)", &["versionId=1.0: 1", "versionId=2.0: 1"]);
    let query = json!({"metrics": ["up"], "calculations": [{"expression": "a / b"}]});
    let reply = asked(&memory, &document(query));
    assert!(
        reply.results.is_empty() && reply.meta.warnings[1].contains("\"a\" is no metric"),
        "{:?}",
        reply.meta
    );
}

#[test]
fn order_and_limit() {
    let memory = flows();
    let check = |sort: Value, limit: Value, expected: &[&str]| {
        let query = json!({
            "metrics": ["flow.data.volume"], "groupBy": ["serviceType", "versionId"], "limit": limit, "sort": sort,
            "aggregations": [{"type": "AVG", "window": "1d"}, {"type": "MAX", "alias": "most"}],
            "calculations": [{"name": "less", "expression": "0 - flow.data.volume"}],
        });
        let reply = asked(&memory, &document(query));
        let values =
            reply.results.iter().filter(|series| series.name == "most").map(|series| &series.points[0].value);
        assert_eq!(values.map(f64::to_string).collect::<Vec<_>>(), expected, "{sort}");
        assert_eq!(reply.meta.groups, 3);
    };
    check(Value::Null, Value::Null, &["20", "10", "2"]);
    check(json!({"field": "flow.data.volume"}), Value::Null, &["2", "10", "20"]);
    check(json!({"field": "flow.data.volume", "order": "DESC"}), Value::Null, &["20", "10", "2"]);
    check(json!({"field": "most", "order": "asc"}), json!(2), &["2", "10"]);
    check(json!({"field": "less", "order": "ASC"}), json!(1), &["20"]);
}

#[test]
fn rates_and_trends() {
    let memory = flows();
    let query = json!({
        "groupBy": ["versionId"], "dimensions": {"serviceType": "batch"},
        "aggregations": [{"type": "AVG", "window": "1h"}],
        "calculations": [
            {"name": "t", "expression": "trend(last(api.requests.total))"},
            {"name": "flat", "expression": "trend(flow.data.volume)"},
        ],
        "sort": {"field": "t", "order": "ASC"},
    });
    let reply = asked(&memory, &document(query));
    let trends: Vec<_> = reply
        .results
        .iter()
        .map(|series| match &series.finding {
            Some(Finding::Trend(trend)) => {
                (series.name.as_str(), (trend.slope * 1e9).round() / 1e9, trend.direction)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let (up, none) = (Direction::Increasing, Direction::NoTrend);
    assert_eq!(trends, [("t", 5.0, up), ("flat", 0.0, none), ("t", 10.0, up), ("flat", 0.0, none)]);
    let document: Value = serde_json::from_str(&reply.to_json(1.5)).unwrap();
    assert_eq!(document["results"][0]["trend"]["direction"], "increasing");
    assert_eq!(document["results"][0]["trend"]["n"], 24);
    assert_eq!(document["meta"]["took_ms"], 1.5);
}

#[test]
fn correlations() {
    let mut memory = Memory::new();
    let wave = |i: i64| f64::from(i32::try_from((i * 7919) % 101).unwrap());
    for (group, sign) in [("with", 1.0), ("against", -1.0)] {
        load(&mut memory, &[("__name__", "a"), ("g", group)], (0..60).map(|i| (APRIL + i * MINUTE, wave(i))));
        load(
            &mut memory,
            &[("__name__", "b"), ("g", group)],
            (0..60).map(|i| (APRIL + i * MINUTE, sign * wave(i))),
        );
    }
    let query = json!({
        "groupBy": ["g"], "timeRange": {"start": APRIL, "end": APRIL + HOUR},
        "calculations": [{"name": "c", "expression": "corr(a, 2 * b + 1)", "window": "1m"}],
    });
    let reply = asked(&memory, &document(query));
    let found: Vec<_> = reply
        .results
        .iter()
        .map(|series| match &series.finding {
            Some(Finding::Correlation(found)) => ((found.r * 1e9).round() / 1e9, found.buckets),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [(-1.0, 60), (1.0, 60)]);
}

#[test]
fn patterns() {
    let mut memory = Memory::new();
    let at = |i: i64| APRIL + i * MINUTE;
    let value = |i: i64, high: &[i64]| (at(i), if high.contains(&i) { 95.0 } else { 10.0 });
    load(&mut memory, &[("__name__", "cpu"), ("host", "a")], (0..60).map(|i| value(i, &[10, 30])));
    load(&mut memory, &[("__name__", "latency"), ("host", "a")], (0..60).map(|i| value(i, &[14, 45])));
    load(&mut memory, &[("__name__", "cpu"), ("host", "b")], (0..60).map(|i| value(i, &[])));
    load(&mut memory, &[("__name__", "latency"), ("host", "b")], (0..60).map(|i| value(i, &[5])));
    let query = json!({
        "groupBy": ["host"], "timeRange": {"start": APRIL, "end": APRIL + HOUR},
        "pattern": {
            "name": "spill", "window": "1m",
            "conditions": {"busy": "cpu > 90", "slow": "latency >= 95", "both": "cpu + latency > 1000"},
            "sequence": [{"when": "busy"}, {"then": "slow", "within": "5m", "not": "both"}],
        },
        "sort": {"field": "spill", "order": "DESC"},
    });
    let reply = asked(&memory, &document(query));
    assert_eq!(lines(&reply, "spill"), ["host=a: 300"]);
    let written: Value = serde_json::from_str(&reply.to_json(0.0)).unwrap();
    let expected = json!([{"start": at(10), "end": at(14), "steps": [at(10), at(14)]}]);
    assert_eq!(written["results"][0]["matches"], expected);
}

#[test]
fn samples_are_given_as_they_came() {
    let mut memory = Memory::new();
    load(&mut memory, &[("__name__", "m"), ("i", "1")], [(APRIL + 1, 1.0), (APRIL + 7, 5.0)]);
    let ask = |kind: &str| {
        let range = json!({"start": APRIL, "end": APRIL + HOUR});
        let aggregation = json!({"type": kind, "window": "auto"});
        let query =
            json!({"metrics": ["m"], "timeRange": range, "groupBy": ["*"], "aggregations": [aggregation]});
        asked(&memory, &document(query))
    };
    let reply = ask("AVG");
    assert_eq!(reply.results[0].window_ms, None);
    let at = |millis: i64, value: f64| Sample { at: Timestamp(APRIL + millis), value };
    assert_eq!(reply.results[0].points, [at(1, 1.0), at(7, 5.0)]);
    assert_eq!(ask("COUNT").results[0].points, [at(1, 1.0), at(7, 1.0)]);
}

#[test]
fn a_query_across_tiers_is_one_result() {
    let mut memory = flows();
    memory.keep(Tier::Minute, TimeRange::new(Timestamp(APRIL + 12 * HOUR), Timestamp(APRIL + 23 * HOUR)));
    memory.keep(Tier::FiveMinutes, TimeRange::new(Timestamp(APRIL), Timestamp(APRIL + 23 * HOUR)));
    memory.keep(Tier::Raw, TimeRange::new(Timestamp(APRIL + 20 * HOUR), Timestamp::MAX));
    let ask = |window: &str, granularity: Value| {
        let query = json!({
            "metrics": ["flow.data.volume"], "granularity": granularity,
            "aggregations": [{"type": "AVG", "window": window}, {"type": "P90", "window": window}],
        });
        asked(&memory, &document(query))
    };
    let whole = ask("10m", Value::Null);
    assert_eq!((whole.meta.tier.as_str(), whole.results[0].points.len()), ("5m", 144));
    assert!(whole.meta.error.is_some_and(|error| error > 0.0 && error < 0.011));
    let mixed = ask("7m", Value::Null);
    assert_eq!((mixed.meta.tier.as_str(), mixed.meta.reason.as_str()), ("mixed", "the window is 7m"));
    assert_eq!((mixed.meta.error, mixed.meta.warnings.len()), (None, 1));
    // Every seven minutes once, from the first to the last.
    let points = &mixed.results[0].points;
    assert!(points.windows(2).all(|two| two[1].at.0 - two[0].at.0 == 7 * MINUTE));
    assert_eq!(points.len(), 206);
    assert!(points.iter().all(|point| (point.value - 32.0 / 3.0).abs() < 1e-9));
    let asked_for = ask("7m", json!("1m"));
    assert_eq!((asked_for.meta.tier.as_str(), asked_for.meta.reason.as_str()), ("1m", "it was asked for"));
}

#[test]
fn histograms_of_buckets() {
    let mut memory = Memory::new();
    let counts = |rate: f64| (0..60).map(move |i: i64| (APRIL + i * MINUTE, rate * i as f64));
    for (le, rate) in [("1", 60.0), ("2", 120.0), ("+Inf", 120.0)] {
        load(&mut memory, &[("__name__", "lag_seconds_bucket"), ("g", "a"), ("le", le)], counts(rate));
    }
    load(&mut memory, &[("__name__", "lag_seconds_sum"), ("g", "a")], counts(180.0));
    load(&mut memory, &[("__name__", "lag_seconds_count"), ("g", "a")], counts(120.0));
    let check = |kind: &str, expected: f64| {
        let range = json!({"start": APRIL, "end": APRIL + HOUR});
        let query = json!({"metrics": ["lag"], "timeRange": range, "groupBy": ["g"], "aggregations": [{"type": kind}]});
        let reply = asked(&memory, &document(query));
        let value = reply.results[0].points[0].value;
        // Increases are extrapolated to the end, which a sample is a millisecond short of.
        assert!((value - expected).abs() < 1e-6 * expected, "{kind}: {value}");
    };
    check("AVG", 1.5);
    check("COUNT", 7200.0);
    check("RATE", 2.0);
    check("P50", 1.0);
    check("P75", 1.5);
}
