//! A rule written as the keys of a rule file: what is read of it is the rule again.

use std::{fmt::Write, time::Duration};

use barograph_yaml::units::format_duration;
use serde_json::{Map, Value, json};

use super::{RuleKind, RuleSpec};
use crate::kinds::{Kind, Missing};

impl RuleSpec {
    /// Its keys as a rule file has them; what is not said is left out.
    pub fn document(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        let labels = json!(self.labels());
        match &self.kind {
            RuleKind::Recording { name, .. } => {
                put("record", name.as_str().into());
                put("expr", self.expr.to_string().into());
            }
            RuleKind::Alerting(alert) => {
                put("alert", alert.name.as_str().into());
                if alert.watches != Kind::Threshold {
                    put("kind", alert.watches.as_str().into());
                }
                put("expr", self.expr.to_string().into());
                for (key, length) in [("for", alert.hold), ("keep_firing_for", alert.keep_firing)] {
                    if length > Duration::ZERO {
                        put(key, format_duration(length).into());
                    }
                }
                for (key, value) in self.params() {
                    put(&key, value);
                }
                if let Some(policy) = &alert.handling.escalation {
                    put("escalation", policy.as_str().into());
                }
                if let Some(url) = &alert.handling.runbook_url {
                    put("runbook_url", url.as_str().into());
                }
                if !alert.annotations.is_empty() {
                    let texts =
                        alert.annotations.iter().map(|(name, text)| (name.clone(), text.text().into()));
                    put("annotations", Value::Object(texts.collect()));
                }
            }
        }
        if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
            put("labels", labels);
        }
        map
    }

    /// Those of its keys that Prometheus does not know, but for whom it escalates to and where it is written what to do.
    pub fn params(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let Some(alert) = self.alerting() else { return map };
        if let Some(clear) = alert.threshold.as_ref().and_then(|threshold| threshold.clear) {
            map.insert("clear_threshold".to_owned(), json!(clear));
        }
        if alert.missing != Missing::Resolve {
            map.insert("missing".to_owned(), alert.missing.as_str().into());
        }
        if alert.handling.cooldown > Duration::ZERO {
            map.insert("cooldown".to_owned(), format_duration(alert.handling.cooldown).into());
        }
        if alert.handling.auto_ack {
            map.insert("auto_ack".to_owned(), true.into());
        }
        if let Some(settings) = alert.watches.written() {
            map.insert(alert.watches.as_str().to_owned(), settings);
        }
        map
    }
}

/// Keys as YAML, in the order in which people write them; what is nested deeper than labels are stands in one line.
pub fn yaml(document: &Map<String, Value>) -> String {
    const FIRST: [&str; 5] = ["alert", "record", "kind", "expr", "for"];
    const LAST: [&str; 2] = ["labels", "annotations"];
    let rank = |key: &str| {
        let of = |keys: &[&str]| keys.iter().position(|known| *known == key);
        match (of(&FIRST), of(&LAST)) {
            (Some(at), _) => at,
            (None, Some(at)) => FIRST.len() + 1 + at,
            (None, None) => FIRST.len(),
        }
    };
    let mut entries: Vec<_> = document.iter().collect();
    entries.sort_by_key(|(key, _)| rank(key));
    let mut text = String::new();
    for (key, value) in entries {
        // Writing to a string does not fail.
        let _ = match value {
            Value::Object(map) if LAST.contains(&key.as_str()) => {
                let _ = writeln!(text, "{key}:");
                map.iter().try_for_each(|(key, value)| writeln!(text, "  {}: {}", plain(key), scalar(value)))
            }
            value => writeln!(text, "{}: {}", plain(key), scalar(value)),
        };
    }
    text
}

/// JSON is YAML; what nobody could read otherwise needs no quotes.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        value => value.to_string(),
    }
}

fn plain(text: &str) -> String {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_ .()/*+<>=-".contains(c);
    let is_word = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    let is_length = barograph_yaml::units::parse_duration(text).is_ok();
    if is_length || (starts && !is_word && !text.ends_with(' ') && text.chars().all(is_plain)) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{parse_one, read_one};

    #[test]
    fn what_is_written_is_read_as_the_same_rule() {
        for text in [
            "{alert: A, expr: 'm{a=\"b\"} > 5', for: 90s, keep_firing_for: 1h, clear_threshold: 4, missing: keep}",
            "{alert: 'é: #1', expr: m, labels: {severity: page, on: 'no'}, annotations: {a: \"{{ $value }}\\n: - x\"}}",
            "{alert: A, expr: m, escalation: night, runbook_url: 'https://x/#y', auto_ack: true, cooldown: 5m}",
            "{alert: A, expr: m, anomaly: {q: 1e-5, cycle: 1d, direction: up, rest: 30m, points: 3, of: 4}}",
            "{alert: A, expr: m, kind: anomaly}",
            "{alert: A, expr: m, trend: {window: 2d, threshold: 5, horizon: 4h, direction: down, alpha: 0.05}}",
            "{alert: A, expr: m, correlation: {conditions: [n > 1, 'o == 2'], at_least: 2, on: [job]}}",
            "{alert: A, expr: m, correlation: {with: 'n{a=\"b\"}', window: 30m, baseline: 6h}}",
            "{alert: A, expr: m > 1, kind: version}",
            "{alert: A, expr: m, version: {baseline: previous}}",
            "{alert: A, expr: m, version: {baseline: '1.10', window: 12h, of: 'sum by (version) (n)', bound: 0.02, alpha: 0.01}}",
            "{alert: A, expr: m, version: {direction: higher_is_better, strata: [route], label: v, look_back: 2d, every: 5m}}",
            "{alert: A, expr: m > 0, version: {at_least: '2.10', deprecated: ['3\\.0\\..*']}}",
        ] {
            let rule = parse_one(text, "r").unwrap();
            let document = rule.spec.document();
            let written = yaml(&document);
            let again = parse_one(&written, "w").unwrap_or_else(|faults| panic!("{faults}\n{written}"));
            assert_eq!(again.spec.document(), document, "{written}");
            let again = read_one(&Value::Object(document.clone()), "").unwrap();
            assert_eq!(again.spec.document(), document);
        }
        let rule = parse_one("{labels: {severity: page}, for: 5m, expr: m > 5, alert: A b}", "r").unwrap();
        assert_eq!(
            yaml(&rule.spec.document()),
            "alert: A b\nexpr: m > 5\nfor: 5m\nlabels:\n  severity: page\n"
        );
    }
}
