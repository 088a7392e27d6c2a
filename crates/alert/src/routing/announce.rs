//! What live streams are told of alerts: that one fires, as soon as it does.
//!
//! Nobody who looks waits for `group_wait`. What is muted by a silence, a window of maintenance or another alert is told once it
//! is muted no more. Times at which a route is mute are no reason to be silent here: they are those of its receiver.

use std::collections::BTreeSet;

use super::{Alert, Alerts, Fingerprint, Muting, Taken, alerts::is_over};

/// Alerts that are to be told to live streams.
#[derive(Clone, Debug, Default)]
pub struct Announcements {
    fresh: BTreeSet<Fingerprint>,
    muted: BTreeSet<Fingerprint>,
}

impl Announcements {
    /// Notes what came of an alert that was told.
    pub fn note(&mut self, taken: &Taken) {
        if taken.begins {
            self.fresh.insert(taken.alert.fingerprint());
        }
    }

    /// Those that are to be told now. Whether others are muted still is looked at only if `all`.
    pub fn due(&mut self, alerts: &Alerts, muting: &Muting<'_>, now: i64, all: bool) -> Vec<Alert> {
        let mut looked = std::mem::take(&mut self.fresh);
        if all {
            looked.append(&mut self.muted);
        }
        let mut due = Vec::new();
        for fingerprint in looked {
            let Some(alert) = alerts.one(fingerprint).filter(|alert| !is_over(alert, now)) else { continue };
            if muting.of_alert(&alert.labels, now).is_empty() {
                due.push(alert.clone());
            } else {
                self.muted.insert(fingerprint);
            }
        }
        due
    }
}
