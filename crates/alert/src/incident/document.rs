//! What others are told, field by field: the same by HTTP, as live events and in messages.

use barograph_model::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Ack, Escalation, Incident, Row, state::alert_id};
use crate::routing::{Alert, Severity};

/// That an alert is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertAck {
    /// Which alert.
    pub alert_id: String,
    /// Who: a person, a service, or a rule.
    pub acknowledged_by: String,
    /// What they said.
    pub ack_message: String,
    /// Whether a rule did.
    pub auto_ack: bool,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
}

impl From<&Ack> for AlertAck {
    fn from(ack: &Ack) -> Self {
        Self {
            alert_id: ack.alert_id.clone(),
            acknowledged_by: ack.by.clone(),
            ack_message: ack.message.clone(),
            auto_ack: ack.auto,
            timestamp: time(ack.at),
        }
    }
}

/// That others are asked, since nobody took an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertEscalation {
    /// Which alert.
    pub original_alert_id: String,
    /// The level that is asked; what was told first was level 1.
    pub escalation_level: u32,
    /// Who.
    pub escalated_to: Vec<String>,
    /// Why.
    pub escalation_reason: String,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
}

impl From<&Escalation> for AlertEscalation {
    fn from(escalation: &Escalation) -> Self {
        Self {
            original_alert_id: escalation.alert_id.clone(),
            escalation_level: escalation.level,
            escalated_to: escalation.to.clone(),
            escalation_reason: escalation.reason.clone(),
            timestamp: time(escalation.at),
        }
    }
}

/// What somebody should know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SystemAlert {
    /// What happened, in a word: `node_failure`, the kind of the rule, or the name of the alert.
    pub alert_type: String,
    /// How bad that is.
    pub severity: Severity,
    /// A sentence.
    pub message: String,
    /// What is known of it.
    pub context: Map<String, Value>,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
}

impl SystemAlert {
    /// What an alert says, at a time.
    pub fn of(alert: &Alert, now: i64) -> Self {
        Self {
            alert_type: alert_type(alert).to_owned(),
            severity: alert.severity(),
            message: message(alert),
            context: context(alert),
            timestamp: time(now),
        }
    }
}

/// A figure that is past its threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricAlert {
    /// Which figure.
    pub metric_name: String,
    /// What it is.
    pub current_value: f64,
    /// What it should not be past.
    pub threshold_value: f64,
    /// On which side that is: `min` or `max`.
    pub threshold_type: &'static str,
    /// `warning` or `critical`.
    pub severity: Severity,
    /// Where.
    pub node: String,
    /// When, UTC, RFC 3339.
    pub timestamp: String,
}

impl MetricAlert {
    /// What an alert of a threshold says, at a time; `node` is who tells it unless a label does.
    pub fn of(alert: &Alert, node: &str, now: i64) -> Option<Self> {
        let cause = alert.cause.as_ref().filter(|cause| cause.kind == "threshold")?;
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let (current_value, threshold_value) = (finite(cause.value)?, finite(cause.threshold)?);
        let said = |key: &str| cause.evidence.as_ref().and_then(|evidence| evidence[key].as_str());
        let threshold_type = match said("threshold_type") {
            Some("min") => "min",
            Some("max") => "max",
            _ if current_value < threshold_value => "min",
            _ => "max",
        };
        let label =
            |names: &[&str]| names.iter().find_map(|name| alert.labels.get(*name)).map(String::as_str);
        Some(Self {
            metric_name: said("metric")
                .or_else(|| label(&["__name__", "metric"]))
                .unwrap_or(alert.name())
                .to_owned(),
            current_value,
            threshold_value,
            threshold_type,
            severity: alert.severity().max(Severity::Warning),
            node: label(&["node", "instance"]).unwrap_or(node).to_owned(),
            timestamp: time(now),
        })
    }
}

/// What happened, in a word.
pub fn alert_type(alert: &Alert) -> &str {
    let kind = || alert.cause.as_ref().map(|cause| cause.kind.as_str()).filter(|kind| !kind.is_empty());
    alert.labels.get("alert_type").map(String::as_str).or_else(kind).unwrap_or(alert.name())
}

/// What happened, in a sentence: what its annotations say, else its name.
pub fn message(alert: &Alert) -> String {
    let said = ["summary", "message", "description"].into_iter().find_map(|key| alert.annotations.get(key));
    said.cloned().unwrap_or_else(|| alert.name().to_owned())
}

