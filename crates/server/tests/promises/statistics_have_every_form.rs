//! Statistics of sessions in the forms that programs want them in: flat, as events, computed, as metrics of each client;
//! their history and what follows from it; totals over restarts; and nobody may ask too often.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use crate::support::{Reply, Running, configured, now_ms, start, start_quiet};

/// Longest wait for what comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn documents_can_be_flat() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    running.get("/api/v1/query?query=1").await;
    let flat = running.get("/health/server?format=flat").await.json();
    assert!(flat.as_object().unwrap().values().all(Value::is_number), "{flat}");
    assert!(flat["server_raw_api_calls_total"].as_u64().unwrap() >= 1);
    assert!(flat["server_derived_server_health_score"].is_number());
    for path in ["clients", "performance", "errors", "resources"] {
        let flat = running.get(&format!("/health/{path}?format=flat")).await.json();
        assert!(flat.as_object().unwrap().values().all(Value::is_number), "{path}: {flat}");
    }
    let events = running.get("/health/server?format=events").await.json();
    let events = events.as_array().unwrap();
    assert_eq!(events[0]["eventType"], "BarographServer");
    assert!(events[0]["timestamp"].as_i64().unwrap() > now_ms() - 3_600_000);
    let method = events.iter().find(|event| event["name"] == "GET /api/v1/query").unwrap();
    assert_eq!((&method["eventType"], &method["calls"]), (&"BarographMethod".into(), &1.into()));
    let flat = |event: &Value| event.as_object().unwrap().values().all(|v| v.is_number() || v.is_string());
    assert!(events.iter().all(flat));
    let clients = running.get("/health/clients?format=events").await.json();
    assert!(clients.as_array().unwrap().iter().any(|event| event["eventType"] == "BarographClient"));
    let refused = running.get("/health/server?format=xml").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("none of json, prometheus, flat, events"), "{}", refused.text);
}

#[tokio::test]
async fn expressions_are_computed_of_the_reading() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    for path in ["/api/v1/query?query=1", "/api/v1/query?query=2", "/api/v1/query?query=)"] {
        running.get(path).await;
    }
    let server = running
        .get("/health/server?expr=api-calls-failure/api-calls-total&expr=2*resource-events-sent")
        .await;
    let server = &server.json()["server"];
    let raw = &server["raw"];
    let expected = raw["api-calls-failure"].as_f64().unwrap() / raw["api-calls-total"].as_f64().unwrap();
    assert_eq!(server["computed"]["api-calls-failure/api-calls-total"], expected);
    assert_eq!(server["computed"]["2*resource-events-sent"], 0.0);
    assert!(running.get("/health/server").await.json()["server"].get("computed").is_none());
    for (text, says) in [("1%2B", "byte"), ("unheard-of/2", "unheard-of"), ("last-error", "last-error")] {
        let reply = running.get(&format!("/health/server?expr={text}")).await;
        assert_eq!(reply.status, 400, "{text}");
        assert!(reply.text.contains(says), "{}", reply.text);
    }
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    // More than comes back meanwhile, however slow this is: the bucket holds 100 and gets 50 a second.
    let began = tokio::time::Instant::now();
    let mut refused = None;
    while refused.is_none() && began.elapsed() < PATIENCE {
        let replies = burst(&running, "/health/resources", 200).await;
        refused = replies.into_iter().find(|reply| reply.status != 200);
    }
    let refused = refused.unwrap();
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    // Probes, `/health` itself and all else are never refused.
    for path in ["/health", "/livez", "/readyz", "/-/ready", "/metrics", "/api/v1/query?query=1"] {
        let replies = burst(&running, path, 150).await;
        assert!(replies.iter().all(|reply| reply.status == 200), "{path}");
    }
    let metrics = running.get("/metrics").await.text;
    let limited = metrics.lines().find(|line| line.starts_with("barograph_http_requests_limited_total "));
    assert!(limited.is_some_and(|line| !line.ends_with(" 0")), "{limited:?}");
}

/// So many requests, eight at a time.
async fn burst(running: &Running, path: &str, times: usize) -> Vec<Reply> {
    use futures_util::StreamExt as _;
    let requests = futures_util::stream::iter(0..times).map(|_| running.get(path));
    requests.buffer_unordered(8).collect().await
}

