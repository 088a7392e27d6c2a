//! Groups of alerts, when they are looked at, and what is told then.
//!
//! A group is what a route and its labels tell apart. It is looked at once it waited for `group_wait`, at once if the alert is
//! older than that, and then at each `group_interval`. What is decided is a [`Flush`]; what was sent is told back, and only
//! then alerts that are over leave their group. Nothing here reads a clock: [`Dispatcher::next`] says when to come again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Alert, Fingerprint, LabelSet, Log, LogKey, MutedBy, Muting, Route, Sets,
    alerts::{self, is_over},
    log::Entry,
};
use crate::{
    config::Config,
    delivery::AGE_MS_MAX,
    notice::{Notice, Reason},
};

/// Groups at most.
pub const GROUPS_MAX: usize = 50_000;
/// Groups without alerts are forgotten so often, in milliseconds.
const SWEEP: i64 = 30_000;
/// Alerts in one notice at most.
pub const NOTICE_ALERTS_MAX: usize = 1_000;

/// All groups, and what was told of them.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    pub(super) config: Arc<Config>,
    groups: BTreeMap<(usize, LabelSet), Group>,
    log: Log,
    /// When groups without alerts were forgotten last; before the first look never.
    swept: Option<i64>,
    refused: u64,
}

#[derive(Clone, Debug)]
struct Group {
    key: String,
    alerts: BTreeMap<Fingerprint, Alert>,
    next: i64,
    flushed: bool,
    /// Integrations that were not told yet, and what leaves the group when they were: alerts that are over, with the time
    /// they were told.
    waiting: BTreeSet<u64>,
    leaving: Vec<(Fingerprint, i64)>,
}

/// An alert in a group, and what mutes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The alert; one that fires has no end here.
    pub alert: Alert,
    /// What mutes it.
    pub muted_by: Vec<MutedBy>,
}

/// What one look at a group came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Flush {
    /// Path of the route and labels of the group.
    pub group_key: String,
    /// Path of the route.
    pub route_path: String,
    /// Who is to be told.
    pub receiver: String,
    /// The labels of the group.
    pub group_labels: LabelSet,
    /// Its alerts, those that are muted too.
    pub alerts: Vec<Told>,
    /// Whether anybody has to be told.
    pub send: bool,
    /// Which integrations of the receiver, from 0.
    pub integrations: Vec<usize>,
    /// Until when it is tried: the next look at the group.
    pub deadline: i64,
    /// The policy of the route.
    pub escalation: Option<String>,
    /// When it was decided.
    pub at: i64,
}

/// A group as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// Who is told of it.
    pub receiver: String,
    /// The labels of the group.
    pub labels: LabelSet,
    /// Its key.
    pub key: String,
    /// The number of its route.
    pub route: usize,
    /// Its alerts.
    pub alerts: Vec<Fingerprint>,
}

impl Dispatcher {
    /// Without groups. `log` is what was told before.
    pub fn new(config: Arc<Config>, log: Log) -> Self {
        Self { config, groups: BTreeMap::new(), log, swept: None, refused: 0 }
    }

    /// Goes on with another configuration: groups are made anew of the alerts, and what was told is remembered.
    pub fn configure(&mut self, config: Arc<Config>, alerts: impl IntoIterator<Item = Alert>, now: i64) {
        self.config = config;
        self.groups.clear();
        self.resume(alerts, now);
    }

    /// Puts alerts that were there before into their groups. Those whose end everybody knows have none any more: in one, it would be
    /// news beside what was told since.
    pub fn resume(&mut self, alerts: impl IntoIterator<Item = Alert>, now: i64) {
        let config = self.config.clone();
        for alert in alerts {
            let ended = is_over(&alert, now);
            for route in config.route.of(&alert.labels) {
                if !(ended && self.know_end(route, &alert)) {
                    self.place(route, alert.clone(), now);
                }
            }
        }
    }

    /// Whether all integrations of a route know that an alert is over.
    fn know_end(&self, route: &Route, alert: &Alert) -> bool {
        let channels =
            self.config.receivers.get(&route.receiver).map_or(0, |receiver| receiver.channels.len());
        let group_key = route.group_key(&route.group_labels(&alert.labels));
        let knows = |integration: usize| {
            let key = (group_key.clone(), route.receiver.clone(), integration as u64);
            let entry = self.log.entry(&key);
            entry.is_some_and(|entry| entry.knows_end(alert.fingerprint(), alert.updated_at))
        };
        channels > 0 && (0..channels).all(knows)
    }

