//! Slack, PagerDuty, Opsgenie, Twilio, Telegram, Teams and webhooks as one server: it refuses what is not in the form that each
//! documents, lengths of fields included, and remembers what it was sent.
#![allow(unreachable_pub, reason = "it is used within one program")]

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
use serde_json::Value;

/// What one side was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Slack, PagerDuty, Twilio, Telegram, Teams and a webhook in one, each below a path; they refuse what is not in their form.
#[derive(Clone, Default)]
pub struct Fakes(Arc<Mutex<BTreeMap<String, Vec<Sent>>>>);

impl Fakes {
    pub async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    pub fn at(&self, path: &str) -> Vec<Sent> {
        self.0.lock().unwrap().get(path).cloned().unwrap_or_default()
    }

    /// Waits until so many came, for as long as the test may take.
    pub async fn wait(&self, path: &str, count: usize) -> Vec<Sent> {
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
        "/never" => (StatusCode::SERVICE_UNAVAILABLE, "never").into_response(),
        "/v2/enqueue" => match event(&sent.json()) {
            Ok(()) => (StatusCode::ACCEPTED, r#"{"status":"success"}"#).into_response(),
            Err(why) => refused(why),
        },
        "/slack" => match blocks(&sent.json()) {
            Ok(()) => "ok".into_response(),
            Err(why) => refused(why),
        },
        "/v2/alerts" => match opsgenie(&sent.json()) {
            Ok(()) if sent.headers["authorization"] == "GenieKey k" => StatusCode::ACCEPTED.into_response(),
            Ok(()) => refused("key"),
            Err(why) => refused(why),
        },
        "/bot1:abc/sendMessage" => {
            let message = sent.json();
            let length = message["text"].as_str().map_or(0, |text| text.encode_utf16().count());
            match message["chat_id"].is_i64() && (1..=4096).contains(&length) {
                true => r#"{"ok":true,"result":{}}"#.into_response(),
                false => refused(r#"{"ok":false}"#),
            }
        }
        "/2010-04-01/Accounts/AC1/Messages.json" => {
            let form: BTreeMap<_, _> = form_urlencoded::parse(&sent.body).into_owned().collect();
            let has =
                |key: &str| form.get(key).is_some_and(|value| (1..=1600).contains(&value.chars().count()));
            let allowed = sent.headers["authorization"] == "Basic QUMxOnQ=";
            match allowed && has("From") && has("To") && has("Body") {
                true => (StatusCode::CREATED, r#"{"sid":"SM1"}"#).into_response(),
                false => refused("21604"),
            }
        }
        "/teams" => {
            let card = &sent.json()["attachments"][0];
            let kind = "application/vnd.microsoft.card.adaptive";
            let (content, small) = (&card["content"], sent.body.len() <= 28 << 10);
            let known = ["TextBlock", "FactSet"].map(Value::from);
            let body = content["body"].as_array().is_some_and(|body| {
                !body.is_empty() && body.iter().all(|element| known.contains(&element["type"]))
            });
            let actions = content["actions"].as_array().is_some_and(|actions| {
                actions.len() <= 6
                    && actions.iter().all(|it| it["type"] == "Action.OpenUrl" && it["url"].is_string())
            });
            let versioned = content["type"] == "AdaptiveCard" && content["version"].is_string();
            match card["contentType"] == kind && versioned && small && body && actions {
                true => StatusCode::ACCEPTED.into_response(),
                false => refused("bad card"),
            }
        }
        _ => StatusCode::OK.into_response(),
    }
}

/// Whether a text has at most so many characters, and at least one.
fn fits(text: &Value, most: usize) -> bool {
    text.as_str().is_some_and(|text| (1..=most).contains(&text.chars().count()))
}

/// An event of PagerDuty, version 2.
fn event(event: &Value) -> Result<(), &'static str> {
    let payload = &event["payload"];
    let known = ["critical", "error", "warning", "info"].map(Value::from);
    let links = event["links"].as_array().map_or(&[][..], Vec::as_slice);
    match event["event_action"].as_str() {
        _ if !fits(&event["routing_key"], 32) => Err("routing_key"),
        _ if !fits(&event["dedup_key"], 255) => Err("dedup_key"),
        _ if event.to_string().len() > 512 << 10 => Err("too large"),
        Some("acknowledge" | "resolve") => Ok(()),
        Some("trigger") if !fits(&payload["summary"], 1024) => Err("summary"),
        Some("trigger") if !fits(&payload["source"], 1024) => Err("source"),
        Some("trigger") if !known.contains(&payload["severity"]) => Err("severity"),
        Some("trigger") if links.iter().any(|link| !link["href"].is_string()) => Err("links"),
        Some("trigger") => Ok(()),
        _ => Err("event_action"),
    }
}

/// A message of Slack with blocks.
fn blocks(message: &Value) -> Result<(), &'static str> {
    let blocks = message["blocks"].as_array().ok_or("no_blocks")?;
    if !fits(&message["text"], 40_000) || !(1..=50).contains(&blocks.len()) {
        return Err("invalid_blocks");
    }
    for block in blocks {
        let fine = match block["type"].as_str() {
            Some("header") => block["text"]["type"] == "plain_text" && fits(&block["text"]["text"], 150),
            Some("section") => fits(&block["text"]["text"], 3000),
            Some("actions") => block["elements"].as_array().is_some_and(|elements| {
                let button = |it: &Value| {
                    let value = it["value"].is_null() || fits(&it["value"], 2000);
                    it["type"] == "button" && fits(&it["text"]["text"], 75) && fits(&it["url"], 3000) && value
                };
                (1..=25).contains(&elements.len()) && elements.iter().all(button)
            }),
            _ => false,
        };
        if !fine {
            return Err("invalid_blocks");
        }
    }
    Ok(())
}

/// An alert of Opsgenie.
fn opsgenie(alert: &Value) -> Result<(), &'static str> {
    let priorities = ["P1", "P2", "P3", "P4", "P5"].map(Value::from);
    let lengths = [("message", 130), ("alias", 512), ("description", 15_000)];
    match lengths.iter().find(|(key, most)| !fits(&alert[*key], *most)) {
        Some((key, _)) => Err(key),
        None if !priorities.contains(&alert["priority"]) => Err("priority"),
        None if !alert["tags"].is_array() || !alert["details"].is_object() => Err("tags"),
        None => Ok(()),
    }
}
