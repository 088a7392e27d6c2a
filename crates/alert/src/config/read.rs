//! The file key by key.

use std::collections::BTreeMap;

use barograph_yaml::{
    Faults,
    section::{Findings, Section, text},
    tree::{Key, Node},
};

use super::{
    Config, Global,
    intervals::read_intervals,
    receivers::read_receivers,
    routes::{Names, millis, read_inhibit_rules, read_root},
};
use crate::incident::{Policy, Schedule, built_in_policies};

/// Reads `alertmanager.yml`; `name` is what messages call it.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse(text: &str, name: &str) -> Result<Config, Faults> {
    barograph_yaml::read(text, name, |root, findings| read(&root, findings))
}

fn read(root: &Node, findings: &mut Findings) -> Config {
    let none = Node::null(root.place.clone());
    let mut section = Section::open(root, "the file", findings);
    let global = read_global(section.node("global").unwrap_or(&none), findings);
    let receivers = read_receivers(section.items("receivers", findings), &global.channels, findings);
    let mut time_intervals = BTreeMap::new();
    // The older name of the same.
    read_intervals(section.items("mute_time_intervals", findings), &mut time_intervals, findings);
    read_intervals(section.items("time_intervals", findings), &mut time_intervals, findings);
    let inhibit_rules = read_inhibit_rules(section.items("inhibit_rules", findings), findings);
    let templates = section.values("templates", text, findings);
    let schedules = named(section.entries("schedules", findings), Schedule::read, findings);
    let entries = section.entries("escalation_policies", findings);
    let policies = named(entries, Policy::read, findings);
    for (key, _) in entries {
        let Some(policy) = policies.get(&key.text) else { continue };
        let missing = policy
            .missing(|name| schedules.get(name).map(Schedule::people), |name| receivers.contains_key(name));
        missing.into_iter().for_each(|text| findings.add(&key.place, text));
    }
    let names = Names {
        receivers: &receivers,
        intervals: &time_intervals,
        policies: entries.iter().map(|(key, _)| key.text.clone()).chain(built_in_policies()).collect(),
    };
    let route = section.node("route");
    if route.is_none() {
        findings.add(&root.place, "a `route` is needed: which receiver gets what no other route takes");
    }
    let route = read_root(route.unwrap_or(&none), &names, findings);
    section.finish(&["tracing"], findings);
    Config { route, receivers, inhibit_rules, time_intervals, global, templates, policies, schedules }
}

/// Values under keys of the file's choice.
fn named<T>(
    entries: &[(Key, Node)],
    read: impl Fn(&Node, &mut Findings) -> Option<T>,
    findings: &mut Findings,
) -> BTreeMap<String, T> {
    entries.iter().filter_map(|(key, node)| Some((key.text.clone(), read(node, findings)?))).collect()
}

fn read_global(node: &Node, findings: &mut Findings) -> Global {
    let mut section = Section::open(node, "`global`", findings);
    let mut global = Global::default();
    section.set("resolve_timeout", &mut global.resolve_timeout, millis, findings);
    global.channels = crate::channels::Global::read(&mut section, findings);
    section.finish(&[], findings);
    global
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::GroupBy;

    fn faults(text: &str) -> String {
        parse(text, "a.yml").unwrap_err().to_string()
    }

    #[test]
    fn routes_have_what_they_do_not_say_from_their_parents() {
        let config = parse(
            "route: {receiver: a, group_by: [x], group_wait: 5s, routes: [{matchers: ['k=\"v\"', 'l!~\"w\"'], \
             receiver: b, routes: [{match_re: {m: 'n.*'}, group_by: ['...']}]}]}\n\
             receivers: [{name: a}, {name: b, webhook_configs: [{url: 'http://x', send_resolved: false}]}]\n",
            "a.yml",
        )
        .unwrap();
        let below = &config.route.routes[0].routes[0];
        assert_eq!(below.path, r#"{}/{k="v",l!~"w"}/{m=~"^(?:n.*)$"}"#);
        assert_eq!((below.receiver.as_str(), below.group_wait, below.number), ("b", 5_000, 2));
        assert_eq!(below.group_by, GroupBy::All);
        assert!(!config.receivers["b"].channels[0].send_resolved);
    }

    #[test]
    fn mistakes_have_their_places() {
        let text = "route: {receiver: a, matchers: ['x=1'], routes: [{receiver: z, group_by: ['...', b], \
                    mute_time_intervals: [t], matchers: ['x'], group_interval: 0s, colour: red}]}\n\
                    receivers: [{name: a}, {name: a}, {sns_configs: []}]\n\
                    time_intervals: [{name: q, time_intervals: [{weekdays: [caturday], location: Nowhere}]}]\n";
        let text = faults(text);
        let policies = "route: {receiver: a, escalation: none}\nreceivers: [{name: a}]\n\
                        escalation_policies: {p: {levels: [{targets: ['schedule:s', 'user:u']}]}}\n";
        let policies = faults(policies);
        let nights = "route: {receiver: a}\nreceivers: [{name: a}, {name: b}]\n\
                      escalation_policies: {p: {levels: [{targets: ['schedule:s']}]}}\n\
                      schedules: {s: {layers: [{users: [b, c], start: 2026-01-05T09:00}]}}\n";
        assert_eq!(
            faults(nights),
            "a.yml:3:23: there is no receiver `c` by which the user `c` is told; add it to `receivers`"
        );
        for part in ["there is no schedule `s`", "there is no receiver `u` by which the user `u` is told"] {
            assert!(policies.contains(part), "{part}\n{policies}");
        }
        for part in [
            "a.yml:1:22: the root route takes all alerts",
            "`receiver`: there is no receiver \"z\"; there are a",
            "`...` is all labels",
            "there is no time interval \"t\"",
            "`group_interval`: expected more than 0",
            "unknown key `colour` in a route",
            "a receiver is called `a` already",
            "a receiver needs a `name`",
            "\"caturday\" is no day of the week",
            "there is no time zone \"Nowhere\"",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(faults("receivers: []").contains("a `route` is needed"));
    }
}
