//! Whether a counter began anew between two histograms.

use barograph_model::ResetHint;

use super::FloatHistogram;

impl FloatHistogram {
    /// By the hint, or because something became less. A gauge is looked at as if it were a counter.
    pub(crate) fn is_reset_after(&self, before: &Self) -> bool {
        match self.hint {
            ResetHint::Yes => return true,
            ResetHint::No => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        self.fell_below(before)
    }

    /// Whether what happened before is not part of what is counted now.
    pub(crate) fn fell_below(&self, before: &Self) -> bool {
        if self.count < before.count || self.is_custom() != before.is_custom() {
            return true;
        }
        if self.is_custom() {
            let common = self.common_bounds(before);
            let (mut now, mut before) = (self.clone(), before.clone());
            now.rebound(&common);
            before.rebound(&common);
            return is_less(&now.positive, &before.positive);
        }
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let mut before = before.clone();
        before.widen_zero(self.zero_threshold);
        before.reduce_to(self.schema);
        before.zero_threshold != self.zero_threshold
            || self.zero_count < before.zero_count
            || is_less(&self.positive, &before.positive)
            || is_less(&self.negative, &before.negative)
    }
}

/// Whether some bucket holds less than it did.
fn is_less(after: &[(i32, f64)], before: &[(i32, f64)]) -> bool {
    let mut rest = after;
    let was_more = before.iter().any(|&(index, count)| {
        let skip = rest.partition_point(|bucket| bucket.0 < index);
        // A bucket that was empty holds less than that now.
        let negative = rest[..skip].iter().any(|bucket| bucket.1 < 0.0);
        rest = &rest[skip..];
        let now = rest.first().filter(|bucket| bucket.0 == index).map_or(0.0, |bucket| bucket.1);
        rest = if rest.first().is_some_and(|bucket| bucket.0 == index) { &rest[1..] } else { rest };
        negative || now < count
    });
    was_more || rest.iter().any(|bucket| bucket.1 < 0.0)
}

#[cfg(test)]
mod tests {
    use barograph_model::{CUSTOM_BOUNDS, HistogramParts};

    use super::*;

    fn of(schema: i8, count: f64, positive: &[(i32, f64)]) -> FloatHistogram {
        let positive = positive.to_vec();
        FloatHistogram::of_parts(HistogramParts { schema, positive, count, ..HistogramParts::default() })
    }

    #[test]
    fn less_is_a_reset() {
        let before = of(0, 3.0, &[(1, 2.0), (3, 1.0)]);
        let check =
            |after: FloatHistogram, reset| assert_eq!(after.is_reset_after(&before), reset, "{after}");
        check(of(0, 4.0, &[(1, 2.0), (2, 1.0), (3, 1.0)]), false);
        check(of(0, 9.0, &[(1, 9.0)]), true);
        check(of(0, 2.0, &[(1, 2.0), (3, 1.0)]), true);
        check(of(-1, 3.0, &[(1, 2.0), (2, 1.0)]), false);
        check(of(1, 9.0, &[(2, 8.0), (5, 8.0)]), true);
        check(before.clone().with_hint(ResetHint::Yes), true);
        check(of(0, 0.0, &[]).with_hint(ResetHint::No), false);
        check(of(0, 0.0, &[]).with_hint(ResetHint::Gauge), true);
        check(of(CUSTOM_BOUNDS, 9.0, &[]), true);
    }

    #[test]
    fn custom_bounds_are_compared_where_they_agree() {
        let of = |bounds: &[f64], counts: &[f64]| {
            FloatHistogram::of_parts(HistogramParts {
                schema: CUSTOM_BOUNDS,
                bounds: bounds.to_vec(),
                positive: (0..).zip(counts.iter().copied()).collect(),
                count: counts.iter().sum(),
                ..HistogramParts::default()
            })
        };
        let before = of(&[1.0, 2.0], &[1.0, 4.0]);
        assert!(!of(&[2.0], &[5.0]).is_reset_after(&before));
        assert!(of(&[2.0], &[4.0, 1.0]).is_reset_after(&before));
    }
}
