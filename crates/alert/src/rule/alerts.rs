//! How an alert comes to be pending, firing and over: the state machine of Prometheus.
//!
//! ```text
//!              holds                held for `for`
//!   inactive ────────► pending ─────────────────────► firing ──┐ holds no more,
//!       ▲                 │ holds no more                │ ▲   │ for less than
//!       └─────────────────┘                              │ └───┘ `keep_firing_for`
//!       └────────────────────────────────────────────────┘ longer
//! ```

use std::collections::{BTreeMap, BTreeSet};

use barograph_model::{Labels, LabelsBuilder, METRIC_NAME, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RuleError;
use crate::file::AlertSpec;

/// How long an alert that is over is remembered, so that those who were told of it can be told of its end.
const RESOLVED_MS: i64 = 15 * 60_000;

/// Where an alert stands. Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is over.
    Inactive,
    /// Its condition holds, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

impl State {
    /// As series and the API call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One label set for which an alerting rule holds, or held until a short while ago.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Labels, the name of the alert among them as `alertname`.
    pub labels: Labels,
    /// What is told of it besides, as of the last evaluation at which it held.
    pub annotations: BTreeMap<String, String>,
    /// Where it stands.
    pub state: State,
    /// The value that was found last; 0 for a native histogram.
    pub value: f64,
    /// What the value was held against, if it was.
    pub threshold: Option<f64>,
    /// What it follows from, as the kind of its rule tells it.
    pub evidence: Option<Value>,
    /// Since when its condition holds.
    pub active_at: Timestamp,
    /// Since when it fires.
    pub fired_at: Option<Timestamp>,
    /// Since when it fires though its condition is over.
    pub keep_firing_since: Option<Timestamp>,
    /// Since when it is over.
    pub resolved_at: Option<Timestamp>,
}

impl Alert {
    /// The series that says that it is pending or firing.
    pub(super) fn state_series(&self) -> Labels {
        let mut labels = LabelsBuilder::from(&self.labels);
        labels.set(METRIC_NAME, "ALERTS").set("alertstate", self.state.as_str());
        labels.build()
    }

    /// The series that says since when its condition holds.
    pub(super) fn for_series(&self) -> Labels {
        self.labels.with(METRIC_NAME, "ALERTS_FOR_STATE")
    }
}

/// That no two alerts have the same labels.
pub(super) fn check_unique<'a>(found: impl Iterator<Item = &'a Alert>) -> Result<(), RuleError> {
    let mut labels = BTreeSet::new();
    let mut found = found.map(|alert| &alert.labels);
    if found.all(|found| labels.insert(found)) { Ok(()) } else { Err(RuleError::SameLabels("alert")) }
}

pub(super) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Takes what was found at a time, no two alike, into the alerts of a rule; how many are pending or firing now. Those of `kept`
/// stay as they are.
pub(super) fn step(
    alerts: &mut BTreeMap<Labels, Alert>,
    spec: &AlertSpec,
    found: Vec<Alert>,
    kept: &BTreeSet<Labels>,
    at: Timestamp,
) -> usize {
    let held: BTreeSet<Labels> = found.iter().map(|alert| alert.labels.clone()).collect();
    let cooldown = millis(spec.handling.cooldown);
    let cooling = |known: &Alert| {
        known.resolved_at.is_some_and(|end| at.millis().saturating_sub(end.millis()) < cooldown)
    };
    for new in found {
        if alerts.get(&new.labels).is_some_and(cooling) {
            continue;
        }
        match alerts.get_mut(&new.labels).filter(|known| known.state != State::Inactive) {
            Some(known) => {
                (known.value, known.annotations) = (new.value, new.annotations);
                (known.threshold, known.evidence) = (new.threshold, new.evidence);
            }
            None => drop(alerts.insert(new.labels.clone(), new)),
        }
    }
    let since = |then: Timestamp| at.millis().saturating_sub(then.millis());
    let (hold, keep) = (millis(spec.hold), millis(spec.keep_firing));
    let remembered = RESOLVED_MS.max(cooldown);
    alerts.retain(|labels, alert| {
        if alert.state != State::Inactive && kept.contains(labels) {
            return true;
        }
        if held.contains(labels) && alert.state != State::Inactive {
            alert.keep_firing_since = None;
        } else {
            if alert.state == State::Firing && keep > 0 {
                let over = *alert.keep_firing_since.get_or_insert(at);
                if since(over) < keep {
                    return true;
                }
            }
            if alert.state == State::Pending || alert.resolved_at.is_some_and(|end| since(end) > remembered) {
                return false;
            }
            if alert.state != State::Inactive {
                (alert.state, alert.resolved_at) = (State::Inactive, Some(at));
            }
            return true;
        }
        if alert.state == State::Pending && since(alert.active_at) >= hold {
            (alert.state, alert.fired_at) = (State::Firing, Some(at));
        }
        true
    });
    alerts.values().filter(|alert| alert.state != State::Inactive).count()
}
