//! Spans that were acknowledged survive a crash, are found by their trace, and are counted in the metrics that Grafana draws.

use std::sync::Arc;

use barograph_disk::{Disk, Fault, MemoryDisk, RealDisk};
use barograph_trace::{Options, Spans, TraceId};
use hyper::Method;

use crate::support::{Running, configured, start_on, start_quiet};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A call of one service by another, as their two Zipkin spans.
fn call(trace: u8) -> [String; 2] {
    let span = |id: u8, parent: &str, kind: &str, service: &str| {
        format!(
            "{{\"traceId\":\"{trace:032x}\",\"id\":\"{id:016x}\"{parent},\"name\":\"buy\",\"kind\":\"{kind}\",\
             \"timestamp\":1700000000000000,\"duration\":20000,\"localEndpoint\":{{\"serviceName\":\"{service}\"}}}}"
        )
    };
    [span(1, "", "CLIENT", "shop"), span(2, ",\"parentId\":\"0000000000000001\"", "SERVER", "bank")]
}

fn id(trace: u8) -> TraceId {
    let mut id = [0; 16];
    id[15] = trace;
    TraceId(id)
}

async fn post(running: &Running, body: &str) -> (u16, String) {
    let reply = running.call(Method::POST, "/api/v2/spans", &[JSON], body.as_bytes()).await;
    (reply.status.as_u16(), reply.text)
}

fn found(disk: Arc<dyn Disk>, trace: u8) -> usize {
    let (spans, recovery) = Spans::open(disk, Options::default()).unwrap();
    assert_eq!(recovery.damage, []);
    spans.trace("", id(trace), 1 << 20).unwrap().bodies.len()
}

#[tokio::test]
async fn spans_are_kept_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let [client, server] = call(7);
    assert_eq!(post(&running, &format!("[{client}]")).await, (202, String::new()));
    assert_eq!(post(&running, &format!("[{server}]")).await, (202, String::new()));
    assert_eq!(post(&running, "[]").await.0, 202);
    running.server.stop().await;
    assert_eq!(found(Arc::new(RealDisk::open(dir.path()).unwrap()), 7), 2);

    // What was counted was stored when the server stopped.
    let running = start_quiet(dir.path()).await;
    for (selector, expected) in [
        (
            r#"traces_spanmetrics_calls_total{service="shop",span_kind="SPAN_KIND_CLIENT",span_name="buy"}"#,
            "1",
        ),
        (r#"traces_spanmetrics_calls_total{service="bank",status_code="STATUS_CODE_UNSET"}"#, "1"),
        (r#"traces_spanmetrics_latency_bucket{service="bank",le="0.032"}"#, "1"),
        (r#"traces_spanmetrics_latency_bucket{service="bank",le="0.016"}"#, "0"),
        (r#"traces_service_graph_request_total{client="shop",server="bank"}"#, "1"),
        (r#"traces_service_graph_request_server_seconds_sum{client="shop",server="bank"}"#, "0.02"),
        (r#"traces_target_info{service="shop"}"#, "1"),
    ] {
        let query: String = form_urlencoded::byte_serialize(selector.as_bytes()).collect();
        let data = running.data(&format!("/api/v1/query?query={query}")).await;
        assert_eq!(data["result"][0]["value"][1], expected, "{selector}: {data}");
    }
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("\nbarograph_spans_stored 2\n"), "{metrics}");
    running.server.stop().await;
}

#[tokio::test]
async fn acknowledged_spans_survive_a_power_loss() {
    let disk = MemoryDisk::new();
    let running = start_on(Arc::new(disk.clone()), configured("collectors: {built_in: false}\n")).await;
    for trace in 1..=9 {
        let [client, server] = call(trace);
        assert_eq!(post(&running, &format!("[{client},{server}]")).await.0, 202);
        for lost in [disk.kill(), disk.crash(u64::from(trace))] {
            (1..=trace).for_each(|trace| assert_eq!(found(Arc::new(lost.clone()), trace), 1));
        }
    }
    disk.fail(0, u64::MAX, Fault::Full);
    let [client, _] = call(10);
    assert_eq!(post(&running, &format!("[{client}]")).await.0, 507);
    disk.heal();
    assert_eq!(post(&running, &format!("[{client}]")).await.0, 202);
    assert!(found(Arc::new(disk.kill()), 10) >= 1);
    running.server.stop().await;
}

#[tokio::test]
async fn a_span_that_is_none_is_named_and_the_others_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let [client, server] = call(3);
    let (status, text) =
        post(&running, &format!("[{client},{{\"traceId\":\"x\",\"id\":\"1\"}},{server}]")).await;
    assert_eq!(status, 400);
    assert!(text.contains("2 spans kept, 1 faults") && text.contains("span 1: traceId is not"), "{text}");
    assert_eq!(post(&running, "{}").await.0, 400);
    let text = ("content-type", "application/x-thrift");
    assert_eq!(running.call(Method::POST, "/api/v2/spans", &[text], b"").await.status, 415);
    running.server.stop().await;
    assert_eq!(found(Arc::new(RealDisk::open(dir.path()).unwrap()), 3), 1);
}
