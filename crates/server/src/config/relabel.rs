//! Relabelling: rules that change a label set, or drop what bears it.
//!
//! Rules are applied in order, each to what the one before left. The meaning of every action is that of Prometheus:
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>.

use barograph_model::LabelsBuilder;
use md5::{Digest, Md5};
use regex::{Regex, RegexBuilder};

use super::{
    section::{Findings, Section, count, read_scalar, text},
    tree::Node,
};

/// A pattern whose automaton would take more than this many bytes is refused.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What a rule does. "The value" is the values of its source labels, joined by its separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Where the value matches, sets the target label to the replacement.
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops where the value is not that of the target label.
    KeepEqual,
    /// Drops where the value is that of the target label.
    DropEqual,
    /// Sets the target label to a hash of the value, modulo `modulus`.
    HashMod,
    /// Copies each label whose name matches to the name the replacement gives.
    LabelMap,
    /// Takes away the labels whose name matches.
    LabelDrop,
    /// Takes away the labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the value in lower case.
    Lowercase,
    /// Sets the target label to the value in upper case.
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl Action {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        ACTIONS.iter().find(|(_, action)| *action == self).map_or("", |(name, _)| name)
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it does; [`Action::Replace`] by default.
    pub action: Action,
    /// The labels whose values it looks at; an absent label counts as empty.
    pub source_labels: Vec<String>,
    /// What joins them, `;` by default.
    pub separator: String,
    /// What the value, or the name, has to match as a whole; everything by default.
    pub regex: Regex,
    /// The label it sets. Groups of the pattern (`$1`, `${name}`) may stand in it.
    pub target_label: String,
    /// What it is set to, `$1` by default. Groups of the pattern may stand in it.
    pub replacement: String,
    /// For [`Action::HashMod`], at least 1.
    pub modulus: u64,
}

impl Rule {
    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        let anchored = self.regex.as_str();
        anchored.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).unwrap_or(anchored)
    }
}

/// What is put around a pattern, so that it has to match as a whole.
const BEGIN: &str = "^(?s:";
const END: &str = ")$";

/// Whether what bears the labels stays. They are changed in place, also if it does not.
pub fn relabel(rules: &[Rule], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| apply(rule, labels))
}

fn apply(rule: &Rule, labels: &mut LabelsBuilder) -> bool {
    let value = joined(rule, labels);
    let target = || labels.value(&rule.target_label).unwrap_or_default();
    match rule.action {
        Action::Keep => return rule.regex.is_match(&value),
        Action::Drop => return !rule.regex.is_match(&value),
        Action::KeepEqual => return target() == value,
        Action::DropEqual => return target() != value,
        Action::Replace => replace(rule, &value, labels),
        Action::HashMod => _ = labels.set(&rule.target_label, &hash_mod(&value, rule.modulus).to_string()),
        Action::Lowercase => _ = labels.set(&rule.target_label, &value.to_lowercase()),
        Action::Uppercase => _ = labels.set(&rule.target_label, &value.to_uppercase()),
        Action::LabelMap => map_names(rule, labels),
        Action::LabelDrop => _ = labels.retain(|name| !rule.regex.is_match(name)),
        Action::LabelKeep => _ = labels.retain(|name| rule.regex.is_match(name)),
    }
    true
}

fn joined(rule: &Rule, labels: &LabelsBuilder) -> String {
    let mut value = String::new();
    for (index, name) in rule.source_labels.iter().enumerate() {
        if index > 0 {
            value.push_str(&rule.separator);
        }
        value.push_str(labels.value(name).unwrap_or_default());
    }
    value
}

fn replace(rule: &Rule, value: &str, labels: &mut LabelsBuilder) {
    let Some(captures) = rule.regex.captures(value) else { return };
    let (mut target, mut replacement) = (String::new(), String::new());
    captures.expand(&rule.target_label, &mut target);
    captures.expand(&rule.replacement, &mut replacement);
    if !target.is_empty() {
        labels.set(&target, &replacement);
    }
}

fn map_names(rule: &Rule, labels: &mut LabelsBuilder) {
    let mut copies = Vec::new();
    for (name, value) in labels.iter() {
        if let Some(captures) = rule.regex.captures(name) {
            let mut target = String::new();
            captures.expand(&rule.replacement, &mut target);
            copies.push((target, value.to_owned()));
        }
    }
    for (target, value) in copies.iter().filter(|copy| !copy.0.is_empty()) {
        labels.set(target, value);
    }
}

