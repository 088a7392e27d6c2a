//! The part of a histogram above or below a value.
//!
//! A bucket the value lies in keeps the share of its observations on that side. Of a bucket without an end nothing is
//! known but the end it has: it goes as a whole, or stays as one. The sum is estimated anew, each observation in the
//! middle of what is left of its bucket, unless nothing was cut.

use super::{Bucket, FloatHistogram};

/// Which observations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Below,
    Above,
}

/// What is left of a bucket, and where in the middle of it is.
struct Part {
    count: f64,
    middle: f64,
}

impl FloatHistogram {
    /// The observations on one side of `point`.
    pub(crate) fn trimmed(&self, point: f64, keep: Keep) -> Self {
        let cut_side = |side: &[(i32, f64)], bucket: fn(&Self, (i32, f64)) -> Bucket| -> Vec<(i32, Part)> {
            side.iter().map(|&entry| (entry.0, self.part(&bucket(self, entry), point, keep))).collect()
        };
        let positive = cut_side(&self.positive, Self::positive_bucket);
        let negative = cut_side(&self.negative, Self::negative_bucket);
        let zero = if self.zero_count > 0.0 {
            linear_part(&self.one_sided(self.zero_bucket()), point, keep)
        } else {
            Part { count: self.zero_count, middle: 0.0 }
        };
        let (mut count, mut sum) = (0.0, 0.0);
        for part in positive.iter().chain(&negative).map(|pair| &pair.1).chain([&zero]) {
            count += part.count;
            sum += if part.count == 0.0 { 0.0 } else { part.middle * part.count };
        }
        let counts =
            |parts: Vec<(i32, Part)>| parts.into_iter().map(|(index, part)| (index, part.count)).collect();
        let (positive, negative): (Vec<_>, Vec<_>) = (counts(positive), counts(negative));
        if positive == self.positive && negative == self.negative && zero.count == self.zero_count {
            return self.clone();
        }
        let bounds = self.bounds.clone();
        let mut trimmed = Self { zero_count: zero.count, count, sum, positive, negative, bounds, ..*self };
        trimmed.compact();
        trimmed
    }

    /// What is left of a bucket that is not the zero bucket.
    fn part(&self, bucket: &Bucket, point: f64, keep: Keep) -> Part {
        let Bucket { lower, upper, count, .. } = *bucket;
        // A point that is not a number is on no side of anything.
        let (whole, cut) = match keep {
            Keep::Below => (upper <= point, lower < point),
            Keep::Above => (lower >= point, upper > point),
        };
        if whole {
            return Part { count, middle: self.middle(lower, upper) };
        }
        if !cut {
            return Part { count: 0.0, middle: 0.0 };
        }
        if lower == f64::NEG_INFINITY {
            return endless_below(upper, count, point, keep);
        }
        if upper == f64::INFINITY {
            let count = if keep == Keep::Above { count } else { 0.0 };
            return Part { count, middle: point };
        }
        let below = count * self.share_up_to(bucket, point);
        match keep {
            Keep::Below => Part { count: below, middle: self.middle(lower, point) },
            Keep::Above => Part { count: count - below, middle: self.middle(point, upper) },
        }
    }

    fn middle(&self, lower: f64, upper: f64) -> f64 {
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) if upper > 0.0 => upper / 2.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if self.is_custom() => f64::midpoint(lower, upper),
            (false, false) => (lower * upper).abs().sqrt().copysign(lower + upper),
        }
    }
}

/// Of a first custom bucket: where its bound is above zero, its observations are taken to be so too.
fn endless_below(upper: f64, count: f64, point: f64, keep: Keep) -> Part {
    let finite = upper != f64::INFINITY;
    match keep {
        Keep::Below if point > 0.0 && finite => Part { count: count * point / upper, middle: point / 2.0 },
        Keep::Below if upper <= 0.0 => Part { count, middle: point },
        Keep::Above if point >= 0.0 && finite => {
            Part { count: count * (1.0 - point / upper), middle: f64::midpoint(point, upper) }
        }
        _ => Part { count: 0.0, middle: 0.0 },
    }
}

/// Of the zero bucket.
fn linear_part(bucket: &Bucket, point: f64, keep: Keep) -> Part {
    let Bucket { lower, upper, count, .. } = *bucket;
    if point.is_nan() {
        return Part { count: f64::NAN, middle: f64::NAN };
    }
    let (from, to) = match keep {
        Keep::Below => (lower, upper.min(point)),
        Keep::Above => (lower.max(point), upper),
    };
    let (whole, nothing) = match keep {
        Keep::Below => (point >= upper, point <= lower),
        Keep::Above => (point <= lower, point >= upper),
    };
    let middle = f64::midpoint(from, to);
    match (whole, nothing) {
        // Below everything comes first: with a zero bucket of no width both may hold.
        (_, true) if keep == Keep::Below => Part { count: 0.0, middle: 0.0 },
        (true, _) => Part { count, middle },
        (false, true) => Part { count: 0.0, middle: 0.0 },
        (false, false) => Part { count: count * (to - from) / (upper - lower), middle },
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::HistogramParts;

    use super::*;

    #[test]
    fn both_sides_make_the_whole() {
        let histogram = FloatHistogram::of_parts(HistogramParts {
            zero_threshold: 0.5,
            zero_count: 4.0,
            count: 16.0,
            sum: 10.0,
            positive: vec![(1, 4.0), (2, 4.0)],
            negative: vec![(2, 4.0)],
            ..HistogramParts::default()
        });
        for point in [-9.0, -3.0, -2.0, -0.2, 0.0, 0.4, 0.7, 1.5, 4.0, 9.0] {
            let (below, above) =
                (histogram.trimmed(point, Keep::Below), histogram.trimmed(point, Keep::Above));
            assert!((below.count() + above.count() - 16.0).abs() < 1e-12, "{point}");
            let share = histogram.fraction(f64::NEG_INFINITY, point);
            assert!((below.count() - 16.0 * share).abs() < 1e-12, "{point}");
        }
        assert_eq!(histogram.trimmed(f64::INFINITY, Keep::Below).sum(), 10.0);
    }
}