/// What is known of it: labels, annotations and what the rule found. Keys of its own come before labels of the same name.
pub fn context(alert: &Alert) -> Map<String, Value> {
    let mut context = Map::new();
    let hidden = |name: &str| matches!(name, "alertname" | "severity" | "alert_type");
    for (name, value) in alert.labels.iter().filter(|(name, _)| !hidden(name)) {
        context.insert(name.clone(), value.as_str().into());
    }
    if !context.contains_key("node")
        && let Some(instance) = alert.labels.get("instance")
    {
        context.insert("node".to_owned(), instance.as_str().into());
    }
    for key in [
        "failed_node",
        "cluster_size",
        "quorum_status",
        "estimated_recovery_time",
        "component",
        "runbook_url",
    ] {
        if let Some(value) = alert.annotations.get(key) {
            context.insert(key.to_owned(), value.as_str().into());
        }
    }
    if let Some(cause) = &alert.cause {
        context.insert("rule".to_owned(), cause.rule.as_str().into());
        for (key, value) in [("value", cause.value), ("threshold", cause.threshold)] {
            if let Some(value) = value {
                context.insert(key.to_owned(), json!(value));
            }
        }
    }
    context
}

/// A time, UTC, RFC 3339.
pub fn time(ms: i64) -> String {
    Timestamp(ms).to_rfc3339()
}

/// What a rule or whoever posted it says of an alert that fires or is over, without what stands beside it.
pub fn alert(alert: &Alert, now: i64) -> Value {
    let over = alert.resolved(Timestamp(now));
    let cause = alert.cause.as_ref();
    let fingerprint = alert.fingerprint();
    json!({
        "id": alert_id(&fingerprint),
        "alert_id": alert_id(&fingerprint),
        "fingerprint": fingerprint.to_string(),
        "state": if over { "resolved" } else { "firing" },
        "labels": alert.labels,
        "annotations": alert.annotations,
        "kind": cause.map(|cause| cause.kind.as_str()),
        "alert_type": alert_type(alert),
        "severity": alert.severity(),
        "message": message(alert),
        "context": context(alert),
        "timestamp": time(alert.updated_at),
        "value": cause.and_then(|cause| cause.value),
        "threshold": cause.and_then(|cause| cause.threshold),
        "evidence": cause.and_then(|cause| cause.evidence.clone()),
        "starts_at": time(alert.starts_at),
        "ends_at": alert.ends_at.filter(|_| over || !alert.timeout).map(time),
        "updated_at": time(alert.updated_at),
        "rule": cause.map(|cause| cause.rule.as_str()),
        "generator_url": alert.generator_url,
    })
}

/// An incident, without its timeline.
pub fn incident(incident: &Incident) -> Value {
    let at = |ms: Option<i64>| ms.map(time);
    let seconds = |ms: Option<i64>| ms.map(|ms| ms as f64 / 1_000.0);
    let alerts: Vec<Value> = incident
        .members
        .iter()
        .filter_map(|(fingerprint, member)| Some((fingerprint, member, member.alert.as_ref()?)))
        .map(|(fingerprint, member, alert)| {
            let is_over = member.ends_at.is_some() || !incident.is_live() && !incident.by_hand;
            json!({
                "id": alert_id(fingerprint),
                "fingerprint": fingerprint.to_string(),
                "labels": alert.labels,
                "annotations": alert.annotations,
                "message": message(alert),
                "severity": alert.severity(),
                "state": if is_over { "resolved" } else { "firing" },
                "starts_at": time(member.starts_at),
                "ends_at": at(member.ends_at),
            })
        })
        .collect();
    json!({
        "id": incident.id,
        "title": incident.title,
        "state": incident.state,
        "severity": incident.severity,
        "rule": incident.rule,
        "fired_at": time(incident.fired_at),
        "opened_at": time(incident.opened_at),
        "acknowledged_at": at(incident.acknowledged_at),
        "resolved_at": at(incident.resolved_at),
        "resolved_by_hand": incident.by_hand,
        "group_key": incident.group_key,
        "group_labels": incident.group_labels,
        "receiver": incident.receiver,
        "alert_count": incident.members.len() + incident.more,
        "firing_count": incident.members.values().filter(|member| member.ends_at.is_none()).count(),
        "alerts": alerts,
        "ack": incident.ack.as_ref().map(AlertAck::from),
        "assignee": incident.assignee,
        "level": incident.level,
        "policy": incident.policy,
        "muted": incident.held,
        "next_escalation_at": at(incident.due.map(|due| due.at)),
        "ack_lapses_at": at(incident.lapse.map(|lapse| lapse.at)),
        "escalations": incident.escalations.iter().map(AlertEscalation::from).collect::<Vec<_>>(),
        "tta_seconds": seconds(incident.took_to_ack()),
        "ttr_seconds": seconds(incident.took_to_resolve()),
        "timeline_rows": incident.rows,
        "timeline_rows_dropped": incident.rows_dropped,
    })
}

