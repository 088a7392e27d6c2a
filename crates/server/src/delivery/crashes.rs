//! The outbox on a disk that crashes, at every step: while something is queued, sent, noted or taken back.
//!
//! Whatever was decided arrives. A receiver that knows keys takes each notice once; one that does not takes at most one twice
//! for each crash. Once an acknowledgement is durable, no escalation of its incident is begun. `cargo xtask outbox` plays more
//! of it: `BAROGRAPH_OUTBOX` is the seed and how many crash points.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barograph_alert::{channels::idempotency_key, delivery::Job};
use barograph_disk::{Chance, Fault, MemoryDisk};

use super::{
    tests::{load, notice},
    *,
};
use crate::incidents::Queue;
use barograph_alert::notice::Reason;

/// Crash points of one world, and in all where nobody says.
const POINTS: u64 = 250;
const POINTS_IN_ALL: u64 = 1_000;
/// A disk fails after at most so many calls.
const CALLS_MAX: u64 = 90;
/// Far apart, so that whatever waits to be tried again is due.
const STEP_MS: i64 = 120_000;

#[derive(Debug, Default)]
struct Totals {
    points: u64,
    decided: usize,
    arrived: usize,
    repeats: usize,
    acknowledged: usize,
    taken_back: usize,
    /// Decided, and nowhere any more.
    lost: usize,
    /// The same notice under another key, or another under the same.
    wrong_keys: usize,
    /// Repeats that no crash between sending and noting explains, and crashes that lead to two at a receiver.
    too_many: usize,
    /// Escalations that were begun after the acknowledgement was durable.
    after_ack: usize,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.decided += other.decided;
        self.arrived += other.arrived;
        self.repeats += other.repeats;
        self.acknowledged += other.acknowledged;
        self.taken_back += other.taken_back;
        self.lost += other.lost;
        self.wrong_keys += other.wrong_keys;
        self.too_many += other.too_many;
        self.after_ack += other.after_ack;
    }

    fn broken(&self) -> usize {
        self.lost + self.wrong_keys + self.too_many + self.after_ack
    }
}

/// A place, and a group that it is told of.
type Group = (String, usize, String);

fn group(notice: &Notice) -> Group {
    (notice.receiver.clone(), notice.integration, notice.dedup_key.clone())
}

/// Whether an earlier state of a group goes into a later one.
fn goes_into(earlier: &Notice, later: &Notice) -> bool {
    let states = [earlier, later].iter().all(|notice| notice.reason == Reason::Group);
    states && group(earlier) == group(later) && earlier.seq <= later.seq
}

/// All that outlives a crash.
struct World {
    chance: Chance,
    now: i64,
    number: u64,
    /// Notices that have to arrive, by their keys.
    decided: BTreeMap<String, Notice>,
    /// What each key stands for.
    keys: BTreeMap<String, Notice>,
    arrived: BTreeMap<String, usize>,
    /// Notices that may come again: they were sent, and a crash came before that was noted.
    may_repeat: BTreeSet<String>,
    /// The newest state of each group that a place knows.
    newest: BTreeMap<Group, u64>,
    /// Incidents with the keys of their escalations.
    open: BTreeMap<String, Vec<String>>,
    acknowledged: BTreeSet<String>,
    totals: Totals,
}

/// The disk failed, or the process ends here.
struct Crash;

/// A process, from its start to its crash.
struct Life<'w> {
    world: &'w mut World,
    delivery: Arc<Delivery>,
    flying: Vec<Job>,
    unkept: Vec<(Entry, Outcome, i64)>,
    /// What each place was told in this life and is not noted yet.
    unnoted: BTreeMap<(String, usize), BTreeSet<String>>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            now: 0,
            number: 0,
            decided: BTreeMap::new(),
            keys: BTreeMap::new(),
            arrived: BTreeMap::new(),
            may_repeat: BTreeSet::new(),
            newest: BTreeMap::new(),
            open: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            totals: Totals::default(),
        }
    }

    /// Whether what a notice says was told.
    fn was_told(&self, key: &str, notice: &Notice) -> bool {
        let newest = self.newest.get(&group(notice)).copied().unwrap_or_default();
        self.arrived.contains_key(key) || notice.reason == Reason::Group && newest >= notice.seq
    }

    /// A notice was given up, with what went into it. It is kept for people to see.
    fn given_up(&mut self, gone: &Notice) {
        self.decided.remove(&idempotency_key(gone));
        self.decided.retain(|_, notice| !goes_into(notice, gone));
    }

    /// A notice to one of three places; with an incident it is an escalation.
    fn made(&mut self, incident: Option<&str>) -> Notice {
        self.number += 1;
        let place = self.chance.below(3);
        Notice {
            receiver: ["r", "s", "s"][usize::try_from(place).unwrap()].to_owned(),
            integration: usize::from(place == 2),
            reason: incident.map_or(Reason::Group, |_| Reason::Escalation),
            incident: incident.map(str::to_owned),
            dedup_key: format!("d{}", self.number / 6),
            seq: self.number,
            at: self.now,
            ..notice(self.number)
        }
    }
}

