//! The collectors of a program, each at its own interval.
//!
//! [`Collectors::due`] says who is to run; each runs apart from the others and from whoever looks at them, so that a slow
//! one costs only its own readings. Whoever has no threads to spare runs them in turn with [`Collectors::tick`].

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use barograph_model::{MetricType, Timestamp};
use barograph_wire::exposition::Family;

use super::{
    CollectorStats, ConfigChange, Cost, MetricCollector, MetricCollectorConfig, Reading, Runner, Writer,
    writer,
};

/// How many collectors a program has at most.
pub const COLLECTORS_MAX: usize = 1_000;

/// Collectors by name. Cloning it is cheap, and clones are the same set.
#[derive(Clone, Debug, Default)]
pub struct Collectors(Arc<Mutex<BTreeMap<String, Arc<Slot>>>>);

/// A collector that is to run now.
#[derive(Debug)]
pub struct Due {
    slot: Arc<Slot>,
    now: Timestamp,
    /// Whether it is listed because it is due; else it runs at any time.
    listed: bool,
}

#[derive(Debug)]
struct Slot(Mutex<Held>);

#[derive(Debug)]
struct Held {
    runner: Runner,
    /// What was read last, and when.
    latest: (Option<Timestamp>, Vec<Reading>),
    removed: bool,
    /// Someone has it on a list to run, and has not begun.
    listed: bool,
}

/// Why a collector is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddError {
    /// There is one of that name.
    Taken {
        /// The name.
        name: String,
    },
    /// There are [`COLLECTORS_MAX`].
    Full,
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { name } => write!(f, "there is a collector {name:?} already"),
            Self::Full => write!(f, "there are {COLLECTORS_MAX} collectors already"),
        }
    }
}

impl std::error::Error for AddError {}

/// A collector as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorStatus {
    /// Its name, interval, and whether it runs.
    pub config: MetricCollectorConfig,
    /// What it says its metrics are.
    pub metric_type: MetricType,
    /// What its readings take.
    pub cost: Cost,
    /// The given names of metrics that it has not here.
    pub unsupported: Vec<Cow<'static, str>>,
    /// How its runs went.
    pub stats: CollectorStats,
}

/// What all collectors did together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectorTotals {
    /// How many there are.
    pub collectors: usize,
    /// Readings written.
    pub points: u64,
    /// Runs that failed.
    pub errors: u64,
}

impl Collectors {
    /// No collectors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a collector in. It is due at once.
    ///
    /// # Errors
    /// See [`AddError`].
    #[doc(alias = "addCollector")]
    pub fn add(&self, collector: impl MetricCollector + 'static) -> Result<(), AddError> {
        let runner = Runner::new(Box::new(collector));
        let name = runner.config().name.clone();
        let mut slots = self.slots();
        if slots.contains_key(&name) {
            return Err(AddError::Taken { name });
        }
        if slots.len() >= COLLECTORS_MAX {
            return Err(AddError::Full);
        }
        let held = Held { runner, latest: (None, Vec::new()), removed: false, listed: false };
        slots.insert(name, Arc::new(Slot(Mutex::new(held))));
        Ok(())
    }

    /// Takes a collector out, and tells whether there was one of that name. What a run under way reads is thrown away.
    #[doc(alias = "removeCollector")]
    pub fn remove(&self, name: &str) -> bool {
        let removed = self.slots().remove(name);
        removed.as_ref().inspect(|slot| slot.lock().removed = true).is_some()
    }

    /// Changes how a collector runs, and tells whether there is one of that name.
    pub fn update_config(&self, name: &str, change: ConfigChange) -> bool {
        self.with(name, |held| held.runner.update_config(change)).is_some()
    }

    /// Lets a collector forget, and tells whether there is one of that name.
    pub fn reset(&self, name: &str) -> bool {
        self.with(name, |held| held.runner.reset()).is_some()
    }

    /// The collectors that are to run now, by name. One that was listed before and has not begun is not listed again.
    pub fn due(&self, now: Timestamp) -> Vec<Due> {
        let all = self.all();
        let due = all.into_iter().filter(|slot| {
            let mut held = slot.lock();
            held.runner.is_due(now) && !std::mem::replace(&mut held.listed, true)
        });
        due.map(|slot| Due { slot, now, listed: true }).collect()
    }

    /// All that are enabled, to run now whether they are due or not: a last time before the end.
    pub fn at_once(&self, now: Timestamp) -> Vec<Due> {
        let enabled = self.all().into_iter().filter(|slot| slot.lock().runner.config().enabled);
        enabled.map(|slot| Due { slot, now, listed: false }).collect()
    }

    /// Runs the collectors that are due, one after the other, and returns what they read.
    pub fn tick(&self, now: Timestamp) -> Vec<Reading> {
        self.due(now).into_iter().flat_map(Due::run).collect()
    }

