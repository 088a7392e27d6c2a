//! The one place that reads the clocks: when something happened and how long it took is nobody's argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Nanoseconds since the epoch, UTC, by the wall clock; 0 before it.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
