//! Which slice of a window the time falls into.

use std::time::Duration;

use barograph_model::Timestamp;

/// How many slices a window has.
pub const SLICES: u32 = 30;

/// How long a window is, unless configured otherwise: five minutes.
pub const WINDOW: Duration = Duration::from_secs(300);

/// The shortest a window can be: slices of a second.
pub const WINDOW_MIN: Duration = Duration::from_secs(30);

/// The longest a window can be: a day.
pub const WINDOW_MAX: Duration = Duration::from_secs(86_400);

/// Numbers slices as time goes on. Numbers never go back, though the clock may: a clock that was set back ages
/// nothing, one that was set forward ages all.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    slice_ms: i64,
    last: Option<Timestamp>,
    /// Time seen go by.
    elapsed_ms: i64,
    slice: i64,
}

impl Pace {
    pub(crate) fn new(window: Duration) -> Self {
        let window = window.clamp(WINDOW_MIN, WINDOW_MAX);
        let slice_ms = i64::try_from((window / SLICES).as_millis()).unwrap_or(i64::MAX);
        Self { slice_ms, last: None, elapsed_ms: 0, slice: 0 }
    }

    /// The slice that is being filled.
    pub(crate) fn slice(&self) -> i64 {
        self.slice
    }

    /// Whether a slice ends before `now`.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.last.is_none_or(|last| self.number(last) != self.number(now))
    }

    /// It is `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        if let Some(last) = self.last {
            if (last.0.saturating_sub(self.slice_ms)..last.0).contains(&now.0) {
                // Two who tell the time need not agree to the last moment.
                return;
            }
            self.slice += self.number(now).saturating_sub(self.number(last)).max(0);
            self.elapsed_ms = self.elapsed_ms.saturating_add(now.0.saturating_sub(last.0).max(0));
        }
        self.last = Some(now);
    }

    /// How much time the window covers, in seconds.
    pub(crate) fn covered(&self) -> f64 {
        let part = self.last.map_or(0, |last| last.0.rem_euclid(self.slice_ms));
        let whole = self.slice_ms.saturating_mul(i64::from(SLICES) - 1).saturating_add(part);
        self.elapsed_ms.min(whole) as f64 / 1e3
    }

    fn number(&self, at: Timestamp) -> i64 {
        at.0.div_euclid(self.slice_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_go_on_and_never_back() {
        let mut pace = Pace::new(WINDOW);
        let mut check = |now, slice, covered| {
            pace.advance(Timestamp(now));
            assert_eq!((pace.slice(), pace.covered()), (slice, covered), "at {now}");
        };
        check(1_000_000, 0, 0.0);
        check(1_009_999, 0, 9.999);
        check(1_010_000, 1, 10.0);
        check(1_045_000, 4, 45.0);
        // The clock was set back by a day, and goes on.
        check(1_045_000 - 86_400_000, 4, 45.0);
        check(1_055_000 - 86_400_000, 5, 55.0);
        // It was set forward.
        check(1_050_000, 8645, 290.0);
        check(i64::MAX, i64::MAX / 10_000 - 105 + 8645, 290.0 + (i64::MAX % 10_000) as f64 / 1e3);
    }
}
