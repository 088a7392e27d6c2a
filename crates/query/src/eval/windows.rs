//! The ranges a function looks at, one a step, slid over the samples of a series.
//!
//! Which samples lie in which range hangs on their timestamps alone, and series that were scraped together share those.
//! So it is found once for all of them.

use std::ops::Range;

use super::{
    Error,
    column::{ABSENT, Shared},
    context::{Context, Reference},
    grid::Grid,
};

/// Samples of one series, in time order.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples {
    /// Of the floats.
    pub(super) timestamps: Vec<i64>,
    pub(super) values: Vec<f64>,
    /// The histograms with their timestamps.
    pub(super) histograms: Vec<(i64, Shared)>,
    /// Timestamps of samples, and since when each of those counts, where that is known.
    pub(super) starts: Vec<(i64, i64)>,
}

impl Samples {
    pub(super) fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.starts.clear();
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.timestamps.is_empty() && self.histograms.is_empty()
    }

    /// Whether there are floats and nothing else.
    pub(super) fn is_plain(&self) -> bool {
        self.histograms.is_empty() && self.starts.is_empty()
    }

    /// Since when a sample counts; zero if that is not known.
    pub(super) fn start(&self, at: i64) -> i64 {
        self.starts.binary_search_by_key(&at, |start| start.0).map_or(0, |i| self.starts[i].1)
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
#[derive(Clone, Debug)]
pub(super) struct Windows {
    grid: Grid,
    reference: Reference,
    /// The timestamps of the series at hand, and the samples of it that each range holds.
    timestamps: Vec<i64>,
    places: Vec<Range<usize>>,
    /// How often timestamps differed from those of the series before.
    placings: u64,
    /// How long each range is, in milliseconds.
    pub(super) range: i64,
    /// How much farther samples are read before and after each range.
    pub(super) before: i64,
    pub(super) after: i64,
}

impl Windows {
    pub(super) fn new(grid: Grid, reference: Reference, range: i64) -> Self {
        let (timestamps, places) = (Vec::new(), Vec::new());
        Self { grid, reference, timestamps, places, placings: 0, range, before: 0, after: 0 }
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

    /// Lays the ranges over the samples of a series; all below is about that series then.
    pub(super) fn place(&mut self, timestamps: &[i64]) {
        if self.timestamps == timestamps && self.placings > 0 {
            return;
        }
        self.placings += 1;
        self.timestamps.clear();
        self.timestamps.extend_from_slice(timestamps);
        self.places.clear();
        let (mut first, mut end) = (0, 0);
        for step in 0..self.width() {
            let last = self.last(step);
            let after = last.saturating_sub(self.range);
            while end < timestamps.len() && timestamps[end] <= last.saturating_add(self.after) {
                end += 1;
            }
            while first < end && timestamps[first] <= after.saturating_sub(self.before) {
                first += 1;
            }
            self.places.push(first..end);
        }
    }

    /// A number that stays the same from series to series as long as the places do.
    pub(super) fn placings(&self) -> u64 {
        self.placings
    }

    /// The range of a step, if it has samples.
    pub(super) fn window<'a>(&'a self, step: usize, values: &'a [f64]) -> Option<Window<'a>> {
        let Range { start: first, end } = self.places[step];
        let last = self.last(step);
        (first < end).then(|| Window {
            step,
            after: last.saturating_sub(self.range),
            last,
            first,
            end,
            timestamps: &self.timestamps[first..end],
            values: &values[first..end],
        })
    }

    /// Computes one value a range. `compute` sees the samples of the range (and of what is read around it) and
    /// their indices only grow. Stops if the query was cancelled.
    pub(super) fn slide(
        &self,
        context: &Context<'_>,
        samples: &Samples,
        mut compute: impl FnMut(&Window<'_>) -> f64,
    ) -> Result<Vec<f64>, Error> {
        debug_assert_eq!(self.timestamps, samples.timestamps, "the windows were placed on this series");
        let mut values = vec![ABSENT; self.width()];
        let mut seen = 0;
        for (step, value) in values.iter_mut().enumerate() {
            let Some(window) = self.window(step, &samples.values) else { continue };
            seen += window.len();
            if seen > CHECK_AFTER {
                context.check()?;
                seen = 0;
            }
            *value = compute(&window);
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
