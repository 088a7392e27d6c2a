//! `anchored` and `smoothed` ranges of histograms, and of both kinds of samples.

use std::sync::Arc;

use barograph_model::ResetHint;

use super::{Mixed, Part, Value, between, changed, count_pairs, fell};
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
        let floats = inside().filter(|sample| matches!(sample.value, Value::Float(_))).count();
        if floats == last + 1 - first {
            let seconds = (part.last - part.after) as f64 / 1e3;
            return extended::value(self.over, self.reading, &part.window(), seconds).into();
        }
        if floats > 0 {
            self.context.notes.mixed_types(self.name, self.spans.1);
            return Cell::Absent;
        }
        let (from, to) = (times[first], times[last]);
        let start = part.histograms.partition_point(|pair| pair.0 < from);
        let end = part.histograms.partition_point(|pair| pair.0 <= to);
        self.histograms(part, &part.histograms[start..end], smoothed)
    }

    /// The change over histograms of which the first and the last stand at or around the ends of the range.
    fn histograms(&self, part: &Part<'_>, points: &[(i64, Shared)], smoothed: bool) -> Cell {
        let notes = &self.context.notes;
        let counter = self.over != Over::Delta;
        let gauges = points.iter().filter(|pair| pair.1.hint() == ResetHint::Gauge).count();
        if counter && gauges > 0 {
            notes.not_a_counter(self.name, self.spans.1);
        }
        if !counter && gauges < points.len() {
            notes.not_a_gauge(self.name, self.spans.1);
        }
        match change(part, points, smoothed, counter) {
            Ok((mut change, subtracted, added)) => {
                if subtracted {
                    notes.bounds_differed(Made::Subtraction, self.spans.1);
                }
                if added {
                    notes.bounds_differed(Made::Addition, self.spans.1);
                }
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

/// The change, and whether custom bounds differed when the first was subtracted, and when what was lost in resets was
/// added.
fn change(
    part: &Part<'_>,
    points: &[(i64, Shared)],
    smoothed: bool,
    counter: bool,
) -> Result<(FloatHistogram, bool, bool), Incompatible> {
    let last = points.len() - 1;
    let at = |i: usize, time: i64| {
        let ((t0, h0), (t1, h1)) = (&points[i], &points[i + 1]);
        between((h0, h1), (time - t0) as f64 / (t1 - t0) as f64, counter)
    };
    let left_moves = smoothed && points[0].0 < part.after && last > 0;
    let right_moves = smoothed && points[last].0 > part.last && last > 0;
    let left = if left_moves { at(0, part.after)?.0 } else { FloatHistogram::clone(&points[0].1) };
    let (right, anew_on_the_right) = match right_moves {
        true => at(last - 1, part.last)?,
        false => (FloatHistogram::clone(&points[last].1), false),
    };
    let mut change = right.clone();
    let subtracted = change.subtract(&left)?.bounds_differed;
    let mut added = false;
    if !counter {
        return Ok((change, subtracted, false));
    }
    let mut before = &left;
    // What lies between two samples knows nothing of resets before it.
    let mut known = !left_moves;
    for (i, (_, point)) in points.iter().enumerate().skip(1) {
        let anew = match (i == last && right_moves, known) {
            (true, _) => anew_on_the_right && !(left_moves && last == 1),
            (false, true) => point.is_reset_after(before),
            (false, false) => point.fell_below(before),
        };
        if anew {
            added |= change.add(before)?.bounds_differed;
        }
        (before, known) = (point, true);
    }
    Ok((change, subtracted, added))
}
