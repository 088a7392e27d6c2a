//! Numbers: compensated sums, quantiles, least squares.

use std::cmp::Ordering;

/// A sum that carries its rounding error along (Neumaier's variant of Kahan's method), so that the result is
/// as if computed with twice the precision.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) sum: f64,
    pub(crate) carry: f64,
}

impl Sum {
    #[must_use]
    pub(crate) fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let carry = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.carry + ((self.sum - sum) + value)
        } else {
            self.carry + ((value - sum) + self.sum)
        };
        Self { sum, carry }
    }

    /// The sum of all values, as if added one by one.
    ///
    /// The rounding error of an addition is itself a number, which Knuth's two-sum finds without a branch. Only
    /// where that fails, because a sum overflows, the slow way is taken.
    pub(super) fn of(values: &[f64]) -> Self {
        let (mut sum, mut carry) = (0.0, 0.0);
        for &value in values {
            let next = sum + value;
            let added = next - sum;
            carry += (sum - (next - added)) + (value - added);
            sum = next;
        }
        if sum.is_finite() {
            Self { sum, carry }
        } else {
            values.iter().fold(Self::default(), |sum, &v| sum.plus(v))
        }
    }

    pub(crate) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.carry }
    }
}

/// A mean: of the sum as long as that does not overflow, then of scaled parts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    count: f64,
    /// The sum, or the mean so far once `scaled`.
    sum: Sum,
    scaled: bool,
}

impl Mean {
    /// The mean of some values, of which there is at least one.
    pub(super) fn of(values: &[f64]) -> f64 {
        let sum = Sum::of(values);
        if sum.sum.is_finite() {
            return sum.sum / values.len() as f64 + sum.carry / values.len() as f64;
        }
        let mut mean = Self::default();
        values.iter().for_each(|&value| mean.add(value));
        mean.mean()
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum.sum = value;
            return;
        }
        if !self.scaled {
            let next = self.sum.plus(value);
            if !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.scaled = true;
            let before = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / before, carry: self.sum.carry / before };
        }
        let share = (self.count - 1.0) / self.count;
        self.sum = Sum { sum: self.sum.sum * share, carry: self.sum.carry * share }.plus(value / self.count);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    pub(super) fn mean(&self) -> f64 {
        let count = if self.scaled { 1.0 } else { self.count };
        let mean = self.sum.sum / count;
        if mean.is_infinite() { mean } else { mean + self.sum.carry / count }
    }
}

/// The mean squared deviation from the mean, in one pass (Welford).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Variance {
    count: f64,
    mean: Sum,
    squares: Sum,
}

impl Variance {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - (self.mean.sum + self.mean.carry);
        self.mean = self.mean.plus(delta / self.count);
        self.squares = self.squares.plus(delta * (value - (self.mean.sum + self.mean.carry)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    pub(super) fn variance(&self) -> f64 {
        (self.squares.sum + self.squares.carry) / self.count
    }
}

/// Numbers in order, NaN before all of them.
pub(super) fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The quantile of some values, interpolated between neighbours. Sorts the values.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(nan_first);
    let rank = q * (values.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index between 0 and the length"
    )]
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The line through some samples with the least squared distance: slope a second, and the value at `at`.
pub(super) fn line(timestamps: &[i64], values: &[f64], at: i64) -> (f64, f64) {
    if values.iter().all(|&v| v == values[0]) {
        return if values[0].is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, values[0]) };
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (&t, &y) in timestamps.iter().zip(values) {
        let x = t.saturating_sub(at) as f64 / 1e3;
        x_sum = x_sum.plus(x);
        y_sum = y_sum.plus(y);
        xy_sum = xy_sum.plus(x * y);
        xx_sum = xx_sum.plus(x * x);
    }
    let n = values.len() as f64;
    let total = |sum: Sum| sum.sum + sum.carry;
    let covariance = total(xy_sum) - total(x_sum) * total(y_sum) / n;
    let variance = total(xx_sum) - total(x_sum) * total(x_sum) / n;
    let slope = covariance / variance;
    (slope, total(y_sum) / n - slope * total(x_sum) / n)
}

/// The smaller number; NaN if either is.
pub(super) fn min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The larger number; NaN if either is.
pub(super) fn max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_rounding_loses() {
        let sum = [1.0, 1e100, 1.0, -1e100].into_iter().fold(Sum::default(), Sum::plus);
        assert_eq!(sum.total(), 2.0);
    }

    proptest::proptest! {
        #[test]
        fn both_ways_of_adding_agree(values in proptest::collection::vec(proptest::num::f64::NORMAL, 1..40)) {
            let slow = values.iter().fold(Sum::default(), |sum, &value| sum.plus(value));
            let fast = Sum::of(&values);
            proptest::prop_assert!(fast.total() == slow.total() || fast.total().is_nan() && slow.total().is_nan());
        }
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::default();
        for _ in 0..4 {
            mean.add(f64::MAX);
        }
        assert!((mean.mean() / f64::MAX - 1.0).abs() < 1e-15);
    }

    #[test]
    fn quantiles_interpolate() {
        let check = |q, values: &[f64], expected: f64| {
            assert!((quantile(q, &mut values.to_vec()) - expected).abs() < 1e-15);
        };
        check(0.5, &[3.0, 1.0], 2.0);
        check(0.8, &[0.0, 1.0, 4.0], 2.8);
        check(0.6, &[f64::NAN, 1.0, 0.0], 0.2);
        assert!(quantile(0.2, &mut [f64::NAN, 1.0]).is_nan());
    }
}
