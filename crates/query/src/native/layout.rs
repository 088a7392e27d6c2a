//! Buckets with their bounds, and how two histograms come to the same ones.

use std::sync::Arc;

use super::FloatHistogram;

/// A bucket and what is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The bound nearer to minus infinity.
    pub lower: f64,
    /// The bound nearer to infinity.
    pub upper: f64,
    /// Whether an observation of exactly `lower` is in it.
    pub includes_lower: bool,
    /// Whether an observation of exactly `upper` is in it.
    pub includes_upper: bool,
    /// How many observations are.
    pub count: f64,
}

impl Bucket {
    /// The brackets of the interval.
    pub(super) fn brackets(&self) -> (char, char) {
        (if self.includes_lower { '[' } else { '(' }, if self.includes_upper { ']' } else { ')' })
    }
}

/// The upper bound of a bucket of an exponential schema. The last that is finite ends at the greatest number.
fn exponential_bound(index: i32, schema: i8) -> f64 {
    let (whole, part) = if schema <= 0 {
        let shift = u32::from(schema.unsigned_abs());
        (i64::from(index) << shift, 0.0)
    } else {
        let steps = 1i32 << schema;
        (i64::from(index.div_euclid(steps)), f64::from(index.rem_euclid(steps)) / f64::from(steps))
    };
    if whole == 1024 && part == 0.0 {
        return f64::MAX;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "what is far beyond the exponents of numbers is infinite anyway"
    )]
    let exponent = whole as f64 + part;
    exponent.exp2()
}

impl FloatHistogram {
    fn upper_bound(&self, index: i32) -> f64 {
        if !self.is_custom() {
            return exponential_bound(index, self.schema);
        }
        match usize::try_from(index) {
            Ok(index) => self.bounds.get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }

    pub(super) fn positive_bucket(&self, (index, count): (i32, f64)) -> Bucket {
        let (lower, upper) = (self.upper_bound(index.saturating_sub(1)), self.upper_bound(index));
        Bucket { lower, upper, includes_lower: self.is_custom() && index == 0, includes_upper: true, count }
    }

    pub(super) fn negative_bucket(&self, (index, count): (i32, f64)) -> Bucket {
        let (lower, upper) = (-self.upper_bound(index), -self.upper_bound(index.saturating_sub(1)));
        Bucket { lower, upper, includes_lower: true, includes_upper: false, count }
    }

    pub(super) fn zero_bucket(&self) -> Bucket {
        let (lower, upper) = (-self.zero_threshold, self.zero_threshold);
        Bucket { lower, upper, includes_lower: true, includes_upper: true, count: self.zero_count }
    }

    /// All occupied buckets, from the lowest.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        let zero = Some(self.zero_bucket()).filter(|bucket| bucket.count != 0.0);
        let negative = self.negative.iter().rev().map(|&bucket| self.negative_bucket(bucket));
        negative.chain(zero).chain(self.positive.iter().map(|&bucket| self.positive_bucket(bucket)))
    }

    /// Joins neighbouring buckets until the schema is at most `schema`.
    pub(crate) fn reduce_to(&mut self, schema: i8) {
        if self.is_custom() || self.schema <= schema {
            return;
        }
        let steps = u32::from(self.schema.abs_diff(schema)).min(31);
        for side in [&mut self.positive, &mut self.negative] {
            join(side, |index| (index.wrapping_sub(1) >> steps).wrapping_add(1));
        }
        self.schema = schema;
    }

    /// What the zero bucket holds if it reaches to `threshold`, and how far it then reaches: a bucket that the threshold
    /// lies in goes in whole.
    pub(super) fn zero_reaching(&self, threshold: f64) -> (f64, f64) {
        let mut reach = threshold;
        loop {
            let before = reach;
            for side in [&self.positive, &self.negative] {
                let cut = side.iter().filter(|bucket| self.upper_bound(bucket.0 - 1) < reach);
                reach = cut.map(|bucket| self.upper_bound(bucket.0)).fold(reach, f64::max);
            }
            if reach == before {
                break;
            }
        }
        let inside = |side: &[(i32, f64)]| -> f64 {
            side.iter().take_while(|b| self.upper_bound(b.0) <= reach).map(|b| b.1).sum()
        };
        (self.zero_count + inside(&self.positive) + inside(&self.negative), reach)
    }

