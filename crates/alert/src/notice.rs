//! What one receiver is told at one moment of one group of alerts.
//!
//! A notice is decided by [`routing`](crate::routing), kept by the outbox, and made into the words of a channel.

use serde::{Deserialize, Serialize};

use crate::routing::{Alert, LabelSet};

/// Alerts that a notice holds at most once it is queued; the others are counted.
pub const ALERTS_MAX: usize = 1_000;

/// Why a notice is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The group fires, has changed, or is still there after `repeat_interval`.
    Group,
    /// All its alerts are over.
    Resolved,
    /// Nobody acknowledged: the next level of a policy is asked.
    Escalation,
    /// Somebody acknowledged, for channels that know of that.
    Acknowledged,
    /// Somebody tries the receiver out.
    Test,
}

/// What one receiver is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The name of the receiver.
    pub receiver: String,
    /// Which of its integrations, from 0.
    pub integration: usize,
    /// Why.
    pub reason: Reason,
    /// Path of the route and labels of the group, as Alertmanager writes it.
    pub group_key: String,
    /// Labels that all alerts of the group have by grouping.
    pub group_labels: LabelSet,
    /// The alerts in the order they are told: those that are over have `ends_at` in the past.
    pub alerts: Vec<Alert>,
    /// Alerts that are left out as there are too many.
    pub truncated: usize,
    /// The incident it is about.
    pub incident: Option<String>,
    /// Whether it says only what was said before.
    #[serde(default)]
    pub reminder: bool,
    /// The level of the policy that is asked, from 1.
    pub level: u32,
    /// Stable over the life of an incident at one receiver.
    pub dedup_key: String,
    /// Counts the notices of a `dedup_key`, from 1.
    pub seq: u64,
    /// When it was decided, in milliseconds since the epoch.
    pub at: i64,
    /// When trying again ends: the next flush of the group.
    pub deadline: i64,
}

impl Notice {
    /// Whether it says how a group of alerts stands; others are about an incident, or a test.
    pub fn is_of_group(&self) -> bool {
        matches!(self.reason, Reason::Group | Reason::Resolved)
    }

    /// Whether it asks again about one of some incidents: nobody has to be asked who has it, or once it is over.
    pub fn asks_again(&self, incidents: &[String]) -> bool {
        let asks = self.reason == Reason::Escalation || self.reason == Reason::Group && self.reminder;
        asks && self.incident.as_ref().is_some_and(|incident| incidents.contains(incident))
    }
}
