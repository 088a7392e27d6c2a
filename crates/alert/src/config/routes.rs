//! The tree of routes, and the rules of inhibition.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use barograph_model::{MatchOp, Matcher};
use barograph_yaml::{
    section::{Findings, Section, boolean, read_scalar, text},
    tree::{Kind, Node},
    units::parse_duration,
};

use super::{InhibitRule, Receiver, TimeInterval};
use crate::routing::{GroupBy, Matchers, Route};

/// Routes at most.
const ROUTES_MAX: usize = 10_000;

/// What routes may name.
pub(super) struct Names<'a> {
    pub(super) receivers: &'a BTreeMap<String, Receiver>,
    pub(super) intervals: &'a BTreeMap<String, Vec<TimeInterval>>,
    pub(super) policies: BTreeSet<String>,
}

pub(super) fn read_root(node: &Node, names: &Names<'_>, findings: &mut Findings) -> Route {
    let mut count = 0;
    let mut root = read_route(node, None, names, &mut count, findings);
    if count > ROUTES_MAX {
        findings.add(&node.place, format!("there are more than {ROUTES_MAX} routes"));
    }
    root.settle();
    root
}

fn read_route(
    node: &Node,
    parent: Option<&Route>,
    names: &Names<'_>,
    count: &mut usize,
    findings: &mut Findings,
) -> Route {
    *count += 1;
    let mut section = Section::open(node, "a route", findings);
    let mut route = parent.cloned().unwrap_or_else(|| Route::root(""));
    route.routes.clear();
    let receiver = section.value("receiver", |name| known(name, names.receivers, "receiver"), findings);
    match (receiver, parent) {
        (Some(receiver), _) => route.receiver = receiver,
        (None, None) if section.node("receiver").is_none() => {
            findings
                .add(&node.place, "the root route needs a `receiver`, who gets what no other route takes");
        }
        _ => {}
    }
    route.matchers = read_matchers(&mut section, ["match", "match_re", "matchers"], findings);
    route.continues = section.value("continue", boolean, findings).unwrap_or(false);
    let interval = |name: &str| known(name, names.intervals, "time interval");
    route.mute_time_intervals = section.values("mute_time_intervals", interval, findings);
    route.active_time_intervals = section.values("active_time_intervals", interval, findings);
    if parent.is_none() {
        let keys =
            ["match", "match_re", "matchers", "continue", "mute_time_intervals", "active_time_intervals"];
        for key in keys {
            if section.node(key).is_some_and(|node| !node.is_void()) && (key != "continue" || route.continues)
            {
                let text = format!("the root route takes all alerts at all times; remove `{key}`");
                findings.add(section.place_of(key), text);
            }
        }
    }
    read_group_by(&mut section, &mut route, findings);
    let positive = |text: &str| match millis(text)? {
        0 => Err("expected more than 0".to_owned()),
        time => Ok(time),
    };
    section.set("group_wait", &mut route.group_wait, millis, findings);
    section.set("group_interval", &mut route.group_interval, positive, findings);
    section.set("repeat_interval", &mut route.repeat_interval, positive, findings);
    let policy = |name: &str| match names.policies.contains(name) {
        true => Ok(Some(name.to_owned())),
        false => Err(format!("there is no escalation policy {name:?}; write it under `escalation_policies`")),
    };
    if let Some(policy) = section.value("escalation", policy, findings) {
        route.escalation = policy;
    }
    let children = section.items("routes", findings);
    section.finish(&[], findings);
    let children: Vec<_> =
        children.iter().map(|child| read_route(child, Some(&route), names, count, findings)).collect();
    route.routes = children;
    route
}

fn read_group_by(section: &mut Section<'_>, route: &mut Route, findings: &mut Findings) {
    let names = section.values("group_by", text, findings);
    if names.is_empty() {
        return;
    }
    if names.iter().any(|name| name == "...") {
        if names.len() > 1 {
            findings
                .add(section.place_of("group_by"), "`...` is all labels; write it alone, or leave it out");
        }
        route.group_by = GroupBy::All;
        return;
    }
    let set: BTreeSet<_> = names.iter().cloned().collect();
    if set.len() < names.len() {
        findings.add(section.place_of("group_by"), "a label stands twice in `group_by`");
    }
    if set.contains("") {
        findings.add(section.place_of("group_by"), "a label has a name");
    }
    route.group_by = GroupBy::Labels(set);
}

pub(super) fn read_inhibit_rules(nodes: &[Node], findings: &mut Findings) -> Vec<InhibitRule> {
    let rule = |node: &Node| {
        let mut section = Section::open(node, "a rule of inhibition", findings);
        section.value("name", text, findings);
        let source = ["source_match", "source_match_re", "source_matchers"];
        let target = ["target_match", "target_match_re", "target_matchers"];
        let rule = InhibitRule {
            source: read_matchers(&mut section, source, findings),
            target: read_matchers(&mut section, target, findings),
            equal: section.values("equal", text, findings),
        };
        section.finish(&[], findings);
        rule
    };
    nodes.iter().map(rule).collect()
}

/// What stands in three forms: values by name, patterns by name, and texts of matchers.
fn read_matchers(section: &mut Section<'_>, keys: [&'static str; 3], findings: &mut Findings) -> Matchers {
    let mut all = Vec::new();
    for (key, op) in [(keys[0], MatchOp::Equal), (keys[1], MatchOp::Regex)] {
        for (name, node) in section.entries(key, findings) {
            let matcher = |value: &str| {
                let value = match op {
                    // As upstream writes it in keys of groups.
                    MatchOp::Regex => format!("^(?:{value})$"),
                    _ => value.to_owned(),
                };
                Matcher::new(&name.text, op, &value).map_err(|error| error.to_string())
            };
            let void = Node { place: node.place.clone(), kind: Kind::Scalar(String::new()) };
            let node = if matches!(node.kind, Kind::Null) { &void } else { node };
            all.extend(read_scalar(node, &format!("`{}`", name.text), matcher, findings));
        }
    }
    let texts = section.values(keys[2], Matchers::parse, findings);
    texts.into_iter().fold(Matchers::new(all), Matchers::and)
}

fn known<T>(name: &str, among: &BTreeMap<String, T>, what: &str) -> Result<String, String> {
    if among.contains_key(name) {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = among.keys().take(20).map(String::as_str).collect();
    Err(match names.is_empty() {
        true => format!("there is no {what} {name:?}, nor any other"),
        false => format!("there is no {what} {name:?}; there are {}", names.join(", ")),
    })
}

pub(super) fn millis(text: &str) -> Result<i64, String> {
    let duration: Duration = parse_duration(text)?;
    i64::try_from(duration.as_millis()).map_err(|_| "it is too long".to_owned())
}
