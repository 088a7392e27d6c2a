//! Distributions as counts in buckets of growing width.
//!
//! Bucket `i` holds the values in `(b^i, b^(i+1)]`, where `b = 2^(2^-scale)` (see `scale`): the exponential histogram
//! of OpenTelemetry (data model, "ExponentialHistogram"), and of Prometheus with indices one higher. At the scale of
//! recording, 5, neighbouring bounds differ by 2.19 %, so the harmonic middle of a bucket is within 1.09 % of each
//! value in it: `(b − 1) / (b + 1)`. Sketches merge by adding counts, which loses nothing. When more than
//! [`BUCKETS_MAX`] buckets of a sign are in use the scale goes down by one, joining neighbours, and the error
//! about doubles.

use crate::scale::{SCALE, index_of, upper_bound};

/// The most buckets of one sign a sketch keeps.
pub const BUCKETS_MAX: usize = 1024;

/// Counts by bucket, with the exact count, sum, least and greatest value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    scale: i32,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    zeros: u64,
    positive: Buckets,
    negative: Buckets,
}

/// Index and count of each occupied bucket, ascending.
type Buckets = Vec<(i32, u64)>;

impl Default for Sketch {
    fn default() -> Self {
        Self {
            scale: SCALE,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zeros: 0,
            positive: Vec::new(),
            negative: Vec::new(),
        }
    }
}

/// The most values a stored sketch may claim, so that adding up many of them stays in range.
const COUNT_MAX: u64 = 1 << 56;

/// The lowest scale a sketch goes to: all doubles of a sign in two buckets.
const SCALE_MIN: i32 = -10;

impl Sketch {
    /// A sketch of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A sketch of buckets as they were stored: `positive` and `negative` as [`Sketch::positive`] and
    /// [`Sketch::negative`] gave them, `moments` the sum, least and greatest value.
    ///
    /// `None` for what no sketch gives: a scale above [`SCALE`] or below −10, buckets that are not ascending, empty,
    /// too many or beyond the range of doubles, counts that overflow.
    pub fn from_parts(
        scale: i32,
        zeros: u64,
        positive: Vec<(i32, u64)>,
        negative: Vec<(i32, u64)>,
        [sum, min, max]: [f64; 3],
    ) -> Option<Self> {
        let steps = SCALE.checked_sub(scale).filter(|steps| (0..=SCALE - SCALE_MIN).contains(steps))?;
        let mut total = zeros;
        for buckets in [&positive, &negative] {
            let ascending = buckets.is_sorted_by(|a, b| a.0 < b.0) && buckets.len() <= BUCKETS_MAX;
            let range = index_of(f64::from_bits(1)) >> steps..=index_of(f64::MAX) >> steps;
            if !ascending || !buckets.iter().all(|(index, count)| *count > 0 && range.contains(index)) {
                return None;
            }
            for (_, count) in buckets {
                total = total.checked_add(*count).filter(|total| *total <= COUNT_MAX)?;
            }
        }
        Some(Self { scale, count: total, sum, min, max, zeros, positive, negative })
    }

    /// Adds one finite value. Others are not part of a distribution and are left out.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.add_moments(value, value, value);
        if value == 0.0 {
            self.add_zeros(1);
        } else {
            self.add_bucket(value < 0.0, index_of(value.abs()), 1);
        }
    }

    /// Adds all of another sketch; the scale becomes the coarser of both.
    pub fn merge(&mut self, other: &Self) {
        self.coarsen(other.scale);
        let steps = other.scale - self.scale;
        for (mine, theirs) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            merge_buckets(mine, theirs, steps);
        }
        while self.positive.len().max(self.negative.len()) > BUCKETS_MAX {
            self.coarsen(self.scale - 1);
        }
        self.count += other.count;
        self.zeros += other.zeros;
        self.add_moments(other.sum, other.min, other.max);
    }

    /// How many values were added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The least of them, `None` of nothing.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest of them, `None` of nothing.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// How many of them were zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The scale the buckets are at; [`SCALE`] unless too many were in use.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// The occupied buckets of the positive values, as index and count, ascending.
    pub fn positive(&self) -> &[(i32, u64)] {
        &self.positive
    }

    /// The occupied buckets of the negative values by magnitude, as index and count, ascending.
    pub fn negative(&self) -> &[(i32, u64)] {
        &self.negative
    }

    /// The most an answer of [`Sketch::quantile`] can be off, relative to the value it stands for.
    pub fn relative_error(&self) -> f64 {
        Self::error_at(self.scale)
    }

    /// As [`Sketch::relative_error`], of any sketch at a scale.
    pub fn error_at(scale: i32) -> f64 {
        let ratio = (f64::from(-scale)).exp2().exp2();
        (ratio - 1.0) / (ratio + 1.0)
    }

    /// The value of which the share `q` (0 to 1) of all values is no greater: within [`Sketch::relative_error`] of
    /// the value of rank `⌈q · count⌉`. `None` of nothing.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies in 0..=count")]
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        let negative = self.negative.iter().rev().map(|(index, count)| (-self.middle(*index), *count));
        let positive = self.positive.iter().map(|(index, count)| (self.middle(*index), *count));
        let mut seen = 0;
        for (value, count) in negative.chain([(0.0, self.zeros)]).chain(positive) {
            seen += count;
            if seen >= rank {
                // Not `clamp`: what was read from a damaged file may have bounds that are no order.
                return Some(value.max(self.min).min(self.max));
            }
        }
        Some(self.max)
    }

    fn middle(&self, index: i32) -> f64 {
        Self::middle_of(index, self.scale)
    }

    /// The value with the least relative distance to both bounds of a bucket of positive values.
    pub fn middle_of(index: i32, scale: i32) -> f64 {
        let (low, high) = (upper_bound(index - 1, scale), upper_bound(index, scale));
        if high.is_finite() { low * (2.0 / (1.0 + low / high)) } else { low }
    }

    /// Adds to the counts of a bucket at [`SCALE`], leaving the moments to [`Sketch::add_moments`].
    pub fn add_bucket(&mut self, negative: bool, index: i32, count: u64) {
        self.count += count;
        let index = index >> (SCALE - self.scale);
        let buckets = if negative { &mut self.negative } else { &mut self.positive };
        match buckets.binary_search_by_key(&index, |bucket| bucket.0) {
            Ok(at) => buckets[at].1 += count,
            Err(at) => {
                buckets.insert(at, (index, count));
                while self.positive.len().max(self.negative.len()) > BUCKETS_MAX {
                    self.coarsen(self.scale - 1);
                }
            }
        }
    }

    /// Adds values that are zero.
    pub fn add_zeros(&mut self, count: u64) {
        self.count += count;
        self.zeros += count;
    }

    /// Adds the sum, least and greatest of values whose buckets are added apart.
    pub fn add_moments(&mut self, sum: f64, min: f64, max: f64) {
        self.sum += sum;
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    fn coarsen(&mut self, scale: i32) {
        let steps = self.scale - scale;
        if steps <= 0 {
            return;
        }
        for buckets in [&mut self.positive, &mut self.negative] {
            buckets.iter_mut().for_each(|bucket| bucket.0 >>= steps);
            buckets.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 += if same { next.1 } else { 0 };
                same
            });
        }
        self.scale = scale;
    }
}