impl Life<'_> {
    fn may_end(&mut self) -> Result<(), Crash> {
        if self.world.chance.once_in(60) { Err(Crash) } else { Ok(()) }
    }

    fn step(&mut self) -> Result<(), Crash> {
        self.world.now += STEP_MS;
        match self.world.chance.below(10) {
            0..=2 => self.decide(),
            3 => self.escalate(),
            4 => self.acknowledge(),
            5..=6 => self.begin(),
            _ => self.finish(),
        }
    }

    /// Something is decided.
    fn decide(&mut self) -> Result<(), Crash> {
        let (notice, now) = (self.world.made(None), self.world.now);
        let put = self
            .delivery
            .state
            .write(|batch| Delivery::put(&self.delivery, batch, vec![notice.clone()], now));
        // Whoever decided it and failed does not know whether it is there; either will do.
        let entries = put.map_err(|_| Crash)?;
        self.world.decided.insert(idempotency_key(&notice), notice);
        self.world.totals.decided += 1;
        self.may_end()?;
        self.delivery.admit(entries, now);
        self.may_end()
    }

    /// Somebody is asked besides, about an incident of which there are a few.
    fn escalate(&mut self) -> Result<(), Crash> {
        let incident = format!("incident_{}", self.world.number / 8);
        if self.world.acknowledged.contains(&incident) {
            return Ok(());
        }
        let notice = self.world.made(Some(&incident));
        // The queue numbers them by the time.
        let numbered = Notice { seq: self.world.now.cast_unsigned(), ..notice.clone() };
        let key = idempotency_key(&numbered);
        self.world.open.entry(incident).or_default().push(key.clone());
        self.pages(&[notice], &[], |world| {
            world.decided.insert(key, numbered);
            world.totals.decided += 1;
        })
    }

    /// Somebody acknowledges.
    fn acknowledge(&mut self) -> Result<(), Crash> {
        let open: Vec<String> = self.world.open.keys().cloned().collect();
        if open.is_empty() {
            return Ok(());
        }
        let incident = self.world.chance.pick(&open).clone();
        let keys = self.world.open.remove(&incident).unwrap_or_default();
        // Even if that fails, they need not arrive any more.
        for key in &keys {
            self.world.decided.remove(key);
        }
        self.pages(&[], std::slice::from_ref(&incident), |world| {
            world.totals.acknowledged += 1;
            world.totals.taken_back += keys.iter().filter(|key| !world.arrived.contains_key(*key)).count();
            world.acknowledged.insert(incident.clone());
        })
    }

    fn pages(
        &mut self,
        notices: &[Notice],
        cancelled: &[String],
        durable: impl FnOnce(&mut World),
    ) -> Result<(), Crash> {
        let now = self.world.now;
        let put =
            self.delivery.state.write(|batch| Queue::put(&self.delivery, batch, notices, cancelled, now));
        if put.is_ok() {
            durable(self.world);
            self.may_end()?;
        }
        Queue::settled(&self.delivery, put.is_ok());
        put.map_err(|_| Crash)?;
        self.may_end()
    }

    /// What is due flies; nothing does before what came back is noted.
    fn begin(&mut self) -> Result<(), Crash> {
        self.keep()?;
        let (jobs, old) = self.delivery.standing().machine.due(self.world.now);
        for job in jobs {
            let notice = &job.entry.notice;
            let known = notice.incident.as_ref().filter(|_| notice.reason == Reason::Escalation);
            if known.is_some_and(|incident| self.world.acknowledged.contains(incident)) {
                self.world.totals.after_ack += 1;
            }
            self.flying.push(job);
        }
        for entry in old {
            self.world.given_up(&entry.notice);
            self.unkept.push((entry, Outcome::Dead("old".to_owned()), self.world.now));
        }
        self.may_end()
    }

    /// One that flies comes to something.
    fn finish(&mut self) -> Result<(), Crash> {
        if self.flying.is_empty() {
            return Ok(());
        }
        let at = self.world.chance.index(self.flying.len());
        let job = self.flying.swap_remove(at);
        let verdict = match self.world.chance.below(10) {
            0..=1 => Verdict::Again { why: "busy".to_owned(), after_ms: None },
            2 => Verdict::Refused("no".to_owned()),
            _ => Verdict::Sent,
        };
        if verdict == Verdict::Sent {
            self.arrive(&job);
        }
        self.may_end()?;
        let attempt = Attempt { at: self.world.now, ok: verdict == Verdict::Sent, ..Attempt::default() };
        let done = self.delivery.done(job.entry.id, &verdict, attempt, self.world.now);
        self.unkept.extend(done);
        // Several may be noted at once.
        if self.world.chance.once_in(3) { Ok(()) } else { self.keep() }
    }

    fn keep(&mut self) -> Result<(), Crash> {
        let prunes = self.world.chance.once_in(20);
        // Even if noting that fails, what is given up need not arrive: whether it was noted is not known then.
        for (entry, outcome, _) in &self.unkept {
            if matches!(outcome, Outcome::Dead(_)) {
                self.world.given_up(&entry.notice);
            }
        }
        self.delivery.note_all(&self.unkept, prunes).map_err(|_| Crash)?;
        for (entry, ..) in self.unkept.drain(..) {
            let key = idempotency_key(&entry.notice);
            for keys in self.unnoted.values_mut() {
                keys.remove(&key);
            }
        }
        self.may_end()
    }

    fn arrive(&mut self, job: &Job) {
        let notice = &job.entry.notice;
        let key = idempotency_key(notice);
        let known = self.world.keys.entry(key.clone()).or_insert_with(|| notice.clone());
        if known != notice {
            self.world.totals.wrong_keys += 1;
        }
        if notice.reason == Reason::Group {
            let newest = self.world.newest.entry(group(notice)).or_default();
            *newest = notice.seq.max(*newest);
        }
        let place = (notice.receiver.clone(), notice.integration);
        self.unnoted.entry(place).or_default().insert(key.clone());
        let count = self.world.arrived.entry(key.clone()).or_default();
        *count += 1;
        if *count > 1 {
            self.world.totals.repeats += 1;
            self.world.totals.too_many += usize::from(!self.world.may_repeat.remove(&key));
        }
    }

    /// The process is no more.
    fn end(mut self) {
        // What flew may have come through.
        for job in std::mem::take(&mut self.flying) {
            if self.world.chance.below(2) == 0 {
                self.arrive(&job);
            }
        }
        for keys in self.unnoted.into_values() {
            self.world.totals.too_many += keys.len().saturating_sub(1);
            self.world.may_repeat.extend(keys);
        }
        self.world.totals.points += 1;
    }
}

