//! Alerts that our own rules raise, as they are told to the hub: at changes, and again and again while an alert fires, at most
//! each minute.

use barograph_alert::{
    raised::RESEND,
    routing::{Alert, Fingerprint},
};
use barograph_model::Timestamp;

use super::Alerting;
use crate::errors::chain;

impl Alerting {
    /// Takes what rules tell of their alerts after an evaluation. Blocks on the disk if one began or ended.
    pub(crate) fn raise(&self, alerts: Vec<Alert>, now: Timestamp) {
        let alerts = self.news(alerts, now.millis());
        if alerts.is_empty() {
            return;
        }
        if let Err(error) = self.post(alerts, now) {
            tracing::warn!(error = chain(&error), "alerts of rules are not kept yet");
        }
    }

    /// An alert, if it fires at a time.
    pub(crate) fn firing(&self, fingerprint: Fingerprint, at: i64) -> Option<Alert> {
        let standing = self.standing();
        standing.alerts.one(fingerprint).filter(|alert| !alert.resolved(Timestamp(at))).cloned()
    }

    /// Those that say something new, or were not told for a while.
    fn news(&self, alerts: Vec<Alert>, now: i64) -> Vec<Alert> {
        let standing = self.standing();
        let is_news = |alert: &Alert| {
            let Some(known) = standing.alerts.one(alert.fingerprint()) else { return true };
            let over = |alert: &Alert| alert.ends_at.is_some_and(|end| end <= now);
            match (over(known), over(alert)) {
                (true, true) => known.ends_at != alert.ends_at,
                (false, false) => known.updated_at.saturating_add(RESEND) <= now,
                _ => true,
            }
        };
        alerts.into_iter().filter(is_news).collect()
    }
}
