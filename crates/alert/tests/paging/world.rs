//! A server as far as it decides who is paged: alerts, groups, incidents and the outbox, with a disk that keeps what is durable in
//! the form in which it is kept, a process that may end at any step, and a clock that may be set.

use std::{collections::BTreeMap, sync::Arc};

use barograph_alert::{
    channels::Verdict,
    config::{self, Config},
    delivery::{Entry, Machine, Outcome, Pushed},
    incident::{Act, Book, Change, notices},
    notice::Notice,
    routing::{
        Alert, Alerts, Dispatcher, Fingerprint, Inhibitor, LabelSet, Log, LogKey, Matchers, Mutes, Silence,
        Silences,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    judge::Judge,
    steps::{ALERTS, Answer, Deed, Fault, MINUTE, Step},
};

const START: i64 = 1_700_000_000_000;
/// Rules tell what fires so often at least.
const TURN: i64 = 3 * MINUTE;
/// What is told is believed for so long.
const BELIEVED: i64 = 4 * MINUTE;
/// Looks of one span at most, as if others were missed.
const LOOKS_MAX: i64 = 12;

/// What is durable, as text.
#[derive(Clone, Debug, Default)]
struct Disk {
    incidents: BTreeMap<String, String>,
    alerts: BTreeMap<Fingerprint, (String, bool)>,
    log: BTreeMap<LogKey, String>,
    outbox: BTreeMap<u64, String>,
    silences: Vec<String>,
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn value<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Durable,
    Refused,
    /// The process ended.
    Ended,
}

pub(crate) struct World {
    /// The configuration as it is, and as it is read next.
    config: Arc<Config>,
    other: Arc<Config>,
    /// What the wall clock says.
    now: i64,
    /// The time that went by, as far as a process can know.
    lived: i64,
    alerts: Alerts,
    mutes: Mutes,
    dispatcher: Dispatcher,
    book: Book,
    machine: Machine,
    flying: Vec<Entry>,
    unnoted: Vec<(Entry, Outcome, i64)>,
    next_id: u64,
    disk: Disk,
    fault: Option<Fault>,
    /// Since when alerts fire.
    fires: [Option<i64>; ALERTS],
    pub(crate) judge: Judge,
}

fn labels(which: usize) -> LabelSet {
    let name = ["A", "B"][which / 2];
    [("alertname", name), ("instance", ["x", "y"][which % 2]), ("severity", "critical")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The same configuration with longer waits between looks.
fn other_times(config: &Config) -> Arc<Config> {
    let mut other = config.clone();
    other.route.group_interval += 2 * MINUTE;
    other.route.routes.iter_mut().for_each(|route| route.group_interval += 2 * MINUTE);
    Arc::new(other)
}

impl World {
    pub(crate) fn new(setup: &str) -> Self {
        let config = Arc::new(config::parse(setup, "a.yml").unwrap());
        Self {
            now: START,
            lived: 0,
            alerts: Alerts::default(),
            mutes: Mutes { inhibitor: Inhibitor::new(&config.inhibit_rules), ..Mutes::default() },
            dispatcher: Dispatcher::new(config.clone(), Log::default()),
            book: Book::default(),
            machine: Machine::default(),
            flying: Vec::new(),
            unnoted: Vec::new(),
            next_id: 1,
            disk: Disk::default(),
            fault: None,
            fires: [None; ALERTS],
            judge: Judge::new(&config),
            other: other_times(&config),
            config,
        }
    }

    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Fire(which) => {
                self.fires[which].get_or_insert(self.now);
                self.tell(which, None);
            }
            Step::End(which) => {
                if self.fires[which].is_some() {
                    self.tell(which, Some(self.now));
                    self.fires[which] = None;
                    self.judge.ended(Fingerprint::of(&labels(which)));
                }
            }
            Step::Silence(which) => self.silence(which),
            Step::Do(deed, which, who) => self.act(deed, which, who),
            Step::Pass(ms) => self.pass(ms),
            Step::Jump(by) => self.jump(by),
            Step::Restart { down, jump } => self.restart(down, jump),
            Step::Fault(fault) => self.fault = Some(fault),
            Step::Reload => self.reload(),
            Step::Begin => self.begin(),
            Step::Finish(which, answer) => self.finish(which, answer),
            Step::Note => drop(self.note()),
        }
        self.judge.look(&self.book);
    }

    /// The configuration is read again, and says other times.
    fn reload(&mut self) {
        std::mem::swap(&mut self.config, &mut self.other);
        self.mutes.inhibitor = Inhibitor::new(&self.config.inhibit_rules);
        self.alerts.all().for_each(|alert| self.mutes.inhibitor.note(alert));
        self.dispatcher.configure(self.config.clone(), self.alerts.all().cloned(), self.now);
    }

    /// What fires ends, all receivers answer, and nothing fails any more: everything comes to rest.
    pub(crate) fn rest(&mut self) {
        self.fault = None;
        (0..ALERTS).for_each(|which| self.step(Step::End(which)));
        for _ in 0..12 {
            self.pass(20 * MINUTE);
            // Notices of one incident go one after the other.
            for _ in 0..10 {
                self.begin();
                while !self.flying.is_empty() {
                    self.finish(0, Answer::Taken);
                }
                self.note();
            }
        }
        assert!(self.machine.is_empty(), "something is never sent: {:?}", self.disk.outbox);
        assert!(self.disk.outbox.is_empty());
        let live: Vec<_> = self.book.iter().filter(|incident| incident.is_live()).collect();
        assert!(live.is_empty(), "nothing fires any more: {live:?}");
        self.judge.rest(self.lived);
    }

    /// A rule tells of an alert.
    fn tell(&mut self, which: usize, over: Option<i64>) {
        let Some(starts_at) = self.fires[which] else { return };
        let alert = Alert {
            labels: labels(which),
            annotations: LabelSet::new(),
            starts_at,
            ends_at: Some(over.unwrap_or(self.now + BELIEVED)),
            timeout: over.is_none(),
            updated_at: self.now,
            generator_url: String::new(),
            cause: None,
        };
        let taken = self.alerts.take(alert, self.now).unwrap();
        self.mutes.inhibitor.note(&taken.alert);
        if taken.changed {
            self.keep_alert(&taken.alert);
        }
        self.dispatcher.insert([taken.alert], self.now);
    }

    fn keep_alert(&mut self, alert: &Alert) {
        let over = alert.ends_at.is_some_and(|end| end <= self.now);
        self.disk.alerts.insert(alert.fingerprint(), (text(alert), over));
        self.alerts.kept(alert, self.now);
    }

    fn silence(&mut self, which: usize) {
        self.judge.mutes();
        let labels = labels(which);
        let active: Vec<String> =
            self.mutes.silences.of(&labels, self.now).map(|silence| silence.id.clone()).collect();
        for id in &active {
            self.mutes.silences.expire(id, self.now).unwrap();
        }
        if active.is_empty() {
            let matchers = format!("alertname={},instance={}", labels["alertname"], labels["instance"]);
            let silence = Silence {
                id: String::new(),
                matchers: Matchers::parse(&matchers).unwrap().documents(),
                starts_at: self.now,
                ends_at: self.now + 6 * 60 * MINUTE,
                updated_at: self.now,
                created_by: "ann".to_owned(),
                comment: "c".to_owned(),
                annotations: LabelSet::new(),
            };
            let id = format!("s{}", self.disk.silences.len() + self.mutes.silences.all().count());
            self.mutes.silences.set(silence, id, self.now).unwrap();
        }
        self.disk.silences = self.mutes.silences.all().map(text).collect();
    }

    fn act(&mut self, deed: Deed, which: usize, who: &str) {
        let fingerprint = Fingerprint::of(&labels(which));
        let live = self.book.of_alert(fingerprint).map(|incident| incident.id.clone()).next();
        // Something can be said of what is over, too.
        let over = || self.book.iter().find(|incident| incident.members.contains_key(&fingerprint));
        let Some(id) = live.or_else(|| over().map(|incident| incident.id.clone())) else { return };
        let (act, message) = match deed {
            Deed::Ack => (Act::Ack { alert: None, auto: false }, ""),
            Deed::Unack => (Act::Unack, ""),
            Deed::TakeOver => (Act::TakeOver, ""),
            Deed::Escalate => (Act::Escalate, ""),
            Deed::Resolve => (Act::Resolve, ""),
            Deed::Comment => (Act::Comment, "so"),
        };
        let done = self.book.act(&id, act, who, message, &self.config.policies, self.now);
        if let Ok(change) = done {
            self.commit(vec![change], Vec::new(), Vec::new());
        }
    }

    /// Time goes by; rules tell what fires, and what is due is looked at.
    fn pass(&mut self, ms: i64) {
        let until = self.lived + ms;
        let least = (ms / LOOKS_MAX).max(1);
        let most = least.max(TURN);
        while self.lived < until {
            let due = [self.dispatcher.next(), self.book.next()].into_iter().flatten().min();
            let wait = due.map_or(most, |due| (due - self.now).clamp(least, most)).min(until - self.lived);
            (self.now, self.lived) = (self.now + wait, self.lived + wait);
            (0..ALERTS).for_each(|which| self.tell(which, None));
            self.look();
            self.judge.look(&self.book);
        }
    }

    fn look(&mut self) {
        let now = self.now;
        let flushes = self.dispatcher.flush(now, &self.mutes.with(&self.config.time_intervals));
        let ended = self.alerts.ended(now);
        if !(flushes.is_empty() && ended.is_empty()) {
            let (mut standings, mut changes) = (Vec::new(), Vec::new());
            for flush in &flushes {
                let (standing, change) = self.book.flushed(flush, &self.config.policies, now);
                standings.push(standing);
                changes.extend(change);
            }
            let notices = self.dispatcher.notices(&flushes, &standings, now);
            match self.commit(changes, notices, ended) {
                Done::Durable => {}
                Done::Refused => {
                    flushes.iter().for_each(|flush| self.dispatcher.again(flush, now + 1_000));
                }
                Done::Ended => return,
            }
        }
        let changes = self.book.tick(&self.config.policies, now);
        if !changes.is_empty() && self.commit(changes, Vec::new(), Vec::new()) != Done::Durable {
            return;
        }
        self.judge.reach(&self.book, self.now);
        let again = self.book.tick(&self.config.policies, self.now);
        assert!(again.iter().all(|change| change.pages.is_empty()), "asked twice at one time: {again:?}");
        self.book.undo(again);
    }

    /// All of it is durable, or nothing.
    fn commit(&mut self, mut changes: Vec<Change>, mut told: Vec<Notice>, ended: Vec<Alert>) -> Done {
        let now = self.now;
        let pages = notices(&mut self.book, &mut changes, &self.config, &self.config.schedules, now);
        let cancelled: Vec<String> =
            changes.iter().filter(|change| change.cancel).map(|change| change.incident.clone()).collect();
        let gone = self.machine.pick(|entry| entry.notice.asks_again(&cancelled));
        gone.iter().for_each(|entry| self.dispatcher.given_up(&entry.notice));
        let log = self.dispatcher.log().changes();
        let fault = self.fault.take();
        match fault {
            Some(Fault::Refused) => {
                self.book.undo(changes);
                self.dispatcher.log().unkept(log.into_iter().map(|(key, _)| key));
                return Done::Refused;
            }
            Some(Fault::EndsBefore) => {
                self.restart(0, 0);
                return Done::Ended;
            }
            _ => {}
        }
        for change in &changes {
            if let Some(incident) = self.book.get(&change.incident) {
                self.disk.incidents.insert(incident.id.clone(), text(incident));
            }
        }
        for (key, entry) in &log {
            match entry {
                Some(entry) => drop(self.disk.log.insert(key.clone(), text(entry))),
                None => drop(self.disk.log.remove(key)),
            }
        }
        gone.iter().for_each(|entry| drop(self.disk.outbox.remove(&entry.id)));
        self.judge.decided(&told);
        told.extend(pages);
        let entries: Vec<Entry> = told.into_iter().map(|notice| self.entry(notice)).collect();
        for entry in &entries {
            self.disk.outbox.insert(entry.id, text(entry));
            self.judge.queued(entry, self.lived);
        }
        self.judge.changed(&changes, &self.book, self.lived);
        ended.iter().for_each(|alert| self.keep_alert(alert));
        if fault.is_some() {
            self.restart(0, 0);
            return Done::Ended;
        }
        gone.iter().for_each(|entry| self.machine.take_back(entry.id));
        self.admit(entries);
        Done::Durable
    }

    fn entry(&mut self, notice: Notice) -> Entry {
        let id = self.next_id;
        self.next_id += 1;
        let (channel, queued_at) = ("webhook".to_owned(), self.now);
        Entry {
            id,
            notice,
            channel,
            queued_at,
            attempts: Vec::new(),
            taken: Vec::new(),
            absorbed: Vec::new(),
        }
    }

    fn admit(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let Pushed { merged, into, dropped } = self.machine.push(entry, 60, self.now);
            assert!(dropped.is_empty());
            let Some(into) = into else { continue };
            for gone in merged {
                self.disk.outbox.remove(&gone);
                self.judge.merged(gone, into.id);
            }
            self.disk.outbox.insert(into.id, text(&into));
        }
    }

    /// What is due flies; nothing does before what came back is noted.
    fn begin(&mut self) {
        if self.note() != Done::Durable {
            return;
        }
        let (jobs, old) = self.machine.due(self.now);
        for job in jobs {
            self.judge.begun(&job.entry);
            self.flying.push(job.entry);
        }
        for entry in old {
            self.judge.too_old(&entry, self.lived);
            self.unnoted.push((entry, Outcome::Dead("old".to_owned()), self.now));
        }
    }

    fn finish(&mut self, which: usize, answer: Answer) {
        if self.flying.is_empty() {
            return;
        }
        let entry = self.flying.swap_remove(which % self.flying.len());
        let again = |after_ms| Verdict::Again { why: "busy".to_owned(), after_ms };
        let verdict = match answer {
            Answer::Taken => Verdict::Sent,
            Answer::Busy => again(None),
            Answer::BusyFor(minutes) => again(Some(minutes * MINUTE)),
            Answer::No => Verdict::Refused("no".to_owned()),
        };
        if let Some((entry, outcome)) = self.machine.done(entry.id, &verdict, self.now, 0.5) {
            self.unnoted.push((entry, outcome, self.now));
        }
    }

    fn note(&mut self) -> Done {
        if self.unnoted.is_empty() {
            return Done::Durable;
        }
        for (Entry { notice, .. }, outcome, at) in &self.unnoted {
            match outcome {
                Outcome::Sent => self.dispatcher.sent_notice(notice, *at),
                Outcome::Dead(_) => self.dispatcher.given_up(notice),
                Outcome::Again(_) => {}
            }
        }
        let log = self.dispatcher.log().changes();
        let fault = self.fault.take();
        match fault {
            Some(Fault::Refused) => return Done::Refused,
            Some(Fault::EndsBefore) => {
                self.restart(0, 0);
                return Done::Ended;
            }
            _ => {}
        }
        for (key, entry) in &log {
            match entry {
                Some(entry) => drop(self.disk.log.insert(key.clone(), text(entry))),
                None => drop(self.disk.log.remove(key)),
            }
        }
        for (entry, outcome, _) in std::mem::take(&mut self.unnoted) {
            match outcome {
                Outcome::Again(_) => {
                    // It may have been taken back since, or the clock set.
                    self.disk.outbox.entry(entry.id).and_modify(|kept| {
                        let Entry { queued_at, .. } = value(kept);
                        *kept = text(&Entry { queued_at, ..entry });
                    });
                }
                Outcome::Sent => {
                    self.disk.outbox.remove(&entry.id);
                    self.judge.sent(&entry.notice);
                }
                Outcome::Dead(_) => {
                    self.disk.outbox.remove(&entry.id);
                    self.judge.dead(&entry.notice);
                }
            }
            self.machine.noted(entry.id);
        }
        if fault.is_some() {
            self.restart(0, 0);
            return Done::Ended;
        }
        Done::Durable
    }

    /// The wall clock is set while the server runs.
    fn jump(&mut self, by: i64) {
        self.now += by;
        self.alerts.shift(by, self.now);
        self.dispatcher.shift(by, self.now);
        for id in self.book.shift(by) {
            self.disk.incidents.insert(id.clone(), text(self.book.get(&id).unwrap()));
        }
        for entry in self.machine.shift(by, self.now) {
            self.disk.outbox.entry(entry.id).and_modify(|kept| {
                *kept = text(&Entry { queued_at: entry.queued_at, ..value(kept) });
            });
        }
    }

    /// The process ends, and another goes on with what is durable.
    fn restart(&mut self, down: i64, jump: i64) {
        self.now += down + jump;
        // Nobody knows how much of that went by.
        self.lived += (down + jump).max(0);
        let kept = self.disk.alerts.values().map(|(alert, over)| (value(alert), *over));
        self.alerts = Alerts::restore(kept, self.config.global.resolve_timeout, self.now);
        self.mutes = Mutes {
            inhibitor: Inhibitor::new(&self.config.inhibit_rules),
            silences: Silences::restore(self.disk.silences.iter().map(|silence| value(silence))),
            ..Mutes::default()
        };
        let log = self.disk.log.iter().map(|(key, entry)| (key.clone(), value(entry)));
        self.alerts.all().for_each(|alert| self.mutes.inhibitor.note(alert));
        self.dispatcher = Dispatcher::new(self.config.clone(), Log::restore(log));
        self.dispatcher.resume(self.alerts.all().cloned(), self.now);
        let incidents = self.disk.incidents.values().map(|incident| value(incident)).collect();
        self.book = Book::load(incidents, Vec::new());
        (self.machine, self.flying, self.unnoted) = Default::default();
        let waiting = self.disk.outbox.values().map(|entry| value(entry)).collect();
        self.admit(waiting);
    }
}
