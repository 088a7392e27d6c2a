//! All incidents, and the one way to change them.
//!
//! Each change says what became of one incident: rows for its timeline, pages to send, and whether queued ones are off. It
//! carries what was before, so that one that could not be stored is undone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{
    Ack, Act, Escalation, Incident, Level, Member, Policy, Row, State,
    policy::DEFAULT,
    state::alert_id,
    timeline::{Kind, NOBODY},
};
use crate::routing::{Alert, Fingerprint, Flush, LabelSet};
use barograph_model::Timestamp;

/// So many incidents that are over are kept, the newest.
pub const KEPT_MAX: usize = 10_000;
/// So many that are not over; what fires beyond them is routed and told, and nobody is asked twice.
const LIVE_MAX: usize = 10_000;
/// So many alerts of an incident are known by their fingerprint.
const MEMBERS_MAX: usize = 5_000;
/// So many of those with all that they say.
const DESCRIBED_MAX: usize = 20;
/// One that says more is only counted.
const DESCRIBED_BYTES_MAX: usize = 8 << 10;
/// So many acknowledgements of alerts that are in no incident yet.
const EARLY_MAX: usize = 10_000;
/// The annotation by which a rule acknowledges what it raises.
const AUTO_ACK: &str = "auto_ack";

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of that id.
    #[error("there is no incident `{0}`")]
    Unknown(String),
    /// It is over.
    #[error("the incident is over; what fires again is another one")]
    Over,
    /// Somebody else has it.
    #[error("{0} has acknowledged it; take it over instead")]
    Taken(String),
    /// Nobody has it.
    #[error("nobody has acknowledged it")]
    NotAcknowledged,
    /// Something is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A text is too long.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// Which.
        what: &'static str,
        /// How long it may be.
        limit: usize,
    },
    /// There are too many rows.
    #[error("the timeline of the incident is full")]
    Full,
    /// There are too many acknowledgements of alerts that are in no incident.
    #[error("{EARLY_MAX} alerts without an incident are acknowledged already")]
    TooMany,
}

/// A level that is asked now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Who is asked.
    pub level: Level,
    /// What is recorded of it.
    pub escalation: Escalation,
}

/// What became of one incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Which.
    pub incident: String,
    /// What it was before; `None` of a new one.
    pub before: Option<Box<Incident>>,
    /// What happened, for its timeline.
    pub rows: Vec<Row>,
    /// Who is asked now.
    pub pages: Vec<Page>,
    /// Whether queued pages of it are off.
    pub cancel: bool,
    /// Acknowledgements to tell.
    pub acks: Vec<Ack>,
}

/// That somebody acknowledged an alert before it was in an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Early {
    /// By whom.
    pub ack: Ack,
    /// Since when the alert fires that is meant.
    pub starts_at: i64,
}

/// A group of a route at a flush.
#[derive(Clone, Copy, Debug)]
pub struct Fired<'a> {
    /// Path of the route and labels of the group.
    pub group_key: &'a str,
    /// The labels of the group.
    pub group_labels: &'a LabelSet,
    /// The receiver of the route.
    pub receiver: &'a str,
    /// The policy that the route names.
    pub escalation: Option<&'a str>,
    /// Its alerts, and whether each is muted.
    pub alerts: &'a [(&'a Alert, bool)],
}

/// How an incident stands to a flush of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The incident.
    pub incident: String,
    /// The level that was asked last.
    pub level: u32,
    /// Since when it is known, of which `dedup_key`s are made.
    pub opened_at: i64,
    /// Whether somebody has it, or said that it is over: who was told is not told again only as time passes.
    pub quiet: bool,
}

impl Standing {
    /// What stays the same over the life of an incident at one receiver.
    pub fn dedup_key(&self, group_key: &str, receiver: &str) -> String {
        let text = format!("{group_key}\u{0}{receiver}\u{0}{}", self.opened_at);
        format!("{:032x}", xxh3_128(text.as_bytes()))
    }
}

/// All incidents.
#[derive(Clone, Debug, Default)]
pub struct Book {
    all: BTreeMap<String, Incident>,
    /// Groups that fire.
    by_group: BTreeMap<String, String>,
    /// Alerts of incidents that are not over.
    by_alert: BTreeMap<Fingerprint, BTreeSet<String>>,
    early: BTreeMap<Fingerprint, Early>,
    /// Incidents that there was no room for.
    refused: u64,
}

