//! What a tier keeps of the samples of a window.
//!
//! Windows join: one made of two halves by [`Rollup::join`] says the same as one made of all samples, the sums and
//! deviations up to rounding, everything else exactly. Deviations are joined by the formulas of Chan, Golub and
//! LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979).

use crate::{Moment, Sketch, is_stale};

/// The samples of a series in one window, summed up. Staleness markers are no samples: they only set `ended`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// Where the window starts, in milliseconds since the epoch; its length is that of its tier.
    pub start: i64,
    /// The time of the first sample.
    pub first_at: i64,
    /// The time of the last sample.
    pub last_at: i64,
    /// How many samples there are; never zero.
    pub count: u64,
    /// Their sum; not a number if one of them is not.
    pub sum: f64,
    /// The sum of their squared deviations from their mean.
    pub m2: f64,
    /// The least of them that is a number; not a number if none is.
    pub min: f64,
    /// The greatest of them that is a number; not a number if none is.
    pub max: f64,
    /// The first of them.
    pub first: f64,
    /// The last of them.
    pub last: f64,
    /// By how much a counter grew from the first to the last, each fall being a reset to zero.
    pub increase: f64,
    /// Whether the last thing in the window is the end of the series.
    pub ended: bool,
    /// How the finite ones among them are spread; `None` where it was not asked for.
    pub sketch: Option<Box<Sketch>>,
}

impl Rollup {
    /// A window with one sample, which is no staleness marker. Without a sketch.
    pub fn of(start: i64, at: i64, value: f64) -> Self {
        debug_assert!(!is_stale(value), "a staleness marker is no sample");
        Self {
            start,
            first_at: at,
            last_at: at,
            count: 1,
            sum: value,
            m2: if value.is_finite() { 0.0 } else { f64::NAN },
            min: value,
            max: value,
            first: value,
            last: value,
            increase: 0.0,
            ended: false,
            sketch: None,
        }
    }

    /// Adds a sample that is later than the last. The sketch is the caller's business.
    #[inline]
    pub fn push(&mut self, at: i64, value: f64) {
        debug_assert!(at > self.last_at, "samples of a window are in order");
        if is_stale(value) {
            self.ended = true;
            return;
        }
        let before = self.count as f64;
        let mean = self.sum / before;
        let off = value - mean;
        self.m2 += off * off * (before / (before + 1.0));
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.increase += Self::growth(self.last, value);
        self.last = value;
        self.last_at = at;
        self.ended = false;
    }

    /// Adds the samples of a later window. The start stays. Sketches are merged where both have one; otherwise there is
    /// none.
    pub fn join(&mut self, next: &Self) {
        debug_assert!(next.first_at > self.last_at, "windows are joined in order");
        let (left, right) = (self.count as f64, next.count as f64);
        let off = next.sum / right - self.sum / left;
        self.m2 += next.m2 + off * off * (left * right / (left + right));
        self.count += next.count;
        self.sum += next.sum;
        self.min = self.min.min(next.min);
        self.max = self.max.max(next.max);
        self.increase += self.growth_to(next) + next.increase;
        self.last = next.last;
        self.last_at = next.last_at;
        self.ended = next.ended;
        match (&mut self.sketch, &next.sketch) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine, _) => *mine = None,
        }
    }

    /// By how much a counter grew from the last sample here to the first of a later window.
    #[inline]
    pub fn growth_to(&self, next: &Self) -> f64 {
        Self::growth(self.last, next.first)
    }

    /// By how much a counter grew from one sample to the next, a fall being a reset to zero.
    #[inline]
    pub fn growth(before: f64, after: f64) -> f64 {
        if after < before { after } else { after - before }
    }

    /// One of the numbers.
    pub fn moment(&self, moment: Moment) -> f64 {
        match moment {
            Moment::Sum => self.sum,
            Moment::M2 => self.m2,
            Moment::Min => self.min,
            Moment::Max => self.max,
            Moment::First => self.first,
            Moment::Last => self.last,
            Moment::Increase => self.increase,
        }
    }

    /// The mean of the samples.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The population variance of the samples.
    pub fn variance(&self) -> f64 {
        self.m2 / self.count as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stale_marker;

    fn of(samples: &[(i64, f64)]) -> Rollup {
        let (first, rest) = samples.split_first().unwrap();
        let mut rollup = Rollup::of(0, first.0, first.1);
        rest.iter().for_each(|&(at, value)| rollup.push(at, value));
        rollup
    }

    #[test]
    fn resets_count_from_zero() {
        let rollup = of(&[(1, 5.0), (2, 8.0), (3, 2.0), (4, 3.0)]);
        assert_eq!((rollup.increase, rollup.min, rollup.max), (6.0, 2.0, 8.0));
        assert_eq!((rollup.first, rollup.last, rollup.sum, rollup.count), (5.0, 3.0, 18.0, 4));
    }

    #[test]
    fn a_marker_ends_and_a_sample_begins_again() {
        let mut rollup = of(&[(1, 5.0), (2, stale_marker())]);
        assert!(rollup.ended);
        assert_eq!((rollup.count, rollup.last_at), (1, 1));
        rollup.push(3, 1.0);
        assert!(!rollup.ended);
    }

    #[test]
    fn what_is_no_number_is_neither_least_nor_greatest() {
        let rollup = of(&[(1, f64::NAN), (2, 2.0), (3, 1.0)]);
        assert_eq!((rollup.min, rollup.max, rollup.count), (1.0, 2.0, 3));
        assert!(rollup.sum.is_nan());
    }

    proptest! {
        #[test]
        fn joining_is_adding(values in prop::collection::vec(-1e3f64..1e3, 2..50), at in 1usize..49) {
            let samples: Vec<_> = (0i64..).zip(values).collect();
            let at = at.min(samples.len() - 1);
            let (whole, mut joined) = (of(&samples), of(&samples[..at]));
            joined.join(&of(&samples[at..]));
            prop_assert!((joined.m2 - whole.m2).abs() <= 1e-9 * whole.m2.max(1.0));
            prop_assert!((joined.sum - whole.sum).abs() <= 1e-9 * 1e5);
            prop_assert!((joined.increase - whole.increase).abs() <= 1e-9 * 1e5);
            let exact = |r: &Rollup| (r.count, r.first_at, r.last_at, [r.min, r.max, r.first, r.last]);
            prop_assert_eq!(exact(&joined), exact(&whole));
        }
    }
}
