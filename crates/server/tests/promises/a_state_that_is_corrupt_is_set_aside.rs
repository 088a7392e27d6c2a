//! A state database that is not what was written costs what was in it, and nothing else. The documents of health have their
//! fields, whatever they are asked as.

use hyper::Method;
use serde_json::Value;

use crate::{
    checks_stand_alone::until,
    support::{start_in_memory, start_quiet},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_corrupt_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    until(&running, "/health/components/persistence", |it| it["status"] == "healthy").await;
    running.server.stop().await;

    let state = dir.path().join("state");
    let mut bytes = std::fs::read(&state).unwrap();
    let len = bytes.len();
    bytes[..len.min(20_000)].fill(0xab);
    std::fs::write(&state, &bytes).unwrap();
    let running = start_quiet(dir.path()).await;
    assert_eq!(std::fs::read(dir.path().join("state.corrupt")).unwrap(), bytes);
    until(&running, "/health/components/persistence", |it| it["status"] == "healthy").await;
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("barograph_state_set_aside_total 1"), "{metrics}");
    let history = running.get("/health/history?component=persistence").await.json();
    assert_eq!(history["history"].as_array().unwrap().len(), 1, "{history}");
    running.server.stop().await;
}

fn keys(document: &Value) -> Vec<&str> {
    document.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_health_have_their_fields() {
    let running = start_in_memory().await;
    let all = |it: &Value| it["checks"].as_array().is_some_and(|list| list.len() >= 8);
    let checks = until(&running, "/api/barograph/v1/health/checks", all).await;
    let fields = ["check_name", "details", "duration_ms", "error", "node", "result", "timestamp"];
    for check in checks["checks"].as_array().unwrap() {
        assert_eq!(keys(check), fields);
    }
    let well = |it: &Value| {
        let components = it["components"].as_array().unwrap();
        components.iter().all(|it| it["status"] == "healthy" && it["details"]["score"] == 100.0)
    };
    let components = until(&running, "/api/barograph/v1/health/components", well).await;
    let fields = ["component", "details", "last_check", "node", "status", "timestamp"];
    for component in components["components"].as_array().unwrap() {
        assert_eq!(keys(component), fields);
    }
    let service = running.get("/health/checks/metrics_service").await.json();
    assert_eq!(service["details"]["message"], "Collecting 0 metrics");
    let system = running.get("/health/system").await.json();
    assert_eq!(system["status"], "healthy");
    for part in system["score"]["parts"].as_array().unwrap() {
        assert_eq!(keys(part), ["bad", "critical", "good", "name", "score", "value", "weight"]);
    }
    let processes = running.get("/api/barograph/v1/health/processes").await.json();
    assert_eq!(processes["processes"][0]["pid"], std::process::id());

    let accept = [("accept", "application/health+json")];
    for path in ["components", "components/store", "checks", "cluster", "system"] {
        let reply = running.call(Method::GET, &format!("/health/{path}"), &accept, b"").await;
        assert_eq!(reply.headers["content-type"], "application/health+json", "{path}");
        let document = reply.json();
        assert_eq!(
            (&document["status"], &document["checks"]["store:wal"][0]["status"]),
            (&"pass".into(), &"pass".into())
        );
    }
    for path in ["components/nothing", "checks/nothing"] {
        assert_eq!(running.get(&format!("/health/{path}")).await.status, 404);
    }
    assert_eq!(running.get("/health/history?component=a&check=b").await.status, 400);

    let page = running.get("/status").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.text.contains("✓ healthy") && page.text.contains("persistence_check"), "{}", page.text);
    assert!(!page.text.contains("<script"));
    running.server.stop().await;
}
