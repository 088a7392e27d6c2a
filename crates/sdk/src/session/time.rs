//! The time of a registry of sessions: one monotonic reading tells both how long something took and when it was.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use barograph_model::Timestamp;

use crate::clock;

/// Where sessions read the time. Wall time is that of the start plus what went by since, so a clock that is set
/// meanwhile moves nothing.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Timestamp,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Machine(Instant),
    Made(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self { start: clock::now(), source: Source::Machine(clock::monotonic()) }
    }

    /// One that stands still at `start` until it is told to go on, for tests. Clones are the same clock.
    pub fn stopped(start: Timestamp) -> Self {
        Self { start, source: Source::Made(Arc::default()) }
    }

    /// Goes on by so much, if it is one that stands still.
    pub fn advance(&self, by: Duration) {
        if let Source::Made(micros) = &self.source {
            micros.fetch_add(micros_of(by), Relaxed);
        }
    }

    pub(super) const fn start(&self) -> Timestamp {
        self.start
    }

    #[inline]
    pub(super) fn now(&self) -> Moment {
        Moment(match &self.source {
            Source::Machine(began) => micros_of(began.elapsed()),
            Source::Made(micros) => micros.load(Relaxed),
        })
    }

    /// Milliseconds since the epoch.
    pub(super) fn wall_ms(&self, moment: Moment) -> u64 {
        u64::try_from(self.start.millis()).unwrap_or(0) + moment.0 / 1_000
    }
}

/// Microseconds since the clock began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    pub(super) const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

pub(super) fn micros_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A moment that is kept, or none yet.
#[derive(Debug, Default)]
pub(super) struct Stamp(AtomicU64);

impl Stamp {
    pub(super) fn at(moment: Moment) -> Self {
        Self(AtomicU64::new(moment.0 + 1))
    }

    #[inline]
    pub(super) fn set(&self, moment: Moment) {
        self.0.store(moment.0 + 1, Relaxed);
    }

    /// Sets it and gives what was there before.
    pub(super) fn replace(&self, moment: Moment) -> Option<Moment> {
        self.0.swap(moment.0 + 1, Relaxed).checked_sub(1).map(Moment)
    }

    pub(super) fn get(&self) -> Option<Moment> {
        self.0.load(Relaxed).checked_sub(1).map(Moment)
    }
}
