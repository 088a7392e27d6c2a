//! What happened to an incident: rows that are added and never changed.

use serde::{Deserialize, Serialize};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It began to fire.
    Opened,
    /// An alert joined or left.
    Changed,
    /// A level of the policy is asked.
    Escalated,
    /// Nobody is asked any more, though nobody acknowledged.
    Exhausted,
    /// Somebody acknowledged.
    Acknowledged,
    /// They took that back.
    Unacknowledged,
    /// The acknowledgement held no longer.
    AckLapsed,
    /// Somebody else took it over.
    TakenOver,
    /// It was given to somebody.
    Assigned,
    /// Somebody said something.
    Commented,
    /// It is over.
    Resolved,
    /// A message was sent, or could not be.
    Notified,
}

impl Kind {
    /// As documents call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Changed => "changed",
            Self::Escalated => "escalated",
            Self::Exhausted => "exhausted",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "unacknowledged",
            Self::AckLapsed => "ack_lapsed",
            Self::TakenOver => "taken_over",
            Self::Assigned => "assigned",
            Self::Commented => "commented",
            Self::Resolved => "resolved",
            Self::Notified => "notified",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The incident.
    pub incident: String,
    /// Counts the rows of an incident, from 1.
    pub seq: u64,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// What.
    pub kind: Kind,
    /// Who did it; `barograph` if nobody did.
    pub actor: String,
    /// For a person to read.
    pub text: String,
    /// For a program to read.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

/// Who does what nobody does.
pub(super) const NOBODY: &str = "barograph";
