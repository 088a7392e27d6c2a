//! What of alerting survives a restart: its tables.

use barograph_alert::routing::{Alert, Entry, Fingerprint, Maintenance, Silence};
use barograph_state::{Bounds, History, Table};
use serde::{Deserialize, Serialize};

/// Alerts by fingerprint.
pub(super) const ALERTS: Table<u64, KeptAlert> = Table::new("alerts");
/// Silences by id, as they are.
pub(super) const SILENCES: Table<String, Silence> = Table::new("silences");
/// Silences by id, each form they had.
pub(super) const SILENCE_HISTORY: History<Silence> = History::new("silence_history");
/// Windows of maintenance by id.
pub(super) const MAINTENANCE: Table<String, Maintenance> = Table::new("maintenance");
/// The notification log by group, receiver and integration.
pub(super) const LOG: Table<(String, String, u64), Entry> = Table::new("notification_log");

/// How much history of silences is kept.
pub(super) const SILENCE_BOUNDS: Bounds =
    Bounds { per_subject: 100, total: 20_000, age_ms: 365 * 86_400_000 };

/// An alert, and whether it was over when it was kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptAlert {
    pub(super) alert: Alert,
    pub(super) over: bool,
}

/// The key of an alert.
pub(super) fn key(fingerprint: Fingerprint) -> u64 {
    fingerprint.0
}
