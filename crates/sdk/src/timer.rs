//! How long something takes, and distributions of which one wants quantiles.

use std::time::{Duration, Instant};

use crate::{Distribution, Histogram, clock};

/// A distribution of durations in seconds. It is exposed as a histogram, and as the summary `..._window_seconds` with
/// the quantiles of the sliding window.
///
/// Recording costs what a [`Histogram`] costs, and starting and stopping two readings of the clock beside it.
///
/// ```
/// use barograph::{Static, Timer};
///
/// static PARSE: Static<Timer> = Static::timer("config_parse", "Time to read the configuration.");
///
/// let running = PARSE.start();
/// // ... the work, with any number of ways out: what is not stopped is recorded when it goes out of scope ...
/// let took = running.stop();
/// assert_eq!(PARSE.read().sketch.count(), 1);
/// # assert!(took.as_secs() < 1);
/// ```
#[derive(Clone, Copy, Debug)]
#[doc(alias("RecordTimer", "StartTimer"))]
pub struct Timer(pub(crate) u32);

impl Timer {
    /// Starts the clock. The duration is recorded once: when the guard is stopped or dropped.
    #[inline]
    pub fn start(self) -> Running {
        Running { timer: Some(self), began: clock::monotonic() }
    }

    /// Runs `work` and records how long it took, also if it panics.
    #[inline]
    pub fn time<T>(self, work: impl FnOnce() -> T) -> T {
        let _running = self.start();
        work()
    }

    /// Records a duration that was measured elsewhere.
    #[inline]
    pub fn record(self, duration: Duration) {
        Histogram(self.0).record_duration(duration);
    }

    /// Records what a clock said. A product takes less than the quotient, and may be off by its last digit: less than any
    /// clock.
    #[inline]
    fn record_measured(self, duration: Duration) {
        let seconds = match duration.as_secs() {
            0 => f64::from(duration.subsec_nanos()) * 1e-9,
            _ => duration.as_secs_f64(),
        };
        Histogram(self.0).record(seconds);
    }

    /// What was recorded by all threads since the start: count, sum, least, greatest, quantiles.
    pub fn read(self) -> Distribution {
        Histogram(self.0).read()
    }
}

/// A clock that runs for a [`Timer`].
#[derive(Debug)]
#[must_use = "it records when it is dropped"]
pub struct Running {
    timer: Option<Timer>,
    began: Instant,
}

impl Running {
    /// Records the duration and gives it back.
    #[inline]
    pub fn stop(mut self) -> Duration {
        let took = self.began.elapsed();
        if let Some(timer) = self.timer.take() {
            timer.record_measured(took);
        }
        took
    }

    /// Records nothing.
    pub fn discard(mut self) {
        self.timer = None;
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            timer.record_measured(self.began.elapsed());
        }
    }
}

/// A distribution that is exposed as the quantiles of its sliding window, with the sum and count since the start.
///
/// Recording costs what a [`Histogram`] costs. Prefer a histogram where figures of several programs are to be added
/// up: quantiles cannot be.
#[derive(Clone, Copy, Debug)]
pub struct Summary(pub(crate) u32);

impl Summary {
    /// Records a value in the summary's own unit. Infinite values and NaN are counted apart, not recorded.
    #[inline]
    pub fn record(self, value: f64) {
        Histogram(self.0).record(value);
    }

    /// What was recorded by all threads since the start.
    pub fn read(self) -> Distribution {
        Histogram(self.0).read()
    }
}
