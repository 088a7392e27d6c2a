//! Functions over ranges that hold histograms, or samples of which it is known since when they count.
//!
//! Floats and histograms of a range lie side by side. Most functions look at one kind and say so where they pass over the
//! other; where neither can stand for the range, there is no result.

mod extended;
mod rates;

use std::sync::Arc;

use super::{Parameters, anew};
use crate::{
    eval::{
        Error,
        column::{Cell, Shared, at},
        context::Context,
        grid::Grid,
        kernels::Over,
        notes::Made,
        windows::{Samples, Window, Windows},
    },
    native::{self, FloatHistogram},
    syntax::{Span, ast::Reading},
};
use barograph_model::{ResetHint, Timestamp};

/// A function with what it needs to know of one series.
pub(super) struct Mixed<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) grid: Grid,
    pub(super) over: Over,
    pub(super) reading: Reading,
    pub(super) parameters: &'a Parameters,
    pub(super) name: Option<&'a str>,
    /// Where the first argument stands, and where the range does.
    pub(super) spans: (Span, Span),
}

/// What is in one range, or read around it.
#[derive(Clone, Copy)]
struct Part<'a> {
    step: usize,
    /// The point before the range, and its last one.
    after: i64,
    last: i64,
    times: &'a [i64],
    values: &'a [f64],
    histograms: &'a [(i64, Shared)],
    samples: &'a Samples,
}

/// The histograms in `(after, last]`.
pub(super) fn within(histograms: &[(i64, Shared)], (after, last): (i64, i64)) -> &[(i64, Shared)] {
    let first = histograms.partition_point(|pair| pair.0 <= after);
    let end = histograms.partition_point(|pair| pair.0 <= last);
    &histograms[first.min(end)..end]
}

/// A histogram that knows nothing of resets: what it knew was about a sample that may not be before it now.
pub(in crate::eval) fn forgetful(histogram: &Shared) -> Shared {
    match histogram.hint() {
        ResetHint::Unknown | ResetHint::Gauge => histogram.clone(),
        ResetHint::Yes | ResetHint::No => {
            Arc::new(FloatHistogram::clone(histogram).with_hint(ResetHint::Unknown))
        }
    }
}

impl Mixed<'_> {
    /// One value a step; one for all if neither the range nor a parameter moves.
    pub(super) fn apply(
        &self,
        samples: &Samples,
        windows: &Windows,
        moves: bool,
    ) -> Result<Vec<Cell>, Error> {
        let width = if moves { self.grid.len } else { windows.width() };
        self.context.budget.hold(width)?;
        let mut cells = Vec::with_capacity(width);
        for step in 0..width {
            self.context.check()?;
            let last = windows.last(step);
            let after = last.saturating_sub(windows.range);
            let read = (after.saturating_sub(windows.before), last.saturating_add(windows.after));
            let first = samples.timestamps.partition_point(|&t| t <= read.0);
            let end = samples.timestamps.partition_point(|&t| t <= read.1).max(first);
            let part = Part {
                step,
                after,
                last,
                times: &samples.timestamps[first..end],
                values: &samples.values[first..end],
                histograms: within(&samples.histograms, read),
                samples,
            };
            cells.push(if part.is_empty() { Cell::Absent } else { self.cell(&part) });
        }
        Ok(cells)
    }

    fn cell(&self, part: &Part<'_>) -> Cell {
        if self.reading != Reading::Plain {
            return self.extended(part);
        }
        let float = |value: f64| Cell::Float(value);
        match self.over {
            Over::Count => float((part.values.len() + part.histograms.len()) as f64),
            Over::Present => float(1.0),
            Over::First => part.timeline().next().map_or(Cell::Absent, Sample::cell),
            Over::Last => part.timeline().last().map_or(Cell::Absent, Sample::cell),
            Over::TsOfFirst => {
                let first = [part.times.first(), part.histograms.first().map(|pair| &pair.0)];
                first.into_iter().flatten().min().map_or(Cell::Absent, |at| float(Timestamp(*at).seconds()))
            }
            Over::TsOfLast => {
                let last = [part.times.last(), part.histograms.last().map(|pair| &pair.0)];
                last.into_iter().flatten().max().map_or(Cell::Absent, |at| float(Timestamp(*at).seconds()))
            }
            Over::Changes => float(count_pairs(part.timeline(), |_, _| false, changed)),
            Over::Resets => float(count_pairs(part.timeline(), |a, b| starts_anew(part, a.at, b.at), fell)),
            Over::Rate | Over::Increase | Over::Delta => self.rate(part),
            Over::Irate | Over::Idelta => self.instant_change(part),
            Over::Sum | Over::Avg => self.aggregate(part),
            Over::Deriv | Over::PredictLinear | Over::Smooth => {
                self.note_ignored(part);
                if part.values.len() < 2 { Cell::Absent } else { self.of_floats(part) }
            }
            _ => {
                self.note_ignored(part);
                if part.values.is_empty() { Cell::Absent } else { self.of_floats(part) }
            }
        }
    }

    fn note_ignored(&self, part: &Part<'_>) {
        if !part.values.is_empty() && !part.histograms.is_empty() {
            self.context.notes.ignored_in_range(self.name, self.spans.0);
        }
    }

    fn of_floats(&self, part: &Part<'_>) -> Cell {
        let parameter = |i: usize, step: usize| at(&self.parameters[i].0, step);
        anew(&part.window(), self.over, self.grid, &parameter).into()
    }

    /// The sum or the mean.
    fn aggregate(&self, part: &Part<'_>) -> Cell {
        let notes = &self.context.notes;
        let Some((first, rest)) = part.histograms.split_first() else { return self.of_floats(part) };
        if !part.values.is_empty() {
            notes.mixed_types(self.name, self.spans.1);
            return Cell::Absent;
        }
        let result = if self.over == Over::Sum {
            let mut total = native::Total::of(&first.1);
            let added = rest.iter().try_for_each(|pair| total.add(&pair.1));
            added.map(|()| (total.seen, total.total()))
        } else {
            let mut mean = native::Mean::of(&first.1);
            let added = rest.iter().try_for_each(|pair| mean.add(&pair.1));
            added.map(|()| (mean.seen(), mean.mean()))
        };
        let Ok((seen, histogram)) = result else {
            notes.mixed_buckets(self.name, self.spans.1);
            return Cell::Absent;
        };
        if seen.hints_conflict() {
            notes.hints_conflict(Made::Aggregation, self.spans.1);
        }
        if seen.bounds_differed {
            notes.bounds_differed(Made::Aggregation, self.spans.1);
        }
        Cell::Histogram(Arc::new(histogram))
    }
}

