//! The experimental parts of PromQL answer what to do until the configuration allows them.

use crate::support::{configured, start, start_quiet};

const QUERY: &str = "/api/v1/query?query=sort_by_label(vector(1),%22job%22)";

#[tokio::test]
async fn experimental_promql_has_a_switch() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let refused = running.get(QUERY).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("is experimental and must be enabled"), "{}", refused.text);
    running.server.stop().await;

    let running = start(dir.path(), configured("query: {experimental: true}\n")).await;
    assert_eq!(running.data(QUERY).await["result"][0]["value"][1], "1");
    running.server.stop().await;
}