#[tokio::test]
async fn the_limit_of_requests_is_configured() {
    let dir = tempfile::tempdir().unwrap();
    let off = start(dir.path(), configured("rate_limit: {requests_per_second: 0}\n")).await;
    for _ in 0..150 {
        assert_eq!(off.get("/health/errors").await.status, 200);
    }
    off.server.stop().await;
    let tight = configured("rate_limit: {requests_per_second: 0.001, burst: 2}\n");
    let tight = start(dir.path(), tight).await;
    let statuses = [
        tight.get("/health/errors").await.status,
        tight.get("/health/server").await.status,
        tight.get("/health/server").await.status,
        tight.get("/health").await.status,
    ];
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 200, 429, 200]);
}

#[tokio::test]
async fn transactions_of_the_engine_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    assert_eq!(running.write_series(&[("__name__", "a")], &[(now_ms(), 1.0)]).await.status, 204);
    let performance = running.get("/health/performance").await.json();
    let commits = &performance["transactions"]["log.commit"];
    assert!(commits["committed"].as_u64().unwrap() >= 1, "{performance}");
    assert_eq!((commits["aborted"].as_u64(), commits["retries-per-commit"].as_f64()), (Some(0), Some(0.0)));
    assert!(commits["avg-ms"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn serialization_is_timed_by_type_of_message() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let began = tokio::time::Instant::now();
    loop {
        running.get("/health/server").await;
        let performance = running.get("/health/performance").await.json();
        let message = &performance["serialization"]["messages"]["Server"];
        let is_there = |key: &str| message[key].as_f64().is_some_and(|value| value > 0.0);
        if is_there("p95-ms") && is_there("messages-per-second") {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{performance}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn totals_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = || configured("stats: {persist: true}\ncollectors: {built_in: false}\n");
    let running = start(dir.path(), config()).await;
    for _ in 0..5 {
        running.get("/api/v1/query?query=1").await;
    }
    running.server.stop().await;
    let running = start(dir.path(), config()).await;
    let server = running.get("/health/server").await.json()["server"].clone();
    assert_eq!(
        (&server["raw"]["api-calls-total"], &server["raw"]["server-restart-count"]),
        (&0.into(), &1.into())
    );
    assert_eq!(server["lifetime"]["api-calls-total"], 5);
    assert_eq!(server["lifetime"]["server-restart-count"], 1);
    running.server.stop().await;
    // They are not shown where they are not kept, and begin again where they cannot be read.
    let running = start_quiet(dir.path()).await;
    assert!(running.get("/health/server").await.json()["server"].get("lifetime").is_none());
    running.server.stop().await;
    std::fs::write(dir.path().join("totals"), "something else").unwrap();
    let running = start(dir.path(), config()).await;
    let server = running.get("/health/server").await.json()["server"].clone();
    assert_eq!(server["lifetime"]["api-calls-total"], 0);
}

#[tokio::test]
async fn a_day_of_history_has_a_trend() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("stats: {history: 0s}\n")).await;
    let derived = |document: &Value| document["server"]["derived"]["performance-trend-24h"].clone();
    let instance = running.server.address().unwrap().to_string();
    let end = now_ms();
    let minutes = |value: fn(f64) -> f64| -> Vec<(i64, f64)> {
        (0..24 * 60).map(|i| (end - (24 * 60 - i) * 60_000, value(i as f64))).collect()
    };
    let own = |name: &'static str, instance: &str| {
        [("__name__", name.to_owned()), ("instance", instance.to_owned()), ("job", "barograph".to_owned())]
    };
    let write = async |name: &'static str, extra: Option<(&'static str, &str)>, samples: Vec<(i64, f64)>| {
        let labels = own(name, &instance);
        let mut labels: Vec<_> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        labels.extend(extra);
        labels.sort_unstable();
        assert_eq!(running.write_series(&labels, &samples).await.status, 204, "{name}");
    };
    // A day in which answers got slower, calls stayed as many, and ever more of them failed.
    write("server_api_response_ms", Some(("quantile", "0.95")), minutes(|i| 100.0 + i / 10.0)).await;
    write("server_api_calls_total", None, minutes(|i| 600.0 * i)).await;
    write("server_api_calls_failure_total", None, minutes(|i| i * i / 10.0)).await;
    let trend = derived(&running.get("/health/server").await.json());
    assert_eq!(trend["p95-latency"]["direction"], "degrading", "{trend}");
    assert!((trend["p95-latency"]["slope-per-hour"].as_f64().unwrap() - 6.0).abs() < 0.1, "{trend}");
    assert!(trend["p95-latency"]["samples"].as_u64().unwrap() > 250);
    assert_eq!(
        (&trend["throughput"]["direction"], &trend["error-rate"]["direction"]),
        (&"stable".into(), &"degrading".into())
    );
    // The same of a client, in a week.
    let id = ("client_id", "shop \"1\"");
    write("client_api_calls_total", Some(id), minutes(|i| i * i)).await;
    write("client_api_calls_failure_total", Some(id), minutes(|_| 0.0)).await;
    write("client_api_call_duration_ms_total", Some(id), minutes(|i| 20.0 * i * i)).await;
    running.call(hyper::Method::GET, "/health", &[("x-client-id", "shop \"1\"")], b"").await;
    let client = running.get("/health/clients/shop%20%221%22").await;
    let trend = client.json()["derived"]["performance-trend-7d"].clone();
    assert_eq!(trend["throughput"]["direction"], "improving", "{}", client.text);
    assert_eq!(
        (&trend["mean-latency"]["direction"], &trend["p95-latency"]),
        (&"stable".into(), &Value::Null)
    );
    assert_eq!(trend["error-rate"]["direction"], "stable");
}