/// The last eight bytes of the MD5 sum as a number, most significant first.
fn hash_mod(value: &str, modulus: u64) -> u64 {
    let sum: [u8; 16] = Md5::digest(value.as_bytes()).into();
    let low = u128::from_be_bytes(sum) & u128::from(u64::MAX);
    u64::try_from(low).expect("64 bits were kept") % modulus
}

/// A pattern that has to match the whole text, with `.` matching line ends too.
fn anchored(pattern: &str) -> Result<Regex, String> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    // The pattern alone first, so that `a)(b` cannot borrow the parentheses of the anchors.
    build(pattern).and_then(|_| build(&format!("{BEGIN}{pattern}{END}"))).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        format!("`{pattern}` is not a regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
    })
}

/// Reads a list of rules.
pub(super) fn read_rules(section: &mut Section<'_>, key: &'static str, findings: &mut Findings) -> Vec<Rule> {
    section.items(key, findings).iter().filter_map(|node| read_rule(node, findings)).collect()
}

fn read_rule(node: &Node, findings: &mut Findings) -> Option<Rule> {
    let mut section = Section::open(node, "a relabelling rule", findings);
    // A rule whose action is misspelled is not told what `replace` would need.
    let action = match section.node("action") {
        Some(node) => read_scalar(node, "`action`", parse_action, findings)?,
        None => Action::Replace,
    };
    let rule = Rule {
        action,
        source_labels: section.values("source_labels", label_name, findings),
        separator: section.value("separator", text, findings).unwrap_or_else(|| ";".to_owned()),
        regex: section.value("regex", anchored, findings).or_else(|| anchored("(.*)").ok())?,
        target_label: section.value("target_label", text, findings).unwrap_or_default(),
        replacement: section.value("replacement", text, findings).unwrap_or_else(|| "$1".to_owned()),
        modulus: section.value("modulus", count, findings).unwrap_or_default(),
    };
    if let Some(wanted) = missing(&rule) {
        let action = rule.action.as_str();
        findings.add(section.place, format!("action `{action}` needs `{wanted}`; add it"));
    }
    section.finish(&[], findings);
    Some(rule)
}

/// The key a rule cannot do without and does not have.
fn missing(rule: &Rule) -> Option<&'static str> {
    let sets_target = matches!(
        rule.action,
        Action::Replace
            | Action::HashMod
            | Action::Lowercase
            | Action::Uppercase
            | Action::KeepEqual
            | Action::DropEqual
    );
    let reads_sources = matches!(rule.action, Action::KeepEqual | Action::DropEqual);
    match () {
        () if sets_target && rule.target_label.is_empty() => Some("target_label"),
        () if reads_sources && rule.source_labels.is_empty() => Some("source_labels"),
        () if rule.action == Action::HashMod && rule.modulus == 0 => Some("modulus"),
        () => None,
    }
}

fn parse_action(word: &str) -> Result<Action, String> {
    let lower = word.to_lowercase();
    ACTIONS.iter().find(|(name, _)| *name == lower).map(|(_, action)| *action).ok_or_else(|| {
        let all: Vec<_> = ACTIONS.iter().map(|(name, _)| *name).collect();
        format!("expected one of {}, found `{word}`", all.join(", "))
    })
}

fn label_name(name: &str) -> Result<String, String> {
    if name.is_empty() { Err("a label name is empty".to_owned()) } else { text(name) }
}

#[cfg(test)]
mod tests {
    use barograph_model::Labels;

    use super::*;
    use crate::config::tree;

