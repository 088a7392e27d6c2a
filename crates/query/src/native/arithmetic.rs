//! Adding and subtracting histograms, and scaling one.

use barograph_model::ResetHint;

use super::FloatHistogram;

/// Exponential buckets and custom ones cannot be computed with together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("histograms with exponential and with custom buckets cannot be combined")]
pub struct Incompatible;

/// What happened when two histograms met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// One knows of a reset, the other that there was none.
    pub(crate) hints_conflict: bool,
    /// They had different custom bounds.
    pub(crate) bounds_differed: bool,
}

impl FloatHistogram {
    /// Adds the counts of another.
    pub(crate) fn add(&mut self, other: &Self) -> Result<Met, Incompatible> {
        self.combine(other, 1.0)
    }

    /// Takes the counts of another away.
    pub(crate) fn subtract(&mut self, other: &Self) -> Result<Met, Incompatible> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Self, sign: f64) -> Result<Met, Incompatible> {
        let mut other = other.clone();
        let met = self.meet(&mut other, &mut [])?;
        self.zero_count += sign * other.zero_count;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        for (mine, theirs) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            merge(mine, theirs, |mine, theirs| mine + sign * theirs);
        }
        self.compact();
        Ok(met)
    }

    /// Brings two histograms, and those that are laid out as the first, to the same buckets, and the hint of the first to
    /// that of both together.
    pub(super) fn meet(&mut self, other: &mut Self, alike: &mut [&mut Self]) -> Result<Met, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let hints_conflict = self.join_hint(other.hint);
        let bounds_differed = self.bounds != other.bounds;
        if self.is_custom() {
            let common = self.common_bounds(other);
            for each in alike.iter_mut().map(|each| &mut **each).chain([&mut *self, &mut *other]) {
                each.rebound(&common);
            }
            return Ok(Met { hints_conflict, bounds_differed });
        }
        while self.zero_threshold != other.zero_threshold {
            if self.zero_threshold.is_nan() || other.zero_threshold.is_nan() {
                break;
            }
            self.widen_zero(other.zero_threshold);
            other.widen_zero(self.zero_threshold);
        }
        let schema = self.schema.min(other.schema);
        for each in alike.iter_mut().map(|each| &mut **each) {
            each.widen_zero(self.zero_threshold);
            each.reduce_to(schema);
        }
        self.reduce_to(schema);
        other.reduce_to(schema);
        Ok(Met { hints_conflict, bounds_differed: false })
    }

    /// What is known of a sum whose parts know different things; whether they contradict each other.
    fn join_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        let (hint, conflict) = match (self.hint, other) {
            (a, b) if a == b => (a, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.hint = hint;
        conflict
    }

    /// All counts and the sum, times a number. What has negative counts is no counter.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.map_counts(|count| count * factor);
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    /// All counts and the sum, divided by a number. By zero, no bucket is left.
    pub(crate) fn divide(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        self.map_counts(|count| count / divisor);
        if divisor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    fn map_counts(&mut self, change: impl Fn(f64) -> f64) {
        let counts = self.positive.iter_mut().chain(&mut self.negative).map(|bucket| &mut bucket.1);
        let totals = [&mut self.zero_count, &mut self.count, &mut self.sum];
        counts.chain(totals).for_each(|count| *count = change(*count));
        self.compact();
    }

    /// A share of the way from this one to another.
    pub(crate) fn towards(&self, other: &Self, share: f64) -> Result<(Self, Met), Incompatible> {
        let mut result = other.clone();
        let met = result.subtract(self)?;
        result.scale(share);
        result.add(self)?;
        Ok((result, met))
    }
}

/// Combines the buckets of one side with those of another histogram.
pub(super) fn merge(mine: &mut Vec<(i32, f64)>, theirs: &[(i32, f64)], combine: impl Fn(f64, f64) -> f64) {
    let mut merged = Vec::with_capacity(mine.len() + theirs.len());
    let mut left = mine.iter().copied().peekable();
    for &(index, count) in theirs {
        while let Some(bucket) = left.next_if(|bucket| bucket.0 < index) {
            merged.push(bucket);
        }
        let before = left.next_if(|bucket| bucket.0 == index).map_or(0.0, |bucket| bucket.1);
        merged.push((index, combine(before, count)));
    }
    merged.extend(left);
    *mine = merged;
}

#[cfg(test)]
mod tests {
    use barograph_model::{CUSTOM_BOUNDS, HistogramParts};

    use super::*;

    fn of(schema: i8, positive: &[(i32, f64)]) -> FloatHistogram {
        let count = positive.iter().map(|bucket| bucket.1).sum();
        let positive = positive.to_vec();
        FloatHistogram::of_parts(HistogramParts {
            schema,
            positive,
            count,
            sum: count,
            ..HistogramParts::default()
        })
    }

    #[test]
    fn differences_may_be_negative() {
        let mut difference = of(1, &[(1, 1.0), (2, 1.0)]);
        assert_eq!(difference.subtract(&of(0, &[(1, 5.0), (2, 1.0)])), Ok(Met::default()));
        assert_eq!((difference.schema(), difference.count()), (0, -4.0));
        assert_eq!(difference.positive(), [(1, -3.0), (2, -1.0)]);
    }

    #[test]
    fn hints_join() {
        use ResetHint::{Gauge, No, Unknown, Yes};
        let check = |a, b, hint, conflict| {
            let mut sum = of(0, &[]).with_hint(a);
            let met = sum.add(&of(0, &[]).with_hint(b)).unwrap();
            assert_eq!((sum.hint(), met.hints_conflict), (hint, conflict), "{a:?} and {b:?}");
        };
        check(No, No, No, false);
        check(No, Gauge, Gauge, false);
        check(Unknown, Yes, Unknown, false);
        check(Yes, No, Unknown, true);
    }

    #[test]
    fn nothing_is_between_kinds_of_buckets() {
        assert_eq!(of(0, &[]).add(&of(CUSTOM_BOUNDS, &[])), Err(Incompatible));
    }

    #[test]
    fn division_by_zero_leaves_no_buckets() {
        let mut histogram = of(0, &[(1, 2.0)]);
        histogram.divide(0.0);
        assert_eq!((histogram.count(), histogram.positive()), (f64::INFINITY, &[][..]));
    }
}
