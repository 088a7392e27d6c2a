//! `storage/stats` and `catalog`: what there is, by tier and by metric, and what it will become.

use crate::support::*;
use hyper::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn storage_says_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let now = now_ms();
    let samples: Vec<_> = (0..600).map(|i| (now - 600_000 + i * 1000, i as f64)).collect();
    let labels = [("__name__", "work_done_total"), ("service_version", "2.1"), ("zone", "a")];
    assert_eq!(running.write_series(&labels, &samples).await.status, 204);
    running.data("/api/v1/query?query=rate(work_done_total[5m])").await;

    let before = running.get("/api/barograph/v1/storage/stats").await.json();
    assert!(before["memory"]["points"].as_u64() >= Some(600), "{before}");
    let flushed = running.call(Method::POST, "/api/barograph/v1/admin/flush", &[], b"").await;
    assert_eq!(flushed.status, 200);
    let stats = running.get("/api/barograph/v1/storage/stats").await.json();
    let levels: Vec<&Value> = stats["levels"].as_array().unwrap().iter().collect();
    let names: Vec<_> = levels.iter().map(|level| level["level"].as_str().unwrap()).collect();
    assert_eq!(names, ["raw", "1m", "5m", "1h"]);
    assert_eq!(levels[3]["granularity_seconds"], 3600);
    assert!(levels[0]["points"].as_u64() >= Some(600));
    assert!(stats["compression_ratio"].as_f64() > Some(1.0), "{stats}");
    assert_eq!(stats["stores"]["warehouse"]["levels"], json!(["1h"]));
    assert!(stats["totalSize"].as_u64() >= levels[0]["bytes"].as_u64());
    assert!(stats["projected"]["bytes"].as_f64() > Some(0.0));
    assert!(stats["disk"]["free_bytes"].as_u64() > Some(0));
    assert_eq!(stats["disk"]["forecast"]["state"], "unknown");

    let metric = running.get("/api/barograph/v1/catalog/work_done_total").await.json();
    assert_eq!(metric["labels"], json!(["service_version", "zone"]));
    assert_eq!((&metric["versions"], &metric["samples"]), (&json!(["2.1"]), &json!(600)));
    assert!(metric["last_queried"].as_f64() >= Some(now as f64 / 1e3));
    assert!(metric["bytes"].as_u64() > Some(0));
    let all = running.get("/api/barograph/v1/catalog?limit=1").await.json();
    assert_eq!(all["metrics"].as_array().unwrap().len(), 1);
    assert!(all["count"].as_u64() > Some(1), "the server's own are there as well");
    let own = running.get("/api/barograph/v1/catalog/barograph_query_duration_seconds_count/relations").await;
    assert_eq!(own.json()["parent"], "barograph_query_duration_seconds", "{}", own.text);
    assert_eq!(running.get("/api/barograph/v1/catalog/none").await.status, 404);
    assert_eq!(running.get("/api/barograph/v1/catalog?limit=x").await.status, 400);
    running.server.stop().await;
}
