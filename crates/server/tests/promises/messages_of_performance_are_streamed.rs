//! `live?topics=performance` sends throughput, latency and the four resources, field for field, again and again.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use crate::support::{configured, start};
use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;

const THROUGHPUT: &str = "type operation count duration_ms rate_per_sec node timestamp";
const LATENCY: &str = "type operation latency_ms percentile sample_count node timestamp";
const RESOURCE: &str = "type resource_type usage_percent total_available current_used node timestamp";

#[tokio::test]
async fn messages_of_performance_are_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("health: {node: node1}\n")).await;
    assert_eq!(running.get("/health").await.status, 200);
    let mut stream = running
        .send(Method::GET, "/api/barograph/v1/live?topics=performance&step=1s", &[], b"")
        .await
        .into_body();
    let mut text = String::new();
    // The resources come last, and the network is the last of them.
    let streamed = tokio::time::timeout(Duration::from_secs(20), async {
        while text.matches(r#""resource_type":"network""#).count() < 2 {
            let frame = stream.frame().await.unwrap().unwrap();
            text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    });
    streamed.await.expect("messages every second");
    assert!(text.starts_with("event: hello\n"), "{text}");
    let messages: Vec<Value> = text
        .split("\n\n")
        .filter_map(|event| Some(event.strip_prefix("event: performance\nid: ")?.split_once("data: ")?.1))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let of = |kind: &str| messages.iter().filter(|message| message["type"] == kind).collect::<Vec<_>>();
    let keys = |kind: &str, expected: &str| {
        for message in of(kind) {
            let (mut keys, mut wanted) = (
                message.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(),
                Vec::from_iter(expected.split(' ')),
            );
            keys.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(keys, wanted, "{message}");
            assert_eq!(message["node"], "node1");
        }
        assert!(!of(kind).is_empty(), "{kind}");
    };
    keys("ThroughputMetric", THROUGHPUT);
    keys("LatencyMetric", LATENCY);
    keys("ResourceUsage", RESOURCE);
    let resources: Vec<_> =
        of("ResourceUsage").iter().map(|usage| usage["resource_type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(resources[..4], ["cpu", "memory", "disk", "network"]);
    for usage in of("ResourceUsage") {
        let number = |key: &str| usage[key].as_f64().unwrap();
        let percent = 100.0 * number("current_used") / number("total_available");
        assert!(
            (number("usage_percent") - percent).abs() < 1e-6 && (0.0..=100.5).contains(&percent),
            "{usage}"
        );
    }
    let unknown = running.get("/api/barograph/v1/live?topics=colours").await;
    assert!(unknown.status == 400 && unknown.text.contains("there is performance"), "{}", unknown.text);
    running.server.stop().await;
}