#[tokio::test]
async fn what_is_read_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("stats: {history: 1s}\n")).await;
    for _ in 0..5 {
        running.call(hyper::Method::GET, "/health", &[("x-client-id", "most")], b"").await;
    }
    let count = async |query: &str| arrives(&running, query).await;
    assert!(count("max(server_api_calls_total)").await >= 5.0);
    assert!(count("count(server_server_health_score)").await >= 1.0);
    assert!(count("client_api_calls_total{client_id=\"most\"}").await >= 5.0);
    let derived = running.get("/health/server").await.json()["server"]["derived"].clone();
    assert!(derived["performance-trend-24h"].is_null() || derived["performance-trend-24h"].is_object());
}

/// The value of an expression, once it has one.
async fn arrives(running: &Running, query: &str) -> f64 {
    let began = tokio::time::Instant::now();
    loop {
        let query: String = url::form(query);
        let data = running.data(&format!("/api/v1/query?query={query}")).await;
        if let Some(value) = data["result"][0]["value"][1].as_str() {
            return value.parse().expect("a number");
        }
        assert!(began.elapsed() < PATIENCE, "{query}: {data}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

mod url {
    pub(super) fn form(text: &str) -> String {
        form_urlencoded::byte_serialize(text.as_bytes()).collect()
    }
}

#[tokio::test]
async fn sessions_obey_their_settings() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured(
        "stats:\n  emit_aliases: false\n  queue: {capacity: 7, policy: disconnect}\n  \
         weights: {client: {error-free: 0, queue-health: 0}}\nprometheus: {per_client: true}\n",
    );
    let running = start(dir.path(), config).await;
    running.call(hyper::Method::GET, "/health", &[("x-client-id", "one")], b"").await;
    let client = running.get("/health/clients/one").await.json();
    assert_eq!(
        (&client["event-queue"]["capacity"], &client["event-queue"]["policy"]),
        (&7.into(), &"disconnect".into())
    );
    assert!(client.get("aliases").is_none());
    assert_eq!(client["score-parts"]["client-health-score"]["error-free"]["weight"], 0.0);
    assert!(running.get("/health/server").await.json()["server"].get("aliases").is_none());
    for path in ["/health/server", "/health/clients"] {
        let text = running.get(&format!("{path}?format=prometheus")).await.text;
        assert!(text.contains("\nclient_api_calls_total{client_id=\"one\"} 1"), "{path}: {text}");
    }
    let quiet = start_quiet(tempfile::tempdir().unwrap().path()).await;
    assert!(!quiet.get("/health/server?format=prometheus").await.text.contains("client_id"));
}

#[tokio::test]
async fn targets_are_discovered() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let targets = running.get("/api/barograph/v1/sd").await;
    assert_eq!(targets.headers["content-type"], "application/json");
    let address = running.server.address().unwrap().to_string();
    for (group, path) in targets.json().as_array().unwrap().iter().zip(["/metrics", "/health/server"]) {
        assert_eq!(group["targets"], serde_json::json!([address]));
        assert_eq!(group["labels"]["__metrics_path__"], path);
        assert_eq!(running.get(path).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_go_to_a_file_for_other_systems() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("stats.jsonl");
    let config = format!("stats: {{export: {{file: '{}', interval: 1s}}}}\n", file.display());
    let running = start(&dir.path().join("data"), configured(&config)).await;
    let mut lines = String::new();
    for _ in 0..1_200 {
        lines = std::fs::read_to_string(&file).unwrap_or_default();
        if lines.lines().count() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(line["server"]["raw"].as_object().unwrap().len(), 53, "{line}");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    running.server.stop().await;
}
