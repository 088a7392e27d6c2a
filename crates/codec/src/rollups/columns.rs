//! Windows that are kept as what they sum up to: a column for each thing.

use std::ops::Range;

use barograph_model::{Moment, Parts, Rollup, Rollups, Sketch, Sketches, is_stale};

use super::{
    sketches::Counting,
    summary::{Summary, pack_m2, unpack_m2},
};

/// One entry a window in each, or none where a column was not read; `lost` is that of [`Summary`].
#[derive(Clone, Debug, Default)]
pub(super) struct Columns {
    pub(super) first: Vec<f64>,
    pub(super) last: Vec<f64>,
    pub(super) min: Vec<f64>,
    pub(super) max: Vec<f64>,
    pub(super) sum: Vec<f64>,
    pub(super) lost: Vec<f64>,
    /// Packed.
    pub(super) m2: Vec<u32>,
    /// Empty if they were not read.
    pub(super) sketches: Sketches,
    /// Reused.
    counting: Counting,
}

impl Columns {
    pub(super) fn clear(&mut self) {
        let Self { first, last, min, max, sum, lost, m2, sketches, counting: _ } = self;
        [first, last, min, max, sum, lost].into_iter().for_each(Vec::clear);
        m2.clear();
        sketches.clear();
    }

    fn push_summary(&mut self, summary: &Summary) {
        self.first.push(summary.first);
        self.last.push(summary.last);
        self.min.push(summary.min);
        self.max.push(summary.max);
        self.sum.push(summary.sum);
        self.lost.push(summary.lost);
        self.m2.push(pack_m2(summary.m2));
    }

    /// Adds the window of some values.
    pub(super) fn push_values(&mut self, values: &[f64]) {
        debug_assert!(!values.iter().any(|value| is_stale(*value)), "a staleness marker is no sample");
        let summary = Summary::of(values);
        self.push_summary(&summary);
        // What never falls lost nothing, and nothing finite sums up to what is not.
        if summary.lost == 0.0 && summary.first > 0.0 && summary.sum.is_finite() {
            self.counting.push_rising(values, &mut self.sketches);
        } else {
            self.counting.push_values(values, &mut self.sketches);
        }
    }

    /// Adds a window of which all values are the same, and finite.
    pub(super) fn push_constant(&mut self, value: f64, count: u32) {
        self.push_summary(&Summary::constant(value, count));
        self.sketches.push_constant(value, count);
    }

    /// Adds a window; it has a sketch.
    pub(super) fn push(&mut self, rollup: &Rollup) {
        let Rollup { first, last, min, max, sum, m2, .. } = *rollup;
        let lost = rollup.increase - (last - first);
        // What is lost in rounding is no reset.
        let lost = if lost.abs() <= 1e-12 * (last.abs() + first.abs()) { 0.0 } else { lost };
        self.push_summary(&Summary { first, last, min, max, sum, lost, m2 });
        self.sketches.push(rollup.sketch.as_ref().expect("what is kept has a sketch"));
    }

    /// Adds windows of others.
    pub(super) fn append(&mut self, other: &Self, range: Range<usize>) {
        self.first.extend_from_slice(&other.first[range.clone()]);
        self.last.extend_from_slice(&other.last[range.clone()]);
        self.min.extend_from_slice(&other.min[range.clone()]);
        self.max.extend_from_slice(&other.max[range.clone()]);
        self.sum.extend_from_slice(&other.sum[range.clone()]);
        self.lost.extend_from_slice(&other.lost[range.clone()]);
        self.m2.extend_from_slice(&other.m2[range.clone()]);
        self.sketches.append(&other.sketches, range);
    }

    /// Adds parts of some windows to those of a reader.
    pub(super) fn append_to(&self, range: Range<usize>, parts: Parts, out: &mut Rollups) {
        for moment in parts.moments() {
            let column = match moment {
                Moment::First => &self.first,
                Moment::Last => &self.last,
                Moment::Min => &self.min,
                Moment::Max => &self.max,
                Moment::Sum => &self.sum,
                Moment::M2 => {
                    let packed = self.m2[range.clone()].iter();
                    out.column_mut(moment).extend(packed.map(|packed| unpack_m2(*packed)));
                    continue;
                }
                Moment::Increase => {
                    let (first, last, lost) = (&self.first, &self.last, &self.lost);
                    let grown = range.clone().map(|window| last[window] - first[window] + lost[window]);
                    out.column_mut(moment).extend(grown);
                    continue;
                }
            };
            out.column_mut(moment).extend_from_slice(&column[range.clone()]);
        }
        if parts.has(Parts::SKETCH) {
            out.sketches.append(&self.sketches, range);
        }
    }

    /// Leaves the sketch of each window empty that is not constant.
    pub(super) fn forget_sketches(&mut self, counts: &[u32]) {
        let mut left = Sketches::default();
        for (window, &count) in counts.iter().enumerate() {
            match self.is_constant(window, count) {
                true => left.push_constant(self.first[window], count),
                false => left.push(&Sketch::new()),
            }
        }
        self.sketches = left;
    }

    /// Whether a window of so many samples follows from its first value alone.
    pub(super) fn is_constant(&self, window: usize, count: u32) -> bool {
        let first = self.first[window];
        let same = |value: f64, expected: f64| value.to_bits() == expected.to_bits();
        let values = [self.last[window], self.min[window], self.max[window]];
        let sketches = &self.sketches;
        let (start, shape) = (sketches.start(window), sketches.shapes[window]);
        first.is_finite()
            && values.into_iter().all(|value| same(value, first))
            && same(self.sum[window], first * f64::from(count))
            && same(self.lost[window], 0.0)
            && self.m2[window] == 0
            && match first == 0.0 {
                true => shape.end == start && shape.zeros == count,
                false => {
                    sketches.counts[start..shape.end] == [count] && shape.scale == barograph_model::SCALE
                }
            }
    }
}
