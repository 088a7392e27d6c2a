//! A collector's schedule and statistics, and the wall between its failures and everyone else.
//!
//! A run has three parts, so that nobody who holds a runner waits for its collector: [`Runner::begin`] hands the collector
//! out, [`Run::perform`] lets it read, [`Runner::finish`] takes it back. [`Runner::tick`] is all three in one.

use std::{
    any::Any,
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use barograph_model::{MetricType, Timestamp};

use super::{
    CollectError, ConfigChange, Cost, INTERVAL_MIN, MetricCollector, MetricCollectorConfig, MetricDataPoint,
    Writer,
};
use crate::clock;

/// A collector, when it is due, and how it did so far.
pub struct Runner {
    /// `None` while it is out.
    collector: Option<Box<dyn MetricCollector>>,
    kind: MetricType,
    cost: Cost,
    unsupported: Vec<Cow<'static, str>>,
    config: MetricCollectorConfig,
    due: Timestamp,
    stats: CollectorStats,
    /// It is to forget what it kept when it comes back.
    forget: bool,
}

/// How the runs of a collector went since it was made or reset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollectorStats {
    /// Runs, with those that failed.
    pub runs: u64,
    /// Readings written.
    pub points: u64,
    /// Runs that failed or panicked.
    pub errors: u64,
    /// Runs that were left out because the one before had not ended.
    pub missed: u64,
    /// The last failure.
    pub last_error: Option<Failure>,
    /// When the collector ran last.
    pub last_run: Option<Timestamp>,
    /// How long the last run took.
    pub last_duration: Duration,
    /// How long all runs took together.
    pub total_duration: Duration,
}

/// A failed run.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// Why, with its causes.
    pub message: String,
}

impl CollectorStats {
    /// How long a run takes on average; zero before the first.
    pub fn average_duration(&self) -> Duration {
        if self.runs == 0 { Duration::ZERO } else { self.total_duration.div_f64(self.runs as f64) }
    }
}

/// A collector that is about to run.
#[must_use = "a collector that is out comes back by `Runner::finish`"]
pub struct Run {
    collector: Box<dyn MetricCollector>,
    kind: MetricType,
    now: Timestamp,
}

/// A collector that has run.
#[must_use = "a collector that is out comes back by `Runner::finish`"]
pub struct Ran {
    collector: Box<dyn MetricCollector>,
    now: Timestamp,
    took: Duration,
    points: u64,
    failure: Option<String>,
}

impl Run {
    /// Lets the collector read, and holds back what it throws.
    #[doc(alias = "collect")]
    pub fn perform(self, out: &mut Writer) -> Ran {
        let Self { mut collector, kind, now } = self;
        out.set_kind(kind);
        let (before, start) = (out.readings().len(), clock::monotonic());
        let outcome = catch_unwind(AssertUnwindSafe(|| collector.perform_collection(now, out)));
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(with_causes(&error)),
            Err(panic) => Some(format!("panicked: {}", said(&*panic))),
        };
        let points = out.readings().len().saturating_sub(before) as u64;
        Ran { collector, now, took: start.elapsed(), points, failure }
    }
}

impl Runner {
    /// A runner whose first tick is due at once.
    pub fn new(collector: Box<dyn MetricCollector>) -> Self {
        let mut config = collector.config();
        config.interval = config.interval.max(INTERVAL_MIN);
        Self {
            kind: collector.metric_type(),
            cost: collector.cost(),
            unsupported: collector.unsupported(),
            collector: Some(collector),
            config,
            due: Timestamp::MIN,
            stats: CollectorStats::default(),
            forget: false,
        }
    }

    /// The collector's name, interval, and whether it runs.
    pub fn config(&self) -> &MetricCollectorConfig {
        &self.config
    }

    /// What the collector says its metrics are.
    #[doc(alias = "getMetricType")]
    pub fn metric_type(&self) -> MetricType {
        self.kind
    }

    /// What the collector's readings take.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The given names of the collector's metrics that are not to be had here.
    pub fn unsupported(&self) -> &[Cow<'static, str>] {
        &self.unsupported
    }

    /// Changes how the collector runs, from the next tick on.
    #[doc(alias = "updateConfig")]
    pub fn update_config(&mut self, change: ConfigChange) {
        if let Some(interval) = change.interval {
            self.config.interval = interval.max(INTERVAL_MIN);
            self.due = Timestamp::MIN;
        }
        self.config.enabled = change.enabled.unwrap_or(self.config.enabled);
    }

    /// When the next run is due: [`Timestamp::MIN`] before the first.
    pub fn due(&self) -> Timestamp {
        self.due
    }