/// A sample of either kind.
#[derive(Clone, Copy)]
struct Sample<'a> {
    at: i64,
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a Shared),
}

impl Sample<'_> {
    fn cell(self) -> Cell {
        match self.value {
            Value::Float(value) => Cell::Float(value),
            Value::Histogram(histogram) => Cell::Histogram(histogram.clone()),
        }
    }
}

impl<'a> Part<'a> {
    fn is_empty(&self) -> bool {
        self.times.is_empty() && self.histograms.is_empty()
    }

    fn window(&self) -> Window<'a> {
        Window {
            step: self.step,
            after: self.after,
            last: self.last,
            first: 0,
            end: self.values.len(),
            timestamps: self.times,
            values: self.values,
        }
    }

    /// All samples in time order.
    fn timeline(&self) -> impl Iterator<Item = Sample<'a>> + use<'a> {
        let (times, values, histograms) = (self.times, self.values, self.histograms);
        let (mut float, mut histogram) = (0, 0);
        std::iter::from_fn(move || match (times.get(float), histograms.get(histogram)) {
            (Some(&at), next) if next.is_none_or(|next| at < next.0) => {
                float += 1;
                Some(Sample { at, value: Value::Float(values[float - 1]) })
            }
            (_, Some((at, value))) => {
                histogram += 1;
                Some(Sample { at: *at, value: Value::Histogram(value) })
            }
            _ => None,
        })
    }
}

/// How many neighbouring samples relate; samples of different kinds always do.
fn count_pairs<'a>(
    mut samples: impl Iterator<Item = Sample<'a>>,
    also: impl Fn(&Sample<'a>, &Sample<'a>) -> bool,
    relate: fn(Value<'a>, Value<'a>) -> bool,
) -> f64 {
    let Some(mut before) = samples.next() else { return 0.0 };
    let mut count = 0u32;
    for sample in samples {
        count += u32::from(also(&before, &sample) || relate(before.value, sample.value));
        before = sample;
    }
    f64::from(count)
}

fn changed(before: Value<'_>, after: Value<'_>) -> bool {
    match (before, after) {
        (Value::Float(a), Value::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Value::Histogram(a), Value::Histogram(b)) => a != b,
        _ => true,
    }
}

fn fell(before: Value<'_>, after: Value<'_>) -> bool {
    match (before, after) {
        (Value::Float(a), Value::Float(b)) => b < a,
        (Value::Histogram(a), Value::Histogram(b)) => b.is_reset_after(a),
        _ => true,
    }
}

/// Whether a counter began anew between two samples, by the times since which they count.
///
/// One that counts since exactly the sample before is a difference to it, unless of that sample it is not known since when
/// it counts. A sample cannot count since itself or later.
fn starts_anew(part: &Part<'_>, before: i64, at: i64) -> bool {
    let (start_before, start) = (part.samples.start(before), part.samples.start(at));
    if start == 0 || start >= at || start < before {
        return false;
    }
    start > before || (start_before != 0 && start_before < before)
}
