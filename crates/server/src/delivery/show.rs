//! What is shown of delivery, and a receiver tried out.

use std::collections::BTreeMap;

use barograph_alert::{
    channels::{Mail, Message, Request, Verdict},
    delivery::{Attempt, Entry},
    notice::{Notice, Reason},
    routing::{Alert, LabelSet},
};
use barograph_model::Timestamp;
use barograph_state::Error as StateError;
use serde_json::{Value, json};

use super::{Delivery, Fate, Record, Standing, outbox, send};
use crate::Engine;

/// Lines of the log that are looked through for those that are wanted.
const LOOKED_AT_MAX: usize = 10_000;
/// Characters of a message that somebody tries a receiver out with.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// Which deliveries are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) receiver: Option<String>,
    pub(crate) fate: Option<Fate>,
    pub(crate) incident: Option<String>,
    pub(crate) limit: usize,
}

/// What came of trying a channel out.
pub(crate) struct Tried {
    pub(crate) channel: &'static str,
    pub(crate) attempt: Attempt,
}

impl Delivery {
    /// The receivers and how they fare.
    pub(crate) fn receivers_document(&self, now: Timestamp) -> Value {
        let now = now.millis();
        let standing = self.standing();
        let receiver = |(name, channels): (&String, &Vec<barograph_alert::channels::Channel>)| {
            let shown = channels.iter().enumerate().map(|(integration, channel)| {
                json!({
                    "kind": channel.kind(),
                    "target": channel.target(),
                    "send_resolved": channel.send_resolved,
                    "health": health(&standing, name, integration, now),
                })
            });
            let shown: Vec<Value> = shown.collect();
            json!({ "name": name, "channels": shown, "health": worst(&shown) })
        };
        let receivers: Vec<_> = standing.receivers.channels.iter().map(receiver).collect();
        json!({ "receivers": receivers })
    }

    /// Deliveries, newest first. Blocks on the disk.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub(crate) fn deliveries(&self, wanted: &Wanted) -> Result<Vec<Value>, StateError> {
        let mut found: BTreeMap<u64, Value> = BTreeMap::new();
        let fits = |record: &Record| {
            wanted.receiver.as_ref().is_none_or(|name| *name == record.receiver)
                && wanted.fate.is_none_or(|fate| fate == record.fate)
                && wanted.incident.as_ref().is_none_or(|id| Some(id) == record.incident.as_ref())
        };
        for record in outbox::records(&self.state, LOOKED_AT_MAX)? {
            if fits(&record) {
                found.insert(record.id, document(&record, None));
            }
        }
        let standing = self.standing();
        for (_, queue) in standing.machine.queues() {
            for (entry, next_at) in queue.entries() {
                let fate = if entry.attempts.is_empty() { Fate::Queued } else { Fate::Retrying };
                let record = Record::of(entry, fate);
                if fits(&record) {
                    found.insert(record.id, document(&record, Some(next_at)));
                }
            }
        }
        Ok(found.into_values().rev().take(wanted.limit).collect())
    }

    /// Sends a notice that was given up again; whether there is one. Blocks on the disk.
    ///
    /// # Errors
    /// The state database cannot be written.
    pub(crate) fn retry(&self, id: u64, now: Timestamp) -> Result<bool, StateError> {
        let now = now.millis();
        let revived: Option<Entry> = self.state.write(|batch| outbox::revive(batch, id, now))?;
        let is_there = revived.is_some();
        self.admit(revived.into_iter().collect(), now);
        Ok(is_there)
    }
}

/// Sends a made-up notice over each channel of a receiver, at once and beside its queue. `None` if there is no such receiver.
pub(crate) async fn test(engine: &Engine, receiver: &str, message: Option<&str>) -> Option<Vec<Tried>> {
    let receivers = engine.delivery.receivers();
    let channels = receivers.channels.get(receiver)?;
    let mut tried = Vec::new();
    for (integration, channel) in channels.iter().enumerate() {
        let notice = made_up(receiver, integration, message, engine.clock.now());
        let (verdict, attempt) = send::send(engine, &receivers, channel, &notice, &[]).await;
        debug_assert_eq!(verdict == Verdict::Sent, attempt.ok);
        tried.push(Tried { channel: channel.kind(), attempt });
    }
    Some(tried)
}