/// Adds buckets that are `steps` scales finer.
fn merge_buckets(mine: &mut Buckets, theirs: &[(i32, u64)], steps: i32) {
    if theirs.is_empty() {
        return;
    }
    let mut merged: Buckets = Vec::with_capacity(mine.len() + theirs.len());
    let mut add = |(index, count): (i32, u64)| match merged.last_mut() {
        Some(last) if last.0 == index => last.1 += count,
        _ => merged.push((index, count)),
    };
    let mut left = mine.iter().copied().peekable();
    for (index, count) in theirs.iter().map(|(index, count)| (index >> steps, *count)) {
        while let Some(bucket) = left.next_if(|bucket| bucket.0 <= index) {
            add(bucket);
        }
        add((index, count));
    }
    left.for_each(add);
    *mine = merged;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_nothing_knows_nothing() {
        let sketch = Sketch::new();
        assert_eq!((sketch.count(), sketch.min(), sketch.quantile(0.5)), (0, None, None));
    }

    #[test]
    fn ranks_run_from_negative_to_positive() {
        let mut sketch = Sketch::new();
        for value in [-8.0, -2.0, 0.0, 1.0, 4.0, f64::NAN, f64::INFINITY] {
            sketch.add(value);
        }
        assert_eq!(sketch.count(), 5);
        assert_eq!(sketch.sum(), -5.0);
        let check = |q, expected: f64| {
            let value = sketch.quantile(q).unwrap();
            assert!((value - expected).abs() <= expected.abs() * 0.011, "{q}: {value}");
        };
        check(0.0, -8.0);
        check(0.4, -2.0);
        check(0.6, 0.0);
        check(0.8, 1.0);
        check(1.0, 4.0);
    }

    #[test]
    fn bounds_that_are_no_order_are_no_panic() {
        let check = |min, max| {
            let sketch = Sketch::from_parts(SCALE, 2, vec![(3, 1)], vec![], [1.0, min, max]).unwrap();
            assert!(sketch.quantile(1.0).is_some());
        };
        check(0.0, f64::NAN);
        check(2.0, 1.0);
    }

    #[test]
    fn coarsens_when_the_range_is_wide() {
        let mut sketch = Sketch::new();
        for exponent in -1000..1000 {
            sketch.add(2f64.powi(exponent) * 1.5);
        }
        assert!(sketch.scale() < SCALE);
        assert!(sketch.positive().len() <= BUCKETS_MAX);
        assert_eq!(sketch.positive().iter().map(|(_, count)| count).sum::<u64>(), 2000);
        assert_eq!(sketch.min(), Some(2f64.powi(-1000) * 1.5));
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_stated_error(
            mut values in prop::collection::vec(1e-9f64..1e9, 1..500), q in 0.0f64..=1.0,
        ) {
            let mut sketch = Sketch::new();
            values.iter().for_each(|value| sketch.add(*value));
            values.sort_by(f64::total_cmp);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies in 0..=len")]
            let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let (exact, answer) = (values[rank - 1], sketch.quantile(q).unwrap());
            prop_assert!((answer - exact).abs() <= exact * sketch.relative_error() * 1.000001);
            prop_assert!(sketch.relative_error() <= 0.0109);
        }

        #[test]
        fn merging_is_adding(
            left in prop::collection::vec(-1e3f64..1e3, 0..100), right in prop::collection::vec(-1e3f64..1e3, 0..100),
        ) {
            let of = |values: &[f64]| {
                let mut sketch = Sketch::new();
                values.iter().for_each(|value| sketch.add(*value));
                sketch
            };
            let mut merged = of(&left);
            merged.merge(&of(&right));
            let whole = of(&[left, right].concat());
            prop_assert_eq!(merged.count, whole.count);
            prop_assert_eq!(&merged.positive, &whole.positive);
            prop_assert_eq!(&merged.negative, &whole.negative);
            prop_assert!((merged.sum - whole.sum).abs() < 1e-6);
            let moments = [whole.sum, whole.min, whole.max];
            let stored = (whole.positive.clone(), whole.negative.clone());
            prop_assert_eq!(
                Sketch::from_parts(whole.scale, whole.zeros, stored.0, stored.1, moments),
                Some(whole)
            );
        }
    }
}
