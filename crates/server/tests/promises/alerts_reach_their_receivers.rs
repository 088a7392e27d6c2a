//! An alert that is posted reaches whoever is configured: in the form of each channel, signed where that is asked for, past a
//! receiver that is dead, again where it was refused for now, and is in the log of deliveries with each try.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    fakes::Fakes,
    support::{Running, configured, start},
};

async fn running(folder: &std::path::Path, receivers: &str, receiver: &str) -> Running {
    let route =
        format!("{{receiver: {receiver}, group_by: [alertname], group_wait: 0s, group_interval: 1s}}");
    let text = format!("route: {route}\nreceivers:\n{receivers}");
    let file = folder.join("alertmanager.yml");
    std::fs::write(&file, text).unwrap();
    let config = format!("collectors: {{built_in: false}}\nalertmanager_config: {}\n", file.display());
    start(&folder.join("data"), configured(&config)).await
}

async fn post(running: &Running, name: &str, ended: bool) {
    let mut alert = json!({
        "labels": {"alertname": name, "severity": "critical", "node": "node2"},
        "annotations": {"message": "Node node2 has become unresponsive"},
    });
    if ended {
        alert["endsAt"] = "2020-01-01T00:00:00Z".into();
        alert["startsAt"] = "2019-01-01T00:00:00Z".into();
    }
    let body = json!([alert]).to_string();
    let json = [("content-type", "application/json")];
    let reply = running.call(Method::POST, "/api/v2/alerts", &json, body.as_bytes()).await;
    assert_eq!(reply.status, 200);
}

async fn deliveries(running: &Running, query: &str) -> Vec<Value> {
    let reply = running.get(&format!("/api/barograph/v1/deliveries?{query}")).await.json();
    reply["deliveries"].as_array().unwrap().clone()
}

/// A receiver's channels of the services that the fakes play.
fn services(url: &str) -> String {
    format!(
        "  slack_configs: [{{api_url: '{url}/slack'}}]\n  \
         pagerduty_configs: [{{routing_key: k, url: '{url}/v2/enqueue'}}]\n  \
         telegram_configs: [{{bot_token: '1:abc', chat_id: -5, api_url: '{url}'}}]\n  \
         sms_configs: [{{account_sid: AC1, auth_token: t, from: '+1', to: '+2', api_url: '{url}'}}]\n  \
         opsgenie_configs: [{{api_key: k, api_url: '{url}'}}]\n  \
         msteamsv2_configs: [{{webhook_url: '{url}/teams'}}]\n"
    )
}

