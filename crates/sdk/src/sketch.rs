//! Distributions as counts in buckets of growing width.
//!
//! Bucket `i` holds the values in `(b^i, b^(i+1)]`, where `b = 2^(2^-scale)` (see `scale`): the exponential histogram
//! of OpenTelemetry (data model, "ExponentialHistogram"), and of Prometheus with indices one higher. At the scale of
//! recording, 5, neighbouring bounds differ by 2.19 %, so the harmonic middle of a bucket is within 1.09 % of each
//! value in it: `(b − 1) / (b + 1)`. Sketches merge by adding counts, which loses nothing. When more than
//! [`BUCKETS_MAX`] buckets of a sign are in use the scale goes down by one, joining neighbours, and the error
//! about doubles.

use std::collections::BTreeMap;

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
    positive: BTreeMap<i32, u64>,
    negative: BTreeMap<i32, u64>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            scale: SCALE,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zeros: 0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
        }
    }
}

impl Sketch {
    /// A sketch of nothing.
    pub fn new() -> Self {
        Self::default()
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
        for (negative, buckets) in [(false, &other.positive), (true, &other.negative)] {
            for (index, count) in buckets {
                self.add_at_scale(negative, index >> steps, *count);
            }
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
    pub fn positive(&self) -> impl Iterator<Item = (i32, u64)> {
        self.positive.iter().map(|(index, count)| (*index, *count))
    }

    /// The occupied buckets of the negative values by magnitude, as index and count, ascending.
    pub fn negative(&self) -> impl Iterator<Item = (i32, u64)> {
        self.negative.iter().map(|(index, count)| (*index, *count))
    }

    /// The most an answer of [`Sketch::quantile`] can be off, relative to the value it stands for.
    pub fn relative_error(&self) -> f64 {
        let ratio = (f64::from(-self.scale)).exp2().exp2();
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
                return Some(value.clamp(self.min, self.max));
            }
        }
        Some(self.max)
    }

    /// The value with the least relative distance to both bounds of a bucket.
    fn middle(&self, index: i32) -> f64 {
        let (low, high) = (upper_bound(index - 1, self.scale), upper_bound(index, self.scale));
        if high.is_finite() { low * (2.0 / (1.0 + low / high)) } else { low }
    }

    /// Adds to the counts of a bucket at [`SCALE`].
    pub(crate) fn add_bucket(&mut self, negative: bool, index: i32, count: u64) {
        self.count += count;
        self.add_at_scale(negative, index >> (SCALE - self.scale), count);
    }

    pub(crate) fn add_zeros(&mut self, count: u64) {
        self.count += count;
        self.zeros += count;
    }

    pub(crate) fn add_moments(&mut self, sum: f64, min: f64, max: f64) {
        self.sum += sum;
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    fn add_at_scale(&mut self, negative: bool, index: i32, count: u64) {
        let buckets = if negative { &mut self.negative } else { &mut self.positive };
        *buckets.entry(index).or_default() += count;
        while self.positive.len().max(self.negative.len()) > BUCKETS_MAX {
            self.coarsen(self.scale - 1);
        }
    }

    fn coarsen(&mut self, scale: i32) {
        let steps = self.scale - scale;
        if steps <= 0 {
            return;
        }
        for buckets in [&mut self.positive, &mut self.negative] {
            let mut joined = BTreeMap::new();
            for (index, count) in &*buckets {
                *joined.entry(index >> steps).or_default() += count;
            }
            *buckets = joined;
        }
        self.scale = scale;
    }
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
    fn coarsens_when_the_range_is_wide() {
        let mut sketch = Sketch::new();
        for exponent in -1000..1000 {
            sketch.add(2f64.powi(exponent) * 1.5);
        }
        assert!(sketch.scale() < SCALE);
        assert!(sketch.positive().count() <= BUCKETS_MAX);
        assert_eq!(sketch.positive().map(|(_, count)| count).sum::<u64>(), 2000);
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
            prop_assert_eq!(merged.positive, whole.positive);
            prop_assert_eq!(merged.negative, whole.negative);
            prop_assert!((merged.sum - whole.sum).abs() < 1e-6);
        }
    }
}
