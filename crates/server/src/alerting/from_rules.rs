//! Alerts that our own rules raise, as they are told to the hub: at changes, and again and again while an alert fires, at most
//! each minute.

use barograph_alert::{
    raised::RESEND,
    ready::is_ready,
    routing::{Alert, Fingerprint, LabelSet},
};
use barograph_model::Timestamp;

use super::Alerting;
use crate::errors::chain;

/// Whether one of the rules that come with the server says that all is well.
pub(crate) fn is_own_heartbeat(alert: &Alert) -> bool {
    let rule = alert.cause.as_ref().and_then(|cause| cause.rule.split(';').next());
    alert.says_all_is_well() && rule.is_some_and(is_ready)
}

impl Alerting {
    /// Takes what rules tell of their alerts after an evaluation. Blocks on the disk if one began or ended.
    pub(crate) fn raise(&self, alerts: Vec<Alert>, now: Timestamp) {
        let alerts = self.news(self.wanted(alerts), now.millis());
        if alerts.is_empty() {
            return;
        }
        if let Err(error) = self.post(alerts, now) {
            tracing::warn!(error = chain(&error), "alerts of rules are not kept yet");
        }
    }

    /// Those that somebody may want to be told. One of the rules that come with the server whose severity is `none` says that
    /// all is well, and is for routes only that name it.
    fn wanted(&self, mut alerts: Vec<Alert>) -> Vec<Alert> {
        let config = self.config();
        alerts.retain(|alert| !is_own_heartbeat(alert) || config.route.asks_for(&alert.labels));
        alerts
    }

    /// An alert, if it fires at a time.
    pub(crate) fn firing(&self, fingerprint: Fingerprint, at: i64) -> Option<Alert> {
        let standing = self.standing();
        standing.alerts.one(fingerprint).filter(|alert| !alert.resolved(Timestamp(at))).cloned()
    }

    /// Ends alerts of a rule that is gone, and returns them. Blocks on the disk.
    pub(crate) fn end(&self, alerts: &[LabelSet], now: Timestamp) -> Vec<Alert> {
        let at = now.millis();
        let fires = |labels: &LabelSet| self.firing(Fingerprint::of(labels), at);
        let over: Vec<_> = alerts.iter().filter_map(fires).map(|alert| alert.ended(at)).collect();
        if let Err(error) = self.post(over.clone(), now) {
            tracing::warn!(error = chain(&error), "alerts of a rule that is gone are not ended yet");
        }
        over
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
