//! A rule file read key by key, every mistake with its place.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use barograph_model::METRIC_NAME;
use barograph_yaml::{
    Faults, Place,
    section::{Findings, Section, boolean, count, read_scalar, text},
    tree::{Key, Node},
    units::parse_duration,
};

use super::{AlertSpec, GroupSpec, Handling, RuleFile, RuleKind, RuleSpec};
use crate::{
    kinds::{self, Kind, Missing, Threshold},
    template::Template,
};

/// Rules in one file at most.
const RULES_MAX: usize = 50_000;

/// Keys that only rules with `alert` have.
const OF_ALERTS: [&str; 9] = [
    "for",
    "keep_firing_for",
    "annotations",
    "clear_threshold",
    "missing",
    "escalation",
    "runbook_url",
    "auto_ack",
    "cooldown",
];

/// Reads a rule file; `name` is what messages call it.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse(text: &str, name: &str) -> Result<RuleFile, Faults> {
    barograph_yaml::read(text, name, |root, findings| {
        let mut section = Section::open(&root, "the rule file", findings);
        let nodes = section.items("groups", findings);
        section.finish(&[], findings);
        let mut names: HashMap<String, Place> = HashMap::new();
        let mut groups = Vec::new();
        for node in nodes {
            let Some(group) = read_group(node, findings) else { continue };
            match names.get(&group.name) {
                Some(Place::File { line, column }) => findings.add(
                    &node.place,
                    format!(
                        "a group is called `{}` already, at {line}:{column}; give it another name",
                        group.name
                    ),
                ),
                _ => {
                    names.insert(group.name.clone(), node.place.clone());
                }
            }
            groups.push(group);
        }
        let file = RuleFile { groups };
        if file.rules() > RULES_MAX {
            findings.add(&root.place, format!("the file has more than {RULES_MAX} rules; split it"));
        }
        file
    })
}

fn read_group(node: &Node, findings: &mut Findings) -> Option<GroupSpec> {
    let mut section = Section::open(node, "a group", findings);
    let name = section.value("name", not_empty, findings);
    if name.is_none() && section.node("name").is_none() {
        findings.add(section.place, "a group needs a `name`");
    }
    let interval = section.value("interval", parse_duration, findings).filter(|&d| d > Duration::ZERO);
    let query_offset = section.value("query_offset", parse_duration, findings);
    let limit = section.value("limit", count, findings).unwrap_or(0);
    // What answers here is one store, which is there or is not: there are no partial responses.
    section.value("partial_response_strategy", strategy, findings);
    let entries = section.entries("labels", findings);
    let labels = read_labels(entries, "a group", findings);
    let rules = section.items("rules", findings);
    let rules = rules.iter().filter_map(|rule| read_rule(rule, &labels, findings)).map(Arc::new).collect();
    let tenant = section.value("tenant", not_empty, findings);
    section.finish(&["source_tenants"], findings);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Some(GroupSpec { name: name?, interval, query_offset, limit, tenant, rules })
}

