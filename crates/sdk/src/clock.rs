//! The one place that reads a clock: how long a collector took is nobody's argument.

use std::time::Instant;

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the clock of this crate")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}
