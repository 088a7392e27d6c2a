//! A random tree of routes with all that belongs to it: receivers, rules of inhibition, and the alerts that may come.
//!
//! Many trees stand side by side in one configuration; the label `tree` keeps them apart. Waits are such that looks at groups
//! and what is posted never fall together: posts come at whole seconds or a quarter behind, waits end in 625 ms, and intervals
//! are whole seconds. What nobody tells again is over 375 ms behind a second.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::random::Random;

pub(super) type Labels = BTreeMap<String, String>;

/// Routes below each other at most.
const DEPTH_MAX: u64 = 3;
/// Labels of alerts beside `tree`, and their values; an alert may lack each but the first.
const LABELS: [(&str, &[&str]); 5] = [
    ("alertname", &["Full", "Slow", "Down"]),
    ("severity", &["critical", "warning", "info"]),
    ("host", &["h0", "h1", "h2"]),
    ("zone", &["north", "south"]),
    ("note", &["a b", "say \"hi\"", "back\\slash", "grün"]),
];
/// Patterns for matchers of any label.
const PATTERNS: [&str; 8] = [".*", ".+", "", "h[01]", "Full|Slow", "critical|warning", "(no|sou)rth", "n.*h"];
/// Names of the intervals that all trees share; see [`intervals`].
const INTERVALS: [&str; 4] = ["always", "never", "until", "from"];

/// One tree.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) number: u64,
    /// The root of it, a child of the configuration's root.
    pub(super) route: Value,
    /// For each receiver the integrations: whether they hear of alerts that are over.
    receivers: Vec<Vec<bool>>,
    pub(super) inhibit_rules: Vec<Value>,
    /// Labels of the alerts that may come.
    pub(super) alerts: Vec<Labels>,
}

impl Tree {
    /// The tree of a number under a seed.
    pub(super) fn new(number: u64, random: &mut Random) -> Self {
        let receivers: Vec<Vec<bool>> = (0..1 + random.below(3))
            .map(|_| (0..1 + random.below(2)).map(|_| !chance(random, 30)).collect())
            .collect();
        let mut route = route(number, receivers.len(), 0, random);
        let timed = [
            ("receiver", json!(receiver(number, 0))),
            ("matchers", json!([of_tree(number)])),
            ("continue", json!(false)),
            ("group_wait", pick(&["625ms", "1s625ms", "2s625ms"], random)),
            ("group_interval", pick(&["2s", "3s", "4s"], random)),
            ("repeat_interval", pick(&["3s500ms", "5s500ms", "7s500ms", "1h"], random)),
        ];
        for (key, value) in timed {
            route.insert(key.to_owned(), value);
        }
        let inhibit_rules = (0..random.below(3)).map(|_| inhibit_rule(number, random)).collect();
        let mut alerts: Vec<Labels> = (0..4 + random.below(5)).map(|_| labels(number, random)).collect();
        alerts.sort();
        alerts.dedup();
        Self { number, route: Value::Object(route), receivers, inhibit_rules, alerts }
    }

    /// Its receivers, told at `host:port`.
    pub(super) fn receivers(&self, address: &str) -> Vec<Value> {
        let receiver = |(index, integrations): (usize, &Vec<bool>)| {
            let webhook = |(place, send_resolved): (usize, &bool)| {
                let url = format!("http://{address}/{}/{index}/{place}", self.number);
                json!({ "url": url, "send_resolved": send_resolved })
            };
            let webhooks: Vec<_> = integrations.iter().enumerate().map(webhook).collect();
            json!({ "name": receiver(self.number, index), "webhook_configs": webhooks })
        };
        self.receivers.iter().enumerate().map(receiver).collect()
    }

    /// Whether what it does depends on the second of the minute.
    pub(super) fn minds_the_minute(&self) -> bool {
        let text = self.route.to_string();
        text.contains("\"until\"") || text.contains("\"from\"")
    }
}

/// The configuration of trees whose notices go to an address, as played from a minute of a day on.
pub(super) fn configuration(trees: &[Tree], address: &str, minute: u32) -> Value {
    let all = |each: &dyn Fn(&Tree) -> Vec<Value>| trees.iter().flat_map(each).collect::<Vec<_>>();
    let mut receivers = all(&|tree| tree.receivers(address));
    receivers.push(json!({ "name": "nobody" }));
    json!({
        "global": { "resolve_timeout": "5s375ms" },
        "route": { "receiver": "nobody", "routes": all(&|tree| vec![tree.route.clone()]) },
        "receivers": receivers,
        "inhibit_rules": all(&|tree| tree.inhibit_rules.clone()),
        "time_intervals": intervals(minute),
    })
}

/// Intervals: two that stand still, and two that change when the minute is over.
fn intervals(minute: u32) -> Vec<Value> {
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    let interval = |name: &str, parts: Value| json!({ "name": name, "time_intervals": [parts] });
    let times =
        |from: u32, to: u32| json!({ "times": [{ "start_time": clock(from), "end_time": clock(to) }] });
    let (always, never) = (times(0, 1440), json!({ "years": ["1999"] }));
    // In the last minute of a day nothing changes.
    let next = minute + 1;
    let from = if next < 1440 { times(next, 1440) } else { never.clone() };
    vec![
        interval("always", always),
        interval("never", never),
        interval("until", times(0, next)),
        interval("from", from),
    ]
}

