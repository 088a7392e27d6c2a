//! The one place that reads a clock: how long a collector took is nobody's argument.

use std::time::Instant;

#[cfg(feature = "export")]
use barograph_model::Timestamp;

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The time of day.
#[cfg(feature = "export")]
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