    /// Puts alerts into their groups.
    pub fn insert(&mut self, alerts: impl IntoIterator<Item = Alert>, now: i64) {
        let config = self.config.clone();
        for alert in alerts {
            for route in config.route.of(&alert.labels) {
                self.place(route, alert.clone(), now);
            }
        }
    }

    fn place(&mut self, route: &Route, alert: Alert, now: i64) {
        let labels = route.group_labels(&alert.labels);
        let full = self.groups.len() >= GROUPS_MAX;
        let group = match self.groups.entry((route.number, labels)) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(_) if full => {
                self.refused += 1;
                return;
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                let key = route.group_key(&entry.key().1);
                entry.insert(Group {
                    key,
                    alerts: BTreeMap::new(),
                    next: now.saturating_add(route.group_wait),
                    flushed: false,
                    waiting: BTreeSet::new(),
                    leaving: Vec::new(),
                })
            }
        };
        if !group.flushed && alert.starts_at.saturating_add(route.group_wait) < now {
            group.next = group.next.min(now);
        }
        group.alerts.insert(alert.fingerprint(), alert);
    }

    /// When to look again; `None` without groups.
    pub fn next(&self) -> Option<i64> {
        self.groups.values().map(|group| group.next).min()
    }

    /// Looks at all groups that are due.
    pub fn flush(&mut self, now: i64, muting: &Muting<'_>) -> Vec<Flush> {
        let config = self.config.clone();
        let routes = config.route.all();
        let mut flushes = Vec::new();
        self.log.kept();
        for ((route, labels), group) in &mut self.groups {
            if group.next > now {
                continue;
            }
            let Some(route) = routes.get(*route) else { continue };
            // Looks that were missed are not made up for.
            group.next = now.saturating_add(route.group_interval.max(1));
            group.flushed = true;
            if !group.alerts.is_empty() {
                flushes.push(look(&config, route, labels, group, &mut self.log, muting, now));
            }
        }
        // A group that is empty keeps its time for a while, in which an alert that comes back finds it.
        if self.swept.get_or_insert(now).saturating_add(SWEEP) <= now {
            self.swept = Some(now);
            self.groups.retain(|_, group| !group.alerts.is_empty());
            self.log.prune(now);
        }
        flushes
    }

    /// A notice was sent. Pages of incidents are none of a group: what they say was told before, or is told beside them.
    pub fn sent_notice(&mut self, notice: &Notice, at: i64) {
        if !notice.is_of_group() {
            return;
        }
        let (over, firing): (Vec<_>, Vec<_>) =
            notice.alerts.iter().partition(|alert| is_over(alert, notice.at));
        let of = |all: Vec<&Alert>| all.into_iter().map(Alert::fingerprint).collect::<Vec<_>>();
        // What was queued says it all, those that were left out for their number included.
        let key = key_of(notice);
        let known = self.log.entry(&key);
        let queued = known.filter(|entry| entry.seq == notice.seq).and_then(|entry| entry.queued.clone());
        let queued = queued.map(|(sets, _)| sets);
        let sets = queued.filter(|_| notice.truncated > 0).unwrap_or_else(|| Sets {
            firing: of(firing).into_iter().collect(),
            resolved: of(over).into_iter().collect(),
        });
        if known.is_some_and(|entry| entry.seq > notice.seq) {
            // What it says was decided anew while it waited.
            return self.log.sent_late(&key, notice.seq, sets, at);
        }
        self.settled(&key, sets, at);
    }

    /// A notice was given up: the next look decides anew, unless one did since.
    pub fn given_up(&mut self, notice: &Notice) {
        let key = key_of(notice);
        if notice.is_of_group() && self.log.entry(&key).is_some_and(|entry| entry.seq <= notice.seq) {
            self.log.dropped(&key);
        }
    }

    /// A notice says only what its reader knows, and is not sent. What was told stays told, though it is muted now: otherwise it would
    /// be told as something new when it is muted no more.
    pub(super) fn withheld(&mut self, notice: &Notice, flush: &Flush, at: i64) {
        let key = key_of(notice);
        let Some(Entry { sent, queued, .. }) = self.log.entry(&key).cloned() else { return };
        let (told, queued) = (sent.unwrap_or_default().0, queued.unwrap_or_default().0);
        let (over, fires): (Vec<_>, Vec<_>) =
            flush.alerts.iter().map(|told| &told.alert).partition(|alert| is_over(alert, flush.at));
        let firing = fires.into_iter().map(Alert::fingerprint).filter(|alert| told.firing.contains(alert));
        let known = over.into_iter().map(Alert::fingerprint).filter(|alert| told.resolved.contains(alert));
        let sets =
            Sets { firing: firing.collect(), resolved: queued.resolved.into_iter().chain(known).collect() };
        self.settled(&key, sets, at);
    }

    /// Which notice of its group, receiver and integration one is that was just decided, from 1.
    pub fn seq(&self, notice: &Notice) -> u64 {
        self.log.entry(&key_of(notice)).map_or(1, |entry| entry.seq)
    }

    /// Whether one that was just decided says only what was said before.
    pub fn repeats(&self, notice: &Notice) -> bool {
        self.log.repeats(&key_of(notice))
    }

    fn settled(&mut self, key: &LogKey, sets: Sets, at: i64) {
        let routes = self.config.route.all();
        for ((route, _), group) in &mut self.groups {
            let Some(route) = routes.get(*route) else { continue };
            if group.key != key.0 || route.receiver != key.1 {
                continue;
            }
            group.waiting.remove(&key.2);
            group.leave();
        }
        self.log.sent(key, sets, at);
    }

    /// What was decided could not be kept: the group is looked at again at a time.
    pub fn again(&mut self, flush: &Flush, at: i64) {
        for integration in &flush.integrations {
            self.log.taken_back(&(flush.group_key.clone(), flush.receiver.clone(), *integration as u64));
        }
        // What is over has left its group if there was nobody to tell; what follows from that could not be kept either.
        let is_there = |alert: &Alert| {
            let fingerprint = alert.fingerprint();
            let mut same = self.groups.values().filter(|group| group.key == flush.group_key);
            same.any(|group| group.alerts.contains_key(&fingerprint))
        };
        let over = flush.alerts.iter().map(|told| &told.alert).filter(|alert| alert.ends_at.is_some());
        let left: Vec<Alert> = over.filter(|alert| !is_there(alert)).cloned().collect();
        self.insert(left, at);
        let same = self.groups.values_mut().filter(|group| group.key == flush.group_key);
        same.for_each(|group| group.next = at);
    }

    /// The groups as they are shown.
    pub fn groups(&self) -> Vec<GroupView> {
        let routes = self.config.route.all();
        let view = |((route, labels), group): (&(usize, LabelSet), &Group)| {
            Some(GroupView {
                receiver: routes.get(*route)?.receiver.clone(),
                labels: labels.clone(),
                key: group.key.clone(),
                route: *route,
                alerts: group.alerts.keys().copied().collect(),
            })
        };
        self.groups.iter().filter_map(view).collect()
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Alerts that found no place as there are too many groups, from the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The notification log.
    pub fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// The wall clock jumped to `now`: waits stay as long as they were.
    pub fn shift(&mut self, by: i64, now: i64) {
        for group in self.groups.values_mut() {
            group.next = group.next.saturating_add(by);
            group.alerts.values_mut().for_each(|alert| alerts::shift(alert, by, now));
        }
        self.swept = self.swept.map(|at| at.saturating_add(by));
        self.log.shift(by);
    }
}

