//! Where the data directory is taken away while the server runs, health says so, and whatever can be answered is.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::fs;

use crate::{
    checks_stand_alone::until,
    support::{configured, now_ms, start},
};

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_answer_with_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let running = start(&data, configured("collectors: {built_in: false}\n")).await;
    assert_eq!(running.write_series(&[("__name__", "before")], &[(now_ms(), 1.0)]).await.status, 204);
    fs::remove_dir_all(&data).unwrap();

    until(&running, "/health", |health| health["status"] != "healthy").await;
    let checks = running.get("/health/checks").await;
    assert!(checks.text.contains("data directory"), "{}", checks.text);
    for path in ["/health/server", "/health/clients", "/health/errors", "/metrics"] {
        let reply = running.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    let found = running.data("/api/v1/query?query=before").await;
    assert_eq!(found["result"].as_array().unwrap().len(), 1, "what is in memory is answered: {found}");
    running.server.stop().await;
}
