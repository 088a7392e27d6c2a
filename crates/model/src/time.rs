//! Points in time and spans of them.
//!
//! Samples live on a grid of milliseconds since the Unix epoch, UTC. Nothing here reads a clock.

use std::fmt;

/// Milliseconds since the Unix epoch, UTC. Negative values are before 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest point that can be named.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest point that can be named.
    pub const MAX: Self = Self(i64::MAX);

    /// The number of milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, as PromQL and the HTTP API speak of time.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// This point moved by `millis`, stopping at the ends of time.
    pub const fn saturating_add(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, millis) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:03}", millis / 1000, millis % 1000)
    }
}

/// A half-open span of time: `start` is in it, `end` is not.
///
/// A PromQL range `(a, b]` is `TimeRange::left_open(a, b)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first point in the range.
    pub start: Timestamp,
    /// The first point after the range.
    pub end: Timestamp,
}

impl TimeRange {
    /// All of time but its very last millisecond.
    pub const ALL: Self = Self { start: Timestamp::MIN, end: Timestamp::MAX };

    /// `[start, end)`.
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// `(after, last]`, as PromQL's range selectors count.
    pub const fn left_open(after: Timestamp, last: Timestamp) -> Self {
        Self { start: after.saturating_add(1), end: last.saturating_add(1) }
    }

    /// `[first, last]`, as the HTTP API's `start` and `end` count.
    pub const fn closed(first: Timestamp, last: Timestamp) -> Self {
        Self { start: first, end: last.saturating_add(1) }
    }

    /// Whether no point lies in the range.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether `t` lies in the range.
    pub fn contains(&self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }

    /// Whether some point lies in both ranges.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_open_leaves_the_left_end_out() {
        let range = TimeRange::left_open(Timestamp(10), Timestamp(20));
        assert!(!range.contains(Timestamp(10)));
        assert!(range.contains(Timestamp(11)));
        assert!(range.contains(Timestamp(20)));
        assert!(!range.contains(Timestamp(21)));
    }

    #[test]
    fn shows_seconds() {
        assert_eq!(Timestamp(1_500).to_string(), "1.500");
        assert_eq!(Timestamp(-1).to_string(), "-0.001");
    }
}
