//! A service registers with what its figures should be, and is degraded while they are not; what it said survives a restart.

use hyper::Method;
use serde_json::json;

use crate::{
    checks_stand_alone::until,
    support::{now_ms, start_quiet},
};

const SERVICES: &str = "/api/barograph/v1/services";

#[tokio::test(flavor = "multi_thread")]
async fn services_keep_to_their_baselines() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let send = async |method: Method, path: &str, body: serde_json::Value| {
        running.call(method, path, &[], body.to_string().as_bytes()).await
    };
    let shop = json!({
        "id": "shop", "type": "web", "version": "1.0", "lifecycle": "starting",
        "baselines": {"shop_latency_seconds": {"expected": 0.1, "tolerance": 0.05}},
    });
    assert_eq!(send(Method::POST, SERVICES, shop.clone()).await.status, 201);
    assert_eq!(send(Method::POST, SERVICES, shop).await.status, 200);
    for wrong in [
        json!({"id": ""}),
        json!({"id": "a/b"}),
        json!({"id": "a", "lifecycle": "dancing"}),
        json!({"id": "a", "baselines": {"rate(": {"expected": 1, "tolerance": 1}}}),
        json!({"id": "a", "baselines": {"up": {"expected": 1, "tolerance": -1}}}),
    ] {
        assert_eq!(send(Method::POST, SERVICES, wrong.clone()).await.status, 400, "{wrong}");
    }
    let path = "/api/barograph/v1/services/shop";
    running.write_series(&[("__name__", "shop_latency_seconds")], &[(now_ms(), 0.4)]).await;
    assert_eq!(send(Method::PATCH, path, json!({"lifecycle": "running"})).await.status, 200);
    let degraded = until(&running, path, |it| it["status"] == "degraded").await;
    assert_eq!(degraded["metrics"], json!({"shop_latency_seconds": 0.4}));
    assert_eq!(degraded["reason"], "shop_latency_seconds is 0.4, expected 0.1 ± 0.05");
    running.write_series(&[("__name__", "shop_latency_seconds")], &[(now_ms() + 1000, 0.12)]).await;
    let health = running.server.health();
    for _ in 0..1200 {
        health.wake("service:shop");
        if running.get(path).await.json()["status"] == "healthy" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    send(Method::PATCH, path, json!({"lifecycle": "failed", "version": "1.1"})).await;
    until(&running, path, |it| it["status"] == "unhealthy").await;
    running.server.stop().await;

    let running = start_quiet(dir.path()).await;
    let known = until(&running, path, |it| it["status"] == "unhealthy").await;
    let stages: Vec<_> =
        known["history"].as_array().unwrap().iter().map(|step| step["lifecycle"].as_str().unwrap()).collect();
    assert_eq!(stages, ["starting", "running", "failed"]);
    assert_eq!(known["history"][2]["metrics"], json!({"shop_latency_seconds": 0.12}));
    assert_eq!(running.call(Method::DELETE, path, &[], b"").await.status, 204);
    assert_eq!(running.get(path).await.status, 404);
    assert_eq!(running.get(SERVICES).await.json(), json!({"services": []}));
    running.server.stop().await;
}
