//! Requests as tables: JSON in, by way of protobuf, and series out as text.

use super::*;
use crate::otlp::{Strategy, json::metrics_to_protobuf};

const LIMITS: Limits = Limits { samples: 10_000, label_bytes: 1 << 20 };
const DELTAS: DeltaLimits = DeltaLimits { bytes: 1 << 20, expiry_ms: 60_000 };

/// A request of some metrics of a resource with these attributes.
fn request(attributes: &[(&str, &str)], metrics: &str) -> Vec<u8> {
    let pair =
        |(key, value): &(&str, &str)| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let attributes = attributes.iter().map(pair).collect::<Vec<_>>().join(",");
    let scope = r#"{"name":"lib","version":"1.2","attributes":[{"key":"a.b","value":{"intValue":7}}]}"#;
    let text = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{attributes}]}},
            "scopeMetrics":[{{"scope":{scope},"schemaUrl":"s","metrics":[{metrics}]}}]}}]}}"#
    );
    metrics_to_protobuf(text.as_bytes()).unwrap()
}

/// Each series with its sample, and behind `!` what was refused.
fn lines(out: &mut Translated) -> Vec<String> {
    use barograph_model::{Labels, is_stale};
    let labels = |bytes: &[u8]| {
        Labels::from_canonical_bytes(bytes).expect("canonical").to_string().replace("\", ", "\",")
    };
    let mut lines: Vec<_> = out
        .samples
        .iter()
        .map(|it| {
            let value = if is_stale(it.value) { "stale".to_owned() } else { it.value.to_string() };
            format!("{} {value} @{}", labels(out.labels_of(it)), it.at)
        })
        .collect();
    lines.extend(out.histograms.iter().map(|it| {
        let h = &it.histogram;
        let stale = if h.is_stale() { " stale" } else { "" };
        let sides = format!("{:?}{:?}{:?}", h.negative(), h.positive(), h.bounds());
        let name = labels(out.histogram_labels(it));
        format!("{name} s{} n{} z{} {sides}{stale} @{}", h.schema(), h.count(), h.zero_count(), it.at)
    }));
    for (series, exemplar) in &out.exemplars {
        let (own, sample) = (exemplar.labels.to_string().replace("\", ", "\","), exemplar.sample);
        lines.push(format!("{} # {own} {} @{}", labels(series.as_bytes()), sample.value, sample.at.0));
    }
    let refused = out.refused();
    if !out.reasons().is_empty() {
        lines.push(format!("!{refused} {}", out.reasons()));
    }
    lines
}

fn translated(settings: &Settings, attributes: &[(&str, &str)], metrics: &str) -> Vec<String> {
    let mut out = translate(&request(attributes, metrics), settings, LIMITS).unwrap();
    out.accumulate(&mut Deltas::new(DELTAS), 0);
    lines(&mut out)
}

#[track_caller]
fn check(metrics: &str, expected: &[&str]) {
    assert_eq!(translated(&Settings::default(), &[], metrics), expected);
}

/// Attributes of a point, as JSON.
const A: &str = r#""attributes":[{"key":"x.y","value":{"stringValue":"1"}}]"#;

