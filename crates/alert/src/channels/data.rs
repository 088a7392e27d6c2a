//! What a notice is about, in the words that all channels share and in the fields that templates know.

use std::{collections::BTreeMap, rc::Rc};

use barograph_model::Timestamp;

use super::Setting;
use crate::{
    notice::{Notice, Reason},
    routing::{Alert, LabelSet, Severity},
    template::Value,
};

/// Annotations that say what the message is; the first that is there does.
const MESSAGES: [&str; 3] = ["message", "summary", "description"];
/// The time that stands for none: Go's, as receivers of Alertmanager's notices know it.
const NEVER: &str = "0001-01-01T00:00:00Z";
const NEVER_MS: i64 = -62_135_596_800_000;

/// Whether any of its alerts still fires.
pub(super) fn fires(notice: &Notice) -> bool {
    notice.alerts.iter().any(|alert| !is_over(alert, notice))
}

/// Whether an alert was over when the notice was decided.
pub(super) fn is_over(alert: &Alert, notice: &Notice) -> bool {
    alert.resolved(Timestamp(notice.at))
}

/// `firing` or `resolved`.
pub(super) fn status(notice: &Notice) -> &'static str {
    if fires(notice) { "firing" } else { "resolved" }
}

/// How bad the worst of it is.
pub(super) fn severity(notice: &Notice) -> Severity {
    notice.alerts.iter().map(Alert::severity).max().unwrap_or_default()
}

/// What all alerts have alike.
pub(super) fn common<'a>(mut sets: impl Iterator<Item = &'a LabelSet>) -> LabelSet {
    let Some(first) = sets.next() else { return LabelSet::new() };
    let mut common = first.clone();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(value));
    }
    common
}

pub(super) fn common_labels(notice: &Notice) -> LabelSet {
    common(notice.alerts.iter().map(|alert| &alert.labels))
}

pub(super) fn common_annotations(notice: &Notice) -> LabelSet {
    common(notice.alerts.iter().map(|alert| &alert.annotations))
}

/// What an alert is about in a sentence: an annotation that says so, else its name.
pub(super) fn message(alert: &Alert) -> &str {
    let said = MESSAGES.iter().find_map(|name| alert.annotations.get(*name));
    said.map_or_else(|| alert.name(), String::as_str)
}

/// Of which type an alert is: as its label says, else the kind of its rule, else its name.
pub(super) fn alert_type(alert: &Alert) -> &str {
    let kind = alert.cause.as_ref().map(|cause| cause.kind.as_str());
    let kind = kind.filter(|kind| !kind.is_empty());
    alert.labels.get("alert_type").map(String::as_str).or(kind).unwrap_or_else(|| alert.name())
}