pub(super) fn read_rule(
    node: &Node,
    group_labels: &BTreeMap<String, String>,
    findings: &mut Findings,
) -> Option<RuleSpec> {
    let mut section = Section::open(node, "a rule", findings);
    let record = section.value("record", metric_name, findings);
    let alert = section.value("alert", not_empty, findings);
    let expr_place = section.node("expr").map_or(node.place.clone(), |node| node.place.clone());
    let expr = section.value("expr", |text| barograph_query::parse(text).map_err(expr_error), findings);
    if section.node("expr").is_none() {
        findings.add(&expr_place, "a rule needs an `expr`");
    }
    let hold = section.value("for", parse_duration, findings);
    let keep_firing = section.value("keep_firing_for", parse_duration, findings);
    let entries = section.entries("labels", findings);
    let mut labels = group_labels.clone();
    labels.extend(read_labels(entries, "a rule", findings));
    let annotations = section.entries("annotations", findings);
    let watches = kinds::read(&mut section, findings);
    let plain = matches!(watches, Kind::Threshold | Kind::Health | Kind::Version(None));
    let threshold = expr.as_ref().filter(|_| plain).and_then(Threshold::of);
    let (threshold, missing) = read_condition(&mut section, threshold, findings);
    let handling = Handling {
        escalation: section.value("escalation", not_empty, findings),
        runbook_url: section.value("runbook_url", not_empty, findings),
        auto_ack: section.value("auto_ack", boolean, findings).unwrap_or(false),
        cooldown: section.value("cooldown", parse_duration, findings).unwrap_or_default(),
    };
    let kinds = (section.node("record").is_some(), section.node("alert").is_some());
    match kinds {
        (true, true) => findings.add(node_place(&section, "alert"), "a rule has either `record` or `alert`"),
        (false, false) => findings.add(section.place, "a rule needs `record` or `alert`"),
        (true, false) => {
            for key in OF_ALERTS.into_iter().chain(kinds::KEYS) {
                if section.node(key).is_some() {
                    let place = node_place(&section, key);
                    findings.add(place, format!("`{key}` is of alerting rules; this one records, remove it"));
                }
            }
        }
        (false, true) => {}
    }
    let kind = if kinds.1 {
        let templates = |entries: &mut dyn Iterator<Item = (String, String, &Place)>,
                         findings: &mut Findings| {
            let mut templates = BTreeMap::new();
            for (name, text, place) in entries {
                match Template::parse(&text) {
                    Ok(template) => drop(templates.insert(name, template)),
                    Err(error) => findings.add(place, format!("template of `{name}`: {error}")),
                }
            }
            templates
        };
        let places: BTreeMap<&str, &Place> =
            entries.iter().map(|(key, node)| (key.text.as_str(), &node.place)).collect();
        let place = section.place;
        let mut given = labels.into_iter().map(|(name, value)| {
            let place = places.get(name.as_str()).copied().unwrap_or(place);
            (name, value, place)
        });
        let labels = templates(&mut given, findings);
        let texts: Vec<_> = annotations
            .iter()
            .filter_map(|(key, node)| {
                let value = read_scalar(node, &format!("annotation `{}`", key.text), text, findings)?;
                Some((key.text.clone(), value, &node.place))
            })
            .collect();
        let annotations = templates(&mut texts.into_iter(), findings);
        alert.map(|name| {
            let (hold, keep_firing) = (hold.unwrap_or_default(), keep_firing.unwrap_or_default());
            RuleKind::Alerting(Box::new(AlertSpec {
                name,
                hold,
                keep_firing,
                labels,
                annotations,
                watches,
                threshold,
                missing,
                handling,
            }))
        })
    } else {
        record.map(|name| RuleKind::Recording { name, labels })
    };
    section.finish(&[], findings);
    Some(RuleSpec { kind: kind?, expr: expr? })
}

/// What a condition is held against, when it is over, and what it means that there is nothing to hold.
fn read_condition(
    section: &mut Section<'_>,
    threshold: Option<Threshold>,
    findings: &mut Findings,
) -> (Option<Threshold>, Missing) {
    let clear = section.value("clear_threshold", number, findings);
    let missing = section.value("missing", Missing::parse, findings).unwrap_or_default();
    for (key, given) in [("clear_threshold", clear.is_some()), ("missing", missing != Missing::Resolve)] {
        if given && threshold.is_none() && section.node("alert").is_some() {
            let place = section.place_of(key);
            findings.add(place, format!("`{key}` needs an `expr` that compares with a number, as `a > 5`"));
        }
    }
    let (Some(found), Some(clear)) = (&threshold, clear) else { return (threshold, missing) };
    match found.clone().with_clear(clear) {
        Ok(found) => (Some(found), missing),
        Err(message) => {
            findings.add(section.place_of("clear_threshold"), format!("`clear_threshold` {message}"));
            (threshold, missing)
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("expected a number, found `{text}`")),
    }
}

fn node_place<'n>(section: &Section<'n>, key: &str) -> &'n Place {
    section.place_of(key)
}

fn read_labels(entries: &[(Key, Node)], owner: &str, findings: &mut Findings) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, node) in entries {
        let name = &key.text;
        if name.is_empty() || name == METRIC_NAME {
            findings.add(&key.place, format!("`{name}` cannot be a label of {owner}"));
        } else if let Some(value) = read_scalar(node, &format!("label `{name}`"), text, findings) {
            labels.insert(name.clone(), value);
        }
    }
    labels
}

