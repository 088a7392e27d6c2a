//! What a tier keeps of the native histograms of a window.

use crate::{Histogram, ResetHint};

/// The histograms of a series in one window. Markers that end a series are no samples: they only set `ended`.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramRollup {
    /// Where the window starts, in milliseconds since the epoch; its length is that of its tier.
    pub start: i64,
    /// The time of the first sample.
    pub first_at: i64,
    /// The time of the last sample.
    pub last_at: i64,
    /// How many samples there are; never zero.
    pub count: u64,
    /// Whether the last thing in the window is the end of the series.
    pub ended: bool,
    /// The first of them.
    pub first: Histogram,
    /// The last of them.
    pub last: Histogram,
    /// Of a counter by how much it grew from the first to the last, each reset beginning at zero; of a gauge the sum of
    /// all.
    pub total: Histogram,
}

impl HistogramRollup {
    /// A window with one sample, which is no marker.
    pub fn of(start: i64, at: i64, histogram: &Histogram) -> Self {
        debug_assert!(!histogram.is_stale(), "a marker is no sample");
        let total = if histogram.hint == ResetHint::Gauge { histogram.clone() } else { histogram.nothing() };
        Self {
            start,
            first_at: at,
            last_at: at,
            count: 1,
            ended: false,
            first: histogram.clone(),
            last: histogram.clone(),
            total,
        }
    }

    /// Adds a sample that is later than the last.
    pub fn push(&mut self, at: i64, histogram: &Histogram) {
        if histogram.is_stale() {
            self.ended = true;
        } else {
            self.join(&Self::of(self.start, at, histogram));
        }
    }

    /// Adds the samples of a later window. The start stays. Where bounds of buckets changed, the total begins anew.
    pub fn join(&mut self, next: &Self) {
        debug_assert!(next.first_at > self.last_at, "windows are joined in order");
        let mut total = self.total.clone();
        let joined = if next.first.hint == ResetHint::Gauge {
            total.add(&next.total)
        } else {
            grown(&self.last, &next.first)
                .and_then(|step| total.add(&step))
                .and_then(|()| total.add(&next.total))
        };
        self.total = if joined.is_ok() { total } else { next.total.clone() };
        self.count += next.count;
        self.last = next.last.clone();
        self.last_at = next.last_at;
        self.ended = next.ended;
    }
}

/// By how much a counter grew from one sample to the next.
fn grown(before: &Histogram, after: &Histogram) -> Result<Histogram, crate::DifferentBounds> {
    let mut step = after.clone();
    if !after.is_reset_after(before) {
        step.subtract(before)?;
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HistogramParts;

    fn of(counts: &[f64], hint: ResetHint) -> Histogram {
        let positive = (0..).zip(counts.iter().copied()).collect();
        let count = counts.iter().sum();
        let parts = HistogramParts { positive, count, sum: count * 2.0, hint, ..HistogramParts::default() };
        Histogram::new(parts).unwrap()
    }

    fn rolled(samples: &[Histogram]) -> HistogramRollup {
        let mut rollup = HistogramRollup::of(0, 0, &samples[0]);
        (1..).zip(&samples[1..]).for_each(|(at, sample)| rollup.push(at, sample));
        rollup
    }

    #[test]
    fn counters_grow_through_resets() {
        let counter = |counts: &[f64]| of(counts, ResetHint::Unknown);
        let rollup =
            rolled(&[counter(&[1.0, 4.0]), counter(&[3.0, 5.0]), counter(&[2.0]), counter(&[2.0, 2.0])]);
        assert_eq!(rollup.total.positive(), [(0, 4.0), (1, 3.0)]);
        assert_eq!((rollup.count, rollup.total.count(), rollup.total.sum()), (4, 7.0, 14.0));
        assert_eq!((&rollup.first, &rollup.last), (&counter(&[1.0, 4.0]), &counter(&[2.0, 2.0])));
    }

    #[test]
    fn gauges_are_summed() {
        let gauge = |counts: &[f64]| of(counts, ResetHint::Gauge);
        let rollup = rolled(&[gauge(&[1.0, 4.0]), gauge(&[3.0])]);
        assert_eq!(rollup.total.positive(), [(0, 4.0), (1, 4.0)]);
    }

    #[test]
    fn halves_join_to_the_whole() {
        let samples: Vec<_> =
            [1.0, 3.0, 2.0, 9.0].map(|count| of(&[count, 1.0], ResetHint::Unknown)).into_iter().collect();
        let whole = rolled(&samples);
        let mut left = rolled(&samples[..2]);
        let mut right = HistogramRollup::of(0, 2, &samples[2]);
        right.push(3, &samples[3]);
        left.join(&right);
        assert_eq!(left, whole);
    }
}
