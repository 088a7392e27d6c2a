//! The one place that reads a clock: how long something took is nobody's argument, and a thread of ours that keeps
//! the time has nobody to ask.

use std::time::{Instant, SystemTime};

use barograph_model::Timestamp;

/// The monotonic clock.
#[inline]
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// Wall time.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
