//! Statistics of slices of numbers: what they say, and how certain that is.
//!
//! Nothing here knows where numbers come from, and nothing reads a clock: the same numbers give the same answer, to the bit.
//!
//! 1. [`trend`]: whether something grows or falls, and how fast.
//! 2. [`correlation`]: how two things move together.
//! 3. [`anomaly`]: values that are unlike those before them.
//! 4. [`comparison`]: whether one sample is worse than another.

pub mod anomaly;
pub mod comparison;
mod correlation;
mod normal;
mod random;
mod slices;
mod trend;

pub use correlation::{Correlation, correlation, judge_together};
pub use normal::two_sided;
pub use trend::{Direction, Trend, trend};

/// Nothing is said of fewer points.
const POINTS_MIN: usize = 4;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, in milliseconds since any moment.
    pub at: i64,
    /// What was measured; what is not finite counts as not measured.
    pub value: f64,
}

#[cfg(test)]
mod tests {
    use super::Point;

    pub(crate) fn series(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
        (0..).zip(values).map(|(i, value)| Point { at: i * 1_000, value }).collect()
    }

    pub(crate) fn near(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not {b}");
    }

    /// Each value is `phi` times the one before and something random.
    pub(crate) fn walk(n: usize, phi: f64, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let mut value = 0.0;
        let mut next = || {
            // The sum of four has nearly a bell's shape.
            value = phi * value + (0..4).map(|_| random()).sum::<f64>();
            value
        };
        (0..100).for_each(|_| _ = next());
        (0..n).map(|_| next()).collect()
    }
}
