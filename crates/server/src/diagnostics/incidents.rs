//! The black box: what was before and after something went wrong, frozen into one document.
//!
//! A cause (a threshold that was crossed, a check that failed) opens an incident with all that is known of the last minute.
//! A minute later it is closed with what was seen since. What goes wrong meanwhile is another cause of the same incident.
//! There are at most [`INCIDENTS_MAX`], of at most [`INCIDENT_BYTES_MAX`] each; what did not fit is named.

use std::{collections::VecDeque, sync::Arc};

use barograph_model::Timestamp;
use serde_json::{Map, Value, json};

/// So many incidents are kept, the newest.
pub(crate) const INCIDENTS_MAX: usize = 20;
/// The most bytes of one as JSON.
pub(crate) const INCIDENT_BYTES_MAX: usize = 256 << 10;
/// How long before and after it is looked, in milliseconds.
pub(crate) const AROUND_MS: i64 = 60_000;
/// So many causes of one incident are listed; more are counted.
const CAUSES_MAX: usize = 32;

/// What went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    /// `threshold`, `check` or `request`.
    pub(crate) kind: &'static str,
    /// In words.
    pub(crate) text: String,
    /// The document of it: an alert, the result of a check.
    pub(crate) details: Value,
}

/// What is known of some time: lists by name, those that are given up last first.
pub(crate) type Evidence = Vec<(&'static str, Vec<Value>)>;

/// All incidents.
#[derive(Debug, Default)]
pub(super) struct Incidents {
    open: Option<Open>,
    closed: VecDeque<Arc<Closed>>,
    last_id: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Open {
    id: u64,
    at: Timestamp,
    causes: Vec<Value>,
    more_causes: u64,
    before: Part,
}

/// One that is over.
#[derive(Debug)]
pub(super) struct Closed {
    id: u64,
    document: Value,
}

/// A side of an incident, small enough.
#[derive(Debug, Default)]
struct Part {
    lists: Map<String, Value>,
    left_out: Vec<String>,
}

impl Part {
    /// Takes the newest entries of each list as long as there is room; the lists at the end go first.
    fn of(evidence: Evidence, mut room: usize) -> Self {
        let mut part = Self::default();
        for (name, entries) in evidence {
            let all = entries.len();
            let mut kept = VecDeque::new();
            for entry in entries.into_iter().rev() {
                let bytes = entry.to_string().len() + 1;
                if bytes > room {
                    break;
                }
                room -= bytes;
                kept.push_front(entry);
            }
            if kept.len() < all {
                part.left_out.push(format!("{} of {all} {name}", all - kept.len()));
            }
            part.lists.insert(name.to_owned(), Vec::from(kept).into());
        }
        part
    }

    fn into_json(self) -> Value {
        let mut lists = self.lists;
        lists.insert("left_out".to_owned(), self.left_out.into());
        lists.into()
    }
}

impl Incidents {
    /// Something went wrong. `before` is asked for what is known of the last minute unless an incident goes on; the number
    /// of the incident.
    pub(super) fn report(&mut self, cause: Cause, now: Timestamp, before: impl FnOnce() -> Evidence) -> u64 {
        let Cause { kind, text, details } = cause;
        let cause = json!({"kind": kind, "text": text, "details": details, "timestamp": now.to_rfc3339()});
        if let Some(open) = &mut self.open {
            if open.causes.len() < CAUSES_MAX {
                open.causes.push(cause);
            } else {
                open.more_causes += 1;
            }
            return open.id;
        }
        self.last_id += 1;
        let before = Part::of(before(), INCIDENT_BYTES_MAX / 2 - (16 << 10));
        self.open = Some(Open { id: self.last_id, at: now, causes: vec![cause], more_causes: 0, before });
        self.last_id
    }

    /// When the incident that goes on is to be closed, and since when it is to be told of.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let open = self.open.as_ref()?;
        // A clock that was set back must not keep it open.
        ((now.0 - open.at.0).abs() >= AROUND_MS).then_some(open.at)
    }

    /// Closes it with what was seen since; its document.
    pub(super) fn close(&mut self, now: Timestamp, after: Evidence) -> Option<Value> {
        let open = self.open.take()?;
        let after = Part::of(after, INCIDENT_BYTES_MAX / 2 - (16 << 10));
        let document = open.document("closed", Some(now), after);
        if self.closed.len() == INCIDENTS_MAX {
            self.closed.pop_front();
            self.dropped += 1;
        }
        self.closed.push_back(Arc::new(Closed { id: open_id(&document), document: document.clone() }));
        Some(document)
    }

    /// All of them without what they hold, the newest first.
    pub(super) fn list(&self) -> Value {
        let short = |document: &Value| {
            let mut short = document.clone();
            if let Some(keys) = short.as_object_mut() {
                keys.retain(|key, _| key != "before" && key != "after");
            }
            short
        };
        let open = self.open.as_ref().map(|open| short(&open.peek()));
        let closed = self.closed.iter().rev().map(|closed| short(&closed.document));
        let incidents: Vec<_> = open.into_iter().chain(closed).collect();
        json!({
            "incidents": incidents, "kept_max": INCIDENTS_MAX, "bytes_max": INCIDENT_BYTES_MAX, "dropped": self.dropped,
        })
    }

    /// One of them, whole.
    pub(super) fn find(&self, id: u64) -> Option<Value> {
        let open = self.open.as_ref().filter(|open| open.id == id).map(Open::peek);
        open.or_else(|| Some(self.closed.iter().find(|closed| closed.id == id)?.document.clone()))
    }
}

fn open_id(document: &Value) -> u64 {
    document["id"].as_u64().unwrap_or_default()
}

impl Open {
    /// The document as it is now.
    fn peek(&self) -> Value {
        let before = Part { lists: self.before.lists.clone(), left_out: self.before.left_out.clone() };
        let open = Self { before, causes: self.causes.clone(), ..*self };
        open.document("open", None, Part::default())
    }

    fn document(self, state: &str, closed: Option<Timestamp>, after: Part) -> Value {
        json!({
            "id": self.id,
            "state": state,
            "opened_at": self.at.to_rfc3339(),
            "closed_at": closed.map(Timestamp::to_rfc3339),
            "causes": self.causes,
            "more_causes": self.more_causes,
            "before": self.before.into_json(),
            "after": after.into_json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(text: &str) -> Cause {
        Cause { kind: "check", text: text.to_owned(), details: Value::Null }
    }

    #[test]
    fn an_incident_has_what_was_before_and_after() {
        let mut incidents = Incidents::default();
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let lines = |words: &[&str]| vec![("log_lines", words.iter().map(|word| json!(word)).collect())];
        assert_eq!(incidents.report(cause("a"), at(100), || lines(&["was"])), 1);
        assert_eq!(incidents.report(cause("b"), at(110), || unreachable!("it goes on")), 1);
        assert_eq!(incidents.due(at(159)), None);
        assert_eq!(incidents.list()["incidents"][0]["state"], "open");
        assert_eq!(incidents.find(1).unwrap()["before"]["log_lines"], json!(["was"]));
        assert_eq!(incidents.due(at(160)), Some(at(100)));
        incidents.close(at(160), lines(&["is"]));
        let document = incidents.find(1).unwrap();
        assert_eq!((&document["state"], document["causes"].as_array().unwrap().len()), (&json!("closed"), 2));
        assert_eq!(document["after"]["log_lines"], json!(["is"]));
        assert_eq!((incidents.due(at(500)), incidents.find(2)), (None, None));
        assert!(incidents.list()["incidents"][0].get("before").is_none());
    }

    #[test]
    fn incidents_are_bounded_in_number_and_size() {
        let mut incidents = Incidents::default();
        let large =
            || vec![("states", vec![json!("small")]), ("log_lines", vec![json!("x".repeat(1 << 10)); 1_000])];
        for i in 0..25 {
            incidents.report(cause("a"), Timestamp(i * 1_000_000), large);
            for _ in 0..100 {
                incidents.report(cause("again"), Timestamp(i * 1_000_000), Vec::new);
            }
            let document = incidents.close(Timestamp(i * 1_000_000 + AROUND_MS), large()).unwrap();
            let bytes = document.to_string().len();
            assert!((INCIDENT_BYTES_MAX / 2..INCIDENT_BYTES_MAX).contains(&bytes), "{bytes}");
            assert_eq!(
                (&document["before"]["states"], &document["more_causes"]),
                (&json!(["small"]), &json!(69))
            );
            assert!(document["after"]["left_out"][0].as_str().unwrap().ends_with("of 1000 log_lines"));
        }
        let list = incidents.list();
        assert_eq!(
            (list["incidents"].as_array().unwrap().len(), &list["dropped"]),
            (INCIDENTS_MAX, &json!(5))
        );
    }
}
