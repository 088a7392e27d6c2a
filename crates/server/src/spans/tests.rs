//! Spans are stored once, or refused by name, and counted by operation and by pairs of services.

use std::ops::ControlFlow;

use barograph_disk::MemoryDisk;
use barograph_model::Timestamp;
use barograph_tenancy::Tenant;

use super::*;
use crate::{clock::SystemClock, config::TenancyConfig, tenants::Tenants};

/// A field of bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    assert!(content.len() < 1 << 14);
    bytes.push(u8::try_from(content.len() & 0x7f).unwrap() | 0x80);
    bytes.push(u8::try_from(content.len() >> 7).unwrap());
    bytes.extend_from_slice(content);
    bytes
}

fn attribute(number: u8, name: &str, value: &str) -> Vec<u8> {
    field(number, &[field(1, name.as_bytes()), field(2, &field(1, value.as_bytes()))].concat())
}

struct One {
    service: &'static str,
    trace: u8,
    id: u8,
    parent: u8,
    kind: u8,
    failed: bool,
    attributes: Vec<u8>,
}

fn one(service: &'static str, id: u8, parent: u8, kind: u8) -> One {
    One { service, trace: 7, id, parent, kind, failed: false, attributes: Vec::new() }
}

/// A request of one span that took 100 ms.
fn request(span: &One) -> Vec<u8> {
    let mut bytes = [field(1, &[span.trace; 16]), field(2, &[span.id; 8]), field(5, b"get")].concat();
    if span.parent != 0 {
        bytes.extend(field(4, &[span.parent; 8]));
    }
    bytes.extend([6 << 3, span.kind]);
    for (number, at) in [(7, 1_000_000_000u64), (8, 1_100_000_000)] {
        bytes.push(number << 3 | 1);
        bytes.extend(at.to_le_bytes());
    }
    bytes.extend(&span.attributes);
    if span.failed {
        bytes.extend(field(15, &[3 << 3, 2]));
    }
    let resource = field(1, &attribute(1, "service.name", span.service));
    field(1, &[resource, field(2, &field(2, &bytes))].concat())
}

fn opened() -> Spans {
    let disk = Arc::new(MemoryDisk::new());
    let (config, clock) = (config::Traces::default(), Arc::new(SystemClock::new()));
    Spans::open(disk, &config, Durability::Batch, 1 << 30, clock, &barograph::Registry::new()).unwrap()
}

/// The values of the samples that are written `after` milliseconds from now, by their labels.
fn samples(spans: &Spans, after: i64) -> Vec<(String, f64)> {
    samples_of(spans, &Tenant::DEFAULT, after)
}

fn samples_of(spans: &Spans, tenant: &Tenant, after: i64) -> Vec<(String, f64)> {
    let mut counted = spans.counted.lock().unwrap();
    let at = spans.clock.now().saturating_add(after);
    let all = counted.written(at);
    let batch =
        all.into_iter().find(|(owner, _)| owner == tenant).map(|(_, batch)| batch).unwrap_or_default();
    let here = batch.samples.iter().filter(|sample| sample.1 == at);
    here.map(|(labels, _, value)| (labels.to_string(), *value)).collect()
}

fn seen(spans: &Spans) -> figures::Seen {
    spans.counted.lock().unwrap().seen()
}

fn check(samples: &[(String, f64)], labels: &str, expected: f64) {
    let found = samples.iter().find(|sample| sample.0 == labels);
    let names: Vec<_> = samples.iter().map(|sample| &sample.0).collect();
    assert_eq!(found.unwrap_or_else(|| panic!("no {labels} in {names:#?}")).1, expected, "{labels}");
}

