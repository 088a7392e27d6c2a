//! What fires is an incident that somebody takes: it stays theirs over a restart, and a link acknowledges only by `POST`.

use std::{path::Path, time::Duration};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    schemas,
    support::{Running, configured, start},
};

const API: &str = "/api/barograph/v1";
const FILE: &str = "route: {receiver: team, group_wait: 1ms, group_interval: 1s}\nreceivers: [{name: team}]\n\
    schedules: {weeks: {layers: [{users: [ann], rotation: weekly, start: 2020-01-06T09:00}]}}\n";

async fn started(dir: &Path) -> Running {
    let file = dir.join("alertmanager.yml");
    std::fs::write(&file, FILE).unwrap();
    let config = format!("collectors: {{built_in: false}}\nalertmanager_config: {}\n", file.display());
    start(dir, configured(&config)).await
}

async fn did(server: &Running, path: &str, body: Value) -> Value {
    let json = [("content-type", "application/json")];
    let reply = server.call(Method::POST, path, &json, body.to_string().as_bytes()).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    if reply.text.is_empty() { Value::Null } else { reply.json() }
}

/// Asks until there is what is wanted.
async fn until(server: &Running, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let found = server.get(path).await.json();
        if wanted(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn fire(server: &Running) -> Value {
    let labels = json!({"alertname": "Down", "severity": "critical", "alert_type": "node_failure"});
    let annotations = json!({"summary": "Node node2 has become unresponsive"});
    let alerts = json!([{"labels": labels, "annotations": annotations}]);
    did(server, "/api/v2/alerts", alerts).await;
    let found = until(server, &format!("{API}/incidents"), |it| it["total"] == 1).await;
    found["incidents"][0].clone()
}

#[tokio::test]
async fn alerts_and_who_has_them_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = started(dir.path()).await;
    let incident = fire(&server).await;
    let alert = server.get(&format!("{API}/alerts")).await.json()["alerts"][0].clone();
    schemas::check("system-alert", &alert);
    assert_eq!(alert["alert_type"], "node_failure");
    assert_eq!(alert["message"], "Node node2 has become unresponsive");
    assert_eq!((&alert["level"], &alert["ack"]), (&json!(1), &Value::Null));
    let path = format!("{API}/alerts/{}", alert["id"].as_str().unwrap());
    let said = json!({"acknowledged_by": "ann", "ack_message": "looking"});
    let taken = did(&server, &format!("{path}/ack"), said).await;
    schemas::check("alert-ack", &taken["ack"]);
    let refused =
        server.call(Method::POST, &format!("{path}/ack"), &[], br#"{"acknowledged_by": "bo"}"#).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    server.server.stop().await;

    let server = started(dir.path()).await;
    let again = server.get(&path).await.json();
    assert_eq!((&again["state"], &again["acknowledged_by"]), (&json!("firing"), &json!("ann")));
    assert_eq!((&again["ack_message"], &again["auto_ack"]), (&json!("looking"), &json!(false)));
    let of = format!("{API}/incidents/{}", incident["id"].as_str().unwrap());
    let kept = server.get(&of).await.json();
    assert_eq!(kept["state"], "acknowledged");
    let kinds: Vec<_> = kept["timeline"].as_array().unwrap().iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["opened", "acknowledged"]);

    // Whoever has it asks for more, and somebody else takes it over and says that it is over.
    did(&server, &format!("{of}/escalate"), json!({"acknowledged_by": "ann"})).await;
    let escalations = server.get(&format!("{path}/escalations")).await.json();
    schemas::check("alert-escalation", &escalations["escalations"][0]);
    assert_eq!(escalations["escalations"][0]["escalation_level"], 2);
    did(&server, &format!("{of}/takeover"), json!({"acknowledged_by": "bo"})).await;
    let over =
        did(&server, &format!("{of}/resolve"), json!({"acknowledged_by": "bo", "message": "done"})).await;
    assert_eq!((&over["state"], &over["resolved_by_hand"]), (&json!("resolved"), &json!(true)));
    let statistics = server.get(&format!("{API}/alerts/statistics")).await.json();
    assert_eq!(statistics["rules"][0]["rule"], "Down");
    assert_eq!(statistics["all"]["time_to_resolve"]["count"], 1);
    server.server.stop().await;
}

#[tokio::test]
async fn a_link_acknowledges_only_by_post() {
    let dir = tempfile::tempdir().unwrap();
    let server = started(dir.path()).await;
    let incident = fire(&server).await;
    let of = format!("{API}/incidents/{}", incident["id"].as_str().unwrap());
    let link = did(&server, &format!("{of}/ack-link"), json!({"acknowledged_by": "ann"})).await;
    let link = link["path"].as_str().unwrap();
    for _ in 0..3 {
        let page = server.get(link).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains("<form method=\"post\">"), "{}", page.text);
    }
    assert_eq!(server.get(&of).await.json()["state"], "open");
    let forged = format!("{}x", &link[..link.len() - 1]);
    assert_eq!(server.call(Method::POST, &forged, &[], b"").await.status, 404);
    assert_eq!(server.get(&of).await.json()["state"], "open");
    let page = server.call(Method::POST, link, &[], b"").await;
    assert_eq!(page.status, 200, "{}", page.text);
    let taken = server.get(&of).await.json();
    assert_eq!(taken["ack"]["acknowledged_by"], "ann");
    assert!(server.get(link).await.text.contains("ann has acknowledged it."));

    // The button of a chat, once it is nobody's again.
    did(&server, &format!("{of}/unack"), json!({})).await;
    let value = link.rsplit('/').next().unwrap();
    let payload = json!({"user": {"username": "bo"}, "actions": [{"value": value}]}).to_string();
    let form: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload).finish();
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let said = server.call(Method::POST, &format!("{API}/ack-links"), &kind, form.as_bytes()).await;
    assert_eq!(said.status, 200, "{}", said.text);
    assert_eq!(server.get(&of).await.json()["ack"]["acknowledged_by"], "bo (chat)");
    server.server.stop().await;
}

#[tokio::test]
async fn somebody_is_on_call() {
    let dir = tempfile::tempdir().unwrap();
    let server = started(dir.path()).await;
    let path = format!("{API}/oncall");
    let found = until(&server, &path, |it| it["schedules"][0].is_object()).await;
    assert_eq!(found["schedules"][0]["now"][0]["user"], "ann");
    let wanted =
        json!({"user": "di", "start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}).to_string();
    let set = server.call(Method::POST, &format!("{path}/weeks/overrides"), &[], wanted.as_bytes()).await;
    assert_eq!(set.status, 201, "{}", set.text);
    let shown =
        server.get(&format!("{path}?start=2020-01-07T00:00:00Z&end=2020-01-08T00:00:00Z")).await.json();
    assert_eq!(shown["schedules"][0]["shifts"][0]["user"], "di");
    let id = set.json()["id"].as_str().unwrap().to_owned();
    let gone = server.call(Method::DELETE, &format!("{path}/weeks/overrides/{id}"), &[], b"").await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    assert_eq!(
        server.get(&format!("{API}/escalation-policies")).await.json()["policies"][0]["name"],
        "default"
    );
    server.server.stop().await;
}
