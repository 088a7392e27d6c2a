//! Where statistics are kept while a server runs: atomics, those of the server in lanes.
//!
//! Each client records into one of [`LANES`] lanes, which lie in cache lines of their own; a reading sums them. What
//! follows from other fields is not kept: totals are sums of their parts, so that no reading shows a total beside
//! parts that do not add up. A part that may not exceed another (dropped, sent) is written after it and read before it.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::{
    failure::{CATEGORIES, Category},
    field::UNMEASURED,
    time::{Moment, Stamp},
};

/// Lanes that the clients of a server are spread over.
pub(super) const LANES: usize = 8;

/// Kinds of events that are counted apart: the four that every server has, and all others together.
pub(super) const EVENT_CLASSES: usize = 5;

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(super) fn add(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }

    /// Adds after everything this thread added before, for whoever reads with [`Count::first`].
    #[inline]
    pub(super) fn add_after(&self, by: u64) {
        self.0.fetch_add(by, Release);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Reads before everything that is read after this.
    pub(super) fn first(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Sets it. Whoever does so must be the only one.
    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

/// The greatest value so far.
#[derive(Debug, Default)]
pub(super) struct High(AtomicU64);

impl High {
    #[inline]
    pub(super) fn see(&self, value: u64) {
        if value > self.0.load(Relaxed) {
            self.0.fetch_max(value, Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The least value so far.
#[derive(Debug)]
pub(super) struct Low(AtomicU64);

impl Default for Low {
    fn default() -> Self {
        Self(AtomicU64::new(UNMEASURED))
    }
}

impl Low {
    #[inline]
    pub(super) fn see(&self, value: u64) {
        if value < self.0.load(Relaxed) {
            self.0.fetch_min(value, Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many there are now, and how many there were at most.
#[derive(Debug, Default)]
pub(super) struct Level {
    current: AtomicU64,
    peak: High,
}

impl Level {
    #[inline]
    pub(super) fn raise(&self) {
        self.peak.see(self.current.fetch_add(1, Relaxed) + 1);
    }

    #[inline]
    pub(super) fn lower(&self, by: u64) {
        self.current.fetch_sub(by, Relaxed);
    }

    /// Now and at most; the first is never the greater.
    pub(super) fn get(&self) -> (u64, u64) {
        let current = self.current.load(Relaxed);
        (current, self.peak.get().max(current))
    }
}

/// What calls add up to, of a client or of a lane. Durations are in microseconds.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) success: Count,
    pub(super) failure: Count,
    pub(super) slowest: High,
    pub(super) fastest: Low,
    pub(super) bytes_in: Count,
    pub(super) bytes_out: Count,
    pub(super) largest_in: High,
    pub(super) largest_out: High,
}

impl Calls {
    #[inline]
    pub(super) fn note(&self, ok: bool, micros: u64, bytes_in: u64, bytes_out: u64) {
        if ok {
            self.success.add(1);
        } else {
            self.failure.add(1);
        }
        self.slowest.see(micros);
        self.fastest.see(micros);
        if bytes_in > 0 {
            self.bytes_in.add(bytes_in);
            self.largest_in.see(bytes_in);
        }
        if bytes_out > 0 {
            self.bytes_out.add(bytes_out);
            self.largest_out.see(bytes_out);
        }
    }
}

/// One lane of a server's statistics.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Lane {
    pub(super) calls: Calls,
    pub(super) events_sent: [Count; EVENT_CLASSES],
    pub(super) events_dropped: Count,
    pub(super) overflows: Count,
    pub(super) attempts: Count,
    pub(super) successes: Count,
    pub(super) bytes_events: Count,
    pub(super) largest_event: High,
    pub(super) errors: [Count; CATEGORIES],
}

/// The statistics of a server.
#[derive(Debug, Default)]
pub(super) struct ServerCells {
    pub(super) lanes: [Lane; LANES],
    pub(super) clients: Level,
    pub(super) connected: Count,
    /// By cause.
    pub(super) disconnected: [Count; 3],
    pub(super) connection_micros: Count,
    pub(super) shortest_session: Low,
    pub(super) longest_session: High,
    pub(super) calls: Level,
    pub(super) published: Count,
    pub(super) last_error: Stamp,
    pub(super) longest_error_free: High,
    pub(super) subscriptions: Level,
    pub(super) subscribed: Count,
    pub(super) unsubscribed: Count,
    pub(super) most_subscribed: High,
}

impl ServerCells {
    /// The sum of a count over the lanes.
    pub(super) fn sum(&self, of: impl Fn(&Lane) -> u64) -> u64 {
        self.lanes.iter().map(of).sum()
    }

    pub(super) fn errors(&self, category: Category) -> u64 {
        self.sum(|lane| lane.errors[category.index()].get())
    }

    /// There was an error: the time without one is over.
    pub(super) fn failed(&self, now: Moment) {
        let before = self.last_error.replace(now).unwrap_or_default();
        self.longest_error_free.see(now.0.saturating_sub(before.0));
    }
}

/// The statistics of a client. What the queue's lock guards is written by one thread at a time, so it needs no atomic
/// addition.
#[derive(Debug, Default)]
pub(super) struct ClientCells {
    pub(super) calls: Calls,
    /// What all its calls took together.
    pub(super) busy_micros: Count,
    pub(super) concurrent: Level,
    pub(super) last_call: Stamp,
    pub(super) last_activity: Stamp,
    pub(super) received: [Count; EVENT_CLASSES],
    pub(super) last_event: Stamp,
    pub(super) last_event_kind: AtomicU64,
    pub(super) lag_micros: AtomicU64,
    pub(super) bytes_events: Count,
    pub(super) errors: [Count; CATEGORIES],
    pub(super) last_error: Stamp,
    pub(super) failed_writes: Count,
    pub(super) subscribed: Count,
    pub(super) unsubscribed: Count,
    pub(super) most_subscribed: High,
    pub(super) queue: QueueCells,
}

/// What is known of a client's queue without its lock.
#[derive(Debug, Default)]
pub(super) struct QueueCells {
    pub(super) sent: Count,
    pub(super) dropped: Count,
    pub(super) overflows: Count,
    pub(super) size: Count,
    pub(super) peak: High,
    pub(super) largest: High,
    /// Bytes put in, and bytes that wait.
    pub(super) bytes_queued: Count,
    pub(super) bytes_waiting: Count,
    pub(super) last_overflow: Stamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_know_their_peak() {
        let level = Level::default();
        level.raise();
        level.raise();
        level.lower(1);
        assert_eq!(level.get(), (1, 2));
    }

    #[test]
    fn extremes() {
        let calls = Calls::default();
        assert_eq!(calls.fastest.get(), UNMEASURED);
        calls.note(true, 7, 10, 0);
        calls.note(false, 3, 4, 5);
        assert_eq!((calls.fastest.get(), calls.slowest.get()), (3, 7));
        assert_eq!((calls.bytes_in.get(), calls.largest_in.get(), calls.largest_out.get()), (14, 10, 5));
    }

    #[test]
    fn a_streak_without_errors_ends() {
        let cells = ServerCells::default();
        cells.failed(Moment(500));
        cells.failed(Moment(600));
        assert_eq!(cells.longest_error_free.get(), 500);
    }
}
