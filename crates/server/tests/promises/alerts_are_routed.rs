//! Alerts that are posted are shown, grouped and silenced as Alertmanager does, and survive a restart.

use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Running, configured, start};

const ROUTES: &str = "route: {receiver: all, group_by: [alertname], routes: [{matchers: ['team=\"db\"'], receiver: db}]}\n\
                      receivers: [{name: all}, {name: db}]\n\
                      inhibit_rules: [{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [job]}]\n";

async fn post(running: &Running, path: &str, body: &Value) -> (u16, String) {
    let reply = running.call(Method::POST, path, &[], body.to_string().as_bytes()).await;
    (reply.status.as_u16(), reply.text)
}

/// Name, state and receivers of each alert.
async fn alerts(running: &Running, query: &str) -> Vec<(String, String, String)> {
    let reply = running.get(&format!("/api/v2/alerts{query}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let shown = |alert: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let state = text(&alert["status"]["state"]);
        (text(&alert["labels"]["alertname"]), state, text(&alert["receivers"][0]["name"]))
    };
    let mut all: Vec<_> = reply.json().as_array().unwrap().iter().map(shown).collect();
    all.sort();
    all
}

fn shown(all: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    all.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

#[tokio::test]
async fn alerts_are_routed_silenced_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alertmanager.yml");
    std::fs::write(&file, ROUTES).unwrap();
    let data = dir.path().join("data");
    let config = || configured(&format!("alertmanager_config: {}\n", file.display()));
    let running = start(&data, config()).await;

    // What is good is taken though something else is not.
    let posted = json!([
        { "labels": { "alertname": "Slow", "job": "api", "severity": "warning" }, "annotations": { "a": "b" } },
        { "labels": {} },
        { "labels": { "alertname": "Down", "job": "api", "severity": "critical", "team": "db" } },
        { "labels": { "alertname": "Full", "job": "disk", "severity": "warning" } },
    ]);
    let (status, text) = post(&running, "/api/v2/alerts", &posted).await;
    assert_eq!((status, text.as_str()), (400, "\"alert 1: at least one label pair required\""));
    let all = [("Down", "active", "db"), ("Full", "active", "all"), ("Slow", "suppressed", "all")];
    assert_eq!(alerts(&running, "").await, shown(&all));
    assert_eq!(alerts(&running, "?inhibited=false&receiver=a.*").await, shown(&all[1..2]));
    assert_eq!(alerts(&running, "?filter=job%3D~%22d.*%22").await, shown(&all[1..2]));
    assert_eq!(running.get("/api/v2/alerts?filter=%7B").await.status, 400);

    let now = barograph_model::Timestamp(crate::support::now_ms());
    let silence = json!({
        "matchers": [{ "name": "job", "value": "disk", "isRegex": false, "isEqual": true }],
        "startsAt": now.to_rfc3339(), "endsAt": now.saturating_add(3_600_000).to_rfc3339(),
        "createdBy": "ann", "comment": "known",
    });
    let (status, text) = post(&running, "/api/v2/silences", &silence).await;
    assert_eq!(status, 200, "{text}");
    let id = serde_json::from_str::<Value>(&text).unwrap()["silenceID"].as_str().unwrap().to_owned();
    let window = json!({ "name": "w", "matchers": ["job=\"other\""], "start": now.to_rfc3339(), "duration_seconds": 60 });
    assert_eq!(post(&running, "/api/barograph/v1/maintenance", &window).await.0, 201);
    running.server.stop().await;

    let running = start(&data, config()).await;
    let all = [("Down", "active", "db"), ("Full", "suppressed", "all"), ("Slow", "suppressed", "all")];
    assert_eq!(alerts(&running, "").await, shown(&all));
    let windows = running.get("/api/barograph/v1/maintenance").await.json();
    assert_eq!(windows["maintenance"][0]["active"], true, "{windows}");
    assert_eq!(running.call(Method::DELETE, &format!("/api/v2/silence/{id}"), &[], b"").await.status, 200);
    assert_eq!(alerts(&running, "?filter=job=disk").await, shown(&[("Full", "active", "all")]));
    assert_eq!(running.get(&format!("/api/v2/silence/{id}")).await.json()["status"]["state"], "expired");
    let history = running.get(&format!("/api/barograph/v1/silences/{id}/history")).await.json();
    assert_eq!(history["history"].as_array().unwrap().len(), 2, "{history}");

    // An end that is told ends it.
    let ended = json!([{ "labels": { "alertname": "Full", "job": "disk", "severity": "warning" }, "endsAt": now.to_rfc3339() }]);
    assert_eq!(post(&running, "/api/v2/alerts", &ended).await.0, 200);
    assert_eq!(alerts(&running, "?filter=job=disk").await, []);
    let groups = running.get("/api/v2/alerts/groups?receiver=db").await.json();
    assert_eq!(groups[0]["labels"], json!({ "alertname": "Down" }));
    let status = running.get("/api/v2/status").await.json();
    assert!(status["config"]["original"].as_str().unwrap().contains("receiver: db"), "{status}");
    running.server.stop().await;
}