impl Book {
    /// What was stored.
    pub fn load(incidents: Vec<Incident>, early: Vec<(Fingerprint, Early)>) -> Self {
        let mut book = Self { early: early.into_iter().collect(), ..Self::default() };
        for incident in incidents {
            book.put(incident);
        }
        book.by_group = book.currents(|_| true);
        book
    }

    /// The incidents that some groups are in: the last of each, if it still matters.
    fn currents(&self, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
        let mut last: BTreeMap<&str, &Incident> = BTreeMap::new();
        let place = |incident: &Incident| (incident.is_live(), incident.number, incident.resolved_at);
        for incident in self.all.values().filter(|incident| wanted(&incident.group_key)) {
            let known = last.entry(&incident.group_key).or_insert(incident);
            if place(known) < place(incident) {
                *known = incident;
            }
        }
        let matters = last.into_iter().filter(|(_, incident)| incident.is_live() || incident.lingers());
        matters.map(|(group, incident)| (group.to_owned(), incident.id.clone())).collect()
    }

    /// Keeps an incident as it is now. Only the last of its group says how the group stands.
    fn put(&mut self, incident: Incident) {
        let current = self.by_group.get(&incident.group_key);
        let is_current = match self.all.contains_key(&incident.id) {
            true => current == Some(&incident.id),
            false => incident.is_live(),
        };
        self.take_out(&incident.id.clone());
        if is_current && (incident.is_live() || incident.lingers()) {
            self.by_group.insert(incident.group_key.clone(), incident.id.clone());
        }
        if incident.is_live() {
            for fingerprint in incident.members.keys() {
                self.by_alert.entry(*fingerprint).or_default().insert(incident.id.clone());
            }
        }
        self.all.insert(incident.id.clone(), incident);
    }