#[tokio::test]
async fn each_channel_is_told_in_its_form_and_a_dead_one_delays_none() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::default();
    let url = fakes.listen().await;
    // Nobody listens there any more.
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let receivers = format!(
        "- name: team\n  webhook_configs: [{{url: 'http://{dead}/'}}, {{url: '{url}/hook', signing_secret: key}}]\n{}",
        services(&url)
    );
    let running = running(folder.path(), &receivers, "team").await;
    post(&running, "node_failure", false).await;
    let paths = [
        "/hook",
        "/slack",
        "/v2/enqueue",
        "/bot1:abc/sendMessage",
        "/2010-04-01/Accounts/AC1/Messages.json",
        "/teams",
        "/v2/alerts",
    ];
    for path in paths {
        fakes.wait(path, 1).await;
    }
    let hook = &fakes.at("/hook")[0];
    assert_eq!(hook.json()["version"], "4");
    assert!(hook.headers["barograph-signature"].to_str().unwrap().starts_with("t="));
    assert_eq!(hook.headers["idempotency-key"].len(), 32);
    let sent = loop {
        let sent = deliveries(&running, "state=sent").await;
        if sent.len() == paths.len() {
            break sent;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(sent.iter().all(|one| one["attempts"][0]["ok"] == true), "{sent:?}");
    let waiting = deliveries(&running, "state=retrying").await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    let shown = running.get("/api/barograph/v1/receivers").await.json().to_string();
    assert!(shown.contains("last_error") && !shown.contains("1:abc") && !shown.contains("/hook"), "{shown}");
}

#[tokio::test]
async fn what_is_refused_for_now_comes_again_and_what_is_refused_for_good_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::default();
    let url = fakes.listen().await;
    let receivers =
        format!("- name: hooks\n  webhook_configs: [{{url: '{url}/busy'}}, {{url: '{url}/gone'}}]\n");
    let running = running(folder.path(), &receivers, "hooks").await;
    post(&running, "a", false).await;
    let busy = fakes.wait("/busy", 2).await;
    assert_eq!(busy[0].headers["idempotency-key"], busy[1].headers["idempotency-key"]);
    assert_eq!(busy[0].body, busy[1].body);
    let dead = loop {
        let dead = deliveries(&running, "state=dead").await;
        if let Some(dead) = dead.into_iter().next() {
            break dead;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        (&dead["error"], &dead["attempts"][0]["status"]),
        (&json!("answered 404: no such hook"), &json!(404))
    );
    let before = fakes.at("/gone").len();
    let id = dead["id"].as_str().unwrap();
    let path = format!("/api/barograph/v1/deliveries/{id}/retry");
    assert_eq!(running.call(Method::POST, &path, &[], b"").await.status, 200);
    fakes.wait("/gone", before + 1).await;
}

#[tokio::test]
async fn a_receiver_can_be_tried_out() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::default();
    let url = fakes.listen().await;
    let receivers =
        format!("- name: hooks\n  webhook_configs: [{{url: '{url}/hook'}}, {{url: '{url}/gone'}}]\n");
    let running = running(folder.path(), &receivers, "hooks").await;
    let path = "/api/barograph/v1/receivers/hooks/test";
    let reply = running.call(Method::POST, path, &[], br#"{"message": "hello"}"#).await.json();
    assert_eq!((&reply["attempts"][0]["ok"], &reply["attempts"][1]["status"]), (&json!(true), &json!(404)));
    assert_eq!(fakes.at("/hook")[0].json()["alerts"][0]["annotations"]["message"], "hello");
    let path = "/api/barograph/v1/receivers/hooks/preview";
    let reply = running.call(Method::POST, path, &[], b"").await.json();
    assert_eq!(reply["channels"][0]["words"]["version"], "4");
    let path = "/api/barograph/v1/receivers/nobody/test";
    assert_eq!(running.call(Method::POST, path, &[], b"").await.status, 404);
}

/// Posts alerts of one name, each of another node.
async fn post_many(running: &Running, count: usize, severity: &str, message: &str) {
    let alert = |number: usize| {
        json!({
            "labels": {"alertname": "node_failure", "severity": severity, "node": format!("node{number}"), "component": "cluster"},
            "annotations": {"message": message, "log": message},
        })
    };
    let body = Value::from((0..count).map(alert).collect::<Vec<_>>()).to_string();
    let kind = [("content-type", "application/json")];
    let reply = running.call(Method::POST, "/api/v2/alerts", &kind, body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test]
async fn ten_related_alerts_are_one_message_within_the_limits_of_each_channel() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::default();
    let url = fakes.listen().await;
    let receivers = format!("- name: team\n  webhook_configs: [{{url: '{url}/hook'}}]\n{}", services(&url));
    let running = running(folder.path(), &receivers, "team").await;
    post_many(&running, 10, "critical", &"🚨 \"it\" is <b>down</b> & out ".repeat(200)).await;
    let hook = fakes.wait("/hook", 1).await[0].json();
    assert_eq!(hook["alerts"].as_array().unwrap().len(), 10);
    let sent = loop {
        let sent = deliveries(&running, "state=sent").await;
        if sent.len() == 7 {
            break sent;
        }
        let dead = deliveries(&running, "state=dead").await;
        assert!(dead.is_empty(), "{dead:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(
        sent.iter().all(|one| one["alerts"] == 10 && one["attempts"].as_array().unwrap().len() == 1),
        "{sent:?}"
    );
}

#[tokio::test]
async fn each_severity_has_its_channels_and_a_pager_hears_of_what_is_critical_only() {
    let folder = tempfile::tempdir().unwrap();
    let fakes = Fakes::default();
    let url = fakes.listen().await;
    let file = folder.path().join("alertmanager.yml");
    let text = format!(
        "route:\n  receiver: chat\n  group_by: [alertname, severity]\n  group_wait: 0s\n  group_interval: 1s\n  routes:\n  \
         - {{matchers: ['alertname=~\"node_failure|persistence_failure\"', severity=critical], receiver: pager, continue: true}}\n  \
         - {{matchers: ['severity=~\".*\"'], receiver: chat}}\nreceivers:\n\
         - name: pager\n  pagerduty_configs: [{{routing_key: exesdb_routing_key, source: ExESDB Cluster, url: '{url}/v2/enqueue'}}]\n\
         - name: chat\n  slack_configs: [{{api_url: '{url}/slack', channel: '#exesdb-alerts', name: ExESDB}}]\n"
    );
    std::fs::write(&file, text).unwrap();
    let config = format!("collectors: {{built_in: false}}\nalertmanager_config: {}\n", file.display());
    let running = start(&folder.path().join("data"), configured(&config)).await;
    post_many(&running, 1, "warning", "Node node0 is slow").await;
    let slack = fakes.wait("/slack", 1).await[0].json();
    assert!(
        slack["text"].as_str().unwrap().starts_with("⚠️ ExESDB Alert\n\n**Severity:** warning\n"),
        "{slack}"
    );
    post_many(&running, 1, "critical", "Node node0 has become unresponsive").await;
    let event = fakes.wait("/v2/enqueue", 1).await[0].json();
    let payload = &event["payload"];
    assert_eq!(
        (&event["routing_key"], &event["event_action"]),
        (&json!("exesdb_routing_key"), &json!("trigger"))
    );
    assert_eq!(payload["summary"], "Node node0 has become unresponsive");
    assert_eq!((&payload["severity"], &payload["source"]), (&json!("critical"), &json!("ExESDB Cluster")));
    assert_eq!(
        (&payload["component"], &payload["custom_details"]["node"]),
        (&json!("cluster"), &json!("node0"))
    );
    let slack = fakes.wait("/slack", 2).await[1].json();
    let text = slack["text"].as_str().unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        lines[..5],
        [
            "🚨 ExESDB Alert",
            "**Severity:** critical",
            "**Type:** node_failure",
            "**Message:** Node node0 has become unresponsive",
            "**Node:** node0",
        ]
    );
    assert!(lines[5].starts_with("**Time:** 20") && slack["channel"] == "#exesdb-alerts", "{text}");
    assert_eq!(fakes.at("/v2/enqueue").len(), 1, "the pager heard of the warning");
    let routes = running.get("/api/barograph/v1/alerts/routes").await.text;
    assert!(routes.contains("pager") && routes.contains("chat"), "{routes}");
}
