//! Who would have been woken by what would have fired.
//!
//! Firings go through the tree of routes, groups, intervals and policies that are configured, at the times they would have
//! had, and nobody acknowledges. Silences and windows of maintenance that are known mute them where they held then, and the
//! rule's own alerts inhibit each other; what other rules raised is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barograph_model::Timestamp;

use super::Firing;
use crate::{
    RuleSpec,
    config::Config,
    incident::{Book, Change, Schedule, Surrounding, recipients},
    notice::Reason,
    raised,
    routing::{
        Alert, Cause, Dispatcher, Fingerprint, Flush, Inhibitor, Log, Maintenance, MuteKind, MutedBy, Mutes,
        Silences,
    },
};

/// Looks at groups and incidents of one preview at most.
const STEPS_MAX: usize = 200_000;
/// What held firings back is told of so many at most, of those that held back most.
const HELD_MAX: usize = 100;

/// By what it is decided who is woken.
#[derive(Clone, Copy, Debug)]
pub struct Paging<'a> {
    /// Routes, receivers and policies.
    pub config: &'a Arc<Config>,
    /// Schedules by name, with their overrides.
    pub schedules: &'a BTreeMap<String, Schedule>,
    /// Silences, those that are over among them.
    pub silences: &'a Silences,
    /// Windows of maintenance by id.
    pub maintenance: &'a BTreeMap<String, Maintenance>,
}

/// What kept firings from being told, at some look at their group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    /// Of which kind it is.
    pub by: MuteKind,
    /// Which one: the id of a silence or window, the fingerprint of an alert, the name of an interval.
    pub id: String,
    /// What it is called: the comment of a silence, the name of a window, of an alert or of an interval.
    pub about: String,
    /// How many firings.
    pub firings: usize,
    /// How many of those nobody was told of at all.
    pub untold: usize,
}

/// Who would have been woken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paged {
    /// How often each receiver was told that something fires.
    pub times: BTreeMap<String, usize>,
    /// How many incidents there would have been.
    pub incidents: usize,
    /// What would have been told without, the most first.
    pub held_back: Vec<HeldBack>,
    /// Whether it was too much to be looked at to the end.
    pub cut: bool,
}

/// Plays firings, which are in order, up to a time.
pub fn paged(spec: &RuleSpec, firings: &[Firing], until: Timestamp, by: Paging<'_>) -> Paged {
    let mut play = Play {
        by,
        dispatcher: Dispatcher::new(by.config.clone(), Log::default()),
        book: Book::default(),
        mutes: Mutes {
            inhibitor: Inhibitor::new(&by.config.inhibit_rules),
            silences: by.silences.clone(),
            maintenance: by.maintenance.clone(),
        },
        held: BTreeMap::new(),
        told: BTreeSet::new(),
        steps: 0,
        paged: Paged::default(),
    };
    let mut events: Vec<(i64, Alert)> = Vec::with_capacity(firings.len() * 2);
    for firing in firings {
        let alert = alert(spec, firing);
        if let Some(end) = firing.end {
            events.push((end.0, alert.clone().ended(end.0)));
        }
        events.push((firing.start.0, alert));
    }
    events.sort_by_key(|(at, alert)| (*at, alert.ends_at.is_none()));
    for (at, alert) in events {
        play.until(at);
        play.mutes.inhibitor.note(&alert);
        play.dispatcher.insert([alert], at);
    }
    play.until(until.0);
    play.paged.held_back = play.held_back(firings);
    play.paged
}

/// Which alert fires, and since when.
type Spell = (Fingerprint, i64);

fn alert(spec: &RuleSpec, firing: &Firing) -> Alert {
    let named = spec.alerting().and_then(|alert| alert.handling.escalation.clone());
    let escalation = named.or_else(|| firing.annotations.get("escalation").cloned());
    Alert {
        labels: raised::labels(&firing.labels),
        annotations: firing.annotations.clone(),
        starts_at: firing.start.0,
        ends_at: None,
        timeout: false,
        updated_at: firing.start.0,
        generator_url: String::new(),
        cause: Some(Cause { escalation, ..Cause::default() }),
    }
}

struct Play<'a> {
    by: Paging<'a>,
    dispatcher: Dispatcher,
    book: Book,
    mutes: Mutes,
    /// What was held back by what.
    held: BTreeMap<MutedBy, BTreeSet<Spell>>,
    /// What somebody was told of.
    told: BTreeSet<Spell>,
    steps: usize,
    paged: Paged,
}