/// A row of a timeline.
pub fn row(row: &Row) -> Value {
    json!({
        "seq": row.seq,
        "at": time(row.at),
        "kind": row.kind,
        "actor": row.actor,
        "text": row.text,
        "data": if row.data.is_null() { json!({}) } else { row.data.clone() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{Cause, LabelSet};

    const SAMPLE_AT: i64 = 1_736_496_045_123;

    fn set(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)], cause: Option<Cause>) -> Alert {
        let (labels, annotations) = (set(labels), set(annotations));
        let generator_url = String::new();
        Alert {
            labels,
            annotations,
            starts_at: 0,
            ends_at: None,
            timeout: false,
            updated_at: 0,
            generator_url,
            cause,
        }
    }

    #[test]
    fn an_ack_has_its_five_fields() {
        let (alert_id, by) = ("alert_12345".to_owned(), "admin@example.com".to_owned());
        let ack = Ack { alert_id, by, message: "Investigating".to_owned(), auto: false, at: SAMPLE_AT };
        let expected = json!({
            "alert_id": "alert_12345",
            "acknowledged_by": "admin@example.com",
            "ack_message": "Investigating",
            "auto_ack": false,
            "timestamp": "2025-01-10T08:00:45.123Z",
        });
        assert_eq!(json!(AlertAck::from(&ack)), expected);
    }

    #[test]
    fn an_escalation_has_its_five_fields() {
        let escalation = Escalation {
            alert_id: "alert_12345".to_owned(),
            level: 2,
            to: vec!["on-call-team".to_owned(), "manager".to_owned()],
            reason: "No acknowledgment after 15 minutes".to_owned(),
            at: SAMPLE_AT,
        };
        let expected = json!({
            "original_alert_id": "alert_12345",
            "escalation_level": 2,
            "escalated_to": ["on-call-team", "manager"],
            "escalation_reason": "No acknowledgment after 15 minutes",
            "timestamp": "2025-01-10T08:00:45.123Z",
        });
        assert_eq!(json!(AlertEscalation::from(&escalation)), expected);
    }

    #[test]
    fn a_system_alert_says_what_it_knows() {
        let failed = alert(
            &[
                ("alertname", "NodeDown"),
                ("alert_type", "node_failure"),
                ("severity", "critical"),
                ("failed_node", "node2"),
            ],
            &[
                ("summary", "Node node2 has become unresponsive"),
                ("cluster_size", "3"),
                ("quorum_status", "maintained"),
            ],
            None,
        );
        let expected = json!({
            "alert_type": "node_failure",
            "severity": "critical",
            "message": "Node node2 has become unresponsive",
            "context": {"failed_node": "node2", "cluster_size": "3", "quorum_status": "maintained"},
            "timestamp": "2025-01-10T08:00:45.123Z",
        });
        assert_eq!(json!(SystemAlert::of(&failed, SAMPLE_AT)), expected);
        assert_eq!(alert_type(&alert(&[("alertname", "Odd")], &[], None)), "Odd");
    }

    #[test]
    fn a_metric_alert_has_its_seven_fields() {
        let cause = |value, threshold| {
            let kind = "threshold".to_owned();
            Some(Cause { kind, value: Some(value), threshold: Some(threshold), ..Cause::default() })
        };
        let labels =
            [("alertname", "Memory"), ("__name__", "memory_usage"), ("severity", "info"), ("node", "node1")];
        let told = MetricAlert::of(&alert(&labels, &[], cause(89.5, 85.0)), "here", SAMPLE_AT);
        let expected = json!({
            "metric_name": "memory_usage",
            "current_value": 89.5,
            "threshold_value": 85.0,
            "threshold_type": "max",
            "severity": "warning",
            "node": "node1",
            "timestamp": "2025-01-10T08:00:45.123Z",
        });
        assert_eq!(json!(told), expected);
        let low = MetricAlert::of(&alert(&[("alertname", "Low")], &[], cause(1.0, 2.0)), "here", 0).unwrap();
        assert_eq!((low.threshold_type, &*low.metric_name, &*low.node), ("min", "Low", "here"));
        assert_eq!(MetricAlert::of(&alert(&labels, &[], None), "here", 0), None);
        assert_eq!(MetricAlert::of(&alert(&labels, &[], cause(f64::NAN, 1.0)), "here", 0), None);
    }
}
