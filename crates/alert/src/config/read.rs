//! The file key by key.

use std::collections::{BTreeMap, BTreeSet};

use barograph_yaml::{
    Faults,
    section::{Findings, Section, text},
    tree::Node,
};

use super::{
    Config, Global,
    intervals::read_intervals,
    receivers::read_receivers,
    routes::{Names, millis, read_inhibit_rules, read_root},
};

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
    let nodes = |entries: &[(barograph_yaml::tree::Key, Node)]| {
        entries.iter().map(|(key, node)| (key.text.clone(), node.clone())).collect::<BTreeMap<_, _>>()
    };
    let policies = nodes(section.entries("escalation_policies", findings));
    let schedules = nodes(section.entries("schedules", findings));
    let names = Names {
        receivers: &receivers,
        intervals: &time_intervals,
        policies: policies.keys().cloned().collect::<BTreeSet<_>>(),
    };
    let route = section.node("route");
    if route.is_none() {
        findings.add(&root.place, "a `route` is needed: which receiver gets what no other route takes");
    }
    let route = read_root(route.unwrap_or(&none), &names, findings);
    section.finish(&["tracing"], findings);
    Config { route, receivers, inhibit_rules, time_intervals, global, templates, policies, schedules }
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