impl Play<'_> {
    /// Does all that is due before a time.
    fn until(&mut self, at: i64) {
        while let Some(due) =
            [self.dispatcher.next(), self.book.next()].into_iter().flatten().min().filter(|due| *due < at)
        {
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.paged.cut = true;
                return;
            }
            self.look(due);
        }
    }

    fn look(&mut self, now: i64) {
        for flush in self.dispatcher.flush(now, &self.mutes.with(&self.by.config.time_intervals)) {
            self.follow(&flush, now);
        }
        for change in self.book.tick(&self.by.config.policies, now) {
            self.escalated(&change, now);
        }
    }

    fn follow(&mut self, flush: &Flush, now: i64) {
        let config = self.by.config;
        for told in flush.alerts.iter().filter(|told| told.alert.ends_at.is_none()) {
            let spell = (told.alert.fingerprint(), told.alert.starts_at);
            for by in &told.muted_by {
                self.held.entry(by.clone()).or_default().insert(spell);
            }
            if told.muted_by.is_empty() {
                self.told.insert(spell);
            }
        }
        let (_, change) = self.book.flushed(flush, &config.policies, now);
        if let Some(change) = change {
            self.paged.incidents += usize::from(change.before.is_none());
            self.escalated(&change, now);
        }
        let channels = config.receivers.get(&flush.receiver).map_or(&[][..], |receiver| &receiver.channels);
        let hears = |index: usize| channels.get(index).is_some_and(|channel| channel.send_resolved);
        let notices = flush.notices(hears, None, 1, "", 0);
        if notices.iter().any(|notice| notice.reason == Reason::Group) {
            self.count(&flush.receiver);
        }
        for mut notice in notices {
            notice.seq = self.dispatcher.seq(&notice);
            self.dispatcher.sent_notice(&notice, now);
        }
    }

    fn escalated(&mut self, change: &Change, now: i64) {
        let Some(receiver) = self.book.get(&change.incident).map(|incident| incident.receiver.clone()) else {
            return;
        };
        let root = &self.by.config.route.receiver;
        let mut told: Vec<BTreeSet<String>> = Vec::new();
        for page in &change.pages {
            let (schedules, receivers) = (self.by.schedules, &self.by.config.receivers);
            let around = Surrounding { route: &receiver, root, schedules, receivers, now };
            told.push(recipients(&page.level, around).receivers.into_keys().collect());
        }
        told.into_iter().flatten().for_each(|name| self.count(&name));
    }

    fn held_back(&self, firings: &[Firing]) -> Vec<HeldBack> {
        let called = |by: &MutedBy| match by.kind {
            MuteKind::Silence => self.mutes.silences.one(&by.id).map(|silence| silence.comment.clone()),
            MuteKind::Maintenance => self.mutes.maintenance.get(&by.id).map(|window| window.name.clone()),
            MuteKind::Interval => Some(by.id.clone()),
            MuteKind::Inhibition => {
                let sets = firings.iter().map(|firing| raised::labels(&firing.labels));
                sets.into_iter().find(|labels| Fingerprint::of(labels).to_string() == by.id).map(|labels| {
                    let pairs: Vec<_> =
                        labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    pairs.join(", ")
                })
            }
        };
        let mut held: Vec<(&MutedBy, &BTreeSet<Spell>)> = self.held.iter().collect();
        held.sort_by_key(|(by, spells)| (std::cmp::Reverse(spells.len()), *by));
        let told = |(by, spells): (&MutedBy, &BTreeSet<Spell>)| HeldBack {
            by: by.kind,
            id: by.id.clone(),
            about: called(by).unwrap_or_default(),
            firings: spells.len(),
            untold: spells.difference(&self.told).count(),
        };
        held.into_iter().take(HELD_MAX).map(told).collect()
    }

    /// A receiver that only shows wakes nobody.
    fn count(&mut self, receiver: &str) {
        let channels = self.by.config.receivers.get(receiver).map_or(&[][..], |receiver| &receiver.channels);
        if channels.iter().any(|channel| channel.kind() != "dashboard") {
            *self.paged.times.entry(receiver.to_owned()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::Labels;

    use super::*;
    use crate::routing::{KeptMaintenance, LabelSet, Matchers, Silence};

    const MINUTE: i64 = 60_000;
    const CONFIG: &str = "
route:
  receiver: team
  group_by: [alertname]
  group_wait: 30s
  repeat_interval: 4h
  routes:
  - {receiver: night, matchers: [kind=\"night\"], active_time_intervals: [never]}
  - {receiver: screen, matchers: [kind=\"screen\"]}
  - {receiver: team, matchers: [kind=\"climbs\"], escalation: climb}
receivers:
- {name: team, webhook_configs: [{url: 'http://x/'}]}
- {name: night, webhook_configs: [{url: 'http://x/'}]}
- {name: ann, webhook_configs: [{url: 'http://x/'}]}
- {name: screen}
time_intervals:
- name: never
  time_intervals: [{years: ['1990']}]
escalation_policies:
  climb:
    levels:
    - {delay: 10m, targets: [route]}
    - {delay: 10m, targets: ['schedule:s']}
schedules:
  s:
    time_zone: UTC
    layers: [{name: a, users: [ann], rotation: weekly, start: 1970-01-01T00:00}]
";

    #[test]
    fn those_are_woken_whom_routes_and_policies_name() {
        let config = Arc::new(crate::config::parse(CONFIG, "a.yml").unwrap());
        let spec = crate::file::parse_one("{alert: A, expr: m > 1}", "r").unwrap().spec;
        let check = |kind: &str, spans: &[(i64, Option<i64>)], expected: &[(&str, usize)], incidents| {
            let labels =
                Labels::from_pairs([("alertname", "A"), ("kind", kind), ("severity", "critical")]).unwrap();
            let firing = |(start, end): &(i64, Option<i64>)| Firing {
                labels: labels.clone(),
                annotations: BTreeMap::new(),
                start: Timestamp(start * MINUTE),
                end: end.map(|end| Timestamp(end * MINUTE)),
                value: 2.0,
            };
            let firings: Vec<_> = spans.iter().map(firing).collect();
            let by = Paging {
                config: &config,
                schedules: &config.schedules,
                silences: &Silences::default(),
                maintenance: &BTreeMap::new(),
            };
            let found = paged(&spec, &firings, Timestamp(600 * MINUTE), by);
            let times: Vec<_> = found.times.iter().map(|(who, times)| (who.as_str(), *times)).collect();
            assert_eq!(
                (times.as_slice(), found.incidents, found.cut),
                (expected, incidents, false),
                "{kind}"
            );
        };
        // Short enough that nobody else is asked; twice, far apart.
        check("plain", &[(10, Some(12)), (100, Some(103))], &[("team", 2)], 2);
        // After ten minutes whoever is on call.
        check("climbs", &[(10, Some(40))], &[("ann", 1), ("team", 1)], 1);
        // All day: told again every four hours.
        check("climbs", &[(10, None)], &[("ann", 1), ("team", 3)], 1);
        check("night", &[(10, None)], &[], 0);
        check("screen", &[(10, Some(12))], &[], 1);
    }

    #[test]
    fn what_mutes_then_is_told_with_what_it_held_back() {
        let config = Arc::new(
            crate::config::parse(
                "
route: {receiver: team, group_by: [host], group_wait: 30s, repeat_interval: 4h}
receivers: [{name: team, webhook_configs: [{url: 'http://x/'}]}]
inhibit_rules:
- {source_matchers: [kind=\"all\"], target_matchers: [kind=\"one\"], equal: [site]}
",
                "a.yml",
            )
            .unwrap(),
        );
        let spec = crate::file::parse_one("{alert: A, expr: m > 1}", "r").unwrap().spec;
        let firing = |labels: &[(&str, &str)], start: i64, end: i64| Firing {
            labels: Labels::from_pairs(labels.iter().copied()).unwrap(),
            annotations: BTreeMap::new(),
            start: Timestamp(start * MINUTE),
            end: Some(Timestamp(end * MINUTE)),
            value: 2.0,
        };
        let silence = Silence {
            id: "s".to_owned(),
            matchers: Matchers::parse("host=a").unwrap().documents(),
            starts_at: 0,
            ends_at: 60 * MINUTE,
            updated_at: 0,
            created_by: "ann".to_owned(),
            comment: "known".to_owned(),
            annotations: LabelSet::new(),
        };
        let window = KeptMaintenance {
            id: "w".to_owned(),
            name: "backup".to_owned(),
            matchers: Matchers::parse("host=b").unwrap().documents(),
            start: 0,
            duration: 30 * MINUTE,
            recurrence: Some(crate::routing::Recurrence {
                every: crate::routing::Every::Day,
                weekdays: Vec::new(),
                until: None,
            }),
            timezone: String::new(),
            comment: String::new(),
            created_by: String::new(),
        };
        let day = 1_440;
        let firings = [
            // Silenced all the time; again when the silence is over.
            firing(&[("host", "a")], 10, 20),
            firing(&[("host", "a")], 100, 110),
            // In the window of the next day; begun in that of another, and told when it is over.
            firing(&[("host", "b")], day + 5, day + 10),
            firing(&[("host", "b")], 2 * day + 5, 2 * day + 40),
            // One says it for all of its site.
            firing(&[("host", "c"), ("kind", "all"), ("site", "x")], 3 * day, 3 * day + 14),
            firing(&[("host", "d"), ("kind", "one"), ("site", "x")], 3 * day + 5, 3 * day + 12),
        ];
        let by = Paging {
            config: &config,
            schedules: &config.schedules,
            silences: &Silences::restore([silence]),
            maintenance: &[("w".to_owned(), window.try_into().unwrap())].into(),
        };
        let found = paged(&spec, &firings, Timestamp(4 * day * MINUTE), by);
        assert_eq!((found.times["team"], found.incidents), (3, 3), "{found:?}");
        let held: Vec<_> =
            found.held_back.iter().map(|held| (held.by, &*held.about, held.firings, held.untold)).collect();
        assert_eq!(
            held,
            [
                (MuteKind::Maintenance, "backup", 2, 1),
                (MuteKind::Silence, "known", 1, 1),
                (MuteKind::Inhibition, "host=c, kind=all, site=x", 1, 1),
            ]
        );
    }
}