    /// Whether the collector is to run now. A clock that was set back does not silence it until it has caught up.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let waiting = now < self.due && self.due <= now.saturating_add(self.interval_ms());
        self.config.enabled && !waiting
    }

    /// Hands the collector out if it is enabled and due. Runs fall on multiples of the interval since the epoch; one
    /// that was missed is not made up for, and is counted if the collector was still out.
    pub fn begin(&mut self, now: Timestamp) -> Option<Run> {
        if !self.is_due(now) {
            return None;
        }
        let interval = self.interval_ms();
        self.due = Timestamp(now.millis().div_euclid(interval).saturating_add(1).saturating_mul(interval));
        let run = self.begin_early(now);
        self.stats.missed += u64::from(run.is_none());
        run
    }

    /// Hands the collector out, due or not, unless it is out.
    pub(super) fn begin_early(&mut self, now: Timestamp) -> Option<Run> {
        let collector = self.collector.take()?;
        Some(Run { collector, kind: self.kind, now })
    }

    /// Takes the collector back and counts its run.
    pub fn finish(&mut self, ran: Ran) {
        let Ran { mut collector, now, took, points, failure } = ran;
        if std::mem::take(&mut self.forget) {
            collector.reset();
        } else {
            let stats = &mut self.stats;
            stats.runs += 1;
            stats.points += points;
            stats.last_run = Some(now);
            stats.last_duration = took;
            stats.total_duration += took;
            if let Some(message) = failure {
                stats.errors += 1;
                stats.last_error = Some(Failure { at: now, message });
            }
        }
        self.collector = Some(collector);
    }

    /// Runs the collector if it is enabled and due, and tells whether it did.
    pub fn tick(&mut self, now: Timestamp, out: &mut Writer) -> bool {
        let ran = self.begin(now).map(|run| run.perform(out));
        let did = ran.is_some();
        ran.into_iter().for_each(|ran| self.finish(ran));
        did
    }

    /// Runs the collector now, whether or not it is due, and returns what it read.
    pub fn collect(&mut self, now: Timestamp) -> Vec<MetricDataPoint> {
        let mut out = Writer::new();
        if let Some(run) = self.begin_early(now) {
            self.finish(run.perform(&mut out));
        }
        out.readings().iter().map(|reading| reading.data_point(now)).collect()
    }

    /// How the runs went.
    #[doc(alias = "getStats")]
    pub fn stats(&self) -> &CollectorStats {
        &self.stats
    }

    /// Forgets the statistics and what the collector kept between runs. A run that is under way is not counted.
    pub fn reset(&mut self) {
        self.stats = CollectorStats::default();
        self.due = Timestamp::MIN;
        match &mut self.collector {
            Some(collector) => collector.reset(),
            None => self.forget = true,
        }
    }

    fn interval_ms(&self) -> i64 {
        i64::try_from(self.config.interval.as_millis()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({:?}, {:?})", self.config, self.stats)
    }
}

fn with_causes(error: &CollectError) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Unit, collector::Definition};

    static VALUE: Definition = Definition::gauge("value", Unit::None, "A value.");

    /// Fails on the second run and panics on the third.
    struct Frail(u32);

    impl MetricCollector for Frail {
        fn config(&self) -> MetricCollectorConfig {
            MetricCollectorConfig::new("frail")
        }

        fn perform_collection(&mut self, _now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
            self.0 += 1;
            out.write(&VALUE, f64::from(self.0));
            match self.0 {
                2 => {
                    Err(CollectError::Read { path: "x".into(), source: std::io::ErrorKind::NotFound.into() })
                }
                3 => panic!("no third time"),
                _ => Ok(()),
            }
        }

        fn reset(&mut self) {
            self.0 = 0;
        }
    }

    #[test]
    fn failures_are_counted_and_the_next_run_goes_on() {
        let mut runner = Runner::new(Box::new(Frail(0)));
        let mut out = Writer::new();
        for second in 1..=4 {
            assert!(runner.tick(Timestamp(second * 1000), &mut out));
            let error = runner.stats().last_error.as_ref().map(|failure| failure.message.as_str());
            let expected = [None, Some("cannot read x: entity not found"), Some("panicked: no third time")];
            assert_eq!(error, expected[usize::try_from(second).unwrap().min(3) - 1]);
        }
        let stats = runner.stats();
        assert_eq!((stats.runs, stats.points, stats.errors), (4, 4, 2));
        assert_eq!(stats.last_error.as_ref().map(|failure| failure.at), Some(Timestamp(3000)));
        assert!(stats.average_duration() <= stats.total_duration);
        runner.reset();
        assert_eq!(*runner.stats(), CollectorStats::default());
    }

    #[test]
    fn runs_at_multiples_of_its_interval() {
        let mut runner = Runner::new(Box::new(Frail(10)));
        let mut out = Writer::new();
        let mut check = |now, ran| assert_eq!(runner.tick(Timestamp(now), &mut out), ran, "at {now}");
        check(10_300, true);
        check(10_900, false);
        check(11_000, true);
        check(11_999, false);
        check(15_500, true);
        check(15_999, false);
        check(16_000, true);
        // The clock was set back.
        check(5_000, true);
        check(5_500, false);
    }

    #[test]
    fn obeys_changes() {
        let mut runner = Runner::new(Box::new(Frail(10)));
        let mut out = Writer::new();
        let mut change = |runner: &mut Runner, interval, enabled| {
            runner.update_config(ConfigChange { interval, enabled });
            runner.tick(Timestamp(1), &mut out)
        };
        assert!(!change(&mut runner, Some(Duration::from_millis(1)), Some(false)));
        assert_eq!(runner.config().interval, INTERVAL_MIN);
        assert!(change(&mut runner, None, Some(true)));
        assert_eq!(runner.due(), Timestamp(100));
    }

    #[test]
    fn what_is_still_out_misses_its_turn() {
        let mut runner = Runner::new(Box::new(Frail(10)));
        let run = runner.begin(Timestamp(0)).unwrap();
        assert!(runner.begin(Timestamp(1000)).is_none());
        assert_eq!(runner.collect(Timestamp(1500)), []);
        runner.reset();
        runner.finish(run.perform(&mut Writer::new()));
        assert_eq!(*runner.stats(), CollectorStats::default(), "a run before the reset is not counted");
        let points = runner.collect(Timestamp(2000));
        assert_eq!((&*points[0].name, points[0].value, points[0].timestamp), ("value", 1.0, Timestamp(2000)));
    }
}
