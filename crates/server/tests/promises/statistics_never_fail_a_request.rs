//! While the disk fails, every document of health and diagnostics answers with what there is, keeps its schema, and names
//! what is missing; requests that need nothing of the disk are answered.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{sync::Arc, time::Duration};

use crate::{
    schemas,
    support::{Running, configured, now_ms, start, start_on},
};
use barograph_disk::{Fault, MemoryDisk};
use barograph_server::config::Config;

async fn documents(running: &Running) {
    for (path, schema) in [
        ("/health", "health"),
        ("/health/extended", "health-extended"),
        ("/diagnostics/metrics", "diagnostics-metrics"),
        ("/diagnostics/performance", "diagnostics-performance"),
    ] {
        schemas::check(schema, &running.get(path).await.json());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_keep_their_schemas() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), Config::default()).await;
    // Both without any request before, and with some of each outcome.
    documents(&running).await;
    for path in ["/api/v1/query?query=1", "/api/v1/query?query=(", "/no/such/path", "/metrics"] {
        running.get(path).await;
    }
    documents(&running).await;
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_never_fail_a_request() {
    let disk = MemoryDisk::new();
    let config = configured("collectors: {built_in: false}\ndiagnostics: {interval: 1s}\n");
    let running = start_on(Arc::new(disk.clone()), config).await;
    let at = now_ms();
    assert_eq!(running.write_series(&[("__name__", "m")], &[(at, 1.0)]).await.status, 204);
    disk.fail(0, u64::MAX, Fault::Full);
    assert!(!running.write_series(&[("__name__", "m")], &[(at + 1, 1.0)]).await.status.is_success());

    assert_eq!(running.get("/health").await.status, 503);
    documents(&running).await;
    let extended = running.get("/health/extended").await.json();
    let missing = extended["missing"].as_array().unwrap();
    assert!(missing.iter().any(|one| one["what"] == "history"), "{missing:?}");
    for path in [
        "/health/server",
        "/health/clients",
        "/health/performance",
        "/health/errors",
        "/health/resources",
        "/diagnostics",
        "/diagnostics/state",
        "/api/v1/query?query=m",
        "/metrics",
    ] {
        let reply = running.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    // A check that fails is an incident with what was around it.
    let mut incidents = running.get("/diagnostics/incidents").await.json();
    for _ in 0..600 {
        if incidents["incidents"][0]["causes"][0]["kind"] == "check" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        incidents = running.get("/diagnostics/incidents").await.json();
    }
    assert_eq!(incidents["incidents"][0]["causes"][0]["kind"], "check", "{incidents}");
    disk.heal();
    running.server.stop().await;
}