/// What is known of an alert besides: labels and annotations that say neither what it is nor how bad.
pub(super) fn context(alert: &Alert) -> BTreeMap<&str, &str> {
    let said = ["alertname", "alert_type", "severity"];
    let labels = alert.labels.iter().filter(|(name, _)| !said.contains(&name.as_str()));
    let annotations = alert.annotations.iter().filter(|(name, _)| !MESSAGES.contains(&name.as_str()));
    labels.chain(annotations).map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The node that an alert is about.
pub(super) fn node(alert: &Alert) -> Option<&str> {
    let found = ["node", "failed_node", "instance"]
        .iter()
        .find_map(|name| alert.labels.get(*name).or_else(|| alert.annotations.get(*name)));
    found.map(String::as_str)
}

/// A time as documents write it.
pub(super) fn time(ms: i64) -> String {
    Timestamp(ms).to_rfc3339()
}

/// When an alert ended, or Go's word for never.
pub(super) fn ended(alert: &Alert, notice: &Notice) -> String {
    match alert.ends_at {
        Some(end) if is_over(alert, notice) => time(end),
        _ => NEVER.to_owned(),
    }
}

/// The line that says all of it: `[FIRING:2] HighLatency eu (api)`.
pub(super) fn subject(notice: &Notice) -> String {
    let firing = notice.alerts.iter().filter(|alert| !is_over(alert, notice)).count();
    let state = match (notice.reason, firing) {
        (Reason::Test, _) => "TEST".to_owned(),
        (Reason::Acknowledged, _) => "ACKNOWLEDGED".to_owned(),
        (_, 0) => "RESOLVED".to_owned(),
        (Reason::Escalation, firing) => format!("ESCALATED {}:{firing}", notice.level),
        (_, firing) => format!("FIRING:{firing}"),
    };
    let group: Vec<&str> = sorted(&notice.group_labels).map(|(_, value)| value).collect();
    let common = common_labels(notice);
    let rest: Vec<&str> = sorted(&common)
        .filter(|(name, _)| !notice.group_labels.contains_key(*name))
        .map(|(_, value)| value)
        .collect();
    let mut line = format!("[{state}] {}", group.join(" "));
    if !rest.is_empty() {
        line = format!("{} ({})", line.trim_end(), rest.join(" "));
    }
    line.trim_end().to_owned()
}

/// Labels by name, but that of the alert first.
fn sorted(labels: &LabelSet) -> impl Iterator<Item = (&str, &str)> {
    let first = labels.get_key_value("alertname");
    let others = labels.iter().filter(|(name, _)| *name != "alertname");
    first.into_iter().chain(others).map(|(name, value)| (name.as_str(), value.as_str()))
}

/// All that is told, line by line, for who has no better form.
pub(super) fn plain(notice: &Notice, setting: &Setting<'_>, most: usize) -> String {
    let mut text = subject(notice);
    if notice.reason == Reason::Escalation {
        text.push_str(&format!("\nNobody acknowledged; this is level {}.", notice.level));
    }
    for alert in notice.alerts.iter().take(most) {
        let state = if is_over(alert, notice) { "resolved" } else { alert.severity().as_str() };
        text.push_str(&format!("\n\n{} ({state}): {}", alert.name(), message(alert)));
        let labels: Vec<_> = sorted(&alert.labels)
            .filter(|(name, _)| *name != "alertname")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !labels.is_empty() {
            text.push_str(&format!("\n{}", labels.join(", ")));
        }
        if let Some(cause) = &alert.cause
            && let Some(value) = cause.value
        {
            let threshold = cause.threshold.map(|bound| format!(", threshold {bound}")).unwrap_or_default();
            text.push_str(&format!("\nvalue {value}{threshold}"));
        }
        text.push_str(&format!("\nsince {}", time(alert.starts_at)));
        for url in [alert.annotations.get("runbook_url"), Some(&alert.generator_url)].into_iter().flatten() {
            if !url.is_empty() {
                text.push_str(&format!("\n{url}"));
            }
        }
    }
    let left = notice.alerts.len().saturating_sub(most) + notice.truncated;
    if left > 0 {
        text.push_str(&format!("\n\nand {left} more"));
    }
    if let Some(url) = setting.ack_url {
        text.push_str(&format!("\n\nAcknowledge: {url}"));
    }
    if !setting.external_url.is_empty() {
        text.push_str(&format!("\n{}", alerts_page(notice, setting)));
    }
    text
}

/// The page on which it is looked at: that of the incident, else that of all alerts.
pub(super) fn alerts_page(notice: &Notice, setting: &Setting<'_>) -> String {
    let all = format!("{}/ui/alerts", setting.external_url.trim_end_matches('/'));
    notice.incident.as_ref().map_or_else(|| all.clone(), |incident| format!("{all}/incidents/{incident}"))
}

/// The fields that templates know.
pub(super) fn fields(notice: &Notice, setting: &Setting<'_>) -> Value {
    let text = |text: &str| Value::text(text);
    let pairs = |set: &LabelSet| Value::Pairs(Rc::new(set.clone()));
    let alert = |alert: &Alert| {
        let is_over = is_over(alert, notice);
        let fields = [
            ("Status", text(if is_over { "resolved" } else { "firing" })),
            ("Labels", pairs(&alert.labels)),
            ("Annotations", pairs(&alert.annotations)),
            ("StartsAt", Value::Time(alert.starts_at)),
            ("EndsAt", Value::Time(alert.ends_at.filter(|_| is_over).unwrap_or(NEVER_MS))),
            ("GeneratorURL", text(&alert.generator_url)),
            ("Fingerprint", text(&alert.fingerprint().to_string())),
        ];
        Value::Fields(Rc::new(BTreeMap::from(fields)))
    };
    let fields = [
        ("Receiver", text(&notice.receiver)),
        ("Status", text(status(notice))),
        ("Alerts", Value::List(Rc::new(notice.alerts.iter().map(alert).collect()))),
        ("GroupLabels", pairs(&notice.group_labels)),
        ("CommonLabels", pairs(&common_labels(notice))),
        ("CommonAnnotations", pairs(&common_annotations(notice))),
        ("ExternalURL", text(setting.external_url)),
        ("GroupKey", text(&notice.group_key)),
        ("TruncatedAlerts", Value::Int(i64::try_from(notice.truncated).unwrap_or(i64::MAX))),
        ("AckURL", text(setting.ack_url.unwrap_or_default())),
        ("Incident", text(notice.incident.as_deref().unwrap_or_default())),
        ("Level", Value::Int(notice.level.into())),
    ];
    Value::Fields(Rc::new(BTreeMap::from(fields)))
}
