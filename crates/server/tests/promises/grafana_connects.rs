//! What Grafana's Prometheus data source calls when it is saved, tested, and used for a panel.

use crate::support::{now_ms, start_quiet};
use hyper::Method;
use serde_json::json;

#[tokio::test]
async fn grafana_connects() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    running.write_series(&[("__name__", "up"), ("job", "api")], &[(t, 1.0)]).await;

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reply = running.call(Method::POST, "/api/v1/query", &form, b"query=1%2B1&time=4").await;
    assert_eq!(reply.json()["data"], json!({"resultType": "scalar", "result": [4, "2"]}));

    let build = running.data("/api/v1/status/buildinfo").await;
    let major: u32 = build["version"].as_str().unwrap().split('.').next().unwrap().parse().unwrap();
    assert!(major >= 3);
    assert!(build.get("features").is_none(), "Grafana would take it for Mimir");

    let names = running.data("/api/v1/label/__name__/values").await;
    assert!(names.as_array().unwrap().contains(&json!("up")));
    let values =
        running.data(&format!("/api/v1/label/job/values?match[]=up&start=0&end={}&limit=1", t / 1000)).await;
    assert_eq!(values, json!(["api"]));
    assert_eq!(
        running.data("/api/v1/metadata").await.as_object().map(|m| m.contains_key("error")),
        Some(false)
    );

    // The probe for exemplars sends milliseconds where seconds belong.
    let probe = format!("/api/v1/query_exemplars?query=test&start={}&end={t}", t - 60_000);
    assert_eq!(running.data(&probe).await, json!([]));

    let body = format!("query=up&start={}&end={}&step=15", t / 1000 - 60, t / 1000);
    let panel = running.call(Method::POST, "/api/v1/query_range", &form, body.as_bytes()).await;
    assert_eq!(panel.json()["data"]["resultType"], "matrix");
    running.server.stop().await;
}