#[expect(clippy::needless_pass_by_value, reason = "so that it can be given to `map_err`")]
fn expr_error(error: barograph_query::ParseError) -> String {
    error.to_string()
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected a name".to_owned()) } else { Ok(text.to_owned()) }
}

fn metric_name(text: &str) -> Result<String, String> {
    if text.contains(['{', '}']) {
        return Err(
            "braces in the name of a metric; labels belong into `labels`, selectors into `expr`".into()
        );
    }
    not_empty(text)
}

fn strategy(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "warn" | "abort" | "" => Ok(()),
        _ => Err(format!("expected `warn` or `abort`, found `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, expected: &[&str]) {
        let error = parse(text, "r.yml").unwrap_err().to_string();
        assert_eq!(error.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn groups_and_rules_have_all_their_parts() {
        let text = "groups:\n- name: g\n  interval: 30s\n  query_offset: 1m\n  limit: 10\n  \
                    partial_response_strategy: warn\n  labels: {team: a, tier: x}\n  rules:\n  - record: 'a:b'\n    \
                    expr: sum(up)\n    labels: {tier: y}\n  - alert: Down\n    expr: up == 0\n    for: 5m\n    \
                    keep_firing_for: 1m\n    annotations: {summary: 'of {{ $labels.job }}'}\n";
        let file = parse(text, "r.yml").unwrap();
        let group = &file.groups[0];
        assert_eq!((group.name.as_str(), group.limit, file.rules()), ("g", 10, 2));
        assert_eq!(group.interval, Some(Duration::from_secs(30)));
        assert_eq!(group.query_offset, Some(Duration::from_secs(60)));
        let rule = &group.rules[0];
        assert_eq!((rule.name(), rule.expr.to_string().as_str()), ("a:b", "sum(up)"));
        assert_eq!(rule.labels(), BTreeMap::from([("team", "a"), ("tier", "y")]));
        let rule = &group.rules[1];
        assert_eq!(rule.labels(), BTreeMap::from([("team", "a"), ("tier", "x")]));
        let alert = rule.alerting().unwrap();
        assert_eq!((alert.hold, alert.keep_firing), (Duration::from_secs(300), Duration::from_secs(60)));
        assert_eq!(alert.annotations["summary"].text(), "of {{ $labels.job }}");
        assert_eq!(parse("", "r.yml").unwrap(), RuleFile::default());
    }

    #[test]
    fn every_mistake_is_placed() {
        check_refused(
            "groups:\n- name: g\n  intervall: 5s\n  rules:\n  - record: a\n    expr: sum(\n  - alert: b\n    exp: up\n",
            &[
                "r.yml:3:3: unknown key `intervall` in a group; did you mean `interval`?",
                "r.yml:6:11: `expr`: 1:5: parse error: unclosed left parenthesis",
                "r.yml:7:5: a rule needs an `expr`",
                "r.yml:8:5: unknown key `exp` in a rule; did you mean `expr`?",
            ],
        );
        check_refused(
            "groups:\n- name: g\n- name: g\n- rules: []\n",
            &[
                "r.yml:3:3: a group is called `g` already, at 2:3; give it another name",
                "r.yml:4:3: a group needs a `name`",
            ],
        );
        check_refused(
            "groups:\n- name: g\n  rules:\n  - {record: a, alert: b, expr: up}\n  - {expr: up}\n  \
             - {record: a, expr: up, for: 5m}\n  - {record: 'a{b=\"c\"}', expr: up}\n  \
             - {alert: a, expr: up, labels: {__name__: x}}\n  - {alert: a, expr: up, annotations: {b: '{{ nix }}'}}\n",
            &[
                "r.yml:4:17: a rule has either `record` or `alert`",
                "r.yml:5:5: a rule needs `record` or `alert`",
                "r.yml:6:27: `for` is of alerting rules; this one records, remove it",
                "r.yml:7:14: `record`: braces in the name of a metric; labels belong into `labels`, selectors into `expr`",
                "r.yml:8:35: `__name__` cannot be a label of a rule",
                "r.yml:9:43: template of `b`: 1:4: there is no function `nix`",
            ],
        );
    }

    #[test]
    fn keys_of_ours_are_read_and_checked() {
        let rule =
            |keys: &str| format!("groups:\n- name: g\n  rules:\n  - {{alert: a, expr: m > 85, {keys}}}\n");
        let keys = "clear_threshold: 80, missing: keep, escalation: night, runbook_url: 'x', auto_ack: true, cooldown: 5m";
        let file = parse(&rule(keys), "r.yml").unwrap();
        let alert = file.groups[0].rules[0].alerting().unwrap();
        let threshold = alert.threshold.as_ref().unwrap();
        assert_eq!((threshold.fire, threshold.clear, alert.missing), (85.0, Some(80.0), Missing::Keep));
        assert_eq!(alert.handling.escalation.as_deref(), Some("night"));
        assert_eq!((alert.handling.auto_ack, alert.handling.cooldown), (true, Duration::from_secs(300)));
        check_refused(
            &rule("clear_threshold: 90"),
            &["r.yml:4:30: `clear_threshold` should be at most 85, which is what the alert fires at"],
        );
        check_refused(
            "groups:\n- name: g\n  rules:\n  - {alert: a, expr: m > n, missing: keep}\n  - {record: a, expr: m, missing: keep}\n",
            &[
                "r.yml:4:29: `missing` needs an `expr` that compares with a number, as `a > 5`",
                "r.yml:5:26: `missing` is of alerting rules; this one records, remove it",
            ],
        );
    }

    #[test]
    fn kinds_are_read_and_checked() {
        let rule = |keys: &str| format!("groups:\n- name: g\n  rules:\n  - {{alert: a, expr: m, {keys}}}\n");
        for (keys, kind) in [
            ("kind: version", "version"),
            ("kind: trend", "trend"),
            ("anomaly: {q: 1e-5, cycle: 1d, direction: up, rest: 30m}", "anomaly"),
            ("kind: correlation, correlation: {conditions: [n > 1], at_least: 1, on: [job]}", "correlation"),
            ("correlation: {with: n, window: 30m, baseline: 6h}", "correlation"),
            ("version: {baseline: previous, window: 1h, direction: higher_is_better, bound: 0.1}", "version"),
            ("version: {baseline: 1.4.2, of: n, strata: [route], label: service_version}", "version"),
            ("kind: version, version: {at_least: '2.10', deprecated: ['1\\..*']}", "version"),
        ] {
            let file = parse(&rule(keys), "r.yml").unwrap();
            assert_eq!(file.groups[0].rules[0].alerting().unwrap().watches.as_str(), kind);
        }
        for (keys, expected) in [
            (
                "kind: odd",
                "r.yml:4:31: `kind`: expected `threshold`, `anomaly`, `trend`, `correlation`, `health` or `version`, found `odd`",
            ),
            (
                "trend: {threshold: 5}",
                "r.yml:4:32: `threshold` and `horizon` belong together: what it must not cross, and how soon",
            ),
            ("trend: {}, anomaly: {}", "r.yml:4:25: a rule is of one kind; `anomaly` is there already"),
            ("kind: trend, anomaly: {}", "r.yml:4:25: `kind` says trend, and `anomaly` is there; remove one"),
            ("anomaly: {points: 4}", "r.yml:4:34: `points` cannot be more than `of`"),
            ("correlation: {conditions: [n], at_least: 3}", "r.yml:4:56: there are only 2 conditions"),
            (
                "version: {label: v}",
                "r.yml:4:34: `version` needs `baseline`, as `baseline: previous`, or `at_least`, or `deprecated`",
            ),
            (
                "version: {baseline: previous, window: 10m}",
                "r.yml:4:55: `window` should hold 30 to 5000 values, one `every` so often; with these it holds 10",
            ),
            (
                "version: {baseline: previous, look_back: 1h}",
                "r.yml:4:55: `look_back` should be at least as long as `window`",
            ),
            (
                "version: {at_least: 2, window: 1h}",
                "r.yml:4:48: `window` compares versions, and `at_least` and `deprecated` say which are not to be used; write two rules",
            ),
            (
                "version: {baseline: previous, direction: down}",
                "r.yml:4:66: `direction`: expected `lower_is_better` or `higher_is_better`, found `down`",
            ),
            (
                "version: {at_least: 2}, kind: health",
                "r.yml:4:49: `kind` says health, and `version` is there; remove one",
            ),
            ("anomaly: {qq: 1}", "r.yml:4:35: unknown key `qq` in `anomaly`; did you mean `q`?"),
        ] {
            check_refused(&rule(keys), &[expected]);
        }
    }
}