#[tokio::test]
async fn spans_are_kept_counted_and_found() {
    let spans = opened();
    let body = request(&one("shop", 1, 0, 2));
    let accepted = spans.accept(&body).unwrap();
    assert_eq!((accepted.spans, accepted.rejected, &accepted.why), (1, 0, &None));
    spans.durable(accepted.ticket).await.unwrap();
    assert_eq!(
        spans.kept().trace("", TraceId([7; 16]), 1 << 20).unwrap().bodies,
        std::slice::from_ref(&body)
    );
    let mut visited = 0;
    let visit = |found: &[u8]| {
        assert_eq!(found, body);
        visited += 1;
        ControlFlow::Continue(())
    };
    spans.kept().scan("", 1_000_000_000..1_000_000_001, visit).unwrap();
    assert_eq!(visited, 1);
    let samples = samples(&spans, 1);
    let of =
        r#"service="shop", span_kind="SPAN_KIND_SERVER", span_name="get", status_code="STATUS_CODE_UNSET""#;
    check(&samples, &format!("traces_spanmetrics_calls_total{{{of}}}"), 1.0);
    check(&samples, &format!("traces_spanmetrics_latency_sum{{{of}}}"), 0.1);
    check(&samples, r#"traces_target_info{job="shop", service="shop"}"#, 1.0);
}

#[test]
fn a_span_without_an_id_is_left_out_and_told() {
    let spans = opened();
    let good = request(&one("shop", 1, 0, 2));
    let bad = request(&One { trace: 0, ..one("shop", 2, 0, 2) });
    let accepted = spans.accept(&[bad.clone(), good.clone()].concat()).unwrap();
    assert_eq!((accepted.spans, accepted.rejected), (1, 1));
    assert_eq!(accepted.why.unwrap(), "1 spans left out: span 0 (\"get\"): trace_id is zero");
    spans.kept().commit(u64::MAX).unwrap();
    let found = spans.kept().trace("", TraceId([7; 16]), 1 << 20).unwrap();
    let mut names = 0;
    trace::walk(&found.bodies[0], |_, _| names += 1).unwrap();
    assert_eq!(names, 1);
    let nothing = spans.accept(&bad).unwrap();
    assert_eq!((nothing.spans, nothing.rejected), (0, 1));
    assert_eq!(spans.accept(b"\x0a").unwrap_err().0, StatusCode::BAD_REQUEST);
}

#[test]
fn the_two_sides_of_a_call_are_one_edge() {
    for order in [[0, 1], [1, 0]] {
        let spans = opened();
        let sides = [one("shop", 1, 0, 3), One { failed: true, ..one("stock", 2, 1, 2) }];
        for side in order {
            spans.accept(&request(&sides[side])).unwrap();
        }
        let samples = samples(&spans, 1);
        let edge = r#"client="shop", server="stock""#;
        check(&samples, &format!("traces_service_graph_request_total{{{edge}}}"), 1.0);
        check(&samples, &format!("traces_service_graph_request_failed_total{{{edge}}}"), 1.0);
        check(&samples, &format!("traces_service_graph_request_server_seconds_count{{{edge}}}"), 1.0);
        check(&samples, &format!("traces_service_graph_request_client_seconds_sum{{{edge}}}"), 0.1);
        assert_eq!(seen(&spans), figures::Seen::default());
    }
}

#[test]
fn sides_that_share_a_span_are_one_edge() {
    for order in [[0, 1], [1, 0]] {
        let spans = opened();
        let attributes = attribute(9, "zipkin.shared", "true");
        // The parent of both is whoever called the client.
        let sides = [one("shop", 2, 1, 3), One { attributes, ..one("stock", 2, 1, 2) }];
        for side in order {
            spans.accept(&request(&sides[side])).unwrap();
        }
        let samples = samples(&spans, 1);
        check(&samples, "traces_service_graph_request_total{client=\"shop\", server=\"stock\"}", 1.0);
        for (service, kind) in [("shop", "CLIENT"), ("stock", "SERVER")] {
            let labels = format!(
                "service=\"{service}\", span_kind=\"SPAN_KIND_{kind}\", span_name=\"get\", status_code=\"STATUS_CODE_UNSET\""
            );
            check(&samples, &format!("traces_spanmetrics_calls_total{{{labels}}}"), 1.0);
        }
        assert_eq!(seen(&spans), figures::Seen::default());
    }
}

#[test]
fn a_side_that_stays_alone_is_counted_or_is_a_call_of_what_it_names() {
    let spans = opened();
    spans.accept(&request(&one("shop", 1, 0, 3))).unwrap();
    let attributes = attribute(9, "peer.service", "bank");
    spans.accept(&request(&One { attributes, ..one("shop", 2, 0, 3) })).unwrap();
    let attributes = [attribute(9, "db.system", "postgresql"), attribute(9, "db.name", "orders")].concat();
    spans.accept(&request(&One { attributes, ..one("shop", 3, 0, 3) })).unwrap();
    let samples = samples(&spans, 40_000);
    let total = |connection: &str, server: &str| {
        let labels = format!("client=\"shop\", connection_type=\"{connection}\", server=\"{server}\"");
        check(&samples, &format!("traces_service_graph_request_total{{{labels}}}"), 1.0);
    };
    total("virtual_node", "bank");
    total("database", "orders");
    assert_eq!(seen(&spans).unpaired, 1);
}

#[test]
fn tenants_have_spans_of_their_own() {
    let spans = opened();
    let tenants = Tenants::new(&TenancyConfig { enabled: true, ..TenancyConfig::default() });
    let names = ["default", "a", "b"];
    // Three tenants, of whom two use the same ids for the two sides of a call: they are none.
    for (name, side) in
        names.into_iter().zip([one("shop", 1, 0, 3), one("shop", 1, 0, 3), one("stock", 2, 1, 2)])
    {
        let working = tenants.of_task(Some(name));
        scope::sync_within(working, || spans.accept(&request(&side))).unwrap();
    }
    spans.kept().commit(u64::MAX).unwrap();
    for (owner, expected) in [("", 1), ("a", 1), ("b", 1), ("c", 0)] {
        let found = spans.kept().trace(owner, TraceId([7; 16]), 1 << 20).unwrap();
        assert_eq!((found.bodies.len(), found.damaged), (expected, 0), "{owner:?}");
    }
    let all = spans.counted.lock().unwrap().written(spans.clock.now().saturating_add(40_000));
    let of: Vec<_> = all.iter().map(|(tenant, batch)| (tenant.to_string(), batch)).collect();
    assert_eq!(of.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
    for (name, batch) in of {
        let texts: Vec<String> = batch.samples.iter().map(|(labels, ..)| labels.to_string()).collect();
        let (own, other) = if name == "b" { ("stock", "shop") } else { ("shop", "stock") };
        assert!(texts.iter().any(|text| text.contains(own)), "{name}: {texts:?}");
        assert!(!texts.iter().any(|text| text.contains(other)), "{name}: {texts:?}");
    }
    assert_eq!(seen(&spans).unpaired, 3);
    // After a while of nothing there is nothing to tell of anybody; what was counted over limits stays counted.
    let later = spans.clock.now().saturating_add(3_600_000);
    assert_eq!(spans.counted.lock().unwrap().written(later).len(), 3, "their series end");
    assert_eq!(spans.counted.lock().unwrap().written(later).len(), 0);
    assert_eq!(seen(&spans).unpaired, 3);
}

#[test]
fn tenants_share_what_is_counted() {
    let mut counted = Counted::new(4);
    let now = Timestamp(0);
    let count = |counted: &mut Counted, name: &str, ids: std::ops::Range<u8>| {
        let tenant = Tenant::named(name).unwrap();
        let figures = counted.of(&tenant, now);
        for id in ids {
            let mut span = one("shop", id + 1, 0, 2);
            span.attributes = field(5, &[b'a' + id]);
            trace::walk(&request(&span), |resource, span| figures.request(now).span(&resource, &span))
                .unwrap();
        }
    };
    count(&mut counted, "loud", 0..10);
    let loud = counted.seen().overflowed;
    assert_eq!(loud, 6, "all of it is theirs while there is nobody else");
    count(&mut counted, "quiet", 0..2);
    assert_eq!(counted.seen().overflowed, loud, "who comes later has its share");
    count(&mut counted, "quiet", 2..4);
    assert_eq!(counted.seen().overflowed, loud + 2);
}
