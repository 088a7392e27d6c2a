//! A store, its disk and the model beside it: each operation is performed on both and compared.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barograph_disk::{Chance, Disk, Fault, MemoryDisk};
use barograph_model::{
    Batch, Budget, Labels, MatchOp, Matcher, Metadata, Selection, Source, SourceError, Tier, TimeRange,
    Timestamp,
};
use barograph_tsdb::{Error, Options, Recovery, Retention, Row, Store};

use crate::{
    history::{ALL, Crash, History, METRICS, Op, Pick, SERIES_EACH, START, Sample, Weather, Work},
    model::{Asked, Failure, Found, Missing, Model},
};

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Histories.
    pub seeds: u64,
    /// Operations.
    pub operations: u64,
    /// Ends of a process, each with one outcome for its disk, that were looked at.
    pub crash_points: u64,
    /// Samples that were acknowledged.
    pub acknowledged: u64,
    /// Samples that were read and compared.
    pub compared: u64,
    /// Reports of damage: files set aside, blocks with bad pages, torn ends where bits were flipped.
    pub damages: u64,
}

impl Totals {
    /// Adds those of others.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.operations += other.operations;
        self.crash_points += other.crash_points;
        self.acknowledged += other.acknowledged;
        self.compared += other.compared;
        self.damages += other.damages;
    }
}

/// A store at work.
pub struct World<'h> {
    pub(crate) history: &'h History,
    pub(crate) totals: &'h mut Totals,
    pub(crate) labels: Vec<Labels>,
    pub(crate) numbers: BTreeMap<Labels, usize>,
    pub(crate) disk: MemoryDisk,
    /// Where backups go.
    pub(crate) backups: MemoryDisk,
    /// Only without one while a next one is being opened.
    store: Option<Store>,
    pub(crate) model: Model,
    /// The latest time there was; no operation goes back before it.
    now: i64,
    /// Damage that the start of the store reported, in a history that flips bits.
    pub(crate) damage_found: bool,
    /// Damage that was ever reported: tiers may have lost something to it.
    pub(crate) damaged_once: bool,
}

/// What is read of a store, and whether it was all.
pub(crate) struct Reading {
    pub(crate) found: Found,
    pub(crate) whole: bool,
}

impl<'h> World<'h> {
    /// An empty store.
    pub fn new(history: &'h History, totals: &'h mut Totals) -> Result<Self, Failure> {
        let labels: Vec<_> = (0..ALL).map(labels_of).collect();
        let numbers = labels.iter().cloned().zip(0..).collect();
        let disk = MemoryDisk::new();
        let mut model = Model::default();
        model.window = history.window;
        model.raw_goes = history.retention.is_some();
        let mut world = Self {
            history,
            totals,
            labels,
            numbers,
            disk,
            backups: MemoryDisk::new(),
            store: None,
            model,
            now: START,
            damage_found: false,
            damaged_once: false,
        };
        let (store, _) = world.open(&world.disk, START, history.seed)?;
        world.store = Some(store);
        Ok(world)
    }

    /// Performs one operation.
    pub fn perform(&mut self, op: &Op) -> Result<(), Failure> {
        self.totals.operations += 1;
        match op {
            Op::Append { now, any_age, rows } => self.append(*now, *any_age, rows),
            Op::Describe { metric, version } => {
                let metadata = Metadata { help: version.to_string(), ..Metadata::default() };
                self.store().set_metadata(METRICS[*metric], &metadata);
                self.model.describe(*metric, *version);
                Ok(())
            }
            Op::Observe { now, rows } => self.observe(*now, rows),
            Op::Delete { now, pick, start, end } => {
                let work = Work::Delete { pick: *pick, start: *start, end: *end };
                self.work(work, *now, self.may_fail())
            }
            Op::Clean => self.work(Work::Clean, self.now, self.may_fail()),
            Op::Tiers { now } => self.compare_tiers(*now),
            Op::Backup { now, calls, seed } => self.back_up(*now, *calls, *seed),
            Op::Commit => self.work(Work::Commit, self.now, self.may_fail()),
            Op::Maintain { now } => self.work(Work::Maintain, *now, self.may_fail()),
            Op::Flush { now } => self.work(Work::Flush, *now, self.may_fail()),
            Op::Query { pick, start, end } => {
                self.query(Asked { pick: *pick, start: *start, end: *end }, self.may_fail())
            }
            Op::Fault { skip, count, fault } => {
                self.disk.fail(*skip, *count, *fault);
                Ok(())
            }
            Op::Heal => {
                self.disk.heal();
                Ok(())
            }
            Op::Flip { file, bit } => {
                self.flip(*file, *bit);
                Ok(())
            }
            Op::Crash(crash) => self.crash(crash),
        }
    }

