//! One alert in the form of Alertmanager's API v2.

use barograph_alert::routing::{Alert, LabelSet};
use barograph_model::{Labels, LabelsBuilder, Timestamp};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::config::relabel::{Rule, relabel};

/// An alert as somebody else is told of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message<'a> {
    labels: Labels,
    annotations: &'a LabelSet,
    starts_at: i64,
    ends_at: Option<i64>,
    generator_url: &'a str,
}

impl<'a> Message<'a> {
    /// With the labels that all have who leave this server, where it has none of the same name, and relabelled; `None` if it is
    /// left out.
    pub(super) fn of(alert: &'a Alert, external: &Labels, rules: &[Rule]) -> Option<Self> {
        let mut labels = LabelsBuilder::new();
        for (name, value) in external {
            labels.set(name, value);
        }
        for (name, value) in &alert.labels {
            labels.set(name, value);
        }
        let labels = kept(labels, rules)?;
        Some(Self {
            labels,
            annotations: &alert.annotations,
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            generator_url: &alert.generator_url,
        })
    }

    /// It under further rules; `None` if it is left out.
    pub(super) fn relabelled(&self, rules: &[Rule]) -> Option<Self> {
        let mut labels = LabelsBuilder::new();
        for (name, value) in &self.labels {
            labels.set(name, value);
        }
        Some(Self { labels: kept(labels, rules)?, ..self.clone() })
    }

    /// As JSON.
    pub(super) fn encode(&self) -> Bytes {
        let labels: Map<String, Value> =
            self.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let mut document = json!({
            "labels": labels,
            "annotations": self.annotations,
            "startsAt": Timestamp(self.starts_at).to_rfc3339(),
        });
        if let Some(end) = self.ends_at {
            document["endsAt"] = Timestamp(end).to_rfc3339().into();
        }
        if !self.generator_url.is_empty() {
            document["generatorURL"] = self.generator_url.into();
        }
        document.to_string().into()
    }
}

/// What rules leave; an alert without labels is none.
fn kept(mut labels: LabelsBuilder, rules: &[Rule]) -> Option<Labels> {
    relabel(rules, &mut labels).then(|| labels.build()).filter(|labels| !labels.is_empty())
}

/// A body of several, each encoded.
pub(super) fn body(alerts: &[Bytes]) -> Bytes {
    let mut body = Vec::with_capacity(alerts.iter().map(|alert| alert.len() + 1).sum::<usize>() + 2);
    body.push(b'[');
    for (index, alert) in alerts.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(alert);
    }
    body.push(b']');
    body.into()
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// An alert of this name that fires since a time.
    pub(in crate::onward) fn alert(name: &str, starts_at: i64) -> Alert {
        Alert {
            labels: [("alertname", name), ("zone", "a")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            annotations: [("summary".to_owned(), "it is \"full\"".to_owned())].into(),
            starts_at,
            ends_at: Some(starts_at + 240_000),
            timeout: true,
            updated_at: starts_at,
            generator_url: "http://x/graph?g0.expr=up".to_owned(),
            cause: None,
        }
    }

    fn rules(text: &str) -> Vec<Rule> {
        let text = format!("alerting: {{alert_relabel_configs: [{text}]}}");
        Config::parse(&text, "test", Path::new(""), []).unwrap().alerting.alert_relabel_configs
    }

    fn labels(message: Option<Message<'_>>) -> String {
        message.map_or_else(|| "dropped".to_owned(), |message| message.labels.to_string())
    }

    #[test]
    fn external_labels_are_added_and_rules_see_them() {
        let alert = alert("Full", 0);
        let external = Labels::from_pairs([("site", "north"), ("zone", "other")]).unwrap();
        let check = |text: &str, expected: &str| {
            assert_eq!(labels(Message::of(&alert, &external, &rules(text))), expected);
        };
        check("", r#"{alertname="Full", site="north", zone="a"}"#);
        check("{action: labeldrop, regex: site}", r#"{alertname="Full", zone="a"}"#);
        check("{action: drop, source_labels: [site], regex: north}", "dropped");
        check("{action: labeldrop, regex: .*}", "dropped");
        check(
            "{source_labels: [zone], target_label: region}",
            r#"{alertname="Full", region="a", site="north", zone="a"}"#,
        );
        let first = Message::of(&alert, &external, &[]).unwrap();
        let further = first.relabelled(&rules("{action: labelkeep, regex: alertname}"));
        assert_eq!(labels(further), r#"{alertname="Full"}"#);
    }

    #[test]
    fn it_is_in_the_form_of_the_api() {
        let mut alert = alert("Full", 1_700_000_000_123);
        let one = Message::of(&alert, &Labels::empty(), &[]).unwrap().encode();
        let body: Value = serde_json::from_slice(&body(&[one.clone(), one])).unwrap();
        let expected = json!({
            "labels": {"alertname": "Full", "zone": "a"},
            "annotations": {"summary": "it is \"full\""},
            "startsAt": "2023-11-14T22:13:20.123Z",
            "endsAt": "2023-11-14T22:17:20.123Z",
            "generatorURL": "http://x/graph?g0.expr=up",
        });
        assert_eq!(body, json!([expected, expected]));
        (alert.ends_at, alert.generator_url) = (None, String::new());
        let bare: Value =
            serde_json::from_slice(&Message::of(&alert, &Labels::empty(), &[]).unwrap().encode()).unwrap();
        assert_eq!(
            bare.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["annotations", "labels", "startsAt"]
        );
    }
}
