//! A plan says what a query reads and, when it was run, what it did.

use std::{cell::Cell, time::Duration};

use barograph_model::{Budget, Labels, Tier, TimeRange, Timestamp};
use barograph_query::{
    Options, Steps, When,
    explain::{self, DEPTH_MAX, PARTS_MAX, Part, Plan},
    json::Query,
    parse,
    script::Memory,
};

const MINUTE: i64 = 60_000;

/// Ten series of two jobs with a sample every 15 seconds of an hour, of which the first half has gone to windows of a minute.
fn store() -> Memory {
    let mut store = Memory::new();
    for i in 0..10 {
        let (instance, job) = (i.to_string(), if i < 5 { "a" } else { "b" });
        let pairs = [("__name__", "up_total"), ("instance", &instance), ("job", job)];
        let samples = (0..240).map(|n| (n * 15_000, n as f64));
        store.load(Labels::from_pairs(pairs).expect("labels"), samples);
    }
    store.keep(Tier::Raw, TimeRange::new(Timestamp(30 * MINUTE), Timestamp::MAX));
    store.keep(Tier::Minute, TimeRange::new(Timestamp(0), Timestamp(40 * MINUTE)));
    store
}

fn range(start: i64, end: i64) -> When {
    When::Range(Steps { start: Timestamp(start), end: Timestamp(end), step_ms: MINUTE })
}

/// A clock that is a millisecond later whenever it is looked at.
fn ticking() -> impl Fn() -> Duration {
    let ticks = Cell::new(0);
    move || Duration::from_millis(ticks.replace(ticks.get() + 1))
}

fn plan(text: &str, when: When, analyze: bool) -> Plan {
    let (expr, clock) = (parse(text).expect("an expression"), ticking());
    let clock: Option<&explain::Clock<'_>> = if analyze { Some(&clock) } else { None };
    explain::expression(&store(), &expr, when, &Options::default(), &Budget::unlimited(), clock)
        .expect("a plan")
}

fn shape(part: &Part) -> String {
    let inner: Vec<String> = part.children.iter().map(shape).collect();
    if inner.is_empty() { part.operation.into() } else { format!("{}({})", part.operation, inner.join(" ")) }
}

#[test]
fn every_part_is_told_with_its_place() {
    let text = "sum by (job) (rate(up_total[5m])) / 2 > -max_over_time((up_total + 1)[10m:1m])";
    let plan = plan(text, range(50 * MINUTE, 60 * MINUTE), false);
    assert_eq!(
        shape(&plan.root),
        "binary(binary(aggregate(call(matrix)) literal) unary(call(subquery(binary(selector literal)))))"
    );
    let sum = &plan.root.children[0].children[0];
    assert_eq!(&text[sum.span.0 as usize..sum.span.1 as usize], sum.text);
    assert_eq!(sum.detail, "sum by (job)");
    assert_eq!(plan.root.detail, "kept where > holds of series with the same labels");
    assert_eq!((plan.steps, plan.step_ms, plan.analyzed), (11, MINUTE, false));
    let subquery = &plan.root.children[1].children[0].children[0];
    assert_eq!(subquery.detail, "what is inside, every 1m, at 20 points");
}

#[test]
fn reads_are_estimated_without_reading() {
    let plan = plan("rate(up_total{job=\"a\"}[5m])", range(50 * MINUTE, 59 * MINUTE), false);
    let matrix = &plan.root.children[0];
    assert_eq!((matrix.tier, matrix.reason.as_deref()), (Some("raw"), Some("raw samples are there")));
    // 14 minutes of samples, and ten points, of five series.
    assert_eq!(matrix.estimate.map(|about| (about.series, about.samples)), Some((5, 5 * (14 * 4 + 10))));
    assert_eq!(matrix.range, Some(TimeRange::left_open(Timestamp(45 * MINUTE), Timestamp(59 * MINUTE))));
    assert!(plan.root.actual.is_none() && plan.total.took.is_none());
    assert_eq!((plan.total.series, plan.total.samples), (5, 330));
}

#[test]
fn the_tier_is_told_with_its_reason() {
    let plan = plan("avg_over_time(up_total[5m])", range(20 * MINUTE, 59 * MINUTE), false);
    let matrix = &plan.root.children[0];
    assert_eq!(matrix.tier, Some("mixed"));
    assert_eq!(matrix.reason.as_deref(), Some("raw samples before 1970-01-01T00:30:00Z are gone"));
    assert_eq!(plan.root.tiers(), ["mixed"]);
}

#[test]
fn what_was_run_tells_what_it_did() {
    let plan = plan("sum by (job) (rate(up_total[5m]))", range(50 * MINUTE, 59 * MINUTE), true);
    let (sum, rate) = (&plan.root, &plan.root.children[0]);
    let matrix = &rate.children[0];
    let actual = |part: &Part| part.actual.unwrap();
    assert_eq!([sum, rate, matrix].map(|part| actual(part).series), [2, 10, 10]);
    // Samples at both ends of the minute, and the points.
    assert_eq!(actual(matrix).samples, 10 * (14 * 4 + 10));
    assert!(actual(sum).samples >= actual(matrix).samples);
    assert!(actual(sum).took > actual(rate).took && actual(rate).took > actual(matrix).took);
    assert_eq!((plan.total.series, plan.analyzed), (2, true));
    assert!(plan.total.bytes > 0 && plan.total.took > Some(actual(sum).took));
}

