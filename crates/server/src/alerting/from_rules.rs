//! Alerts that our own rules raise, as they are told to the hub.
//!
//! As Prometheus tells an Alertmanager: at changes, and again and again while an alert fires, at most each minute. One that is
//! not told again ends by itself, later than its rule could miss three turns; one that is over is told for a quarter of an hour.

use std::time::Duration;

use barograph_alert::{
    BELIEVED, Rule, State as RuleState,
    ready::is_ready,
    routing::{Alert, Cause, Fingerprint, LabelSet},
};
use barograph_model::Timestamp;

use super::Alerting;
use crate::errors::chain;

/// An alert that fires is told again after this, in milliseconds.
const RESEND: i64 = 60_000;

/// What raised alerts: a rule in its group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raised<'a> {
    /// What the rule is called: file, group, and its place in it.
    pub(crate) rule: &'a str,
    /// Time from one evaluation to the next.
    pub(crate) interval: Duration,
    /// Where one can see what raised it.
    pub(crate) generator_url: &'a str,
    /// When it was evaluated.
    pub(crate) at: Timestamp,
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

    /// Ends alerts of a rule that is gone. Blocks on the disk.
    pub(crate) fn end(&self, alerts: &[LabelSet], now: Timestamp) {
        let at = now.millis();
        let over: Vec<Alert> = {
            let standing = self.standing();
            let fires = |labels: &LabelSet| {
                let alert = standing.alerts.one(Fingerprint::of(labels))?;
                alert.ends_at.is_none_or(|end| end > at).then(|| alert.clone())
            };
            let over = alerts.iter().filter_map(fires);
            over.map(|alert| Alert { ends_at: Some(at), timeout: false, updated_at: at, ..alert }).collect()
        };
        if let Err(error) = self.post(over, now) {
            tracing::warn!(error = chain(&error), "alerts of a rule that is gone are not ended yet");
        }
    }

    /// Those that somebody may want to be told. One of the rules that come with the server whose severity is `none` says that
    /// all is well, and is for routes only that name it.
    fn wanted(&self, mut alerts: Vec<Alert>) -> Vec<Alert> {
        let is_of_ready = |alert: &Alert| {
            let rule = alert.cause.as_ref().and_then(|cause| cause.rule.split(';').next());
            rule.is_some_and(is_ready)
        };
        let config = self.config();
        alerts.retain(|alert| {
            !(alert.says_all_is_well() && is_of_ready(alert)) || config.route.asks_for(&alert.labels)
        });
        alerts
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

/// Until when what is told at a time holds by itself, if it is told at such an interval.
pub(crate) fn valid_until(at: Timestamp, interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    at.millis().saturating_add(interval.max(RESEND).saturating_mul(BELIEVED))
}

/// The alerts of a rule as they are after an evaluation, those that are over for less than a while among them.
pub(crate) fn told(rule: &Rule, raised: Raised<'_>) -> Vec<Alert> {
    let valid_until = valid_until(raised.at, raised.interval);
    let spec = rule.spec.alerting();
    let handling = spec.map(|spec| &spec.handling);
    let kind = spec.map_or("threshold", |spec| spec.watches.as_str());
    let alert = |alert: &barograph_alert::Alert| {
        let labels: LabelSet = alert
            .labels
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let over = alert.state == RuleState::Inactive;
        let mut annotations = alert.annotations.clone();
        let escalation = handling.and_then(|handling| handling.escalation.clone());
        if let Some(url) = handling.and_then(|handling| handling.runbook_url.clone()) {
            annotations.entry("runbook_url".to_owned()).or_insert(url);
        }
        if handling.is_some_and(|handling| handling.auto_ack) {
            annotations.insert("auto_ack".to_owned(), "true".to_owned());
        }
        let cause = Cause {
            rule: raised.rule.to_owned(),
            kind: kind.to_owned(),
            value: alert.value.is_finite().then_some(alert.value),
            threshold: alert.threshold,
            evidence: alert.evidence.clone(),
            escalation: escalation.or_else(|| alert.annotations.get("escalation").cloned()),
        };
        Alert {
            labels,
            annotations,
            starts_at: alert.fired_at.unwrap_or(alert.active_at).millis(),
            ends_at: Some(match alert.resolved_at.filter(|_| over) {
                Some(end) => end.millis(),
                None => valid_until,
            }),
            // It ends only if nobody tells it again.
            timeout: !over,
            updated_at: raised.at.millis(),
            generator_url: raised.generator_url.to_owned(),
            cause: Some(cause),
        }
    };
    rule.told().map(alert).collect()
}
