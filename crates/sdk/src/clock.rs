//! The one place that reads the clocks: when something happened and how long it took is nobody's argument, and a thread
//! of ours that keeps the time has nobody to ask.

use std::time::{Duration, Instant, SystemTime};

use barograph_model::Timestamp;

/// The monotonic clock.
#[inline]
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Wall time.
pub(crate) fn now() -> Timestamp {
    Timestamp(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
}

/// Wall time in nanoseconds since the epoch; 0 before it.
pub(crate) fn unix_nanos() -> u64 {
    u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
