//! Sums and means of many histograms, computed as if with twice the precision.

use barograph_model::ResetHint;

use super::{
    FloatHistogram,
    arithmetic::{Incompatible, merge},
};
use crate::eval::Sum;

/// What the histograms of a sum had in common, and what not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    reset: bool,
    no_reset: bool,
    /// Some had different custom bounds.
    pub(crate) bounds_differed: bool,
}

impl Seen {
    fn hint(&mut self, hint: ResetHint) {
        self.reset |= hint == ResetHint::Yes;
        self.no_reset |= hint == ResetHint::No;
    }

    /// Whether some know of a reset, and others that there was none.
    pub(crate) fn hints_conflict(&self) -> bool {
        self.reset && self.no_reset
    }
}

/// A sum with the rounding errors of all its counts.
#[derive(Clone, Debug)]
pub(crate) struct Total {
    sum: FloatHistogram,
    carry: FloatHistogram,
    pub(crate) seen: Seen,
}

impl Total {
    pub(crate) fn of(first: &FloatHistogram) -> Self {
        let mut seen = Seen::default();
        seen.hint(first.hint);
        Self { sum: first.clone(), carry: first.nothing(), seen }
    }

    pub(crate) fn add(&mut self, next: &FloatHistogram) -> Result<(), Incompatible> {
        self.seen.hint(next.hint);
        let mut next = next.clone();
        let met = self.sum.meet(&mut next, &mut [&mut self.carry])?;
        self.seen.bounds_differed |= met.bounds_differed;
        let (sum, carry) = (&mut self.sum, &mut self.carry);
        add(&mut sum.zero_count, &mut carry.zero_count, next.zero_count);
        add(&mut sum.count, &mut carry.count, next.count);
        add(&mut sum.sum, &mut carry.sum, next.sum);
        add_side(&mut sum.positive, &mut carry.positive, &next.positive);
        add_side(&mut sum.negative, &mut carry.negative, &next.negative);
        Ok(())
    }

    pub(crate) fn total(self) -> FloatHistogram {
        let mut total = self.sum;
        total.zero_count += self.carry.zero_count;
        total.count += self.carry.count;
        total.sum += self.carry.sum;
        merge(&mut total.positive, &self.carry.positive, |sum, carry| sum + carry);
        merge(&mut total.negative, &self.carry.negative, |sum, carry| sum + carry);
        total.compact();
        total
    }

    fn scale(&mut self, factor: f64) {
        self.sum.scale(factor);
        self.carry.scale(factor);
    }

    fn divide(&mut self, divisor: f64) {
        self.sum.divide(divisor);
        self.carry.divide(divisor);
    }
}

fn add(sum: &mut f64, carry: &mut f64, value: f64) {
    let next = Sum { sum: *sum, carry: *carry }.plus(value);
    (*sum, *carry) = (next.sum, next.carry);
}

fn add_side(sums: &mut Vec<(i32, f64)>, carries: &mut Vec<(i32, f64)>, values: &[(i32, f64)]) {
    let mut carried = Vec::with_capacity(carries.len().max(values.len()));
    let (mut sums_left, mut carries_left) = (sums.iter().peekable(), carries.iter().peekable());
    let mut merged = Vec::with_capacity(sums.len() + values.len());
    for &(index, value) in values {
        merged.extend(std::iter::from_fn(|| sums_left.next_if(|bucket| bucket.0 < index)));
        carried.extend(std::iter::from_fn(|| carries_left.next_if(|bucket| bucket.0 < index)));
        let mut sum = sums_left.next_if(|bucket| bucket.0 == index).map_or(0.0, |bucket| bucket.1);
        let mut carry = carries_left.next_if(|bucket| bucket.0 == index).map_or(0.0, |bucket| bucket.1);
        add(&mut sum, &mut carry, value);
        merged.push((index, sum));
        if carry != 0.0 {
            carried.push((index, carry));
        }
    }
    merged.extend(sums_left);
    carried.extend(carries_left);
    (*sums, *carries) = (merged, carried);
}

/// A mean: of the sum as long as that does not overflow, then of scaled parts.
#[derive(Clone, Debug)]
pub(crate) struct Mean {
    /// The sum, or the mean so far once `scaled`.
    total: Total,
    count: f64,
    scaled: bool,
}

impl Mean {
    pub(crate) fn of(first: &FloatHistogram) -> Self {
        Self { total: Total::of(first), count: 1.0, scaled: false }
    }

    pub(crate) fn add(&mut self, next: &FloatHistogram) -> Result<(), Incompatible> {
        self.count += 1.0;
        if !self.scaled {
            let mut total = self.total.clone();
            total.add(next)?;
            if !total.sum.overflows() {
                self.total = total;
                return Ok(());
            }
            self.scaled = true;
            self.total.divide(self.count - 1.0);
        }
        self.total.scale((self.count - 1.0) / self.count);
        let mut part = next.clone();
        part.divide(self.count);
        self.total.add(&part)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.total.seen
    }

    pub(crate) fn mean(mut self) -> FloatHistogram {
        if !self.scaled {
            self.total.divide(self.count);
        }
        self.total.total()
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::HistogramParts;

    use super::*;

    fn of(count: f64, positive: &[(i32, f64)]) -> FloatHistogram {
        let positive = positive.to_vec();
        FloatHistogram::of_parts(HistogramParts { positive, count, sum: count, ..HistogramParts::default() })
    }

    #[test]
    fn small_counts_survive_large_ones() {
        let mut total = Total::of(&of(1.0, &[(1, 1.0), (4, 1.0)]));
        for (count, index) in [(1e100, 1), (1.0, 1), (-1e100, 1), (3.0, 2)] {
            total.add(&of(count, &[(index, count)])).unwrap();
        }
        let total = total.total();
        assert_eq!((total.count(), total.sum()), (5.0, 5.0));
        assert_eq!(total.positive(), [(1, 2.0), (2, 3.0), (4, 1.0)]);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let mut mean = Mean::of(&of(f64::MAX, &[]));
        (0..3).for_each(|_| mean.add(&of(f64::MAX, &[])).unwrap());
        assert!((mean.mean().count() / f64::MAX - 1.0).abs() < 1e-15);
    }
}
