//! Changes over a range of histograms or of samples with start times.
//!
//! Where it is known that the first sample counts since a time inside the range, the counter was zero then: nothing needs
//! to be extrapolated to the left.

use std::sync::Arc;

use barograph_model::{HistogramParts, ResetHint};

use super::{Mixed, Part, Value, starts_anew};
use crate::{
    eval::{
        column::{Cell, Shared},
        kernels::Over,
        notes::Made,
        over::Reach,
    },
    native::{FloatHistogram, Incompatible},
};

impl Mixed<'_> {
    /// `rate`, `increase` and `delta`.
    pub(super) fn rate(&self, part: &Part<'_>) -> Cell {
        let counter = self.over != Over::Delta;
        if !part.values.is_empty() && !part.histograms.is_empty() {
            self.context.notes.mixed_types(self.name, self.spans.1);
            return Cell::Absent;
        }
        let times: Vec<i64> = part.timeline().map(|sample| sample.at).collect();
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Cell::Absent };
        if counter {
            self.note_overlap(part, &times);
        }
        let start = part.samples.start(first);
        let zero_at = (counter && start > part.after && start < first && start != 0).then_some(start);
        if times.len() < 2 && zero_at.is_none() {
            return Cell::Absent;
        }
        let count = times.len() as f64;
        let reach = match zero_at {
            Some(start) => Reach::since(start, part.last, (first, last), count),
            None => Reach::of((part.after, part.last), (first, last), count),
        };
        let seconds = (part.last - part.after) as f64 / 1e3;
        let scale = if self.over == Over::Rate { 1.0 / seconds } else { 1.0 };
        if part.histograms.is_empty() {
            let change = float_change(part, counter, zero_at.is_some());
            let stretch =
                if counter { reach.stretch_of_counter(part.values[0], change) } else { reach.stretch() };
            let value = change * stretch;
            return Cell::Float(if self.over == Over::Rate { value / seconds } else { value });
        }
        let Some(mut change) = self.histogram_change(part, counter, zero_at.is_some()) else {
            return Cell::Absent;
        };
        let stretch = if counter {
            reach.stretch_of_counter(part.histograms[0].1.count(), change.count())
        } else {
            reach.stretch()
        };
        change.scale(stretch * scale);
        Cell::Histogram(Arc::new(change))
    }

    /// Warns of samples that count since before the sample before them, but not since what that does.
    fn note_overlap(&self, part: &Part<'_>, times: &[i64]) {
        if part.samples.starts.is_empty() {
            return;
        }
        let overlaps = |two: &[i64]| {
            let (before, start) = (part.samples.start(two[0]), part.samples.start(two[1]));
            start != 0 && start < two[0] && start != before
        };
        if times.windows(2).any(overlaps) {
            self.context.notes.overlapping_start(self.name, self.spans.1);
        }
    }

    /// By how much the last histogram is more than the first, resets made good.
    fn histogram_change(&self, part: &Part<'_>, counter: bool, from_zero: bool) -> Option<FloatHistogram> {
        let notes = &self.context.notes;
        let points = part.histograms;
        let (first, last) = (&points[0].1, &points[points.len() - 1].1);
        let gauges = points.iter().filter(|pair| pair.1.hint() == ResetHint::Gauge).count();
        if counter && gauges > 0 {
            notes.not_a_counter(self.name, self.spans.1);
        }
        match grown(part, (first, last), counter, from_zero) {
            Ok((change, subtracted, added)) => {
                if subtracted {
                    notes.bounds_differed(Made::Subtraction, self.spans.1);
                }
                if added {
                    notes.bounds_differed(Made::Addition, self.spans.1);
                }
                let both_gauges = first.hint() == ResetHint::Gauge && last.hint() == ResetHint::Gauge;
                if !counter && !both_gauges {
                    notes.not_a_gauge(self.name, self.spans.1);
                }
                // A single sample is its own change, and stays what it is.
                Some(if points.len() > 1 { change.with_hint(ResetHint::Gauge) } else { change })
            }
            Err(Incompatible) => {
                notes.mixed_buckets(self.name, self.spans.1);
                None
            }
        }
    }

    /// `irate` and `idelta`: the change between the last two samples.
    pub(super) fn instant_change(&self, part: &Part<'_>) -> Cell {
        let rate = self.over == Over::Irate;
        let notes = &self.context.notes;
        let samples: Vec<_> = part.timeline().collect();
        let [.., before, last] = samples.as_slice() else { return Cell::Absent };
        let seconds = (last.at - before.at) as f64 / 1e3;
        if seconds == 0.0 {
            return Cell::Absent;
        }
        let anew = rate && starts_anew(part, before.at, last.at);
        match (before.value, last.value) {
            (Value::Float(a), Value::Float(b)) => {
                let change = if rate && (anew || b < a) { b } else { b - a };
                Cell::Float(if rate { change / seconds } else { change })
            }
            (Value::Histogram(a), Value::Histogram(b)) => {
                let gauges = [a, b].map(|histogram| histogram.hint() == ResetHint::Gauge);
                match (rate, gauges) {
                    (true, [true, _] | [_, true]) => notes.not_a_counter(self.name, self.spans.1),
                    (false, [false, _] | [_, false]) => notes.not_a_gauge(self.name, self.spans.1),
                    _ => {}
                }
                let mut change = FloatHistogram::clone(b);
                if !(rate && (anew || b.is_reset_after(a))) {
                    match change.subtract(a) {
                        Ok(met) if met.bounds_differed => {
                            notes.bounds_differed(Made::Subtraction, self.spans.1);
                        }
                        Ok(_) => {}
                        Err(Incompatible) => {
                            notes.mixed_buckets(self.name, self.spans.1);
                            return Cell::Absent;
                        }
                    }
                }
                if rate {
                    change.divide(seconds);
                }
                Cell::Histogram(Arc::new(change.with_hint(ResetHint::Gauge)))
            }
            _ => {
                notes.mixed_types(self.name, self.spans.1);
                Cell::Absent
            }
        }
    }
}

