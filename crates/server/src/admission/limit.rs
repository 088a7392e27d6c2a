//! How many may be at work at once, found out from how long the work takes. Pure: told the time, and what was measured.
//!
//! What is measured is summed up over windows, never taken one by one: single times vary more than the limit should. Two
//! rules: [`Gradient`] for work whose time varies with what is asked, which lowers the limit as times rise above those of
//! the long run (after Netflix' Gradient2); [`Aimd`] for work that is much alike, which lowers it when it takes too long.

use std::time::Duration;

/// A window has so many samples at least,
const SAMPLES_MIN: u32 = 10;
/// and lasts so long at least.
const WINDOW_MIN: Duration = Duration::from_millis(500);

/// Between which numbers a limit stays, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) initial: f64,
}

/// What was measured in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// How long one took on average, in seconds.
    pub(crate) mean: f64,
    /// How many were at work at most.
    pub(crate) in_flight: usize,
}

/// A window that is being filled.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    began: Option<Duration>,
    sum: f64,
    samples: u32,
    in_flight: usize,
}

impl Window {
    /// One more; what was measured, if that ends the window.
    pub(crate) fn add(&mut self, took: Duration, in_flight: usize, now: Duration) -> Option<Measured> {
        let began = *self.began.get_or_insert(now);
        self.sum += took.as_secs_f64();
        self.samples += 1;
        self.in_flight = self.in_flight.max(in_flight);
        if self.samples < SAMPLES_MIN || now.saturating_sub(began) < WINDOW_MIN {
            return None;
        }
        let full = std::mem::take(self);
        Some(Measured { mean: full.sum / f64::from(full.samples), in_flight: full.in_flight })
    }
}

/// A rule for a limit.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Gradient(Gradient),
    Aimd(Aimd),
}

/// A limit, and the rule by which it changes.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    bounds: Bounds,
    limit: f64,
    window: Window,
    rule: Rule,
}

impl Limit {
    pub(crate) fn new(bounds: Bounds, rule: Rule) -> Self {
        Self { limit: bounds.initial.clamp(bounds.min, bounds.max), bounds, window: Window::default(), rule }
    }

    /// How many may be at work.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between the bounds")]
    pub(crate) fn most(&self) -> usize {
        self.limit as usize
    }

    /// One is done.
    pub(crate) fn done(&mut self, took: Duration, in_flight: usize, now: Duration) {
        let Some(measured) = self.window.add(took, in_flight, now) else { return };
        let next = match &mut self.rule {
            Rule::Gradient(rule) => rule.next(self.limit, measured),
            Rule::Aimd(rule) => rule.next(self.limit, measured),
        };
        self.limit = next.clamp(self.bounds.min, self.bounds.max);
    }
}

/// Windows over which the long run goes.
const LONG: f64 = 600.0;
/// Windows whose plain mean it begins with.
const WARM: u32 = 10;
/// How much longer than in the long run work may take before the limit falls.
const TOLERANCE: f64 = 1.5;
/// By how much it rises while it does not.
const HEADROOM: f64 = 4.0;
/// How much of a change is taken at once.
const SMOOTHING: f64 = 0.2;

/// By how times compare with those of the long run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gradient {
    long: f64,
    windows: u32,
}

impl Gradient {
    fn next(&mut self, limit: f64, Measured { mean, in_flight }: Measured) -> f64 {
        let short = mean.max(1e-9);
        if self.windows < WARM {
            self.windows += 1;
            self.long += (short - self.long) / f64::from(self.windows);
        } else {
            self.long += (short - self.long) * 2.0 / (LONG + 1.0);
        }
        // The long run forgets a hard time sooner than it was learned.
        if self.long / short > 2.0 {
            self.long *= 0.95;
        }
        // Who uses less than half of it tells nothing of the limit.
        if (in_flight as f64) < limit / 2.0 {
            return limit;
        }
        let gradient = (TOLERANCE * self.long / short).clamp(0.5, 1.0);
        limit * (1.0 - SMOOTHING) + (limit * gradient + HEADROOM) * SMOOTHING
    }
}

/// One more while all is well, a tenth less when it is not.
#[derive(Clone, Debug)]
pub(crate) struct Aimd {
    /// What takes longer is not well.
    pub(crate) timeout: Duration,
}

impl Aimd {
    fn next(&self, limit: f64, Measured { mean, in_flight }: Measured) -> f64 {
        if mean > self.timeout.as_secs_f64() {
            limit * 0.9
        } else if 2.0 * in_flight as f64 >= limit {
            limit + 1.0
        } else {
            limit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { min: 5.0, max: 100.0, initial: 20.0 };

    fn windows(limit: &mut Limit, ms: u64, in_flight: usize, windows: u64, from: u64) {
        for i in 0..windows * 10 {
            let now = Duration::from_millis(from + i * 60);
            limit.done(Duration::from_millis(ms), in_flight, now);
        }
    }

    #[test]
    fn a_window_is_long_and_full() {
        let mut window = Window::default();
        for i in 0..9 {
            assert_eq!(window.add(Duration::from_secs(1), 3, Duration::from_secs(i)), None);
        }
        let full = window.add(Duration::from_secs(2), 2, Duration::from_secs(9)).unwrap();
        assert_eq!((full.mean, full.in_flight), (1.1, 3));
        for _ in 0..50 {
            assert_eq!(window.add(Duration::from_secs(1), 3, Duration::from_secs(10)), None);
        }
    }

    #[test]
    fn the_gradient_falls_as_times_rise_and_comes_back() {
        let mut limit = Limit::new(BOUNDS, Rule::Gradient(Gradient::default()));
        windows(&mut limit, 50, 20, 15, 0);
        let steady = limit.most();
        assert!(steady >= 20, "{steady}");
        windows(&mut limit, 500, 100, 30, 100_000);
        let low = limit.most();
        assert!(low < steady / 2 && low >= 5, "{low}");
        windows(&mut limit, 50, 100, 60, 200_000);
        assert!(limit.most() > steady, "{}", limit.most());
    }

    #[test]
    fn an_idle_limit_stays() {
        let mut limit = Limit::new(BOUNDS, Rule::Gradient(Gradient::default()));
        windows(&mut limit, 50, 1, 50, 0);
        windows(&mut limit, 500, 1, 50, 100_000);
        assert_eq!(limit.most(), 20);
    }

    #[test]
    fn aimd_adds_one_and_takes_a_tenth() {
        let rule = Aimd { timeout: Duration::from_secs(1) };
        let measured = |mean, in_flight| Measured { mean, in_flight };
        assert_eq!(rule.next(20.0, measured(0.1, 10)), 21.0);
        assert_eq!(rule.next(20.0, measured(0.1, 9)), 20.0);
        assert_eq!(rule.next(20.0, measured(1.5, 20)), 18.0);
        let mut limit = Limit::new(BOUNDS, Rule::Aimd(rule));
        windows(&mut limit, 5_000, 20, 100, 0);
        assert_eq!(limit.most(), 5);
    }
}
