//! Alerts about rules whose evaluation fails: `rule_evaluation_failed`, one a rule.
//!
//! They go the way of all alerts. One begins with the first evaluation that fails, and ends with the next that does not, or
//! by itself some minutes after the rule is gone. Rules of one name in a group share one.

use std::collections::BTreeMap;

use barograph_alert::routing::{Alert, Cause, LabelSet};

use crate::alerting::Alerting;

/// What such alerts are called.
const NAME: &str = "rule_evaluation_failed";
/// So much of an error is told.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// A rule at an evaluation of its group.
#[derive(Clone, Debug)]
pub(super) struct Evaluated {
    /// The name of the rule.
    pub(super) name: String,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
    /// Whether it is known that it did not fail the time before.
    pub(super) was_good: bool,
}

/// Where rules are from, and when they were evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct From<'a> {
    pub(super) file: &'a str,
    pub(super) group: &'a str,
    pub(super) tenant: Option<&'a str>,
    pub(super) at: i64,
    /// Until when what is told now holds by itself.
    pub(super) valid_until: i64,
}

/// What is to be told of the rules of a group: those that fail, and those that do so no more.
pub(super) fn alerts(evaluated: &[Evaluated], from: From<'_>, known: &Alerting) -> Vec<Alert> {
    if evaluated.iter().all(|rule| rule.error.is_none() && rule.was_good) {
        return Vec::new();
    }
    let mut by_name: BTreeMap<&str, (Option<&str>, bool)> = BTreeMap::new();
    for rule in evaluated {
        let (error, was_good) = by_name.entry(&rule.name).or_insert((None, true));
        *error = error.or(rule.error.as_deref());
        *was_good &= rule.was_good;
    }
    let one = |(name, (error, was_good)): (&str, (Option<&str>, bool))| {
        let new = alert(name, error.unwrap_or_default(), from);
        match (error, was_good) {
            (Some(_), _) => Some(new),
            (None, true) => None,
            (None, false) => known.firing(new.fingerprint(), from.at).map(|before| before.ended(from.at)),
        }
    };
    by_name.into_iter().filter_map(one).collect()
}

fn alert(rule: &str, error: &str, from: From<'_>) -> Alert {
    let mut labels = LabelSet::new();
    let mut set = |name: &str, value: &str| drop(labels.insert(name.to_owned(), value.to_owned()));
    set("alertname", NAME);
    set("rule", rule);
    set("group", from.group);
    set("file", from.file);
    set("severity", "warning");
    if let Some(tenant) = from.tenant {
        set("tenant", tenant);
    }
    let error = &error[..error.floor_char_boundary(ERROR_BYTES_MAX)];
    let annotations = [
        ("summary", format!("The rule {rule} of the group {} cannot be evaluated", from.group)),
        ("description", format!("{error}. Its alerts stay as they are until it can.")),
    ];
    Alert {
        labels,
        annotations: annotations.map(|(name, text)| (name.to_owned(), text)).into(),
        starts_at: from.at,
        ends_at: Some(from.valid_until),
        timeout: true,
        updated_at: from.at,
        generator_url: String::new(),
        cause: Some(Cause {
            rule: format!("{};{};{NAME}", from.file, from.group),
            kind: "health".to_owned(),
            ..Cause::default()
        }),
    }
}
