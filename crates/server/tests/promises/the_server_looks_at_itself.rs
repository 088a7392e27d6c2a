//! States, analyses, traces, messages of performance and alerts are made, kept, listed and told on the bus, field for field.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use crate::{
    schemas,
    support::{Running, configured, now_ms, start, start_in_memory, start_quiet},
};
use hyper::Method;
use serde_json::{Value, json};

const API: &str = "/api/barograph/v1/diagnostics";

async fn post(running: &Running, path: &str, body: &str) -> Value {
    let reply = running.call(Method::POST, &format!("{API}{path}"), &[], body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    reply.json()
}

/// Asks until the answer is as it should be.
async fn until(running: &Running, path: &str, fine: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let answer = running.get(path).await.json();
        if fine(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} is never as it should be: {}", running.get(path).await.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_collected_unasked_is_kept_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("diagnostics: {interval: 1s}\n")).await;
    let some =
        |key: &'static str| move |answer: &Value| answer[key].as_array().is_some_and(|list| !list.is_empty());
    let states = until(&running, "/diagnostics/states?range=7d", some("states")).await;
    schemas::check("system-state", &states["states"][0]);
    let largest = states["states"][0]["state_data"]["largest_processes"].as_array().unwrap();
    assert!(largest.is_sorted_by_key(|process| std::cmp::Reverse(process["memory"].as_u64())), "{largest:?}");
    let analyses = until(&running, &format!("{API}/analysis?component=server"), some("analysis")).await;
    schemas::check("performance-analysis", &analyses["analysis"][0]);
    let messages = format!("{API}/messages?type=ResourceUsage&resource=memory");
    let messages = until(&running, &messages, some("messages")).await;
    schemas::check("resource-usage", &messages["messages"][0]);
    for (kind, schema) in [("ThroughputMetric", "throughput-metric"), ("LatencyMetric", "latency-metric")] {
        let path = format!("/diagnostics/messages?type={kind}");
        let listed = until(&running, &path, |answer| {
            kind == "LatencyMetric" || !answer["messages"].as_array().unwrap().is_empty()
        });
        for message in listed.await["messages"].as_array().unwrap() {
            schemas::check(schema, message);
            assert_eq!(message["type"], kind);
        }
    }
    let overview = running.get(API).await.json();
    assert!(overview["figures"]["memory_usage"].is_number(), "{overview}");
    assert!(running.get("/diagnostics/state").await.json()["state_data"]["process_count"].as_u64() > Some(0));
    running.server.stop().await;

    // The first state of a run is there after it.
    let running = start_quiet(dir.path()).await;
    let earlier = |answer: &Value| answer["states"].as_array().unwrap().contains(&states["states"][0]);
    until(&running, "/diagnostics/states?range=7d", earlier).await;
    let availability = running.get("/health").await.json()["availability"].clone();
    assert_eq!(availability["outages"], 1, "{availability}");
    assert!((0.0..1.0).contains(&availability["30d"].as_f64().unwrap()), "{availability}");
    assert_eq!(running.get("/health/extended").await.json()["availability"]["since"], availability["since"]);
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_traced_stage_by_stage() {
    let running = start_in_memory().await;
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let asking = async {
        // Until the collection is over: it began at some time that nobody tells.
        loop {
            let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
            let headers = [("traceparent", parent.as_str())];
            running.call(Method::GET, "/api/v1/query?query=1", &headers, b"").await;
            running.write_series(&[("__name__", "m")], &[(now_ms(), 1.0)]).await;
        }
    };
    let order = r#"{"collect": ["traces", "analysis", "state"], "duration_ms": 1500}"#;
    let collected = tokio::select! {
        collected = post(&running, "/collect", order) => collected,
        () = asking => unreachable!("it asks for ever"),
    };
    let of = |name: &str| {
        let traces = collected["traces"].as_array().unwrap();
        let trace = traces.iter().find(|trace| trace["component"] == name).unwrap();
        schemas::check("debug-trace", trace);
        assert_eq!(trace["data"]["memory_allocations"], Value::Null);
        let stages = trace["data"]["stages"].as_array().unwrap().iter();
        let stages = stages.map(|stage| stage["stage"].as_str().unwrap().to_owned());
        let mut stages: Vec<_> = stages.collect();
        stages.sort_unstable();
        (stages.join(" "), trace["data"].clone())
    };
    assert_eq!(of("http").0, "request");
    assert_eq!(of("query").0, "evaluate turn");
    assert_eq!(of("ingest").0, "append");
    assert_eq!(of("persistence_worker").0, "durable");
    let query = of("query").1;
    assert!(query["function_calls"].as_u64() >= Some(2), "{query}");
    assert_eq!(
        (&query["requests"][0]["trace_id"], &query["requests"][0]["route"]),
        (&json!(TRACE), &json!("/api/v1/query"))
    );
    schemas::check("performance-analysis", &collected["analysis"]);
    schemas::check("system-state", &collected["state"]);
    let listed = running.get("/diagnostics/traces?component=query&limit=1").await.json();
    assert_eq!(listed["traces"][0]["data"], query);

    let analysis = post(&running, "/analysis?component=persistence_worker&duration_ms=10", "").await;
    assert_eq!(
        (&analysis["component"], &analysis["analysis_type"]),
        (&json!("persistence_worker"), &json!("bottleneck_detection"))
    );
    assert!(post(&running, "/trace?component=http&duration_ms=0", "").await["traces"][0]["node"].is_string());
    assert!(post(&running, "/state", "").await["state_data"]["used_memory"].is_number());
    for wrong in [
        "/trace?component=colours",
        "/analysis?duration_ms=-1",
        "/collect?collect=colours",
        "/analysis?duration_ms=1e9",
    ] {
        let reply = running.call(Method::POST, &format!("{API}{wrong}"), &[], b"").await;
        assert_eq!(reply.status, 400, "{wrong}: {}", reply.text);
    }
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_past_its_threshold_is_an_alert_and_an_incident() {
    let dir = tempfile::tempdir().unwrap();
    let config = "
collectors: {built_in: false}
health: {node: node1}
diagnostics:
  interval: 1s
  thresholds:
    - {metric: fed_usage, max: 85.0}
    - {metric: fed_usage, max: 95.0, severity: critical}
    - {metric: 'fed_level * 2', min: 10}
";
    let running = start(dir.path(), configured(config)).await;
    let feed = async |name: &str, value: f64| {
        assert_eq!(running.write_series(&[("__name__", name)], &[(now_ms(), value)]).await.status, 204);
    };
    feed("fed_usage", 89.5).await;
    let path = format!("{API}/alerts?metric=fed_usage");
    let alerts = until(&running, &path, |answer| !answer["alerts"].as_array().unwrap().is_empty());
    let alert = alerts.await["alerts"][0].clone();
    schemas::check("metric-alert", &alert);
    let expected = json!({
        "metric_name": "fed_usage", "current_value": 89.5, "threshold_value": 85.0, "threshold_type": "max",
        "severity": "warning", "node": "node1", "timestamp": alert["timestamp"],
    });
    assert_eq!(alert, expected);
    let incidents = until(&running, "/diagnostics/incidents", |answer| {
        !answer["incidents"].as_array().unwrap().is_empty()
    });
    assert_eq!(incidents.await["incidents"][0]["state"], "open");
    let incident = running.get(&format!("{API}/incidents/1")).await.json();
    schemas::check("incident", &incident);
    assert_eq!(incident["causes"][0]["details"], alert);
    assert_eq!(incident["before"]["alerts"], json!([alert]));
    assert!(!incident["before"]["figures"].as_array().unwrap().is_empty(), "{incident}");

    feed("fed_level", 4.0).await;
    let alerts =
        until(&running, "/diagnostics/alerts", |answer| answer["alerts"].as_array().unwrap().len() == 2);
    let level = alerts.await["alerts"][0].clone();
    assert_eq!((&level["metric_name"], &level["current_value"]), (&json!("fed_level * 2"), &json!(8.0)));
    assert_eq!((&level["threshold_type"], &level["threshold_value"]), (&json!("min"), &json!(10.0)));
    let reported = running.call(Method::POST, &format!("{API}/incidents?reason=by%20hand"), &[], b"").await;
    assert_eq!(reported.json(), json!({"id": 1}), "what goes wrong meanwhile is one incident");
    let causes = running.get("/diagnostics/incidents/1").await.json()["causes"].clone();
    assert_eq!((causes.as_array().unwrap().len(), &causes[2]["text"]), (3, &json!("by hand")));
    assert_eq!(running.get("/diagnostics/incidents/2").await.status, 404);
    running.server.stop().await;
}
