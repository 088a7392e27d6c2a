//! The one clock. Everything below the edge is told the time by whoever holds this.
//!
//! Wall time stamps samples; monotonic time measures how long something took and never goes back.

use std::time::{Duration, Instant, SystemTime};

use barograph_model::Timestamp;

/// A reading of the time, real or made up by a test.
pub trait Clock: Send + Sync + 'static {
    /// Wall time, UTC. It may jump when the machine's clock is set.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point. It never goes back.
    fn monotonic(&self) -> Duration;
}

/// A wall clock that goes otherwise than the other by more than this jumped, in milliseconds.
const JUMP_MS: i64 = 1_000;

/// Notices when the wall clock jumps, so that waits go with it.
#[derive(Debug)]
pub(crate) struct Jumps {
    /// How far the wall clock was from the one that only goes on.
    drift: i64,
}

impl Jumps {
    /// From now on.
    pub(crate) fn since_now(clock: &dyn Clock) -> Self {
        Self { drift: drift(clock.now(), clock) }
    }

    /// The wall time, and by how many milliseconds the clock jumped since it was asked last, if it did.
    pub(crate) fn look(&mut self, clock: &dyn Clock) -> (Timestamp, Option<i64>) {
        let now = clock.now();
        let jumped = drift(now, clock).saturating_sub(self.drift);
        if jumped.abs() <= JUMP_MS {
            return (now, None);
        }
        self.drift = self.drift.saturating_add(jumped);
        (now, Some(jumped))
    }
}

fn drift(now: Timestamp, clock: &dyn Clock) -> i64 {
    let steady = i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
    now.millis().saturating_sub(steady)
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::monotonic`] starts at zero.
    #[expect(clippy::disallowed_methods, reason = "this is the one clock of the edge")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock of the edge")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