    /// With the disk healed everything must become durable, be there, and be there once more after a power loss.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.disk.heal();
        self.work(Work::Commit, self.now, false)?;
        self.query(Asked::ALL, false)?;
        let seeds = vec![self.history.seed];
        let kill = self.history.weather == Weather::Kills;
        self.crash(&Crash { now: self.now, during: None, kill, seeds, again: None, options: 0 })?;
        self.compare_tiers(self.now)
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("a store is open between operations")
    }

    /// Whether calls of the store may fail.
    pub(crate) fn may_fail(&self) -> bool {
        self.history.weather == Weather::Faults
    }

    pub(crate) fn rots(&self) -> bool {
        self.history.weather == Weather::Rot
    }

    fn append(&mut self, now: i64, any_age: bool, rows: &[Sample]) -> Result<(), Failure> {
        let borrowed: Vec<_> = rows
            .iter()
            .map(|row| Row {
                labels: self.labels[row.series].as_bytes(),
                at: row.at,
                value: f64::from_bits(row.bits),
            })
            .collect();
        let appended = match any_age {
            true => self.store().append_any_age(&borrowed, Timestamp(now)),
            false => self.store().append(&borrowed, Timestamp(now)),
        };
        let appended = match appended {
            Ok(appended) => appended,
            Err(_) if self.may_fail() => return Ok(()),
            // Too many late samples wait for the next upkeep.
            Err(Error::Overloaded { .. }) if any_age => return Ok(()),
            Err(error) => return Err(Failure::wrong(format!("append: {error}"))),
        };
        let mut reasons: BTreeMap<_, _> = appended.rejected.iter().map(|r| (r.row, r.reason)).collect();
        if appended.stored + reasons.len() != rows.len() {
            return Err(Failure::wrong(format!("{appended:?} does not add up to {} rows", rows.len())));
        }
        for (number, row) in rows.iter().enumerate() {
            match reasons.remove(&number) {
                None => self.model.take(*row, appended.ticket),
                Some(reason) => self.model.refuse(*row, now, reason, !self.rots())?,
            }
        }
        Ok(())
    }

    pub(crate) fn work(&mut self, work: Work, now: i64, may_fail: bool) -> Result<(), Failure> {
        self.time_passes(now);
        let outcome = match work {
            Work::Commit => self.store().commit().map(Some),
            Work::Maintain => self.store().maintain(Timestamp(now)).map(|_| None),
            Work::Flush => self.store().flush(Timestamp(now)).map(|_| None),
            Work::Clean => self.store().clean_deletes().map(|_| None),
            Work::Delete { pick, start, end } => self.delete(Asked { pick, start, end }, now).map(|()| None),
        };
        match outcome {
            Ok(Some(durable)) => self.totals.acknowledged += self.model.acknowledge(durable),
            Ok(None) => {}
            // A merge or a cut that meets a wrong bit gives up and says so.
            Err(_) if may_fail || self.rots() => {}
            Err(error) => return Err(Failure::wrong(format!("{work:?}: {error}"))),
        }
        Ok(())
    }

    pub(crate) fn time_passes(&mut self, now: i64) {
        self.now = self.now.max(now);
        if let Some(age) = self.history.retention {
            self.model.gone_before = self.model.gone_before.max(now - age);
        }
    }

    fn query(&mut self, asked: Asked, may_fail: bool) -> Result<(), Failure> {
        let reading = self.read(self.store(), asked)?;
        let excused = (may_fail && !reading.whole) || self.damage(self.store(), self.damage_found);
        if !reading.whole && !excused {
            return Err(Failure::wrong("a reading failed without a fault"));
        }
        let missing = if excused { Missing::Anything } else { Missing::Nothing };
        self.totals.compared += self.model.compare(&reading.found, asked, missing)?;
        self.model.compare_described(&described(self.store()), missing)
    }

    /// Whether this store has reported damage, where bits are flipped; nowhere else there may be any.
    pub(crate) fn damage(&self, store: &Store, found: bool) -> bool {
        let stats = store.stats();
        self.rots() && (found || stats.blocks_damaged + stats.set_aside > 0)
    }

    pub(crate) fn read(&self, store: &Store, asked: Asked) -> Result<Reading, Failure> {
        let range = TimeRange::new(Timestamp(asked.start), Timestamp(asked.end));
        let matchers = matchers(asked.pick);
        let budget = Budget::unlimited();
        let mut found: Found = vec![Vec::new(); ALL];
        let mut read = || -> Result<Result<(), Failure>, SourceError> {
            let mut cursor = store.select(&Selection { matchers: &matchers, range }, &budget)?;
            let mut before: Option<Labels> = None;
            while let Some(labels) = cursor.next_series()? {
                if before.as_ref().is_some_and(|before| *before >= labels) {
                    return Ok(Err(Failure::wrong(format!("series {labels} comes out of order"))));
                }
                let Some(&number) = self.numbers.get(&labels) else {
                    return Ok(Err(Failure::wrong(format!("series {labels} was never there"))));
                };
                while let Some(Batch { timestamps, values }) = cursor.next_batch()? {
                    let bits = values.iter().map(|value| value.to_bits());
                    found[number].extend(timestamps.iter().copied().zip(bits));
                }
                if !found[number].is_sorted_by(|a, b| a.0 < b.0) {
                    return Ok(Err(Failure::wrong(format!("samples of {labels} come out of order"))));
                }
                before = Some(labels);
            }
            self.read_histograms(store, &Selection { matchers: &matchers, range }, &mut found)
        };
        let whole = match read() {
            Ok(fine) => fine.map(|()| true)?,
            Err(_) => false,
        };
        Ok(Reading { found, whole })
    }

    /// Flips a bit of a file that is there.
    fn flip(&mut self, file: u64, bit: u64) {
        let paths = self.disk.paths();
        if paths.is_empty() {
            return;
        }
        let path = Chance::new(file).pick(&paths).clone();
        self.disk.heal();
        let len = self.disk.open(&path).map_or(0, |file| file.len() * 8);
        if len > 0 {
            let bit = if bit > u64::MAX - 2000 { len - 1 - (u64::MAX - bit) % len } else { bit % len };
            self.disk.flip(&path, usize::try_from(bit).unwrap_or(0));
        }
    }

    fn crash(&mut self, crash: &Crash) -> Result<(), Failure> {
        if let Some(cut) = crash.during {
            self.disk.heal();
            if cut.short {
                self.disk.fail(cut.calls, 1, Fault::ShortWrite);
            }
            self.disk.fail(cut.calls, u64::MAX, Fault::Io);
            self.work(cut.work, crash.now, true)?;
        }
        let damaged = self.damage(self.store(), self.damage_found);
        self.store = None;
        self.time_passes(crash.now);
        for (index, &seed) in crash.seeds.iter().enumerate() {
            let mut disk = if crash.kill { self.disk.kill() } else { self.disk.crash(seed) };
            let mut reported = damaged;
            if let Some(calls) = crash.again {
                disk.fail(calls, u64::MAX, Fault::Io);
                if let Ok((_, recovery)) = self.try_open(&disk, crash.now, seed) {
                    reported |= self.rots() && reports(&recovery);
                } else if self.rots() {
                    // The report of a start that failed went with it.
                    reported = true;
                }
                disk = if crash.kill { disk.kill() } else { disk.crash(seed ^ 1) };
                self.totals.crash_points += 1;
            }
            let (store, recovery) = self.open(&disk, crash.now, crash.options)?;
            self.totals.crash_points += 1;
            let reading = self.read(&store, Asked::ALL)?;
            if !reading.whole {
                return Err(Failure::wrong("a reading failed after a restart"));
            }
            self.check_recovery(&store, &recovery)?;
            let found_now = self.rots() && reports(&recovery);
            let damage = self.damage(&store, reported || found_now);
            let missing = if damage { Missing::Anything } else { Missing::Unacknowledged };
            self.totals.damages += u64::from(self.damage(&store, found_now));
            self.damaged_once |= damage;
            self.totals.compared += self.model.compare(&reading.found, Asked::ALL, missing)?;
            let descriptions = described(&store);
            self.model.compare_described(&descriptions, missing)?;
            if index + 1 == crash.seeds.len() {
                self.model.begin_anew(&reading.found, &descriptions, self.rots());
                self.damage_found = false;
                self.disk = disk;
                self.store = Some(store);
            }
        }
        Ok(())
    }

    /// Where no bit is flipped, a start finds no damage but what a power loss makes of the end of the log.
    fn check_recovery(&self, store: &Store, recovery: &Recovery) -> Result<(), Failure> {
        let only_log = recovery.set_aside.iter().all(|file| file.path.starts_with("wal/"));
        let fine = match self.history.weather {
            Weather::Rot => true,
            Weather::Kills => recovery.set_aside.is_empty() && recovery.orphans == 0,
            Weather::PowerLoss | Weather::Faults => only_log && store.stats().blocks_damaged == 0,
        };
        if fine { Ok(()) } else { Err(Failure::wrong(format!("damage out of nowhere: {recovery:?}"))) }
    }

    pub(crate) fn open(
        &self,
        disk: &MemoryDisk,
        now: i64,
        options: u64,
    ) -> Result<(Store, Recovery), Failure> {
        self.try_open(disk, now, options).map_err(|error| Failure::wrong(format!("start: {error:?}")))
    }

    pub(crate) fn try_open(
        &self,
        disk: &MemoryDisk,
        now: i64,
        options: u64,
    ) -> Result<(Store, Recovery), Error> {
        let mut chance = Chance::new(options);
        let mut options = Options::default();
        options.lanes = 1 << chance.below(3);
        options.segment_bytes = 1 << chance.below(16);
        options.late_bytes_max = 1 << (12 + chance.below(12));
        options.cache_bytes = 1 << (6 + chance.below(14));
        let raw = self.history.retention.map(|age| Duration::from_millis(age.unsigned_abs()));
        options.retention = Retention::FOREVER.with(Tier::Raw, raw);
        options.out_of_order = Duration::from_millis(self.history.window.unsigned_abs());
        Store::open(Arc::new(disk.clone()), options, Timestamp(now))
    }
}

fn reports(recovery: &Recovery) -> bool {
    !recovery.set_aside.is_empty() || recovery.torn_bytes > 0 || recovery.orphans > 0
}

fn labels_of(series: usize) -> Labels {
    let number = (series % SERIES_EACH).to_string();
    let metric = METRICS.get(series / SERIES_EACH).copied().unwrap_or("latency_seconds");
    Labels::from_pairs([("__name__", metric), ("job", "sim"), ("n", &number)]).expect("names are unique")
}

pub(crate) fn matchers(pick: Pick) -> Vec<Matcher> {
    let matcher = |name, op, value: &str| vec![Matcher::new(name, op, value).expect("it is valid")];
    match pick {
        Pick::All => Vec::new(),
        Pick::Metric(metric) => matcher("__name__", MatchOp::Equal, METRICS[metric]),
        Pick::NotMetric(metric) => matcher("__name__", MatchOp::NotEqual, METRICS[metric]),
        Pick::Number(number) => matcher("n", MatchOp::Regex, &format!("{number}|none")),
    }
}

fn described(store: &Store) -> [Option<u64>; METRICS.len()] {
    METRICS
        .map(|name| store.metadata(Some(name)).first().and_then(|(_, metadata)| metadata.help.parse().ok()))
}
