//! How requests fare, in numbers.

use super::Instruments;

/// How requests fare: totals since the start, and what the sliding window holds. Durations are in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestFigures {
    /// Requests that are over.
    pub total: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that did not; `total` is the sum of both.
    pub succeeded: u64,
    /// Requests begun and not over.
    pub in_flight: i64,
    /// Failures by class, in the order of their names; all built-in classes are there.
    pub errors: Vec<(String, u64)>,
}

impl RequestFigures {
    /// Failures are read before requests, so that there are never more of them.
    pub(super) fn read(instruments: &Instruments) -> Self {
        let mut errors: Vec<_> =
            instruments.errors.series().into_iter().map(|([class], n)| (class, n.value())).collect();
        errors.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let durations = instruments.durations.series();
        let total = durations.iter().map(|(_, duration)| duration.read().sketch.count()).sum();
        let failed = errors.iter().map(|(_, count)| count).sum::<u64>().min(total);
        Self {
            total,
            failed,
            succeeded: total - failed,
            in_flight: instruments.in_flight.value().max(0),
            errors,
        }
    }
}