impl Group {
    /// Lets what is over go if all were told, as far as it did not change meanwhile.
    fn leave(&mut self) {
        if self.waiting.is_empty() {
            for (fingerprint, updated) in self.leaving.drain(..) {
                if self.alerts.get(&fingerprint).is_some_and(|alert| alert.updated_at == updated) {
                    self.alerts.remove(&fingerprint);
                }
            }
        }
    }
}

fn key_of(notice: &Notice) -> LogKey {
    (notice.group_key.clone(), notice.receiver.clone(), notice.integration as u64)
}

/// One look at a group.
fn look(
    config: &Config,
    route: &Route,
    labels: &LabelSet,
    group: &mut Group,
    log: &mut Log,
    muting: &Muting<'_>,
    now: i64,
) -> Flush {
    let of_route = muting.of_route(route, now);
    let mut told = Vec::with_capacity(group.alerts.len());
    let (mut sets, mut over) = (Sets::default(), Vec::new());
    for (fingerprint, alert) in &group.alerts {
        let mut alert = alert.clone();
        let is_over = is_over(&alert, now);
        if is_over {
            over.push((*fingerprint, alert.updated_at));
        } else {
            // It must not end while it is told.
            alert.ends_at = None;
        }
        let mut muted_by = muting.of_alert(&alert.labels, now);
        muted_by.extend(of_route.iter().cloned());
        if muted_by.is_empty() {
            let set = if is_over { &mut sets.resolved } else { &mut sets.firing };
            set.insert(*fingerprint);
        }
        told.push(Told { alert, muted_by });
    }
    told.sort_by(|a, b| {
        (a.alert.ends_at.is_some(), a.alert.starts_at).cmp(&(b.alert.ends_at.is_some(), b.alert.starts_at))
    });
    let mut integrations = Vec::new();
    group.waiting.clear();
    group.leaving = over;
    let channels = config.receivers.get(&route.receiver).map_or(&[][..], |receiver| &receiver.channels);
    for (index, channel) in channels.iter().enumerate() {
        // Nobody is asked anything while all is muted.
        if sets.firing.is_empty() && sets.resolved.is_empty() {
            break;
        }
        let key = (group.key.clone(), route.receiver.clone(), index as u64);
        // What is in the outbox stays there until it is sent or given up, however many looks there are meanwhile.
        if log.waits(&key, &sets, now) {
            group.waiting.insert(index as u64);
            continue;
        }
        if !log.wants(&key, &sets, channel.send_resolved, route.repeat_interval, now) {
            continue;
        }
        if !channel.send_resolved && sets.firing.is_empty() {
            // It hears nothing of that, but is known not to be waiting for it.
            log.passed_over(&key, sets.clone(), now);
            continue;
        }
        log.queued(&key, sets.clone(), now.saturating_add(AGE_MS_MAX));
        group.waiting.insert(index as u64);
        integrations.push(index);
    }
    group.leave();
    Flush {
        group_key: group.key.clone(),
        route_path: route.path.clone(),
        receiver: route.receiver.clone(),
        group_labels: labels.clone(),
        alerts: told,
        send: !integrations.is_empty(),
        integrations,
        deadline: group.next,
        escalation: route.escalation.clone(),
        at: now,
    }
}

