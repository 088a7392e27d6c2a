//! A collector's schedule and statistics, and the wall between its failures and everyone else.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use barograph_model::Timestamp;

use super::{CollectError, Collector, Writer};
use crate::clock;

/// The shortest interval a collector can have.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// A collector, when it is due, and how it did so far.
pub struct Runner {
    collector: Box<dyn Collector>,
    interval: Duration,
    enabled: bool,
    due: Timestamp,
    stats: Stats,
}

/// How the runs of a collector went since it was made or reset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Runs, with those that failed.
    pub runs: u64,
    /// Readings written.
    pub points: u64,
    /// Runs that failed or panicked.
    pub errors: u64,
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

impl Stats {
    /// How long a run takes on average; zero before the first.
    pub fn average_duration(&self) -> Duration {
        if self.runs == 0 { Duration::ZERO } else { self.total_duration.div_f64(self.runs as f64) }
    }
}

impl Runner {
    /// A runner whose first tick is due at once, at the collector's own interval.
    pub fn new(collector: Box<dyn Collector>) -> Self {
        let interval = collector.interval().max(INTERVAL_MIN);
        Self { collector, interval, enabled: true, due: Timestamp::MIN, stats: Stats::default() }
    }

    /// The collector's name.
    pub fn name(&self) -> &str {
        self.collector.name()
    }

    /// The given names of the collector's metrics that are not to be had here.
    pub fn unsupported(&self) -> Vec<&'static str> {
        self.collector.unsupported()
    }

    /// How often the collector runs.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Changes the interval, to no less than [`INTERVAL_MIN`]. The next tick is due at once.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = interval.max(INTERVAL_MIN);
        self.due = Timestamp::MIN;
    }

    /// Whether the collector runs at all.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Starts or stops the collector.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// When the next run is due: [`Timestamp::MIN`] before the first.
    pub fn due(&self) -> Timestamp {
        self.due
    }

    /// Runs the collector if it is enabled and due, and tells whether it did. Runs fall on multiples of the
    /// interval since the epoch; one that was missed is not made up for.
    pub fn tick(&mut self, now: Timestamp, out: &mut Writer) -> bool {
        // A clock that was set back must not silence the collector until it has caught up.
        let interval = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        let waiting = now < self.due && self.due <= now.saturating_add(interval);
        if !self.enabled || waiting {
            return false;
        }
        self.due = Timestamp(now.millis().div_euclid(interval).saturating_add(1).saturating_mul(interval));
        self.run(now, out);
        true
    }

    /// Runs the collector now.
    pub fn run(&mut self, now: Timestamp, out: &mut Writer) {
        let (before, start) = (out.readings().len(), clock::monotonic());
        let outcome = catch_unwind(AssertUnwindSafe(|| self.collector.collect(now, out)));
        let duration = start.elapsed();
        let stats = &mut self.stats;
        stats.runs += 1;
        stats.points += out.readings().len().saturating_sub(before) as u64;
        stats.last_run = Some(now);
        stats.last_duration = duration;
        stats.total_duration += duration;
        let message = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => with_causes(&error),
            Err(panic) => format!("panicked: {}", said(&*panic)),
        };
        stats.errors += 1;
        stats.last_error = Some(Failure { at: now, message });
    }

    /// How the runs went.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Forgets the statistics and what the collector kept between runs.
    pub fn reset(&mut self) {
        self.stats = Stats::default();
        self.due = Timestamp::MIN;
        self.collector.reset();
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({}, {:?}, {:?})", self.name(), self.interval, self.stats)
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

    impl Collector for Frail {
        fn name(&self) -> &str {
            "frail"
        }

        fn collect(&mut self, _now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
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
        assert_eq!(*runner.stats(), Stats::default());
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
        runner.set_interval(Duration::from_millis(1));
        assert_eq!(runner.interval(), INTERVAL_MIN);
        runner.set_enabled(false);
        assert!(!runner.tick(Timestamp(1), &mut out));
        runner.set_enabled(true);
        assert!(runner.tick(Timestamp(1), &mut out));
        assert_eq!(runner.due(), Timestamp(100));
    }
}