/// A world of many crashes.
fn play(seed: u64, points: u64) -> Totals {
    let mut world = World::new(seed);
    let mut disk = MemoryDisk::new();
    for _ in 0..points {
        let mut life = live(&mut world, &disk);
        let calls = life.world.chance.below(CALLS_MAX);
        disk.fail(calls, u64::MAX, Fault::Io);
        while life.step().is_ok() {}
        life.end();
        disk = if world.chance.below(2) == 0 { disk.kill() } else { disk.crash(world.chance.below(1 << 40)) };
    }
    // Nothing fails any more.
    let mut life = live(&mut world, &disk);
    loop {
        life.world.now += STEP_MS;
        let (jobs, old) = life.delivery.standing().machine.due(life.world.now);
        // They would be noted as given up.
        old.iter().for_each(|entry| life.world.given_up(&entry.notice));
        if jobs.is_empty() && life.delivery.standing().machine.is_empty() {
            break;
        }
        for job in jobs {
            life.arrive(&job);
            let done = life.delivery.done(job.entry.id, &Verdict::Sent, Attempt::default(), life.world.now);
            life.delivery.note_all(&done.into_iter().collect::<Vec<_>>(), false).unwrap();
        }
    }
    world.totals.arrived = world.arrived.len();
    world.totals.lost = world.decided.iter().filter(|(key, notice)| !world.was_told(key, notice)).count();
    world.totals
}

fn live<'w>(world: &'w mut World, disk: &MemoryDisk) -> Life<'w> {
    let delivery = Arc::new(load(disk, world.now));
    Life { world, delivery, flying: Vec::new(), unkept: Vec::new(), unnoted: BTreeMap::new() }
}

#[test]
#[expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "`cargo xtask outbox` says how much, and reads it"
)]
fn a_crash_loses_no_notice_and_repeats_at_most_one() {
    let told = std::env::var("BAROGRAPH_OUTBOX").unwrap_or_default();
    let mut numbers = told.split(' ').filter_map(|number| number.parse().ok());
    let (seed, points) = (numbers.next().unwrap_or(11), numbers.next().unwrap_or(POINTS_IN_ALL));
    let mut totals = Totals::default();
    while totals.points < points {
        // Each world begins at another place, so that parts of a long run share none.
        let seed = seed + totals.points;
        let found = play(seed, POINTS.min(points - totals.points));
        assert_eq!(found.broken(), 0, "seed {seed}: {found:?}");
        totals.add(&found);
    }
    println!(
        "outbox points={} decided={} arrived={} repeats={} acknowledged={} taken_back={} lost={} wrong_keys={} \
         too_many={} after_ack={}",
        totals.points,
        totals.decided,
        totals.arrived,
        totals.repeats,
        totals.acknowledged,
        totals.taken_back,
        totals.lost,
        totals.wrong_keys,
        totals.too_many,
        totals.after_ack
    );
    assert!(totals.arrived > 0 && totals.repeats > 0 && totals.taken_back > 0, "{totals:?}");
}
