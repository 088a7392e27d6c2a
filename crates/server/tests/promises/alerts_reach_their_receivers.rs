//! An alert that is posted reaches whoever is configured: in the form of each channel, signed where that is asked for, past a
//! receiver that is dead, again where it was refused for now, and is in the log of deliveries with each try.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Running, configured, start};

/// What one side was sent.
#[derive(Clone, Debug)]
struct Sent {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sent {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Slack, PagerDuty, Twilio, Telegram, Teams and a webhook in one, each below a path; they refuse what is not in their form.
#[derive(Clone, Default)]
struct Fakes(Arc<Mutex<BTreeMap<String, Vec<Sent>>>>);

impl Fakes {
    async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn at(&self, path: &str) -> Vec<Sent> {
        self.0.lock().unwrap().get(path).cloned().unwrap_or_default()
    }

    /// Waits until so many came, for as long as the test may take.
    async fn wait(&self, path: &str, count: usize) -> Vec<Sent> {
        loop {
            let sent = self.at(path);
            if sent.len() >= count {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(State(fakes): State<Fakes>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let sent = Sent { headers, body: body.to_vec() };
    let before = {
        let mut all = fakes.0.lock().unwrap();
        let at = all.entry(path.clone()).or_default();
        at.push(sent.clone());
        at.len() - 1
    };
    let refused = |why: &str| (StatusCode::BAD_REQUEST, why.to_owned()).into_response();
    match path.as_str() {
        "/busy" if before == 0 => (StatusCode::SERVICE_UNAVAILABLE, "later").into_response(),
        "/gone" => (StatusCode::NOT_FOUND, "no such hook").into_response(),
        "/v2/enqueue" => {
            let event = sent.json();
            let texts =
                ["routing_key", "event_action", "dedup_key"].iter().all(|key| event[*key].is_string());
            let severity = event["payload"]["severity"].as_str().unwrap_or_default();
            let payload = ["summary", "source"].iter().all(|key| event["payload"][*key].is_string());
            let known = ["critical", "error", "warning", "info"].contains(&severity);
            match event["event_action"].as_str() {
                Some("trigger") if texts && payload && known => {
                    (StatusCode::ACCEPTED, r#"{"status":"success"}"#).into_response()
                }
                Some("acknowledge" | "resolve") if texts => {
                    (StatusCode::ACCEPTED, r#"{"status":"success"}"#).into_response()
                }
                _ => refused("invalid event"),
            }
        }
        "/slack" => {
            let blocks = sent.json()["blocks"].as_array().map_or(0, Vec::len);
            if sent.json()["text"].is_string() && (1..=50).contains(&blocks) {
                "ok".into_response()
            } else {
                refused("invalid_blocks")
            }
        }
        "/bot1:abc/sendMessage" => {
            let message = sent.json();
            match message["chat_id"].is_i64()
                && message["text"].as_str().is_some_and(|text| text.len() < 4096)
            {
                true => r#"{"ok":true,"result":{}}"#.into_response(),
                false => refused(r#"{"ok":false}"#),
            }
        }
        "/2010-04-01/Accounts/AC1/Messages.json" => {
            let form = String::from_utf8(sent.body).unwrap();
            let has = |key: &str| form.split('&').any(|pair| pair.starts_with(key));
            let allowed = sent.headers["authorization"] == "Basic QUMxOnQ=";
            match allowed && has("From=") && has("To=") && has("Body=") {
                true => (StatusCode::CREATED, r#"{"sid":"SM1"}"#).into_response(),
                false => refused("21604"),
            }
        }
        "/teams" => {
            let card = &sent.json()["attachments"][0];
            let kind = "application/vnd.microsoft.card.adaptive";
            match card["contentType"] == kind && card["content"]["type"] == "AdaptiveCard" {
                true => StatusCode::ACCEPTED.into_response(),
                false => refused("bad card"),
            }
        }
        _ => StatusCode::OK.into_response(),
    }
}

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
        "- name: team\n  webhook_configs: [{{url: 'http://{dead}/'}}, {{url: '{url}/hook', signing_secret: key}}]\n  \
         slack_configs: [{{api_url: '{url}/slack'}}]\n  \
         pagerduty_configs: [{{routing_key: k, url: '{url}/v2/enqueue'}}]\n  \
         telegram_configs: [{{bot_token: '1:abc', chat_id: -5, api_url: '{url}'}}]\n  \
         sms_configs: [{{account_sid: AC1, auth_token: t, from: '+1', to: '+2', api_url: '{url}'}}]\n  \
         msteamsv2_configs: [{{webhook_url: '{url}/teams'}}]\n"
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