#[test]
fn numbers_are_samples() {
    let gauge = |point: &str| {
        format!(
            r#"{{"name":"a.b","unit":"1","gauge":{{"dataPoints":[{{"timeUnixNano":"1999999",{point}}}]}}}}"#
        )
    };
    check(&gauge(&format!(r#""asDouble":2.5,{A}"#)), &[r#"a_b_ratio{x_y="1"} 2.5 @1"#]);
    check(&gauge(r#""asInt":"-3""#), &["a_b_ratio -3 @1"]);
    check(
        &gauge(
            r#""asDouble":1,"attributes":[{"key":"ü","value":{"stringValue":"1"}},{"key":"__name__","value":{"stringValue":"1"}}]"#,
        ),
        &["a_b_ratio 1 @1", r#"!0 attribute "ü" has no name that a label can have; it is left out"#],
    );
    check(&gauge(r#""flags":1"#), &["a_b_ratio stale @1"]);
    check(&gauge(r#""flags":0"#), &[r#"!1 metric "a.b": a point has no value"#]);
    let sum = |about: &str, value: i64| {
        format!(
            r#"{{"name":"r","unit":"By","sum":{{{about}"dataPoints":[{{"timeUnixNano":5000000,"asInt":{value}}}]}}}}"#
        )
    };
    check(&sum(r#""aggregationTemporality":2,"isMonotonic":true,"#, 4), &["r_bytes_total 4 @5"]);
    check(&sum(r#""aggregationTemporality":2,"#, 4), &["r_bytes 4 @5"]);
    check(&sum("", 4), &[r#"!1 metric "r" does not say its temporality"#]);
    check(
        r#"{"name":"...","gauge":{"dataPoints":[{},{}]}}"#,
        &[r#"!2 metric "..." has no name that can be stored"#],
    );
    check(r#"{"name":"n","gauge":{}}"#, &[r#"!0 metric "n" has no points"#]);
    check(r#"{"name":"n"}"#, &[r#"!0 metric "n" has no data"#]);
}

#[test]
fn explicit_histograms_are_buckets() {
    let of = |point: &str| {
        format!(
            r#"{{"name":"h","unit":"s","histogram":{{"aggregationTemporality":2,"dataPoints":[{{"timeUnixNano":1000000,{point}}}]}}}}"#
        )
    };
    let whole = r#""count":"6","sum":2.5,"bucketCounts":["1","2","3"],"explicitBounds":[0.5,10]"#;
    let exemplar = r#""exemplars":[{"asDouble":0.7,"timeUnixNano":2000000,"traceId":"0102","spanId":"03",
        "filteredAttributes":[{"key":"u","value":{"stringValue":"v"}}]},{"asDouble":99}]"#;
    check(
        &of(&format!("{whole},{exemplar}")),
        &[
            "h_seconds_sum 2.5 @1",
            "h_seconds_count 6 @1",
            r#"h_seconds_bucket{le="0.5"} 1 @1"#,
            r#"h_seconds_bucket{le="10"} 3 @1"#,
            r#"h_seconds_bucket{le="+Inf"} 6 @1"#,
            r#"h_seconds_bucket{le="10"} # {span_id="03",trace_id="0102",u="v"} 0.7 @2"#,
            r#"h_seconds_bucket{le="+Inf"} # {} 99 @1"#,
        ],
    );
    check(&of(r#""count":2"#), &["h_seconds_count 2 @1", r#"h_seconds_bucket{le="+Inf"} 2 @1"#]);
    for ended in
        [r#""flags":1,"explicitBounds":[1],"bucketCounts":[0,0]"#, r#""flags":1,"explicitBounds":[1]"#]
    {
        check(
            &of(ended),
            &[
                "h_seconds_sum stale @1",
                "h_seconds_count stale @1",
                r#"h_seconds_bucket{le="1"} stale @1"#,
                r#"h_seconds_bucket{le="+Inf"} stale @1"#,
            ],
        );
    }
    check(
        &of(r#""count":2,"bucketCounts":[1],"explicitBounds":[1,2]"#),
        &[r#"!1 metric "h": 2 bounds do not fit 1 counts"#],
    );
    check(
        &of(r#""bucketCounts":[1,1,1],"explicitBounds":[2,1]"#),
        &[r#"!1 metric "h": the bounds of a histogram do not ascend"#],
    );
    let custom = Settings { custom_bounds: true, ..Settings::default() };
    let check = |point: &str, expected: &str| {
        assert_eq!(translated(&custom, &[], &of(point)), [expected]);
    };
    check(whole, "h_seconds s-53 n6 z0 [][(0, 1.0), (1, 2.0), (2, 3.0)][0.5, 10.0] @1");
    check(r#""count":2"#, "h_seconds s-53 n2 z0 [][(0, 2.0)][] @1");
    check(r#""flags":1"#, "h_seconds s-53 n0 z0 [][][] stale @1");
    let wrong = r#""count":9,"bucketCounts":[1,2],"explicitBounds":[1]"#;
    check(wrong, r#"!1 metric "h": histogram count does not match its buckets"#);
}

#[test]
fn exponential_histograms_are_native() {
    let of = |point: &str| {
        format!(
            r#"{{"name":"e","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{"timeUnixNano":1000000,{point}}}]}}}}"#
        )
    };
    let sides = r#""positive":{"offset":-2,"bucketCounts":["1","0","2"]},"negative":{"bucketCounts":[4]}"#;
    check(
        &of(&format!(r#""count":"10","sum":1,"scale":3,"zeroCount":3,{sides}"#)),
        &["e s3 n10 z3 [(1, 4.0)][(-1, 1.0), (1, 2.0)][] @1"],
    );
    let fine = r#""count":3,"scale":10,"positive":{"offset":3,"bucketCounts":[1,2]}"#;
    check(&of(fine), &["e s8 n3 z0 [][(1, 1.0), (2, 2.0)][] @1"]);
    check(
        &of(r#""scale":-5"#),
        &[r#"!1 metric "e": scale -5 is coarser than native histograms can be; the least is -4"#],
    );
    check(&of(r#""scale":200"#), &[r#"!1 metric "e": scale 200 is finer than there is"#]);
    check(&of(r#""count":9,"scale":0"#), &[r#"!1 metric "e": histogram count does not match its buckets"#]);
    check(
        &of(r#""count":1,"positive":{"offset":2147483647,"bucketCounts":[1]}"#),
        &[r#"!1 metric "e": a bucket is beyond all numbers"#],
    );
    check(&of(r#""flags":1"#), &["e s0 n0 z0 [][][] stale @1"]);
}

#[test]
fn summaries_are_quantiles() {
    let summary = r#"{"name":"q","summary":{"dataPoints":[{"timeUnixNano":1000000,"count":3,"sum":6,
        "quantileValues":[{"quantile":0.5,"value":2},{"quantile":1,"value":3}]}]}}"#;
    check(summary, &["q_sum 6 @1", "q_count 3 @1", r#"q{quantile="0.5"} 2 @1"#, r#"q{quantile="1"} 3 @1"#]);
}

#[test]
fn resources_are_job_instance_and_target_info() {
    let all = [
        ("service.name", "api"),
        ("service.namespace", "shop"),
        ("service.instance.id", "i1"),
        ("cloud.region", "eu"),
    ];
    let gauge = r#"{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":1000000,"asInt":1},{"timeUnixNano":400001000000,"asInt":2}]}}"#;
    let check = |settings: &Settings, attributes: &[(&str, &str)], expected: &[&str]| {
        assert_eq!(translated(settings, attributes, gauge), expected);
    };
    let plain = Settings::default();
    let series = r#"g{instance="i1",job="shop/api"}"#;
    let told = r#"target_info{cloud_region="eu",instance="i1",job="shop/api"}"#;
    check(
        &plain,
        &all,
        &[
            &format!("{series} 1 @1"),
            &format!("{series} 2 @400001"),
            &format!("{told} 1 @1"),
            &format!("{told} 1 @150001"),
            &format!("{told} 1 @300001"),
            &format!("{told} 1 @400001"),
        ],
    );
    check(&plain, &all[3..], &["g 1 @1", "g 2 @400001"]);
    check(&plain, &all[..1], &[r#"g{job="api"} 1 @1"#, r#"g{job="api"} 2 @400001"#]);
    let promoting = |promote| Settings { promote, target_info_ms: i64::MAX, ..Settings::default() };
    let named = promoting(Promote::Named(vec!["cloud.region".to_owned()]));
    let promoted = translated(&named, &all, gauge);
    assert_eq!(promoted[0], r#"g{cloud_region="eu",instance="i1",job="shop/api"} 1 @1"#);
    assert_eq!(promoted.len(), 4);
    let but = promoting(Promote::AllBut(vec!["cloud.region".to_owned(), "service.instance.id".to_owned()]));
    let promoted = r#"g{instance="i1",job="shop/api",service_name="api",service_namespace="shop"} 1 @1"#;
    assert_eq!(translated(&but, &all, gauge)[0], promoted);
    let keeping = Settings { keep_identifying: true, ..Settings::default() };
    let kept = r#"target_info{instance="i1",job="shop/api",service_instance_id="i1",service_name="api",service_namespace="shop"} 1 @1"#;
    assert_eq!(translated(&keeping, &all[..3], gauge)[2], kept);
    let scoped = Settings { scope_labels: true, ..Settings::default() };
    let labels =
        r#"g{otel_scope_a_b="7",otel_scope_name="lib",otel_scope_schema_url="s",otel_scope_version="1.2"}"#;
    check(&scoped, &[], &[&format!("{labels} 1 @1"), &format!("{labels} 2 @400001")]);
    let untouched = Settings { strategy: Strategy::Untouched, ..Settings::default() };
    assert_eq!(
        translated(&untouched, &all, gauge)[2],
        r#"target_info{"cloud.region"="eu",instance="i1",job="shop/api"} 1 @1"#
    );
}

#[test]
fn deltas_are_added_up_over_requests() {
    let mut deltas = Deltas::new(DELTAS);
    let mut send = |metrics: &str| {
        let mut out = translate(&request(&[], metrics), &Settings::default(), LIMITS).unwrap();
        out.accumulate(&mut deltas, 0);
        lines(&mut out)
    };
    let sum = |points: &str| {
        format!(
            r#"{{"name":"d","sum":{{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{points}]}}}}"#
        )
    };
    let point = |ms: u64, value: u64| format!(r#"{{"timeUnixNano":{},"asInt":{value}}}"#, ms * 1_000_000);
    assert_eq!(send(&sum(&[point(2, 3), point(1, 2)].join(","))), ["d_total 5 @2", "d_total 2 @1"]);
    assert_eq!(send(&sum(&point(3, 4))), ["d_total 9 @3"]);
    assert_eq!(send(&sum(&point(3, 4))), ["d_total 9 @3"], "sent again");
    let late = "!1 a delta is older than the last of its series";
    assert_eq!(send(&sum(&[point(2, 4), point(4, 1)].join(","))), ["d_total 10 @4", late]);
    assert_eq!(send(&sum(r#"{"timeUnixNano":9000000,"flags":1}"#)), ["d_total stale @9"]);
    let histogram = |ms: u64| {
        let point = format!(
            r#"{{"timeUnixNano":{},"count":3,"sum":1.5,"bucketCounts":[1,2],"explicitBounds":[1]}}"#,
            ms * 1_000_000
        );
        format!(r#"{{"name":"h","histogram":{{"aggregationTemporality":1,"dataPoints":[{point}]}}}}"#)
    };
    send(&histogram(1));
    assert_eq!(
        send(&histogram(2)),
        ["h_sum 3 @2", "h_count 6 @2", r#"h_bucket{le="1"} 2 @2"#, r#"h_bucket{le="+Inf"} 6 @2"#,]
    );
    assert_eq!(send(&histogram(1)), [late], "a point is refused once, whatever it becomes");
    let exponential = |ms: u64| {
        let point = format!(
            r#"{{"timeUnixNano":{},"count":3,"scale":0,"positive":{{"bucketCounts":[1,2]}}}}"#,
            ms * 1_000_000
        );
        format!(
            r#"{{"name":"e","exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{point}]}}}}"#
        )
    };
    send(&exponential(1));
    assert_eq!(send(&exponential(2)), ["e s0 n6 z0 [][(1, 2.0), (2, 4.0)][] @2"]);
}

#[test]
fn requests_are_bounded() {
    let points = vec![r#"{"asInt":1}"#; 20].join(",");
    let body = request(&[], &format!(r#"{{"name":"g","gauge":{{"dataPoints":[{points}]}}}}"#));
    let error = |limits| translate(&body, &Settings::default(), limits).unwrap_err();
    assert_eq!(error(Limits { samples: 19, ..LIMITS }), Error::TooManySamples(19));
    assert_eq!(error(Limits { label_bytes: 99, ..LIMITS }), Error::TooManyLabels(99));
}

#[test]
fn what_is_no_request_is_named() {
    let error = |body: &[u8]| translate(body, &Settings::default(), LIMITS).unwrap_err().to_string();
    assert_eq!(error(b"\x0a\x05"), "malformed protobuf at byte 1: a length runs past its message");
    assert_eq!(error(b"hello"), "malformed protobuf at byte 3: a group ends that did not begin");
}

#[test]
fn what_is_said_of_a_metric_is_kept() {
    let metric = r#"{"name":"a.b","unit":"ms","description":"Time.","gauge":{"dataPoints":[{"asInt":1}]}}"#;
    let out = translate(&request(&[], &format!("{metric},{metric}")), &Settings::default(), LIMITS).unwrap();
    let (name, said) = &out.metadata[0];
    assert_eq!((out.metadata.len(), &**name), (1, "a_b_milliseconds"));
    assert_eq!((said.kind.as_str(), &*said.unit, &*said.help), ("gauge", "milliseconds", "Time."));
}