impl Flush {
    /// What each integration is told, for an incident if it is one. `send_resolved` says of an integration whether it hears of
    /// alerts that are over.
    pub fn notices(
        &self,
        send_resolved: impl Fn(usize) -> bool,
        incident: Option<&str>,
        level: u32,
        dedup_key: &str,
        seq: u64,
    ) -> Vec<Notice> {
        let heard = |integration: usize| {
            let all = self.alerts.iter().filter(|told| told.muted_by.is_empty()).map(|told| &told.alert);
            all.filter(|alert| alert.ends_at.is_none() || send_resolved(integration))
                .cloned()
                .collect::<Vec<_>>()
        };
        let notice = |&integration: &usize| {
            let mut alerts = heard(integration);
            let truncated = alerts.len().saturating_sub(NOTICE_ALERTS_MAX);
            alerts.truncate(NOTICE_ALERTS_MAX);
            let fires = alerts.iter().any(|alert| alert.ends_at.is_none());
            Notice {
                receiver: self.receiver.clone(),
                integration,
                reason: if fires { Reason::Group } else { Reason::Resolved },
                group_key: self.group_key.clone(),
                group_labels: self.group_labels.clone(),
                alerts,
                truncated,
                incident: incident.map(str::to_owned),
                reminder: false,
                level,
                dedup_key: dedup_key.to_owned(),
                seq,
                at: self.at,
                deadline: self.deadline,
            }
        };
        self.integrations.iter().map(notice).collect()
    }
}
