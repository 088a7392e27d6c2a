//! Alerts of a rule as they are routed.
//!
//! As Prometheus tells an Alertmanager: whoever is told believes it for some turns of the rule, so that an alert that nobody tells
//! any more ends by itself; one that is over is told for a quarter of an hour.

use std::time::Duration;

use barograph_model::{Labels, Timestamp};

use crate::{
    BELIEVED, Rule, State as RuleState,
    routing::{Alert, Cause, LabelSet},
};

/// An alert that fires is told again after this, in milliseconds.
pub const RESEND: i64 = 60_000;

/// What raised alerts: a rule in its group.
#[derive(Clone, Copy, Debug)]
pub struct Raised<'a> {
    /// What the rule is called: file, group, and its place in it.
    pub rule: &'a str,
    /// Time from one evaluation to the next.
    pub interval: Duration,
    /// Where one can see what raised it.
    pub generator_url: &'a str,
    /// When it was evaluated.
    pub at: Timestamp,
}

/// Until when what is told at a time holds by itself, if it is told at such an interval.
pub fn valid_until(at: Timestamp, interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    at.millis().saturating_add(interval.max(RESEND).saturating_mul(BELIEVED))
}

/// The labels of an alert as it is routed: an empty one is none.
pub fn labels(labels: &Labels) -> LabelSet {
    let pairs = labels.iter().filter(|(_, value)| !value.is_empty());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The alerts of a rule as they are after an evaluation, those that are over for less than a while among them.
pub fn told(rule: &Rule, raised: Raised<'_>) -> Vec<Alert> {
    let valid_until = valid_until(raised.at, raised.interval);
    let spec = rule.spec.alerting();
    let handling = spec.map(|spec| &spec.handling);
    let kind = spec.map_or("threshold", |spec| spec.watches.as_str());
    let threshold = spec.and_then(|spec| spec.threshold.as_ref()?.evidence());
    let alert = |alert: &crate::Alert| {
        let labels = labels(&alert.labels);
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
            evidence: alert.evidence.clone().or_else(|| threshold.clone()),
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
