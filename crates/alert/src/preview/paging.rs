//! Who would have been woken by what would have fired.
//!
//! Firings go through the tree of routes, groups, intervals and policies that are configured, at the times they would have
//! had, and nobody acknowledges. Silences, windows of maintenance and what other rules raise are left out.

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
    routing::{Alert, Cause, Dispatcher, Flush, Inhibitor, Log, Muting, Silences},
};

/// Looks at groups and incidents of one preview at most.
const STEPS_MAX: usize = 200_000;

/// By what it is decided who is woken.
#[derive(Clone, Copy, Debug)]
pub struct Paging<'a> {
    /// Routes, receivers and policies.
    pub config: &'a Arc<Config>,
    /// Schedules by name, with their overrides.
    pub schedules: &'a BTreeMap<String, Schedule>,
}

/// Who would have been woken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paged {
    /// How often each receiver was told that something fires.
    pub times: BTreeMap<String, usize>,
    /// How many incidents there would have been.
    pub incidents: usize,
    /// Whether it was too much to be looked at to the end.
    pub cut: bool,
}

/// Plays firings, which are in order, up to a time.
pub fn paged(spec: &RuleSpec, firings: &[Firing], until: Timestamp, by: Paging<'_>) -> Paged {
    let mut play = Play {
        by,
        dispatcher: Dispatcher::new(by.config.clone(), Log::default()),
        book: Book::default(),
        silences: Silences::default(),
        inhibitor: Inhibitor::default(),
        maintenance: BTreeMap::new(),
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
        play.dispatcher.insert([alert], at);
    }
    play.until(until.0);
    play.paged
}

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
    silences: Silences,
    inhibitor: Inhibitor,
    maintenance: BTreeMap<String, crate::routing::Maintenance>,
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
        let muting = Muting {
            inhibitor: &self.inhibitor,
            silences: &self.silences,
            maintenance: &self.maintenance,
            intervals: &self.by.config.time_intervals,
        };
        for flush in self.dispatcher.flush(now, &muting) {
            self.follow(&flush, now);
        }
        for change in self.book.tick(&self.by.config.policies, now) {
            self.escalated(&change, now);
        }
    }

    fn follow(&mut self, flush: &Flush, now: i64) {
        let config = self.by.config;
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
        for notice in &notices {
            self.dispatcher.sent_notice(notice, now);
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
            let by = Paging { config: &config, schedules: &config.schedules };
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
}
