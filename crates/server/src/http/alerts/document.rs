//! An alert as it is told: what it says, what mutes it, and who has it.

use barograph_alert::{
    Rule, State,
    incident::{
        Book,
        document::{self, AlertAck},
    },
    routing::{Alert, LabelSet},
};
use serde_json::{Value, json};

use crate::{Engine, alerting::Shown};

/// The words for where an alert stands.
pub(super) const STATES: [&str; 4] = ["inactive", "pending", "firing", "resolved"];

/// One that fires or is over.
pub(super) fn of(shown: &Shown, book: &Book, now: i64) -> Value {
    let mut told = document::alert(&shown.alert, now);
    let incident = book.of_alert(shown.fingerprint).max_by_key(|incident| incident.opened_at);
    let fires = told["state"] == "firing";
    // An acknowledgement that came before the incident is of this firing only.
    let early = book.early(shown.fingerprint).filter(|early| early.starts_at == shown.alert.starts_at);
    let ack = incident.and_then(|incident| incident.ack.as_ref()).or(early.map(|early| &early.ack));
    told["ack"] = json!(ack.filter(|_| fires).map(AlertAck::from));
    told["level"] = json!(incident.filter(|_| fires).map(|incident| incident.level));
    told["incident_id"] = json!(incident.map(|incident| &incident.id));
    told["assignee"] = json!(incident.and_then(|incident| incident.assignee.as_ref()));
    told["receivers"] = json!(shown.receivers);
    told["muted_by"] = json!(shown.muted_by);
    told
}

/// Those that wait for their rule to fire, with their labels.
pub(super) fn pending(engine: &Engine, now: i64) -> Vec<(LabelSet, Value)> {
    let mut found = Vec::new();
    for running in engine.rules.groups() {
        let group = running.group();
        let active = group.rules.iter().flat_map(Rule::active);
        for alert in active.filter(|alert| alert.state == State::Pending) {
            let pairs = alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            let labels: LabelSet = pairs.collect();
            let waits = Alert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.active_at.0,
                ends_at: None,
                timeout: false,
                updated_at: now,
                generator_url: String::new(),
                cause: None,
            };
            let mut told = document::alert(&waits, now);
            told["state"] = "pending".into();
            told["value"] = json!(Some(alert.value).filter(|value| value.is_finite()));
            told["rule"] = format!("{}/{}", running.file, running.name).into();
            for key in ["ack", "level", "incident_id", "assignee"] {
                told[key] = Value::Null;
            }
            for key in ["receivers", "muted_by"] {
                told[key] = json!([]);
            }
            found.push((labels, told));
        }
    }
    found
}
