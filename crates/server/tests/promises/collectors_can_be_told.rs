//! The collectors over HTTP: which there are, how they fare, how they are changed, and what they read last.

use std::time::Duration;

use crate::support::{configured, start};
use hyper::Method;

const API: &str = "/api/barograph/v1";

#[tokio::test]
async fn collectors_can_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let config = "collectors: {business: {preset: prism, interval: 1s}, data: {interval: 1s}, process: {enabled: false}}\n";
    let running = start(dir.path(), configured(config)).await;
    let collector = |name: &'static str| {
        let running = &running;
        async move { running.get(&format!("{API}/collectors/{name}")).await.json() }
    };
    let list = running.get(&format!("{API}/collectors")).await.json();
    let names: Vec<_> =
        list["collectors"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["api", "business", "data", "process", "system", "websocket"]);
    for _ in 0..100 {
        if collector("data").await["stats"]["runs"].as_u64() > Some(1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let system = collector("system").await;
    assert_eq!(
        (&system["interval"], &system["enabled"], &system["stats"]["errors"]),
        (&1.0.into(), &true.into(), &0.into())
    );
    assert!(
        system["stats"]["runs"].as_u64() > Some(0) && system["stats"]["avg_ms"].as_f64() > Some(0.0),
        "{system}"
    );
    assert_eq!((&system["cost"], &collector("api").await["cost"]), (&"higher".into(), &"minimal".into()));
    assert_eq!(collector("process").await["stats"]["runs"], 0, "it is off");

    let change = |body: &'static str| {
        running.call(Method::PATCH, "/api/barograph/v1/collectors/system", &[], body.as_bytes())
    };
    let changed = change(r#"{"interval": 30, "enabled": false}"#).await.json();
    assert_eq!((&changed["interval"], &changed["enabled"]), (&30.0.into(), &false.into()), "{changed}");
    assert_eq!(change(r#"{"interval": "500ms"}"#).await.json()["interval"], 0.5);
    for (body, why) in
        [("{", "cannot read"), (r#"{"interval": 0}"#, "more than 0"), (r#"{"color": 1}"#, "unknown field")]
    {
        let refused = change(body).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.json()["detail"].as_str().unwrap().contains(why), "{}", refused.text);
    }
    let reset = running.call(Method::POST, &format!("{API}/collectors/system/reset"), &[], b"").await.json();
    assert_eq!(reset["stats"]["runs"], 0, "{reset}");
    assert_eq!(running.get(&format!("{API}/collectors/nothing")).await.status, 404);

    let snapshot = running.get(&format!("{API}/snapshot")).await.json();
    for (part, key) in [
        ("system", "cpuUsage"),
        ("system", "memoryPercentage"),
        ("api", "requestsTotal"),
        ("websocket", "activeConnections"),
        ("business", "violationRate"),
        ("data", "sizeTotal"),
    ] {
        assert!(snapshot[part][key].is_f64(), "{part}.{key}: {snapshot}");
    }
    assert!(snapshot["process"]["pid"].is_null() && snapshot["timestamp"].is_i64(), "{snapshot}");
    let stats = running.get(&format!("{API}/stats")).await.json();
    assert_eq!((&stats["totalCollectors"], &stats["collectionErrors"]), (&6.into(), &0.into()));
    assert!(stats["totalMetricsCollected"].is_u64() && stats["storage"]["totalSize"].is_u64(), "{stats}");

    let performance = running.get(&format!("{API}/performance")).await.json();
    let resources: Vec<_> = performance["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["resource_type"].as_str().unwrap())
        .collect();
    assert_eq!(resources, ["cpu", "memory", "disk", "network"], "{performance}");
    let operations: Vec<_> = performance["throughput"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["operation"].as_str().unwrap())
        .collect();
    for operation in
        ["http_request", "query", "persistence_write", "sample_ingestion", "/api/barograph/v1/snapshot"]
    {
        assert!(operations.contains(&operation), "{operation}: {operations:?}");
    }
    assert!(performance["latency"][0]["percentile"].is_string(), "{performance}");
    let asked = running.get(&format!("{API}/query?names=api.requests.total&aggregation=max")).await.json();
    let points = asked["results"][0]["dataPoints"].as_array().unwrap();
    assert!(points.last().unwrap()["value"].as_f64() > Some(0.0), "{asked}");
    let text = running.get("/metrics").await.text;
    let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("# TYPE api_requests_total "), count("business_gateway_checks")), (1, 1), "{text}");
    running.server.stop().await;
}

#[tokio::test]
async fn what_takes_more_can_be_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("stats: {higher_cost: false}\n")).await;
    let listed = running.get(&format!("{API}/collectors")).await.json();
    let names: Vec<_> = listed["collectors"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["api", "business", "websocket"]);
    let cost = async |name: &str| running.get(&format!("{API}/metrics/{name}")).await.json()["cost"].clone();
    for _ in 0..100 {
        if cost("api_response_p99").await == "minimal" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cost("api_response_p99").await, "minimal");
    assert_eq!(cost("barograph_queries_running").await, "zero");
    assert_eq!(cost("barograph_query_duration_seconds_count").await, "minimal");
    assert_eq!(running.get(&format!("{API}/metrics?prefix=system.")).await.json()["count"], 0);
    running.server.stop().await;
}
