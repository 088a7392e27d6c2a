//! `/health`, `/health/extended` and `/diagnostics/…` tell of the server's own requests, from one snapshot each.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use crate::support::start_in_memory;
use hyper::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn health_documents_have_their_keys() {
    let running = start_in_memory().await;
    for _ in 0..20 {
        assert_eq!(running.get("/api/v1/query?query=1").await.status, 200);
    }
    assert_eq!(running.get("/no/such/path?x=1").await.status, 404);

    let health = running.get("/health").await;
    assert!(health.text.starts_with(r#"{"status":"healthy","total_requests":"#), "{}", health.text);
    let health = health.json();
    for key in ["version", "uptime_seconds", "series"] {
        assert!(!health[key].is_null(), "{health}");
    }
    assert!(health["total_requests"].as_u64() >= Some(21), "{health}");
    let latencies = |document: &Value| {
        ["p50_latency_ms", "p90_latency_ms", "p95_latency_ms", "p99_latency_ms"]
            .map(|key| document[key].as_f64())
    };
    assert!(latencies(&health).is_sorted() && latencies(&health)[0] > Some(0.0), "{health}");
    assert!(health["avg_latency_ms"].is_number() && health["error_rate"].as_f64() > Some(0.0));
    let none = json!({"hits": 0, "misses": 0, "evictions": 0, "hit_rate": 0});
    assert_eq!(health["cache"], none);
    let hooks = running.get("/diagnostics/metrics").await.json()["cache_hooks"].clone();
    assert_eq!(hooks[0]["cache"], "query_results", "{hooks}");
    assert_eq!(running.get("/health?basic=true").await.json(), json!({"status": "healthy"}));

    let extended = running.get("/health/extended").await.json();
    assert_eq!(extended["latency_histogram"]["+Inf"], extended["total_requests"]);
    assert_eq!(extended["latency_histogram"].as_object().unwrap().len(), 12);
    assert_eq!(extended["event_loop"]["monitoring_active"], true);
    for group in ["requests", "event_loop", "websocket", "percentiles"] {
        assert!(extended["metrics_extended"][group].is_object(), "{extended}");
    }

    let metrics = running.get("/diagnostics/metrics").await.json();
    assert_eq!(metrics["lifetime"]["requests"], metrics["total_requests"]);
    assert_eq!(metrics["uninstrumented_routes"][0]["path"], "/no/such/path");
    assert_eq!(metrics["errors"]["client"], 1);
    let performance = running.get("/diagnostics/performance").await.json();
    let sampling = running.get("/api/barograph/v1/sampling?limit=5").await.json();
    // How many of them are kept depends on how busy the machine is.
    let seen: u64 =
        sampling["history"].as_array().unwrap().iter().filter_map(|one| one["seen"].as_u64()).sum();
    assert!(seen >= 21 && sampling["samples"]["keptMax"] == 10_000, "{sampling}");
    for one in sampling["samples"]["newest"].as_array().unwrap() {
        let stands_for =
            one["sampling"]["rate"].as_f64().unwrap() * one["sampling"]["weight"].as_f64().unwrap();
        assert!(one["sampling"]["strategy"] == "adaptive_rate" && (stands_for - 1.0).abs() < 1e-9, "{one}");
    }
    let routes = performance["routes"].as_array().unwrap();
    assert!(routes.iter().any(|route| route["route"] == "/api/v1/query"), "{performance}");
    running.server.stop().await;
}

#[tokio::test]
async fn settings_of_measuring_change_while_running() {
    let running = start_in_memory().await;
    let patch = async |body: &str| {
        let kind = [("content-type", "application/json")];
        running.call(Method::PATCH, "/api/barograph/v1/config", &kind, body.as_bytes()).await
    };
    let reply = patch(r#"{"metrics": {"METRICS_WINDOW_SIZE_SECONDS": 60}}"#).await;
    let window = &reply.json()["metrics"]["METRICS_WINDOW_SIZE_SECONDS"];
    assert_eq!((&window["value"], &window["origin"]), (&json!("60"), &json!("program")), "{}", reply.text);
    assert_eq!(patch(r#"{"metrics": {"METRICS_HISTOGRAM_BUCKETS": "1,2"}}"#).await.status, 409);
    assert_eq!(patch(r#"{"metrics": {"METRICS_MAX_SAMPLES": -1}}"#).await.status, 400);
    assert_eq!(patch(r#"{"storage": {}}"#).await.status, 400);
    assert_eq!(patch("{").await.status, 400);

    assert_eq!(patch(r#"{"metrics": {"METRICS_EVENT_LOOP_MONITORING": false}}"#).await.status, 200);
    let extended = running.get("/health/extended").await.json();
    assert_eq!(extended["event_loop"]["monitoring_active"], false);

    assert_eq!(running.get("/metrics").await.status, 200);
    assert_eq!(patch(r#"{"metrics": {"METRICS_PROMETHEUS_ENABLED": false}}"#).await.status, 200);
    assert_eq!(running.get("/internal/metrics").await.status, 404);
    let config = running.get("/api/barograph/v1/config").await.json();
    let units = json!({"value": "seconds", "origin": "default", "changeable": false,
        "reason": "the names of metrics would change under those who read them"});
    assert_eq!(config["metrics"]["METRICS_EXPOSITION_UNITS"], units);
    assert_eq!(config["origins"], json!({"collectors.built_in": "file"}));
    assert_eq!(
        (&config["profile"], &config["event_loop"]),
        (&json!("prod"), &json!({"lag_interval_ms": 1000}))
    );
    running.server.stop().await;
}