    /// When the next collector is due: [`Timestamp::MIN`] if one has not run yet, `None` if none will.
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = |slot: Arc<Slot>| {
            let held = slot.lock();
            held.runner.config().enabled.then(|| held.runner.due())
        };
        self.all().into_iter().filter_map(due).min()
    }

    /// A collector as it stands; `None` if there is none of that name.
    pub fn status(&self, name: &str) -> Option<CollectorStatus> {
        self.with(name, |held| CollectorStatus::of(&held.runner))
    }

    /// All collectors as they stand, by name.
    pub fn statuses(&self) -> Vec<CollectorStatus> {
        self.all().iter().map(|slot| CollectorStatus::of(&slot.lock().runner)).collect()
    }

    /// What all did together.
    pub fn totals(&self) -> CollectorTotals {
        self.all().iter().fold(CollectorTotals::default(), |totals, slot| {
            let held = slot.lock();
            let stats = held.runner.stats();
            CollectorTotals {
                collectors: totals.collectors + 1,
                points: totals.points + stats.points,
                errors: totals.errors + stats.errors,
            }
        })
    }

    /// What a collector read last, and when; nothing before its first run or if there is none of that name.
    pub fn latest(&self, name: &str) -> (Option<Timestamp>, Vec<Reading>) {
        self.with(name, |held| held.latest.clone()).unwrap_or_default()
    }

    /// What each metric that was read takes, by the name it is stored under.
    pub fn costs(&self) -> BTreeMap<String, Cost> {
        let of = |slot: Arc<Slot>| {
            let held = slot.lock();
            let cost = held.runner.cost();
            held.latest.1.iter().map(|reading| (reading.stored_name(), cost)).collect::<Vec<_>>()
        };
        self.all().into_iter().flat_map(of).collect()
    }

    /// What all read last, as families to expose.
    pub fn families(&self) -> Vec<Family> {
        let of = |slot: Arc<Slot>| writer::families(&slot.lock().latest.1);
        self.all().into_iter().flat_map(of).collect()
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&mut Held) -> T) -> Option<T> {
        let slot = self.slots().get(name).cloned()?;
        let mut held = slot.lock();
        Some(look(&mut held))
    }

    fn all(&self) -> Vec<Arc<Slot>> {
        self.slots().values().cloned().collect()
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Due {
    /// Runs the collector, without holding up anyone who looks at it, and returns what it read: nothing if it is still
    /// running, or was taken out.
    pub fn run(mut self) -> Vec<Reading> {
        let begun = {
            let mut held = self.slot.lock();
            match std::mem::take(&mut self.listed) {
                true => {
                    held.listed = false;
                    held.runner.begin(self.now)
                }
                false => held.runner.begin_early(self.now),
            }
        };
        let Some(run) = begun else { return Vec::new() };
        let mut out = Writer::new();
        let ran = run.perform(&mut out);
        let mut held = self.slot.lock();
        held.runner.finish(ran);
        let readings = out.into_readings();
        if held.removed {
            return Vec::new();
        }
        held.latest = (Some(self.now), readings.clone());
        readings
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if self.listed {
            self.slot.lock().listed = false;
        }
    }
}

impl CollectorStatus {
    fn of(runner: &Runner) -> Self {
        Self {
            config: runner.config().clone(),
            metric_type: runner.metric_type(),
            cost: runner.cost(),
            unsupported: runner.unsupported().to_vec(),
            stats: runner.stats().clone(),
        }
    }
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::collector::CollectError;

    struct Named(usize);

    impl MetricCollector for Named {
        fn config(&self) -> MetricCollectorConfig {
            let seconds = 1 + self.0 as u64 % 5;
            MetricCollectorConfig::new(format!("c{}", self.0)).every(Duration::from_secs(seconds))
        }

        fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
            assert_eq!(now.millis() % 1000, 0);
            out.data_point("value", self.0 as f64, &[("of", "test")]);
            Ok(())
        }
    }

    #[test]
    fn two_hundred_keep_their_schedule() {
        let set = Collectors::new();
        (0..200).for_each(|i| set.add(Named(i)).unwrap());
        assert_eq!(set.add(Named(7)), Err(AddError::Taken { name: "c7".into() }));
        for second in 0..60 {
            set.tick(Timestamp(second * 1000));
        }
        for (status, seconds) in
            set.statuses().iter().map(|status| (status, status.config.interval.as_secs()))
        {
            let stats = &status.stats;
            assert_eq!(
                (stats.runs, stats.errors, stats.missed),
                (60 / seconds, 0, 0),
                "{}",
                status.config.name
            );
        }
        let runs = 40 * (60 + 30 + 20 + 15 + 12);
        assert_eq!(set.totals(), CollectorTotals { collectors: 200, points: runs, errors: 0 });
        assert_eq!(set.next_due(), Some(Timestamp(60_000)));
    }

    #[test]
    fn a_collector_comes_and_goes() {
        let set = Collectors::new();
        set.add(Named(1)).unwrap();
        let due = set.due(Timestamp(2000));
        assert_eq!((due.len(), set.due(Timestamp(2000)).len()), (1, 0), "it is listed once");
        drop(due);
        let due = set.due(Timestamp(2000));
        assert!(set.remove("c1") && !set.remove("c1"));
        assert!(due.into_iter().all(|due| due.run().is_empty()), "what was taken out is heard no more");
        assert_eq!((set.totals().collectors, set.next_due()), (0, None));
        set.add(Named(1)).unwrap();
        assert_eq!(set.tick(Timestamp(4000)).len(), 1);
        assert_eq!(set.latest("c1").0, Some(Timestamp(4000)));
        assert_eq!(set.families()[0].name, "value");
        assert!(set.reset("c1") && !set.reset("c2"));
        assert_eq!(set.status("c1").unwrap().stats, CollectorStats::default());
        assert!(set.update_config("c1", ConfigChange { enabled: Some(false), interval: None }));
        assert!(set.tick(Timestamp(9000)).is_empty());
        assert!(set.update_config("c1", ConfigChange { enabled: Some(true), interval: None }));
        assert_eq!(set.tick(Timestamp(10_000)).len(), 1);
        let early: Vec<_> = set.at_once(Timestamp(11_000)).into_iter().flat_map(Due::run).collect();
        assert_eq!((early.len(), set.tick(Timestamp(11_000)).len()), (1, 0));
    }

    #[test]
    fn the_set_is_bounded() {
        let set = Collectors::new();
        (0..COLLECTORS_MAX).for_each(|i| set.add(Named(i)).unwrap());
        assert_eq!(set.add(Named(COLLECTORS_MAX)), Err(AddError::Full));
    }
}