fn route(number: u64, receivers: usize, depth: u64, random: &mut Random) -> Map<String, Value> {
    let mut route = Map::new();
    let mut set = |key: &str, value: Value| drop(route.insert(key.to_owned(), value));
    if chance(random, 60) {
        let which = usize::try_from(random.below(receivers as u64)).unwrap_or(0);
        set("receiver", json!(receiver(number, which)));
    }
    if chance(random, 40) {
        set("continue", json!(true));
    }
    match random.below(10) {
        0..3 => set("group_by", json!(["..."])),
        3..8 => {
            let mut names: Vec<&str> = LABELS.iter().map(|label| label.0).collect();
            names.retain(|_| chance(random, 40));
            set("group_by", json!(names));
        }
        _ => {}
    }
    if depth > 0 {
        if chance(random, 30) {
            set("group_wait", pick(&["625ms", "1s625ms", "3s625ms"], random));
        }
        if chance(random, 30) {
            set("group_interval", pick(&["2s", "3s", "5s"], random));
        }
        if chance(random, 30) {
            set("repeat_interval", pick(&["2s500ms", "4s500ms", "6s500ms"], random));
        }
        match random.below(5) {
            0 => {
                let (name, values) = LABELS[below(LABELS.len(), random)];
                set("match", json!({ name: values[below(values.len(), random)] }));
            }
            1 => set("match_re", json!({ LABELS[below(LABELS.len(), random)].0: pick(&PATTERNS, random) })),
            _ => {
                let count = random.below(3);
                set("matchers", (0..count).map(|_| Value::String(matcher(random))).collect());
            }
        }
    }
    if chance(random, 12) {
        set("mute_time_intervals", json!([pick(&INTERVALS, random)]));
    }
    if chance(random, 12) {
        set("active_time_intervals", json!([pick(&INTERVALS, random)]));
    }
    if depth < DEPTH_MAX {
        let count = random.below(4 - depth);
        let children: Vec<_> =
            (0..count).map(|_| Value::Object(self::route(number, receivers, depth + 1, random))).collect();
        set("routes", Value::Array(children));
    }
    route
}

fn inhibit_rule(number: u64, random: &mut Random) -> Value {
    let mut side = || {
        let count = random.below(3);
        let mut matchers = vec![of_tree(number)];
        matchers.extend((0..count).map(|_| matcher(random)));
        matchers
    };
    let (source, target) = (side(), side());
    let mut equal: Vec<&str> = LABELS.iter().map(|label| label.0).collect();
    equal.retain(|_| chance(random, 30));
    json!({ "source_matchers": source, "target_matchers": target, "equal": equal })
}

/// A condition as a text, in either syntax.
pub(super) fn matcher(random: &mut Random) -> String {
    let (name, values) = LABELS[below(LABELS.len(), random)];
    let plain =
        |random: &mut Random| if chance(random, 8) { "" } else { values[below(values.len(), random)] };
    let pattern = |random: &mut Random| PATTERNS[below(PATTERNS.len(), random)];
    let (sign, value) = match random.below(6) {
        0..3 => ("=", plain(random)),
        3 => ("!=", plain(random)),
        4 => ("=~", pattern(random)),
        _ => ("!~", pattern(random)),
    };
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{name}{sign}\"{quoted}\"")
}

/// Only alerts of this tree.
pub(super) fn of_tree(number: u64) -> String {
    format!("tree=\"{number}\"")
}

fn labels(number: u64, random: &mut Random) -> Labels {
    let mut labels = Labels::from([("tree".to_owned(), number.to_string())]);
    for (index, (name, values)) in LABELS.into_iter().enumerate() {
        if index == 0 || chance(random, 65) {
            labels.insert(name.to_owned(), values[below(values.len(), random)].to_owned());
        }
    }
    labels
}

fn receiver(number: u64, index: usize) -> String {
    format!("t{number}r{index}")
}

/// Whether something happens that happens so many times of a hundred.
pub(super) fn chance(random: &mut Random, percent: u64) -> bool {
    random.below(100) < percent
}

pub(super) fn below(count: usize, random: &mut Random) -> usize {
    usize::try_from(random.below(count as u64)).unwrap_or(0)
}

fn pick(among: &[&str], random: &mut Random) -> Value {
    Value::from(among[below(among.len(), random)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_follows_from_its_seed() {
        let tree = || Tree::new(7, &mut Random::new(3));
        assert_eq!(tree().route, tree().route);
        assert_eq!(tree().alerts, tree().alerts);
        let text = configuration(&[tree()], "127.0.0.1:1", 1439).to_string();
        assert!(text.contains("http://127.0.0.1:1/7/0/0"));
    }
}
