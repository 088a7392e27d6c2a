//! What keeps an alert from being told: silences, other alerts, maintenance, and times of its route.
//!
//! Whatever mutes an alert mutes only that somebody is told: the alert itself goes on.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Alert, Fingerprint, LabelSet, Maintenance, Matchers, Route, Silences, TimeInterval};

/// What mutes an alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MutedBy {
    /// Of which kind it is.
    pub kind: MuteKind,
    /// Which one: the id of a silence or window, the fingerprint of an alert, the name of an interval.
    pub id: String,
}

/// The kinds of what mutes, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MuteKind {
    /// Somebody silenced it.
    Silence,
    /// A window of maintenance.
    Maintenance,
    /// Another alert says it all.
    Inhibition,
    /// It is not the time.
    Interval,
}

/// Alerts that are not told while others fire.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InhibitRule {
    /// The alerts that inhibit.
    pub source: Matchers,
    /// The alerts that are inhibited.
    pub target: Matchers,
    /// Labels of which both have the same values, or have neither.
    pub equal: Vec<String>,
}

/// The rules of inhibition, with the alerts that inhibit.
#[derive(Clone, Debug, Default)]
pub struct Inhibitor {
    rules: Vec<Sources>,
}

#[derive(Clone, Debug)]
struct Sources {
    rule: InhibitRule,
    /// Alerts that match the source, by the values of the labels that are compared.
    alerts: HashMap<Vec<String>, BTreeMap<Fingerprint, Source>>,
}

/// Whether an alert that inhibits matches the target, too, and when it ends.
type Source = (bool, Option<i64>);

impl Inhibitor {
    /// Without alerts.
    pub fn new(rules: &[InhibitRule]) -> Self {
        let sources = |rule: &InhibitRule| Sources { rule: rule.clone(), alerts: HashMap::new() };
        Self { rules: rules.iter().map(sources).collect() }
    }

    /// Takes note of an alert as it is now.
    pub fn note(&mut self, alert: &Alert) {
        for sources in &mut self.rules {
            if sources.rule.source.matches(&alert.labels) {
                let both = sources.rule.target.matches(&alert.labels);
                let key = values(&sources.rule.equal, &alert.labels);
                sources.alerts.entry(key).or_default().insert(alert.fingerprint(), (both, alert.ends_at));
            }
        }
    }

    /// Forgets an alert.
    pub fn forget(&mut self, alert: &Alert) {
        for sources in &mut self.rules {
            let key = values(&sources.rule.equal, &alert.labels);
            if let Some(alerts) = sources.alerts.get_mut(&key) {
                alerts.remove(&alert.fingerprint());
                if alerts.is_empty() {
                    sources.alerts.remove(&key);
                }
            }
        }
    }

    /// An alert because of which one with these labels is not told.
    pub fn inhibits(&self, labels: &LabelSet, now: i64) -> Option<Fingerprint> {
        self.rules.iter().find_map(|sources| {
            if !sources.rule.target.matches(labels) {
                return None;
            }
            // Two alerts of both sides would mute each other.
            let both = sources.rule.source.matches(labels);
            let alerts = sources.alerts.get(&values(&sources.rule.equal, labels))?;
            let fires = |&(_, &(also, ends)): &(&Fingerprint, &(bool, Option<i64>))| {
                !(both && also) && ends.is_none_or(|end| end > now)
            };
            alerts.iter().find(fires).map(|(fingerprint, _)| *fingerprint)
        })
    }
}

fn values(names: &[String], labels: &LabelSet) -> Vec<String> {
    names.iter().map(|name| labels.get(name).cloned().unwrap_or_default()).collect()
}

/// What mutes alerts, whatever their route.
#[derive(Clone, Debug, Default)]
pub struct Mutes {
    /// Alerts that inhibit.
    pub inhibitor: Inhibitor,
    /// Silences.
    pub silences: Silences,
    /// Windows of maintenance by id.
    pub maintenance: BTreeMap<String, Maintenance>,
}

impl Mutes {
    /// With the intervals, by name, that routes go by.
    pub fn with<'a>(&'a self, intervals: &'a BTreeMap<String, Vec<TimeInterval>>) -> Muting<'a> {
        Muting { mutes: self, intervals }
    }
}

/// All that mutes.
#[derive(Clone, Copy, Debug)]
pub struct Muting<'a> {
    mutes: &'a Mutes,
    intervals: &'a BTreeMap<String, Vec<TimeInterval>>,
}

impl Muting<'_> {
    /// What mutes an alert on all routes.
    pub fn of_alert(&self, labels: &LabelSet, now: i64) -> Vec<MutedBy> {
        let by = |kind, id: &str| MutedBy { kind, id: id.to_owned() };
        let mut muted: Vec<_> =
            self.mutes.silences.of(labels, now).map(|silence| by(MuteKind::Silence, &silence.id)).collect();
        let windows = self.mutes.maintenance.values().filter(|window| window.mutes(labels, now));
        muted.extend(windows.map(|window| by(MuteKind::Maintenance, &window.id)));
        let inhibiting = self.mutes.inhibitor.inhibits(labels, now);
        muted.extend(inhibiting.map(|source| by(MuteKind::Inhibition, &source.to_string())));
        muted
    }

    /// The intervals that mute all of a route.
    pub fn of_route(&self, route: &Route, now: i64) -> Vec<MutedBy> {
        let holds = |name: &&String| {
            self.intervals.get(*name).is_some_and(|all| all.iter().any(|interval| interval.contains(now)))
        };
        let by = |name: &String| MutedBy { kind: MuteKind::Interval, id: name.clone() };
        let mut muted: Vec<_> = route.mute_time_intervals.iter().filter(holds).map(by).collect();
        if !route.active_time_intervals.is_empty()
            && !route.active_time_intervals.iter().any(|name| holds(&name))
        {
            muted.extend(route.active_time_intervals.iter().map(by));
        }
        muted
    }
}