    /// Lets the zero bucket reach at least to `threshold`.
    pub(super) fn widen_zero(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        let (count, reach) = self.zero_reaching(threshold);
        let gone = |side: &[(i32, f64)]| side.partition_point(|b| self.upper_bound(b.0) <= reach);
        let (positive, negative) = (gone(&self.positive), gone(&self.negative));
        self.positive.drain(..positive);
        self.negative.drain(..negative);
        (self.zero_count, self.zero_threshold) = (count, reach);
    }

    /// Joins custom buckets to those of some of their bounds.
    pub(super) fn rebound(&mut self, bounds: &Arc<[f64]>) {
        if self.bounds == *bounds {
            return;
        }
        let old = std::mem::replace(&mut self.bounds, bounds.clone());
        join(&mut self.positive, |index| {
            let upper = usize::try_from(index).ok().and_then(|index| old.get(index)).copied();
            let place = upper.map_or(bounds.len(), |upper| bounds.partition_point(|bound| *bound < upper));
            i32::try_from(place).unwrap_or(i32::MAX)
        });
    }

    /// The bounds that both have.
    pub(super) fn common_bounds(&self, other: &Self) -> Arc<[f64]> {
        if self.bounds == other.bounds {
            return self.bounds.clone();
        }
        self.bounds.iter().filter(|bound| other.bounds.contains(bound)).copied().collect()
    }
}

/// Gives buckets new indices, which ascend as well, and joins those that get the same.
fn join(side: &mut Vec<(i32, f64)>, index: impl Fn(i32) -> i32) {
    side.iter_mut().for_each(|bucket| bucket.0 = index(bucket.0));
    side.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
}

#[cfg(test)]
mod tests {
    use barograph_model::{CUSTOM_BOUNDS, HistogramParts};

    use super::*;

    #[test]
    fn bounds_are_powers() {
        let check = |index, schema, bound: f64| {
            let got = exponential_bound(index, schema);
            assert!((got - bound).abs() <= bound * 1e-15, "{index} of schema {schema}: {got}");
        };
        check(0, 0, 1.0);
        check(3, 0, 8.0);
        check(-2, -1, 1.0 / 16.0);
        check(1, 1, std::f64::consts::SQRT_2);
        check(-1, 1, std::f64::consts::FRAC_1_SQRT_2);
        assert_eq!(exponential_bound(1024, 0), f64::MAX);
        assert_eq!(exponential_bound(1025, 0), f64::INFINITY);
    }

    #[test]
    fn a_bucket_that_is_cut_goes_into_the_zero_bucket_whole() {
        let mut histogram = FloatHistogram::of_parts(HistogramParts {
            zero_count: 1.0,
            positive: vec![(-1, 2.0), (1, 4.0), (2, 8.0)],
            negative: vec![(1, 16.0), (2, 32.0)],
            ..HistogramParts::default()
        });
        histogram.widen_zero(1.5);
        assert_eq!((histogram.zero_threshold, histogram.zero_count), (2.0, 23.0));
        assert_eq!((histogram.positive(), histogram.negative()), (&[(2, 8.0)][..], &[(2, 32.0)][..]));
    }

    #[test]
    fn custom_buckets_join_to_common_bounds() {
        let of = |bounds: &[f64], counts: &[f64]| {
            FloatHistogram::of_parts(HistogramParts {
                schema: CUSTOM_BOUNDS,
                bounds: bounds.to_vec(),
                positive: (0..).zip(counts.iter().copied()).collect(),
                ..HistogramParts::default()
            })
        };
        let (mut a, mut b) =
            (of(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0]), of(&[2.0, 3.0, 4.0], &[1.0, 1.0, 1.0, 9.0]));
        let common = a.common_bounds(&b);
        a.rebound(&common);
        b.rebound(&common);
        assert_eq!(*common, [2.0, 4.0]);
        assert_eq!(a.positive(), [(0, 3.0), (1, 3.0), (2, 4.0)]);
        assert_eq!(b.positive(), [(0, 1.0), (1, 2.0), (2, 9.0)]);
    }
}
