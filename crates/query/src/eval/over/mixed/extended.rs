//! `anchored` and `smoothed` ranges of histograms, and of both kinds of samples.

use std::sync::Arc;

use barograph_model::ResetHint;

use super::{Mixed, Part, changed, count_pairs, fell};
use crate::{
    eval::{
        column::{Cell, Shared},
        kernels::Over,
        notes::Made,
        over::extended,
    },
    native::{FloatHistogram, Incompatible},
    syntax::ast::Reading,
};

impl Mixed<'_> {
    pub(super) fn extended(&self, part: &Part<'_>) -> Cell {
        let smoothed = self.reading == Reading::Smoothed;
        let times: Vec<i64> = part.timeline().map(|sample| sample.at).collect();
        let first = times.partition_point(|&t| t <= part.after).saturating_sub(1);
        let last = if smoothed {
            times.partition_point(|&t| t < part.last).min(times.len() - 1)
        } else {
            times.len() - 1
        };
        if times[last] <= part.after || times[first] > part.last {
            return Cell::Absent;
        }
        let inside = || part.timeline().skip(first).take(last + 1 - first);
        match self.over {
            Over::Changes => return Cell::Float(count_pairs(inside(), |_, _| false, changed)),
            Over::Resets => return Cell::Float(count_pairs(inside(), |_, _| false, fell)),
            _ => {}
        }
        match (part.values.is_empty(), part.histograms.is_empty()) {
            (false, false) => {
                self.context.notes.mixed_types(self.name, self.spans.1);
                Cell::Absent
            }
            (false, true) => {
                let seconds = (part.last - part.after) as f64 / 1e3;
                extended::value(self.over, self.reading, &part.window(), seconds).into()
            }
            (true, _) => self.histograms(part, &part.histograms[first..=last], smoothed),
        }
    }

    /// The change over histograms of which the first and the last stand at or around the ends of the range.
    fn histograms(&self, part: &Part<'_>, points: &[(i64, Shared)], smoothed: bool) -> Cell {
        let notes = &self.context.notes;
        let counter = self.over != Over::Delta;
        let mut met = Met::default();
        let change = Change { part, points, smoothed, counter }.of(&mut met);
        if counter && points.iter().any(|pair| pair.1.hint() == ResetHint::Gauge) {
            notes.not_a_counter(self.name, self.spans.1);
        }
        if met.no_gauge {
            notes.not_a_gauge(self.name, self.spans.1);
        }
        if met.subtracted {
            notes.bounds_differed(Made::Subtraction, self.spans.1);
        }
        if met.added {
            notes.bounds_differed(Made::Addition, self.spans.1);
        }
        match change {
            Ok(mut change) => {
                if self.over == Over::Rate {
                    change.divide((part.last - part.after) as f64 / 1e3);
                }
                Cell::Histogram(Arc::new(change.with_hint(ResetHint::Gauge)))
            }
            Err(Incompatible) => {
                notes.mixed_buckets(self.name, self.spans.1);
                Cell::Absent
            }
        }
    }
}

/// What is to be said of a change.
#[derive(Default)]
struct Met {
    no_gauge: bool,
    /// Custom bounds differed when something was subtracted, and when it was added.
    subtracted: bool,
    added: bool,
}

/// A change over some histograms.
struct Change<'a> {
    part: &'a Part<'a>,
    points: &'a [(i64, Shared)],
    smoothed: bool,
    counter: bool,
}

impl Change<'_> {
    fn of(&self, met: &mut Met) -> Result<FloatHistogram, Incompatible> {
        let (points, last) = (self.points, self.points.len() - 1);
        if points.iter().any(|pair| pair.1.is_custom() != points[0].1.is_custom()) {
            return Err(Incompatible);
        }
        let left_moves = self.smoothed && points[0].0 < self.part.after && last > 0;
        let right_moves = self.smoothed && points[last].0 > self.part.last && last > 0;
        let copy = |i: usize| Ok(FloatHistogram::clone(&points[i].1));
        let left = if left_moves { self.between(0, self.part.after, met) } else { copy(0) }?;
        let right = if right_moves { self.between(last - 1, self.part.last, met) } else { copy(last) }?;
        let gauge = |histogram: &FloatHistogram| histogram.hint() == ResetHint::Gauge;
        met.no_gauge = !(self.counter || gauge(&left) && gauge(&right));
        let mut change = right.clone();
        met.subtracted |= change.subtract(&left)?.bounds_differed;
        if self.counter {
            let (mut first, mut before) = (1, &left);
            if left_moves && points[1].1.is_reset_after(&points[0].1) {
                // What is left of it began anew already.
                (first, before) = (2, &*points[1].1);
            }
            if first <= last {
                // The last one is what it is on the right.
                let inside = points[first..last].iter().map(|pair| &*pair.1);
                for point in inside.chain([&right]) {
                    if point.is_reset_after(before) {
                        met.added |= change.add(before)?.bounds_differed;
                    }
                    before = point;
                }
            }
        }
        Ok(change)
    }

    /// The histogram at a point between two.
    fn between(&self, i: usize, at: i64, met: &mut Met) -> Result<FloatHistogram, Incompatible> {
        let ((t0, h0), (t1, h1)) = (&self.points[i], &self.points[i + 1]);
        let share = (at - t0) as f64 / (t1 - t0) as f64;
        if self.counter && h1.is_reset_after(h0) {
            let mut grown = FloatHistogram::clone(h1);
            grown.scale(share);
            return Ok(grown);
        }
        let (histogram, differed) = h0.towards(h1, share)?;
        met.subtracted |= differed.bounds_differed;
        Ok(histogram)
    }
}
