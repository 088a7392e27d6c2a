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
