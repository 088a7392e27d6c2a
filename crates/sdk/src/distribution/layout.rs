//! The classic bounds of a histogram among the buckets that cells count.
//!
//! A bound either ends a bucket, or lies inside and divides it. What is counted at the bounds is exact either way:
//! for each dividing bound the cells count how many values of the bucket are not above it.

use super::{BUCKETS, bucket_of, index_of_bucket};
use barograph_model::{SCALE, upper_bound};

/// The classic bounds of a histogram that names none: those OpenTelemetry advises for durations in seconds.
pub const SECONDS_BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What was counted of a series, over all threads.
pub(super) struct Counts<'a> {
    pub(super) buckets: &'a [u64],
    /// For each dividing bound, the values of its bucket that are not above it.
    pub(super) within: &'a [u64],
    pub(super) zeros: u64,
    /// Values in no bucket, by classic bucket, not cumulative; perhaps empty.
    pub(super) outside: &'a [u64],
}

/// The classic bounds of a histogram and where they fall among the buckets.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    pub(super) bounds: Box<[f64]>,
    /// Bounds inside a bucket of a cell, ascending.
    pub(super) dividing: Box<[Dividing]>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Dividing {
    /// The bucket, counted from the first of the first octave.
    pub(super) bucket: usize,
    pub(super) bound: f64,
}

impl Layout {
    /// `bounds` are finite and strictly ascending.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let dividing = bounds.iter().filter_map(|bound| {
            let bucket = bucket_of(*bound)?;
            let ends = upper_bound(index_of_bucket(bucket), SCALE) == *bound;
            (!ends).then_some(Dividing { bucket, bound: *bound })
        });
        Self { dividing: dividing.collect(), bounds: bounds.into() }
    }

    pub(crate) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// Cumulative counts at the classic bounds.
    ///
    /// A thread may record between the readings of a bucket and of what lies within it, so each count is held between
    /// its neighbours; once recording rests, that changes nothing.
    pub(super) fn classic(&self, counts: &Counts<'_>) -> Vec<(f64, u64)> {
        let mut dividing = self.dividing.iter().zip(counts.within).peekable();
        let (mut next, mut below, mut outside_below, mut last) = (0, 0, 0, 0);
        let mut classic = Vec::with_capacity(self.bounds.len());
        for (i, &bound) in self.bounds.iter().enumerate() {
            outside_below += counts.outside.get(i).copied().unwrap_or(0);
            let divided = dividing.next_if(|(at, _)| at.bound == bound);
            let end = match (divided, bucket_of(bound)) {
                (Some((at, _)), _) => at.bucket,
                (None, Some(bucket)) => bucket + 1,
                (None, None) if bound > 1.0 => BUCKETS,
                (None, None) => 0,
            };
            below += counts.buckets[next.min(end)..end].iter().sum::<u64>();
            next = next.max(end);
            let part = divided.map_or(0, |(at, within)| (*within).min(counts.buckets[at.bucket]));
            let zeros = if bound >= 0.0 { counts.zeros } else { 0 };
            last = (below + part + zeros + outside_below).max(last);
            classic.push((bound, last));
        }
        classic
    }
}
