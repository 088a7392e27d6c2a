//! The windows of one series in memory.

use std::ops::Range;

use barograph_model::{Parts, Rollup, Rollups, Tier, is_stale};

use super::{SAMPLES_MAX, Times, WINDOWS_MAX, columns::Columns, sketches::Counting, summary::Summary};
use crate::NUMBERS_MAX;

/// Windows of one series, ascending. To be used again and again: what is cleared keeps its memory.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    pub(super) times: Times,
    /// Which of them end with the end of the series, ascending.
    pub(super) ended: Vec<u32>,
    pub(super) form: Form,
    /// In the form of samples: the values of all windows, one after the other.
    pub(super) samples: Vec<f64>,
    /// In the form of columns.
    pub(super) columns: Columns,
}

/// What is kept of windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Samples,
    Columns,
}

/// What [`Windows::roll`] needs while it works.
#[derive(Debug, Default)]
pub struct Scratch {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    markers: Vec<i64>,
}

impl Windows {
    /// How many windows there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Where they lie.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// Forgets all windows.
    pub fn clear(&mut self) {
        self.times.clear();
        self.ended.clear();
        self.form = Form::Samples;
        self.samples.clear();
        self.columns.clear();
    }

    /// Makes the windows of a tier above raw of the samples of a series, in place of what is there.
    pub fn roll(&mut self, tier: Tier, timestamps: &[i64], values: &[f64], scratch: &mut Scratch) {
        self.clear();
        let (timestamps, values) = if values.iter().any(|value| is_stale(*value)) {
            scratch.take_markers(timestamps, values);
            (&*scratch.timestamps, &*scratch.values)
        } else {
            scratch.markers.clear();
            (timestamps, values)
        };
        let mut from = 0;
        let mut most = 0;
        while from < timestamps.len() {
            let start = tier.window_of(timestamps[from]);
            let end = start.saturating_add(tier.width());
            let within = timestamps[from..].iter().take_while(|&&at| at < end).count().max(1);
            let count = u32::try_from(within).expect("a window has fewer than 2^32 milliseconds");
            self.times.push(start, count, timestamps[from], timestamps[from + within - 1]);
            most = most.max(count);
            from += within;
        }
        if most <= SAMPLES_MAX {
            self.samples.extend_from_slice(values);
        } else {
            self.form = Form::Columns;
            let mut rest = values;
            for &count in &self.times.counts {
                let (own, after) = rest.split_at(count as usize);
                rest = after;
                push_values(&mut self.columns, own);
            }
        }
        self.mark_ended(tier, &scratch.markers);
    }

    fn mark_ended(&mut self, tier: Tier, markers: &[i64]) {
        for &at in markers {
            let Ok(window) = self.times.starts.binary_search(&tier.window_of(at)) else { continue };
            let last = self.times.starts[window].saturating_add(i64::from(self.times.lasts[window]));
            let window = u32::try_from(window).expect("windows are few");
            if last < at && self.ended.last() != Some(&window) {
                self.ended.push(window);
            }
        }
    }

    /// Adds a window that is later than all there are. It has a sketch.
    ///
    /// # Panics
    /// If it has none, or its samples lie outside of it or are more than 2^32.
    pub fn push(&mut self, rollup: &Rollup) {
        self.sum_up();
        if rollup.ended {
            self.ended.push(u32::try_from(self.len()).expect("windows are few"));
        }
        let count = u32::try_from(rollup.count).expect("a window has fewer than 2^32 milliseconds");
        self.times.push(rollup.start, count, rollup.first_at, rollup.last_at);
        self.columns.push(rollup);
    }

    /// Lets go of the sketches of windows that have one of their own. Windows of few samples keep these, and those of
    /// one value follow from it.
    pub fn forget_sketches(&mut self) {
        if self.form == Form::Columns {
            self.columns.forget_sketches(&self.times.counts);
        }
    }

    /// Adds windows of another, which are later than all there are and were read with their sketches.
    pub fn append(&mut self, other: &Self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        if self.is_empty() {
            self.form = other.form;
        }
        if other.form == Form::Columns {
            self.sum_up();
        }
        let before = self.len();
        let moved = other.ended.iter().map(|&window| window as usize).filter(|window| range.contains(window));
        let moved =
            moved.map(|window| u32::try_from(window - range.start + before).expect("windows are few"));
        self.ended.extend(moved);
        self.times.append(&other.times, range.clone());
        match (self.form, other.form) {
            (Form::Samples, _) => self.samples.extend_from_slice(&other.samples[other.values_of(&range)]),
            (Form::Columns, Form::Columns) => self.columns.append(&other.columns, range),
            (Form::Columns, Form::Samples) => {
                for window in other.each_of_samples(range) {
                    push_values(&mut self.columns, window);
                }
            }
        }
    }

