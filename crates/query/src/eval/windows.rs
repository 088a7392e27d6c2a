//! The ranges a function looks at, one a step, slid over the samples of a series.

use super::{
    Error,
    column::ABSENT,
    context::{Context, Reference},
    grid::Grid,
};

/// Samples of one series, in time order.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    pub(super) timestamps: Vec<i64>,
    pub(super) values: Vec<f64>,
}

impl Samples {
    pub(super) fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
    }

    pub(super) fn push(&mut self, at: i64, value: f64) {
        self.timestamps.push(at);
        self.values.push(value);
    }

    pub(super) fn len(&self) -> usize {
        self.timestamps.len()
    }
}

/// The ranges `(after, last]` of a range selector or subquery, both ends growing with the step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    grid: Grid,
    reference: Reference,
    /// How long each range is, in milliseconds.
    pub(super) range: i64,
    /// How much farther samples are read before and after each range.
    pub(super) before: i64,
    pub(super) after: i64,
}

impl Windows {
    pub(super) fn new(grid: Grid, reference: Reference, range: i64) -> Self {
        Self { grid, reference, range, before: 0, after: 0 }
    }

    /// How many ranges there are: one for all steps if it does not move.
    pub(super) fn width(&self) -> usize {
        if self.reference.at.is_some() { 1 } else { self.grid.len }
    }

    /// The last point of the range of a step.
    pub(super) fn last(&self, step: usize) -> i64 {
        self.reference.at.unwrap_or_else(|| self.grid.at(step)).saturating_sub(self.reference.offset)
    }

    /// The point before all that is read.
    pub(super) fn read_after(&self) -> i64 {
        self.last(0).saturating_sub(self.range).saturating_sub(self.before)
    }

    /// The last point that is read.
    pub(super) fn read_last(&self) -> i64 {
        self.last(self.width() - 1).saturating_add(self.after)
    }

    /// Computes one value a range. `compute` sees the samples of the range (and of what is read around it) and
    /// their indices only grow. Stops if the query was cancelled.
    pub(super) fn slide(
        &self,
        context: &Context<'_>,
        samples: &Samples,
        mut compute: impl FnMut(&Window<'_>) -> f64,
    ) -> Result<Vec<f64>, Error> {
        let mut values = vec![ABSENT; self.width()];
        let mut seen = 0;
        let timestamps = &samples.timestamps;
        let (mut first, mut end) = (0, 0);
        for (step, value) in values.iter_mut().enumerate() {
            let last = self.last(step);
            let after = last.saturating_sub(self.range);
            while end < timestamps.len() && timestamps[end] <= last.saturating_add(self.after) {
                end += 1;
            }
            while first < end && timestamps[first] <= after.saturating_sub(self.before) {
                first += 1;
            }
            seen += end - first;
            if seen > CHECK_AFTER {
                context.check()?;
                seen = 0;
            }
            if first < end {
                *value = compute(&Window {
                    step,
                    after,
                    last,
                    first,
                    end,
                    timestamps: &timestamps[first..end],
                    values: &samples.values[first..end],
                });
            }
        }
        Ok(values)
    }
}

/// After how many samples, those of overlapping ranges counted again, a cancelled query is noticed.
const CHECK_AFTER: usize = 1 << 20;

/// The samples in one range, at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    /// Of which step it is.
    pub(super) step: usize,
    /// The point before the range.
    pub(super) after: i64,
    /// The last point of the range.
    pub(super) last: i64,
    /// The index of the first sample among all of the series.
    pub(super) first: usize,
    /// The index after the last.
    pub(super) end: usize,
    pub(super) timestamps: &'a [i64],
    pub(super) values: &'a [f64],
}

impl Window<'_> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}