fn float_change(part: &Part<'_>, counter: bool, from_zero: bool) -> f64 {
    let values = part.values;
    let mut change = values[values.len() - 1] - if from_zero { 0.0 } else { values[0] };
    if counter {
        for (i, two) in values.windows(2).enumerate() {
            if two[1] < two[0] || starts_anew(part, part.times[i], part.times[i + 1]) {
                change += two[0];
            }
        }
    }
    change
}

/// The change, and whether custom bounds differed when the first was subtracted, and when what was lost in resets was
/// added.
fn grown(
    part: &Part<'_>,
    (first, last): (&Shared, &Shared),
    counter: bool,
    from_zero: bool,
) -> Result<(FloatHistogram, bool, bool), Incompatible> {
    let points = part.histograms;
    let anew = |i: usize, before: &FloatHistogram| {
        starts_anew(part, points[i - 1].0, points[i].0) || points[i].1.is_reset_after(before)
    };
    // How the first one is laid out does not matter if nothing of it is in the others.
    let mut before: FloatHistogram = FloatHistogram::clone(first);
    if from_zero {
        before = empty_as(first);
    } else if counter && points.len() > 1 && anew(1, first) {
        before = empty_as(&points[1].1);
    }
    if last.is_custom() != before.is_custom() {
        return Err(Incompatible);
    }
    let mut change = FloatHistogram::clone(last);
    if counter {
        let between = &points[points.len().min(1)..points.len().saturating_sub(1).max(1)];
        for (_, middle) in between {
            if middle.is_custom() != before.is_custom() {
                return Err(Incompatible);
            }
            // Everything is as coarse as the coarsest in between.
            change.reduce_to(middle.schema());
        }
    }
    let subtracted = change.subtract(&before)?.bounds_differed;
    let mut added = false;
    if counter {
        let mut before = if from_zero { FloatHistogram::clone(first) } else { before };
        for (i, (_, point)) in points.iter().enumerate().skip(1) {
            if anew(i, &before) {
                added |= change.add(&before)?.bounds_differed;
            }
            before = FloatHistogram::clone(point);
        }
    }
    Ok((change, subtracted, added))
}

/// One with the same buckets, all empty.
fn empty_as(histogram: &FloatHistogram) -> FloatHistogram {
    FloatHistogram::of_parts(HistogramParts {
        schema: histogram.schema(),
        bounds: histogram.bounds().to_vec(),
        ..HistogramParts::default()
    })
}