    fn take_out(&mut self, id: &str) -> Option<Incident> {
        let incident = self.all.remove(id)?;
        if self.by_group.get(&incident.group_key).is_some_and(|current| current == id) {
            self.by_group.remove(&incident.group_key);
        }
        for fingerprint in incident.members.keys() {
            if let Some(ids) = self.by_alert.get_mut(fingerprint) {
                ids.remove(id);
                if ids.is_empty() {
                    self.by_alert.remove(fingerprint);
                }
            }
        }
        Some(incident)
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Incident> {
        self.all.get(id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.all.values()
    }

    /// Those that an alert is in and that are not over.
    pub fn of_alert(&self, fingerprint: Fingerprint) -> impl Iterator<Item = &Incident> {
        self.by_alert.get(&fingerprint).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// That somebody acknowledged an alert which is in no incident yet.
    pub fn early(&self, fingerprint: Fingerprint) -> Option<&Early> {
        self.early.get(&fingerprint)
    }

    /// Those such acknowledgements whose alert does not fire any more as it did then.
    pub fn stale_earlies(&self, fires: impl Fn(Fingerprint, i64) -> bool) -> Vec<Fingerprint> {
        let stale = self.early.iter().filter(|(fingerprint, early)| !fires(**fingerprint, early.starts_at));
        stale.map(|(fingerprint, _)| *fingerprint).collect()
    }

    /// All such acknowledgements.
    pub fn earlies(&self) -> impl Iterator<Item = (&Fingerprint, &Early)> {
        self.early.iter()
    }

    /// Incidents that there was no room for.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// When something is due next.
    pub fn next(&self) -> Option<i64> {
        self.all.values().filter_map(Incident::next).min()
    }

    /// Calls with an incident, and keeps what became of it.
    fn change<T>(
        &mut self,
        id: &str,
        call: impl FnOnce(&mut Incident, &mut Change) -> Result<T, Refused>,
    ) -> Result<(T, Change), Refused> {
        let before = self.all.get(id).ok_or_else(|| Refused::Unknown(id.to_owned()))?;
        let mut incident = before.clone();
        let before = Some(Box::new(before.clone()));
        let mut change = Change { incident: id.to_owned(), before, ..Change::default() };
        let value = call(&mut incident, &mut change)?;
        self.put(incident);
        Ok((value, change))
    }

    /// What was before changes that could not be stored.
    pub fn undo(&mut self, changes: Vec<Change>) {
        let mut groups = BTreeSet::new();
        for change in changes.into_iter().rev() {
            let gone = self.take_out(&change.incident);
            groups.extend(gone.map(|incident| incident.group_key));
            if let Some(before) = change.before {
                self.put(*before);
            }
        }
        groups.iter().for_each(|group| drop(self.by_group.remove(group)));
        let currents = self.currents(|group| groups.contains(group));
        self.by_group.extend(currents);
    }

    /// The wall clock jumped by so many milliseconds: whoever has an incident has it for as long as before, and nobody is asked
    /// earlier or later. The incidents that are to be kept as they are now.
    pub fn shift(&mut self, by: i64) -> Vec<String> {
        let waits = self.all.values_mut().filter(|incident| incident.next().is_some());
        let shifted = waits.map(|incident| {
            incident.shift(by);
            incident.id.clone()
        });
        shifted.collect()
    }

    /// What somebody does with an incident. What changes nothing has no rows.
    ///
    /// # Errors
    /// It cannot be done; nothing has changed.
    pub fn act(
        &mut self,
        id: &str,
        act: Act,
        by: &str,
        message: &str,
        policies: &BTreeMap<String, Policy>,
        now: i64,
    ) -> Result<Change, Refused> {
        self.change(id, |incident, change| {
            let policy = Policy::named(&incident.policy, policies);
            incident.act(act, (by, message), &policy, now, change)
        })
        .map(|((), change)| change)
    }

    /// Somebody acknowledges an alert that is in no incident yet. It counts for the incident it comes into.
    ///
    /// # Errors
    /// Somebody else did, or there are too many.
    pub fn acknowledge_early(&mut self, fingerprint: Fingerprint, early: Early) -> Result<(), Refused> {
        match self.early.get(&fingerprint) {
            Some(before) if before.starts_at == early.starts_at && before.ack.by != early.ack.by => {
                return Err(Refused::Taken(before.ack.by.clone()));
            }
            None if self.early.len() >= EARLY_MAX => return Err(Refused::TooMany),
            _ => {}
        }
        self.early.insert(fingerprint, early);
        Ok(())
    }

    /// That such an acknowledgement is taken back, or counts no more; what it was.
    pub fn forget_early(&mut self, fingerprint: Fingerprint) -> Option<Early> {
        self.early.remove(&fingerprint)
    }

    /// A look at a group: how its incident stands, if it is in one. What only says that all is well is nothing that
    /// somebody has to take.
    pub fn flushed(
        &mut self,
        flush: &Flush,
        policies: &BTreeMap<String, Policy>,
        now: i64,
    ) -> (Option<Standing>, Option<Change>) {
        if !flush.alerts.is_empty() && flush.alerts.iter().all(|told| told.alert.says_all_is_well()) {
            return (None, None);
        }
        let alerts: Vec<(&Alert, bool)> =
            flush.alerts.iter().map(|told| (&told.alert, !told.muted_by.is_empty())).collect();
        let fired = Fired {
            group_key: &flush.group_key,
            group_labels: &flush.group_labels,
            receiver: &flush.receiver,
            escalation: flush.escalation.as_deref(),
            alerts: &alerts,
        };
        self.fired(fired, policies, now)
    }

    /// A group at a flush: an incident begins, changes or ends. `None` if nobody needs to know.
    pub fn fired(
        &mut self,
        fired: Fired<'_>,
        policies: &BTreeMap<String, Policy>,
        now: i64,
    ) -> (Option<Standing>, Option<Change>) {
        let firing = |alert: &Alert| !alert.resolved(Timestamp(now));
        let current = self.by_group.get(fired.group_key).and_then(|id| self.all.get(id));
        let (id, lingers) = match current {
            // A person said that it is over. It stays so while nothing new fires.
            Some(incident) if !incident.is_live() => {
                let id = incident.id.clone();
                let known = |alert: &Alert| {
                    let member = incident.members.get(&alert.fingerprint());
                    member
                        .is_some_and(|member| member.ends_at.is_none() && member.starts_at == alert.starts_at)
                };
                let any = fired.alerts.iter().any(|(alert, _)| firing(alert));
                let new = fired.alerts.iter().any(|(alert, muted)| firing(alert) && !muted && !known(alert));
                match (new, any) {
                    (true, _) => (self.open(fired, now), false),
                    (false, true) => (Some(id), true),
                    (false, false) => return self.lay_down(&id, now),
                }
            }
            Some(incident) => (Some(incident.id.clone()), false),
            None => (self.open(fired, now), false),
        };
        let Some(id) = id else { return (self.ended(fired, now).map(standing), None) };
        if lingers {
            let standing = self.all.get(&id).map(standing);
            return (standing, None);
        }
        let is_new = self.all.get(&id).is_none_or(|incident| incident.rows == 0);
        let earlies: Vec<Early> = if is_new {
            let of = |(alert, _): &(&Alert, bool)| {
                let early = self.early.get(&alert.fingerprint())?;
                (firing(alert) && early.starts_at == alert.starts_at).then(|| early.clone())
            };
            fired.alerts.iter().filter_map(of).collect()
        } else {
            Vec::new()
        };
        let changed = self.change(&id, |incident, change| {
            let policy = Policy::named(&incident.policy, policies);
            if incident.rows == 0 {
                change.before = None;
                let text = format!("{} began to fire", incident.title);
                let data = json!({"policy": incident.policy, "receiver": incident.receiver});
                incident.row(change, now, Kind::Opened, NOBODY, text, data);
            }
            follow(incident, fired, is_new, &policy, now, change);
            if is_new && incident.is_live() {
                take_at_once(incident, fired, earlies, &policy, now, change);
            }
            Ok(standing(incident))
        });
        match changed {
            Ok((standing, change)) => (Some(standing), Some(change)),
            Err(_) => (None, None),
        }
    }

    /// The incident that a group was in of which nothing fires any more: what is told of it later is about that one.
    fn ended(&self, fired: Fired<'_>, now: i64) -> Option<&Incident> {
        if fired.alerts.iter().any(|(alert, _)| !alert.resolved(Timestamp(now))) {
            return None;
        }
        let of_group = self.all.values().filter(|incident| incident.group_key == fired.group_key);
        let last = of_group.max_by_key(|incident| (incident.number, incident.resolved_at))?;
        let was_in = |alert: &Alert| {
            let member = last.members.get(&alert.fingerprint());
            member.is_some_and(|member| member.starts_at == alert.starts_at)
        };
        fired.alerts.iter().any(|(alert, _)| was_in(alert)).then_some(last)
    }

    /// What fired when a person said that it is over does not any more.
    fn lay_down(&mut self, id: &str, now: i64) -> (Option<Standing>, Option<Change>) {
        let laid = self.change(id, |incident, _| {
            let open = incident.members.values_mut().filter(|member| member.ends_at.is_none());
            open.for_each(|member| member.ends_at = Some(now));
            Ok(standing(incident))
        });
        laid.ok().unzip()
    }

    /// A new incident without a row, if something fires that is not muted and there is room.
    fn open(&mut self, fired: Fired<'_>, now: i64) -> Option<String> {
        let firing = |(alert, muted): &&(&Alert, bool)| !alert.resolved(Timestamp(now)) && !muted;
        let firing: Vec<&Alert> = fired.alerts.iter().filter(firing).map(|(alert, _)| *alert).collect();
        let worst = firing.iter().rev().max_by_key(|alert| alert.severity())?;
        if self.all.values().filter(|incident| incident.is_live()).count() >= LIVE_MAX {
            self.refused += 1;
            return None;
        }
        let named = |alert: &Alert| {
            let of_rule = alert.cause.as_ref().and_then(|cause| cause.escalation.clone());
            of_rule.or_else(|| alert.annotations.get("escalation").cloned())
        };
        let policy = named(worst).or_else(|| fired.escalation.map(str::to_owned));
        let policy = policy.unwrap_or_else(|| Policy::of_severity(worst.severity()).to_owned());
        let mut id = incident_id(fired.group_key, now, 0);
        for salt in 1.. {
            if !self.all.contains_key(&id) {
                break;
            }
            id = incident_id(fired.group_key, now, salt);
        }
        let number = self.all.values().map(|incident| incident.number).max().unwrap_or_default() + 1;
        let incident = Incident {
            id: id.clone(),
            number,
            group_key: fired.group_key.to_owned(),
            group_labels: fired.group_labels.clone(),
            receiver: fired.receiver.to_owned(),
            title: title(worst, &firing, fired.group_labels),
            severity: worst.severity(),
            rule: worst.name().to_owned(),
            policy: if policy.is_empty() { DEFAULT.to_owned() } else { policy },
            state: State::Open,
            fired_at: firing.iter().map(|alert| alert.starts_at).min().unwrap_or(now),
            opened_at: now,
            acknowledged_at: None,
            resolved_at: None,
            by_hand: false,
            ack: None,
            assignee: None,
            level: 1,
            round: 0,
            due: None,
            lapse: None,
            held: false,
            members: BTreeMap::new(),
            more: 0,
            escalations: Vec::new(),
            rows: 0,
            rows_dropped: 0,
        };
        self.put(incident);
        Some(id)
    }

    /// Asks for what is due.
    pub fn tick(&mut self, policies: &BTreeMap<String, Policy>, now: i64) -> Vec<Change> {
        let waits = |incident: &&Incident| incident.is_due(now);
        let waiting: Vec<String> =
            self.all.values().filter(waits).map(|incident| incident.id.clone()).collect();
        let mut changes = Vec::new();
        for id in waiting {
            let ticked = self.change(&id, |incident, change| {
                let policy = Policy::named(&incident.policy, policies);
                incident.tick(&policy, now, change);
                Ok(())
            });
            let Ok(((), change)) = ticked else { continue };
            if self.all.get(&id) != change.before.as_deref() {
                changes.push(change);
            }
        }
        changes
    }

    /// Records who was told in place of the targets of a page, once schedules were looked up.
    pub fn told(&mut self, id: &str, escalation: &Escalation) {
        if let Some(incident) = self.all.get_mut(id) {
            incident.told(escalation);
        }
    }

    /// Adds a row about an incident that is told by others: what was sent, and what could not be.
    ///
    /// # Errors
    /// There is no such incident.
    pub fn note(
        &mut self,
        id: &str,
        text: String,
        data: serde_json::Value,
        now: i64,
    ) -> Result<Change, Refused> {
        let noted = self.change(id, |incident, change| {
            incident.row(change, now, Kind::Notified, NOBODY, text, data);
            Ok(())
        });
        noted.map(|((), change)| change)
    }

    /// Those that are over and more than are kept, the oldest first and so many at most; they are gone.
    pub fn prune(&mut self, kept: usize, most: usize) -> Vec<Incident> {
        let mut over: Vec<(i64, String)> = self
            .all
            .values()
            .filter(|incident| !incident.is_live())
            .map(|incident| (incident.resolved_at.unwrap_or_default(), incident.id.clone()))
            .collect();
        over.sort_unstable();
        let gone = over.len().saturating_sub(kept).min(most);
        over.into_iter().take(gone).filter_map(|(_, id)| self.take_out(&id)).collect()
    }
}

fn standing(incident: &Incident) -> Standing {
    Standing {
        incident: incident.id.clone(),
        level: incident.level,
        opened_at: incident.opened_at,
        quiet: incident.state != State::Open,
    }
}

/// Alerts that joined, left or were muted.
fn follow(
    incident: &mut Incident,
    fired: Fired<'_>,
    is_first: bool,
    policy: &Policy,
    now: i64,
    change: &mut Change,
) {
    let (mut joined, mut left, mut awake, mut firing) = (Vec::new(), Vec::new(), false, false);
    for (alert, muted) in fired.alerts {
        let fires = !alert.resolved(Timestamp(now));
        firing |= fires;
        awake |= fires && !muted;
        let fingerprint = alert.fingerprint();
        let ends_at = (!fires).then_some(alert.ends_at).flatten();
        let known = incident.members.len();
        match incident.members.get_mut(&fingerprint) {
            Some(member) => {
                if fires && member.ends_at.is_some() {
                    joined.push(fingerprint);
                } else if !fires && member.ends_at.is_none() {
                    left.push(fingerprint);
                }
                (member.starts_at, member.ends_at) = (alert.starts_at, ends_at);
                if let Some(held) = &mut member.alert {
                    **held = as_kept(alert);
                }
            }
            // What was over before this began is not of it.
            None if !fires => {}
            None if known >= MEMBERS_MAX => incident.more += 1,
            None => {
                let fits = known < DESCRIBED_MAX && size(alert) <= DESCRIBED_BYTES_MAX;
                let held = fits.then(|| Box::new(as_kept(alert)));
                let member = Member { alert: held, starts_at: alert.starts_at, ends_at };
                incident.members.insert(fingerprint, member);
                joined.push(fingerprint);
            }
        }
        incident.severity = incident.severity.max(if fires { alert.severity() } else { incident.severity });
    }
    // What the group does not have any more is over as well.
    let there: BTreeSet<Fingerprint> = fired.alerts.iter().map(|(alert, _)| alert.fingerprint()).collect();
    for (fingerprint, member) in &mut incident.members {
        if member.ends_at.is_none() && !there.contains(fingerprint) {
            member.ends_at = Some(now);
            left.push(*fingerprint);
        }
    }
    if !firing {
        incident.finish(now, change);
        let text = "all alerts are over".to_owned();
        incident.row(change, now, Kind::Resolved, NOBODY, text, json!({"by_hand": false}));
        return;
    }
    if !is_first && (!joined.is_empty() || !left.is_empty()) {
        let text = format!("{} joined, {} left", counted(joined.len()), counted(left.len()));
        let few = |ids: &[Fingerprint]| ids.iter().take(20).map(alert_id).collect::<Vec<_>>();
        let data = json!({"joined": few(&joined), "left": few(&left)});
        incident.row(change, now, Kind::Changed, NOBODY, text, data);
    }
    if incident.held == awake {
        incident.held = !awake;
        incident.wait(policy, now);
    } else if is_first {
        incident.wait(policy, now);
    }
}

/// An alert without what changes though nothing happens.
fn as_kept(alert: &Alert) -> Alert {
    let ends_at = alert.ends_at.filter(|_| !alert.timeout);
    Alert { updated_at: alert.starts_at, ends_at, ..alert.clone() }
}

fn size(alert: &Alert) -> usize {
    let texts = |set: &LabelSet| set.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let evidence = alert.cause.as_ref().and_then(|cause| cause.evidence.as_ref());
    let evidence = evidence.map_or(0, |evidence| evidence.to_string().len());
    texts(&alert.labels) + texts(&alert.annotations) + alert.generator_url.len() + evidence
}

fn counted(number: usize) -> String {
    if number == 1 { "1 alert".to_owned() } else { format!("{number} alerts") }
}

/// Acknowledges what somebody acknowledged before it was an incident, or what a rule says needs nobody.
fn take_at_once(
    incident: &mut Incident,
    fired: Fired<'_>,
    earlies: Vec<Early>,
    policy: &Policy,
    now: i64,
    change: &mut Change,
) {
    let mut take = |by: &str, message: &str, act: Act| {
        // A name that is too long was refused when it was given.
        let _ = incident.act(act, (by, message), policy, now, change);
    };
    if let Some(Early { ack, .. }) = earlies.into_iter().next() {
        let act = Act::Ack { alert: Some(ack.alert_id), auto: ack.auto };
        return take(&ack.by, &ack.message, act);
    }
    let says_so = |(alert, _): &&(&Alert, bool)| {
        alert.cause.is_some() && alert.annotations.get(AUTO_ACK).is_some_and(|value| value == "true")
    };
    if let Some((alert, _)) = fired.alerts.iter().find(says_so) {
        let act = Act::Ack { alert: Some(alert_id(&alert.fingerprint())), auto: true };
        take(&format!("rule {}", alert.name()), "the rule says that nobody needs to", act);
    }
}

fn incident_id(group_key: &str, now: i64, salt: u64) -> String {
    let mut hash = Xxh3::with_seed(salt);
    hash.update(group_key.as_bytes());
    hash.update(&now.to_le_bytes());
    format!("incident_{:016x}", hash.digest())
}

/// What it is, in a line: the alert, how many more, and where.
fn title(worst: &Alert, firing: &[&Alert], group_labels: &LabelSet) -> String {
    let name = if worst.name().is_empty() { "an alert without a name" } else { worst.name() };
    let names: BTreeSet<&str> = firing.iter().map(|alert| alert.name()).collect();
    let more = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
    let labels = group_labels.iter().filter(|(label, _)| *label != "alertname");
    let labels: Vec<String> = labels.map(|(label, value)| format!("{label}={value}")).collect();
    let at = if labels.is_empty() { String::new() } else { format!(" ({})", labels.join(", ")) };
    let title = format!("{name}{more}{at}");
    title[..title.floor_char_boundary(300)].to_owned()
}

#[cfg(test)]
mod tests;