    /// Rules as YAML, labels as `a=1 b=2`; `dropped` if nothing stays.
    #[track_caller]
    fn check(rules: &str, labels: &str, expected: &str) {
        let mut findings = Findings::default();
        let node = tree::parse(&format!("rules: {rules}")).unwrap();
        let rules = read_rules(&mut Section::open(&node, "test", &mut findings), "rules", &mut findings);
        assert_eq!(findings.into_vec(), []);
        let pairs = labels.split(' ').map(|pair| pair.split_once('=').unwrap());
        let mut builder = LabelsBuilder::from(&Labels::from_pairs(pairs).unwrap());
        let found = if relabel(&rules, &mut builder) {
            builder
                .build()
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        } else {
            "dropped".to_owned()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn replaces_what_matches_as_a_whole() {
        check(
            "[{source_labels: [a], target_label: d, replacement: 'x${1}y', regex: 'f(.*)'}]",
            "a=foo b=bar",
            "a=foo b=bar d=xooy",
        );
        check("[{source_labels: [a], target_label: d, regex: 'o'}]", "a=foo", "a=foo");
        check(
            "[{source_labels: [a, b], separator: '-', target_label: d}]",
            "a=foo b=bar",
            "a=foo b=bar d=foo-bar",
        );
        check("[{source_labels: [a, b], target_label: d}]", "a=foo b=bar", "a=foo b=bar d=foo;bar");
        check("[{source_labels: [x], target_label: a}]", "a=foo b=bar", "b=bar");
        check("[{target_label: d, replacement: static}]", "a=foo", "a=foo d=static");
        check(
            "[{source_labels: [a], regex: '(f)(.*)', target_label: 'l_${1}', replacement: '$2'}]",
            "a=foo",
            "a=foo l_f=oo",
        );
        check(
            "[{source_labels: [a], regex: '(?P<first>.).*', target_label: d, replacement: '$first'}]",
            "a=foo",
            "a=foo d=f",
        );
        check("[{source_labels: [a], target_label: d, replacement: '$1x'}]", "a=foo d=1", "a=foo");
        check("[{source_labels: [a], target_label: d, replacement: '$$1'}]", "a=foo", "a=foo d=$1");
    }

    #[test]
    fn keeps_and_drops() {
        check("[{source_labels: [a], regex: 'f.*', action: keep}]", "a=foo", "a=foo");
        check("[{source_labels: [a], regex: 'o', action: keep}]", "a=foo", "dropped");
        check("[{source_labels: [a], regex: 'f.*', action: drop}]", "a=foo", "dropped");
        check("[{source_labels: [a], regex: 'o', action: drop}]", "a=foo", "a=foo");
        check("[{source_labels: [zz], regex: '', action: drop}]", "a=foo", "dropped");
        check("[{source_labels: [a], target_label: b, action: keepequal}]", "a=x b=x", "a=x b=x");
        check("[{source_labels: [a], target_label: b, action: keepequal}]", "a=x b=y", "dropped");
        check("[{source_labels: [a], target_label: b, action: dropequal}]", "a=x b=x", "dropped");
        check("[{source_labels: [a], target_label: b, action: dropequal}]", "a=x b=y", "a=x b=y");
        check(
            "[{regex: x, source_labels: [a], action: drop}, {target_label: b, replacement: c}]",
            "a=x",
            "dropped",
        );
    }

    #[test]
    fn changes_case_and_hashes() {
        check("[{source_labels: [a], target_label: b, action: lowercase}]", "a=FoO", "a=FoO b=foo");
        check("[{source_labels: [a], target_label: b, action: Uppercase}]", "a=FoO", "a=FoO b=FOO");
        check(
            "[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]",
            "c=baz",
            "c=baz d=976",
        );
        check(
            "[{source_labels: [a], target_label: d, action: hashmod, modulus: 1000}]",
            "a=foo\nbar",
            "a=foo\nbar d=734",
        );
    }

    #[test]
    fn works_on_names() {
        check(
            "[{regex: '(b.*)', action: labelmap, replacement: 'bar_${1}'}]",
            "a=foo b1=bar b2=baz",
            "a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz",
        );
        check(
            "[{regex: '__meta_(my_.*)', action: labelmap}]",
            "__meta_my_x=1 a=2",
            "__meta_my_x=1 a=2 my_x=1",
        );
        check("[{regex: 'b.*', action: labeldrop}]", "a=foo b1=bar", "a=foo");
        check("[{regex: 'b.*', action: labelkeep}]", "a=foo b1=bar", "b1=bar");
    }

    #[test]
    fn refuses_rules_that_cannot_work() {
        let check = |rule: &str, expected: &str| {
            let mut findings = Findings::default();
            let node = tree::parse(&format!("rules:\n- {rule}")).unwrap();
            read_rules(&mut Section::open(&node, "test", &mut findings), "rules", &mut findings);
            let found: Vec<_> =
                findings.into_vec().iter().map(|f| format!("{}: {}", f.place, f.message)).collect();
            assert_eq!(found, [expected]);
        };
        check("{action: replace}", "2:3: action `replace` needs `target_label`; add it");
        check("{action: hashmod, target_label: x}", "2:3: action `hashmod` needs `modulus`; add it");
        check(
            "{action: keepequal, target_label: x}",
            "2:3: action `keepequal` needs `source_labels`; add it",
        );
        check(
            "{regex: 'a)(b', action: keep}",
            "2:11: `regex`: `a)(b` is not a regular expression: unopened group",
        );
        check(
            "{action: keep, source_label: [a]}",
            "2:18: unknown key `source_label` in a relabelling rule; did you mean `source_labels`?",
        );
        check(
            "{action: kepp}",
            "2:12: `action`: expected one of replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase, found `kepp`",
        );
    }
}
