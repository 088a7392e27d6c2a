//! Quantiles, fractions and variances: what a histogram says of the observations in it.
//!
//! Within an exponential bucket observations are taken as evenly spread over the logarithm of their values, within a
//! custom one or the zero bucket over the values themselves. A zero bucket next to buckets of one sign alone is taken to
//! hold no observations of the other. Observations that were not a number are in no bucket.

use super::{Bucket, FloatHistogram};
use crate::eval::Sum;

impl FloatHistogram {
    /// Whether observations that are no numbers went in.
    pub(crate) fn has_nan_observations(&self) -> bool {
        self.sum.is_nan()
    }

    /// The value that a share of all observations is at most.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        if q < 0.0 {
            return f64::NEG_INFINITY;
        }
        if q > 1.0 {
            return f64::INFINITY;
        }
        if self.count == 0.0 || q.is_nan() {
            return f64::NAN;
        }
        // From the nearer end there is less to round; but where observations are in no bucket, they are above all.
        let upwards = self.sum.is_nan() || q < 0.5;
        let (found, seen, rank) = if upwards {
            let rank = q * self.count;
            let (found, seen) = pass(self.buckets(), rank);
            (found, seen, rank)
        } else {
            let rank = (1.0 - q) * self.count;
            let (found, seen) = pass(self.buckets().rev(), rank);
            (found, seen, rank)
        };
        let Some(found) = found else { return f64::NAN };
        let bucket = self.one_sided(found);
        if self.is_custom() {
            if bucket.lower == f64::NEG_INFINITY {
                return bucket.upper;
            }
            if bucket.upper == f64::INFINITY {
                return bucket.lower;
            }
        }
        let seen = seen.min(self.count);
        if seen < rank {
            return if self.sum.is_nan() { f64::NAN } else { bucket.upper };
        }
        let share = if upwards {
            (rank - (seen - bucket.count)) / bucket.count
        } else {
            (seen - rank) / bucket.count
        };
        if self.is_linear(&bucket) {
            return bucket.lower + (bucket.upper - bucket.lower) * share;
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * share).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - share)).exp2()
        }
    }

    /// The share of all observations between two values.
    pub(crate) fn fraction(&self, lower: f64, upper: f64) -> f64 {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN;
        }
        if lower >= upper {
            return 0.0;
        }
        (self.count_up_to(upper) - self.count_up_to(lower)) / self.count
    }

    /// How many observations are at most `value`.
    fn count_up_to(&self, value: f64) -> f64 {
        let mut below = 0.0;
        for bucket in self.buckets().map(|bucket| self.one_sided(bucket)) {
            if bucket.lower >= value {
                return below;
            }
            if bucket.upper > value {
                return below + bucket.count * self.share_up_to(&bucket, value);
            }
            below += bucket.count;
        }
        below
    }

    /// The share of a bucket's observations that is at most a value inside of it.
    pub(super) fn share_up_to(&self, bucket: &Bucket, value: f64) -> f64 {
        if self.is_linear(bucket) {
            // Nothing is known of a bucket without an end but the end it has.
            return if bucket.lower == f64::NEG_INFINITY {
                1.0
            } else {
                (value - bucket.lower) / (bucket.upper - bucket.lower)
            };
        }
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        let at = value.abs().log2();
        if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }

    fn is_linear(&self, bucket: &Bucket) -> bool {
        self.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0)
    }

    /// A bucket that reaches to both sides of zero, without the side on which there is nothing else.
    pub(super) fn one_sided(&self, mut bucket: Bucket) -> Bucket {
        if self.is_custom() {
            if bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
                bucket.lower = 0.0;
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            match (self.negative.is_empty(), self.positive.is_empty()) {
                (true, false) => bucket.lower = 0.0,
                (false, true) => bucket.upper = 0.0,
                _ => {}
            }
        }
        bucket
    }

    /// The mean squared distance from the mean, each observation taken to be in the middle of its bucket.
    pub(crate) fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let squares = self.buckets().fold(Sum::default(), |squares, bucket| {
            let value = if self.is_custom() {
                f64::midpoint(bucket.lower, bucket.upper)
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.lower * bucket.upper).sqrt().copysign(bucket.upper)
            };
            let distance = value - mean;
            squares.plus(bucket.count * distance * distance)
        });
        (squares.sum + squares.carry) / self.count
    }
}

/// The bucket at which a rank is reached, or the last, and how many observations are in all up to and with it.
fn pass(buckets: impl Iterator<Item = Bucket>, rank: f64) -> (Option<Bucket>, f64) {
    let (mut found, mut seen) = (None, 0.0);
    for bucket in buckets {
        seen += bucket.count;
        found = Some(bucket);
        if seen >= rank {
            break;
        }
    }
    (found, seen)
}

#[cfg(test)]
mod tests {
    use barograph_model::{CUSTOM_BOUNDS, HistogramParts};

    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12 || got == expected, "{got}, not {expected}");
    }

    #[test]
    fn quantiles_and_fractions_are_inverse() {
        let histogram = FloatHistogram::of_parts(HistogramParts {
            zero_threshold: 0.5,
            zero_count: 4.0,
            count: 16.0,
            positive: vec![(1, 4.0), (2, 4.0)],
            negative: vec![(2, 4.0)],
            ..HistogramParts::default()
        });
        close(histogram.quantile(0.125), -2.0 * std::f64::consts::SQRT_2);
        close(histogram.quantile(0.375), 0.0);
        close(histogram.quantile(0.75), 2.0);
        for q in [0.05, 0.2, 0.3, 0.45, 0.6, 0.8, 0.99] {
            close(histogram.fraction(f64::NEG_INFINITY, histogram.quantile(q)), q);
        }
        close(histogram.fraction(0.0, 0.25), 1.0 / 16.0);
    }

    #[test]
    fn custom_buckets_end_where_bounds_do() {
        let histogram = FloatHistogram::of_parts(HistogramParts {
            schema: CUSTOM_BOUNDS,
            bounds: vec![2.0, 6.0],
            count: 4.0,
            positive: vec![(0, 1.0), (1, 2.0), (2, 1.0)],
            ..HistogramParts::default()
        });
        close(histogram.quantile(0.125), 1.0);
        close(histogram.quantile(0.5), 4.0);
        close(histogram.quantile(0.9), 6.0);
        close(histogram.fraction(1.0, 4.0), 0.375);
        close(histogram.fraction(100.0, f64::INFINITY), 0.25);
    }
}