#[test]
fn windows_and_instants_are_watched_too() {
    for text in [
        "rate(up_total[10m] @ 1200)",
        "absent_over_time(up_total[10m] @ 1200)",
        "timestamp(up_total)",
        "up_total[5m] @ 1200",
        "up_total[5m]",
    ] {
        let plan = plan(text, When::Instant(Timestamp(59 * MINUTE)), true);
        let leaf = plan.root.children.first().unwrap_or(&plan.root);
        assert_eq!(leaf.actual.map(|actual| actual.series), Some(10), "{text}");
    }
}

#[test]
fn a_plan_is_never_larger_than_it_may_be() {
    let deep = "-".repeat(150) + "up_total";
    let mut wide = String::from("up_total");
    for _ in 0..11 {
        wide = format!("({wide}) + ({wide})");
    }
    for text in [deep, wide] {
        let plan = plan(&text, When::Instant(Timestamp(59 * MINUTE)), false);
        fn size(part: &Part) -> (usize, usize) {
            let inner: Vec<_> = part.children.iter().map(size).collect();
            let depth = inner.iter().map(|size| size.1).max().unwrap_or(0);
            (1 + inner.iter().map(|size| size.0).sum::<usize>(), depth + 1)
        }
        let (parts, depth) = size(&plan.root);
        assert!(parts <= PARTS_MAX && depth <= DEPTH_MAX, "{parts} {depth}");
        let read: Result<serde_json::Value, _> = plan.to_json().to_string().parse();
        assert!(read.is_ok(), "readers go 128 deep");
    }
}

#[test]
fn a_document_is_the_expressions_it_comes_down_to() {
    let query = |text: &str| Query::parse(text.as_bytes()).unwrap();
    let explain = |text: &str, analyze: bool| {
        let clock = ticking();
        let clock: Option<&explain::Clock<'_>> = if analyze { Some(&clock) } else { None };
        explain::document(&store(), &query(text), Timestamp(60 * MINUTE), &Budget::unlimited(), clock)
            .unwrap()
    };
    let one = r#"{"query": {"metrics": ["up_total"], "groupBy": ["job"], "filter": {"timeRange": {"start": 3000000, "end": 3600000}},
        "aggregations": [{"type": "RATE", "window": "5m"}]}}"#;
    let plan = explain(one, false);
    assert_eq!(plan.promql.as_deref(), Some("sum by (job) (rate(up_total[5m]))"));
    assert_eq!(shape(&plan.root), "document(aggregate(call(matrix)))");
    let matrix = &plan.root.children[0].children[0].children[0];
    assert_eq!(matrix.tier, Some("raw"));
    assert_eq!((matrix.text.as_str(), matrix.reason.as_deref()), ("up_total[5m]", Some("the span is 10m")));
    assert!(matrix.span.1 > matrix.span.0 && matrix.actual.is_none());
    assert_eq!((plan.start.0, plan.end.0, plan.step_ms), (3_000_000, 3_600_000, 300_000));

    let cut = one.replace("3000000", "2650000").replace("3600000", "3550000");
    let cut = cut.replace("\"timeRange\"", "\"dimensions\": {\"job\": \"a\"}, \"timeRange\"");
    let plan = explain(&cut, false);
    assert_eq!(plan.promql.as_deref(), Some("sum by (job) (rate(up_total{job=\"a\"}[5m]))"));
    assert_eq!((plan.root.children.len(), plan.infos.len()), (3, 1), "{}", plan.expression);

    let two = one.replace("\"RATE\"", "\"AVG\"").replace("}]}}", "}, {\"type\": \"P95\"}]}}");
    let plan = explain(&two, true);
    assert_eq!(plan.root.children.len(), 2);
    assert_eq!((plan.promql, plan.expression.lines().count()), (None, 2));
    assert_eq!(plan.total.series, 4);
    assert!(plan.root.children.iter().all(|part| part.actual.is_some()));
    assert!(plan.total.samples > 0);
}

#[test]
fn both_languages_say_the_same() {
    let when = range(50 * MINUTE, 60 * MINUTE);
    let plan = plan("sum by (job) (rate(up_total[1m]))", when, false);
    assert_eq!(plan.infos, [""; 0]);
    let document = Query::read(&plan.json.unwrap()).unwrap();
    let back =
        explain::document(&store(), &document, Timestamp(60 * MINUTE), &Budget::unlimited(), None).unwrap();
    assert_eq!(back.promql.as_deref(), Some("sum by (job) (rate(up_total[1m]))"));
}
