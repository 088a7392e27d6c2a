//! The last log lines of the process, for whoever looks at what just happened.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use barograph_model::Timestamp;
use serde::Serialize;
use tracing::Level;

use super::line::{Category, Line};

/// So many lines are kept, the newest; what says less than `info` is not.
pub const KEPT_LINES_MAX: usize = 1_000;

/// Logging is of the process, and so is what is kept of it.
static KEPT: Mutex<VecDeque<Arc<Kept>>> = Mutex::new(VecDeque::new());

/// A line that was written.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Kept {
    /// When, in milliseconds since the epoch.
    #[serde(skip)]
    pub at: Timestamp,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
    /// How important.
    pub level: &'static str,
    /// What it is about.
    pub category: Category,
    /// What it says.
    pub message: String,
    /// Its fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// The trace of the request it was written for.
    pub trace_id: Option<String>,
}

pub(super) fn keep(line: Line) {
    if line.level > Level::INFO {
        return;
    }
    let value = |value| serde_json::to_value(value).unwrap_or_default();
    let kept = Arc::new(Kept {
        at: line.at,
        timestamp: line.at.to_rfc3339(),
        level: line.level.as_str(),
        category: line.category(),
        message: line.message,
        fields: line.fields.into_iter().map(|(name, of)| (name.to_owned(), value(of))).collect(),
        trace_id: line.trace.map(|trace| trace.to_string()),
    });
    let mut lines = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() == KEPT_LINES_MAX {
        lines.pop_front();
    }
    lines.push_back(kept);
}

/// The lines from `start` on, the oldest first.
pub(crate) fn since(start: Timestamp) -> Vec<Arc<Kept>> {
    let lines = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found: Vec<_> = lines.iter().rev().take_while(|line| line.at >= start).cloned().collect();
    found.reverse();
    found
}
