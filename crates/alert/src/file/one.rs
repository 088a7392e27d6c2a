//! One rule by itself, as people make them one at a time: as YAML, or as a document with the same keys.
//!
//! Beside the keys that a rule has in a file it may have `interval`, which in a file is of its group, and `enabled`. Every
//! mistake has its place: line and column of a text, the path of a document.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barograph_yaml::{
    Faults, Finding, Place,
    section::{Findings, boolean, read_scalar},
    tree::{Key, Kind, Node},
    units::parse_duration,
};
use serde_json::Value;

use super::{RuleSpec, read::read_rule};

/// A longer text of one rule is refused.
pub const RULE_BYTES_MAX: usize = 64 << 10;
/// Evaluations come no faster.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// And no slower.
const INTERVAL_MAX: Duration = Duration::from_secs(86_400);
/// What messages call the place of the whole document.
const WHOLE: &str = "rule";

/// A rule that stands in no group.
#[derive(Clone, Debug, PartialEq)]
pub struct OneRule {
    /// What it says; it is an alerting rule.
    pub spec: Arc<RuleSpec>,
    /// Time from one evaluation to the next; `None` is what holds for all.
    pub interval: Option<Duration>,
    /// Whether it is to be evaluated; `None` if it does not say.
    pub enabled: Option<bool>,
}

/// Reads the YAML of one rule, which may be the only item of a list; `name` is what messages call it.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse_one(text: &str, name: &str) -> Result<OneRule, Faults> {
    check_length(text.len(), name)?;
    barograph_yaml::read(text, name, read)?.ok_or_else(|| nothing(name))
}

/// Reads a rule that is a document; paths of messages begin with `below`, if that is not empty.
///
/// # Errors
/// Everything that is wrong in it.
pub fn read_one(document: &Value, below: &str) -> Result<OneRule, Faults> {
    check_length(document.to_string().len(), WHOLE)?;
    let mut findings = Findings::default();
    let read = read(node(document, below.to_owned()), &mut findings);
    match (findings.into_vec(), read) {
        (findings, Some(rule)) if findings.is_empty() => Ok(rule),
        (findings, _) if findings.is_empty() => Err(nothing(WHOLE)),
        (findings, _) => Err(Faults { path: WHOLE.to_owned(), findings }),
    }
}

fn check_length(length: usize, name: &str) -> Result<(), Faults> {
    if length <= RULE_BYTES_MAX {
        return Ok(());
    }
    let message = format!("a rule has at most {RULE_BYTES_MAX} bytes; this one has {length}");
    Err(fault(name, message))
}

fn nothing(name: &str) -> Faults {
    fault(name, "there is no rule in it; give `alert` and `expr`".to_owned())
}

fn fault(name: &str, message: String) -> Faults {
    let place = Place::Path(WHOLE.to_owned());
    Faults { path: name.to_owned(), findings: vec![Finding { place, message }] }
}

fn read(root: Node, findings: &mut Findings) -> Option<OneRule> {
    let root = match root.kind {
        Kind::List(mut items) if items.len() == 1 => items.remove(0),
        Kind::List(_) => {
            findings.add(&root.place, "expected one rule, found a list; give them one at a time");
            return None;
        }
        kind => Node { place: root.place, kind },
    };
    let Kind::Map(entries) = root.kind else {
        findings.add(&root.place, "a rule is a mapping with `alert` and `expr`");
        return None;
    };
    if let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "groups") {
        findings.add(&key.place, "expected one rule, found a rule file; give what stands under `rules`");
        return None;
    }
    if let Some((key, _)) = entries.iter().find(|(key, _)| key.text == "record") {
        findings.add(&key.place, "only rules with `alert` can be kept here; put this one into a rule file");
        return None;
    }
    let (mut interval, mut enabled) = (None, None);
    let rest = entries
        .into_iter()
        .filter(|(key, node)| match key.text.as_str() {
            "interval" => {
                interval = read_scalar(node, "`interval`", some_interval, findings);
                false
            }
            "enabled" => {
                enabled = read_scalar(node, "`enabled`", boolean, findings);
                false
            }
            _ => true,
        })
        .collect();
    let rest = Node { place: root.place, kind: Kind::Map(rest) };
    let spec = read_rule(&rest, &BTreeMap::new(), findings)?;
    Some(OneRule { spec: Arc::new(spec), interval, enabled })
}

fn some_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        Ok(interval)
    } else {
        Err(format!("expected 1s to 1d, found `{text}`"))
    }
}

/// A document as a tree in which every node knows its path. As deep as the document is, which its reader limits.
fn node(value: &Value, path: String) -> Node {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Scalar(value.to_string()),
        Value::Number(value) => Kind::Scalar(value.to_string()),
        Value::String(text) => Kind::Scalar(text.clone()),
        Value::Array(items) => {
            let item = |(index, item)| node(item, format!("{path}[{index}]"));
            Kind::List(items.iter().enumerate().map(item).collect())
        }
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let place = below(key);
                (Key { text: key.clone(), place: Place::Path(place.clone()) }, node(value, place))
            };
            Kind::Map(map.iter().map(entry).collect())
        }
    };
    let place = Place::Path(if path.is_empty() { WHOLE.to_owned() } else { path });
    Node { place, kind }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_is_a_text_or_a_document() {
        let text = "- alert: A\n  expr: m > 5\n  for: 2m\n  interval: 15s\n  labels: {severity: page}\n";
        let document = json!({"alert": "A", "expr": "m > 5", "for": "2m", "interval": "15s", "enabled": false,
            "labels": {"severity": "page"}});
        let (text, document) = (parse_one(text, "r.yml").unwrap(), read_one(&document, "").unwrap());
        assert_eq!(text.spec.document(), document.spec.document());
        assert_eq!((text.interval, text.enabled), (Some(Duration::from_secs(15)), None));
        assert_eq!(document.enabled, Some(false));
    }

    #[test]
    fn every_mistake_has_its_place() {
        let text = |text| parse_one(text, "r").unwrap_err().to_string();
        assert_eq!(
            text("alert: A\nexpr: sum(m\n"),
            "r:2:7: `expr`: 1:6: parse error: unclosed left parenthesis"
        );
        assert_eq!(
            text("alert: A\nexpr: m\ninterval: 5ms"),
            "r:3:11: `interval`: expected 1s to 1d, found `5ms`"
        );
        assert_eq!(
            text("groups: []"),
            "r:1:1: expected one rule, found a rule file; give what stands under `rules`"
        );
        assert_eq!(
            text("{record: a, expr: m}"),
            "r:1:2: only rules with `alert` can be kept here; put this one into a rule file"
        );
        assert!(text("5").contains("a rule is a mapping"));
        assert!(text("- {alert: a, expr: b}\n- {alert: a, expr: b}\n").contains("one at a time"));
        assert!(text(&format!("alert: {}", "a".repeat(RULE_BYTES_MAX))).contains("at most 65536 bytes"));
        let document = |value, below| read_one(&value, below).unwrap_err().to_string();
        let wrong = json!({"alert": "A", "expr": "m", "labels": {"__name__": "x"}, "trend": {"windw": "1d"}});
        let told = document(wrong, "rule");
        assert!(told.contains("rule.labels.__name__: `__name__` cannot be a label of a rule"), "{told}");
        assert!(told.contains("rule.trend.windw: unknown key `windw` in `trend`; did you mean"), "{told}");
        assert_eq!(document(json!({"alert": "A"}), ""), "rule: a rule needs an `expr`");
        assert!(document(json!([1]), "").starts_with("[0]: a rule is a mapping"));
    }
}