    /// Keeps only what the values of each window sum up to.
    fn sum_up(&mut self) {
        if self.form == Form::Columns {
            return;
        }
        self.form = Form::Columns;
        let mut columns = std::mem::take(&mut self.columns);
        self.each_of_samples(0..self.len()).for_each(|window| push_values(&mut columns, window));
        self.columns = columns;
        self.samples.clear();
    }

    /// Where the values of windows lie among the samples.
    pub(super) fn values_of(&self, range: &Range<usize>) -> Range<usize> {
        let count = |counts: &[u32]| counts.iter().map(|&count| count as usize).sum::<usize>();
        let start = count(&self.times.counts[..range.start]);
        start..start + count(&self.times.counts[range.clone()])
    }

    /// The values of each window, in the form of samples.
    fn each_of_samples(&self, range: Range<usize>) -> impl Iterator<Item = &[f64]> {
        let mut rest = &self.samples[self.values_of(&range)];
        self.times.counts[range].iter().map(move |&count| {
            let (own, after) = rest.split_at(count as usize);
            rest = after;
            own
        })
    }

    /// Adds windows to those of a reader: of each the parts, which were read.
    pub fn append_to(&self, range: Range<usize>, parts: Parts, out: &mut Rollups) {
        let before = out.len();
        out.starts.extend_from_slice(&self.times.starts[range.clone()]);
        out.counts.extend_from_slice(&self.times.counts[range.clone()]);
        out.first_after.extend_from_slice(&self.times.firsts[range.clone()]);
        out.last_after.extend_from_slice(&self.times.lasts[range.clone()]);
        self.append_parts(range.clone(), parts, out);
        let ended = self.ended.iter().map(|&window| window as usize).filter(|window| range.contains(window));
        let moved = ended.map(|window| u32::try_from(window - range.start + before).unwrap_or(u32::MAX));
        out.ended.extend(moved);
    }

    /// As [`Windows::append_to`], without where the windows lie and which of them end.
    fn append_parts(&self, range: Range<usize>, parts: Parts, out: &mut Rollups) {
        if self.form == Form::Columns {
            self.columns.append_to(range, parts, out);
            return;
        }
        if parts.has_any(Parts::MOMENTS) {
            for values in self.each_of_samples(range.clone()) {
                let summary = Summary::of(values);
                parts.moments().for_each(|moment| out.column_mut(moment).push(summary.moment(moment)));
            }
        }
        if parts.has(Parts::SKETCH) {
            let mut counting = Counting::default();
            self.each_of_samples(range).for_each(|values| counting.push_values(values, &mut out.sketches));
        }
    }

    /// Some windows by themselves, with their sketches; all of them was read.
    pub fn list(&self, range: Range<usize>, out: &mut Vec<Rollup>) {
        let mut rollups = Rollups::default();
        self.append_to(range, Parts::ALL, &mut rollups);
        out.extend(rollups.list(0..rollups.len()));
    }

    /// The windows in parts that each fit a page.
    pub fn pages(&self) -> impl Iterator<Item = Range<usize>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let start = from;
            from = self.page_end(start);
            (start < from).then_some(start..from)
        })
    }

    fn page_end(&self, start: usize) -> usize {
        let most = self.len().min(start + WINDOWS_MAX);
        let sketches = &self.columns.sketches;
        if self.form == Form::Samples || sketches.shapes.is_empty() {
            return most;
        }
        let buckets = sketches.start(start) + NUMBERS_MAX;
        let fits = sketches.shapes[start..most].partition_point(|shape| shape.end <= buckets);
        start + fits
    }
}

/// Adds the window of some values.
fn push_values(columns: &mut Columns, values: &[f64]) {
    let first = values[0];
    let same = |value: &f64| value.to_bits() == first.to_bits();
    match u32::try_from(values.len()) {
        Ok(count) if first.is_finite() && values.iter().all(same) => columns.push_constant(first, count),
        _ => columns.push_values(values),
    }
}

impl Scratch {
    /// Puts samples apart from markers.
    fn take_markers(&mut self, timestamps: &[i64], values: &[f64]) {
        self.timestamps.clear();
        self.values.clear();
        self.markers.clear();
        for (&at, &value) in timestamps.iter().zip(values) {
            if is_stale(value) {
                self.markers.push(at);
            } else {
                self.timestamps.push(at);
                self.values.push(value);
            }
        }
    }
}