/// The words of a made-up notice for each channel of a receiver, without secrets. `None` if there is no such receiver.
pub(crate) fn preview(engine: &Engine, receiver: &str, message: Option<&str>) -> Option<Value> {
    let receivers = engine.delivery.receivers();
    let channels = receivers.channels.get(receiver)?;
    let shown = channels.iter().enumerate().map(|(integration, channel)| {
        let notice = made_up(receiver, integration, message, engine.clock.now());
        match send::message(engine, &receivers, channel, &notice) {
            Ok(message) => json!({
                "kind": channel.kind(),
                "target": channel.target(),
                "words": message.map(|message| words(channel.kind(), message)),
            }),
            Err(error) => json!({ "kind": channel.kind(), "target": channel.target(), "error": error }),
        }
    });
    Some(json!({ "receiver": receiver, "channels": shown.collect::<Vec<_>>() }))
}

/// What would be sent. Bodies hold secrets for some receivers; those are left out.
fn words(kind: &str, message: Message) -> Value {
    match message {
        Message::Event(document) => document,
        Message::Mail(Mail { from, to, subject, text, html, .. }) => {
            json!({ "from": from, "to": to, "subject": subject, "text": text, "html": html })
        }
        Message::Http(Request { body, .. }) => {
            let mut body = serde_json::from_slice(&body)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body).into_owned()));
            if kind == "pagerduty" {
                body["routing_key"] = "<secret>".into();
            }
            body
        }
    }
}

/// A notice that nobody needs to act upon.
fn made_up(receiver: &str, integration: usize, message: Option<&str>, now: Timestamp) -> Notice {
    let now = now.millis();
    let set = |pairs: &[(&str, &str)]| -> LabelSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let message =
        message.unwrap_or("This is a test. Whoever reads it is reached by alerts of this receiver.");
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let labels = set(&[("alertname", "TestNotification"), ("severity", "info")]);
    let alert = Alert {
        labels: labels.clone(),
        annotations: set(&[("message", &message)]),
        starts_at: now,
        ends_at: None,
        timeout: false,
        updated_at: now,
        generator_url: String::new(),
        cause: None,
    };
    let dedup_key = format!("test-{receiver}-{integration}-{now}");
    Notice {
        receiver: receiver.to_owned(),
        integration,
        reason: Reason::Test,
        group_key: "{}:{alertname=\"TestNotification\"}".to_owned(),
        group_labels: set(&[("alertname", "TestNotification")]),
        alerts: vec![alert],
        truncated: 0,
        incident: None,
        reminder: false,
        level: 0,
        dedup_key,
        seq: 1,
        at: now,
        deadline: now + 10_000,
    }
}

fn health(standing: &Standing, receiver: &str, integration: usize, now: i64) -> Value {
    let queue = standing.machine.queue(receiver, integration);
    json!({
        "queue": queue.map_or(0, |queue| queue.len()),
        "breaker": queue.map_or(barograph_alert::delivery::Standing::Closed, |queue| queue.breaker(now)),
        "last_sent_at": queue.and_then(|queue| queue.last_sent_at).map(time),
        "last_error": queue.and_then(|queue| queue.last_error.clone()),
    })
}

/// The health of a receiver is that of its channels together.
fn worst(channels: &[Value]) -> Value {
    let healths: Vec<&Value> = channels.iter().map(|channel| &channel["health"]).collect();
    let breaker =
        ["open", "half_open"].iter().find(|word| healths.iter().any(|health| health["breaker"] == **word));
    json!({
        "queue": healths.iter().filter_map(|health| health["queue"].as_u64()).sum::<u64>(),
        "breaker": breaker.unwrap_or(&"closed"),
        "last_sent_at": healths.iter().filter_map(|health| health["last_sent_at"].as_str()).max(),
        "last_error": healths.iter().find_map(|health| health["last_error"].as_str()),
    })
}

fn document(record: &Record, next_at: Option<i64>) -> Value {
    let sent_at = record.settled_at.filter(|_| record.fate == Fate::Sent);
    json!({
        "id": record.id.to_string(),
        "receiver": record.receiver,
        "integration": record.integration,
        "channel": record.channel,
        "group_key": record.group_key,
        "incident_id": record.incident,
        "reason": record.reason,
        "seq": record.seq,
        "level": record.level,
        "alerts": record.alerts,
        "state": record.fate,
        "queued_at": time(record.queued_at),
        "sent_at": sent_at.map(time),
        "next_at": next_at.map(time),
        "error": record.why,
        "attempts": record.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

/// A try, as it is shown.
pub(crate) fn attempt(attempt: &Attempt) -> Value {
    json!({
        "at": time(attempt.at),
        "ok": attempt.ok,
        "status": attempt.status,
        "error": attempt.error,
        "took_ms": attempt.took_ms,
    })
}

fn time(ms: i64) -> String {
    Timestamp(ms).to_rfc3339()
}
