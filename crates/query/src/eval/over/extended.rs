//! `anchored` and `smoothed` ranges: the values at their ends are taken from samples outside, not extrapolated.
//!
//! Anchored: the last sample at or before the range stands for its start. Smoothed: the values at both ends are on
//! the straight line between the samples around them. Samples are looked for as far as the lookback goes.

use super::rates::resets;
use crate::{
    eval::{
        Error,
        column::ABSENT,
        context::Context,
        kernels::Over,
        windows::{Samples, Window, Windows},
    },
    syntax::ast::Reading,
};

/// Which functions know these ranges.
pub(super) fn check(over: Over, name: &str, reading: Reading) -> Result<(), Error> {
    let smooth = matches!(over, Over::Delta | Over::Increase | Over::Rate);
    let (known, modifier, list) = match reading {
        Reading::Plain => return Ok(()),
        Reading::Anchored => {
            let known = smooth || matches!(over, Over::Changes | Over::Resets);
            (known, "anchored", "changes, delta, increase, rate, resets")
        }
        Reading::Smoothed => (smooth, "smoothed", "delta, increase, rate"),
    };
    if known {
        return Ok(());
    }
    let message = format!("{modifier} modifier can only be used with: {list} - not with {name}");
    Err(Error::Execution(message))
}

/// One value a window; the windows reach beyond their ranges.
pub(super) fn apply(
    context: &Context<'_>,
    over: Over,
    reading: Reading,
    samples: &Samples,
    windows: &Windows,
) -> Result<Vec<f64>, Error> {
    let seconds = windows.range as f64 / 1e3;
    let reset_at = resets(&samples.values);
    windows.slide(context, samples, |window| of(over, reading, window, (seconds, &reset_at)))
}

/// The value of one window that is all there is.
pub(super) fn value(over: Over, reading: Reading, window: &Window<'_>, seconds: f64) -> f64 {
    of(over, reading, window, (seconds, &resets(window.values)))
}

fn of(over: Over, reading: Reading, window: &Window<'_>, (seconds, reset_at): (f64, &[usize])) -> f64 {
    match (over, ends(window, reading)) {
        (_, None) => ABSENT,
        (Over::Changes | Over::Resets, Some(ends)) => {
            let values = &window.values[ends.first..=ends.last];
            let relates = |two: &&[f64]| match over {
                Over::Resets => two[1] < two[0],
                _ => two[0] != two[1] && !(two[0].is_nan() && two[1].is_nan()),
            };
            values.windows(2).filter(relates).count() as f64
        }
        (over, Some(ends)) => {
            let counter = over != Over::Delta;
            let change = change(window, ends, reading, counter, reset_at);
            if over == Over::Rate { change / seconds } else { change }
        }
    }
}

/// The samples that stand at or around the ends of a range, as indices into the window.
#[derive(Clone, Copy)]
struct Ends {
    first: usize,
    last: usize,
}

fn ends(window: &Window<'_>, reading: Reading) -> Option<Ends> {
    let times = window.timestamps;
    let first = times.partition_point(|&t| t <= window.after).saturating_sub(1);
    let last = match reading {
        Reading::Smoothed => times.partition_point(|&t| t < window.last).min(times.len() - 1),
        _ => times.len() - 1,
    };
    let inside = times[last] > window.after && times[first] <= window.last;
    inside.then_some(Ends { first, last })
}

fn change(window: &Window<'_>, ends: Ends, reading: Reading, counter: bool, reset_at: &[usize]) -> f64 {
    let (times, values) = (window.timestamps, window.values);
    let Ends { first, last } = ends;
    let smoothed = reading == Reading::Smoothed;
    let between = |i: usize, at: i64| {
        let share = (at - times[i]) as f64 / (times[i + 1] - times[i]) as f64;
        // A counter that starts again in between was zero before.
        let a = if counter && values[i + 1] < values[i] { 0.0 } else { values[i] };
        a + (values[i + 1] - a) * share
    };
    let left = if smoothed && times[first] < window.after && first + 1 < times.len() {
        between(first, window.after)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > window.last {
        between(last - 1, window.last)
    } else {
        values[last]
    };
    if !counter {
        return right - left;
    }
    // Samples strictly inside; resets at the ends are already in the values there.
    let from = first + usize::from(times[first] <= window.after);
    let end = if times[last] >= window.last { last } else { last + 1 };
    right - left + lost(left, right, window, from..end, reset_at)
}

/// What a counter lost in resets on its way from `left` over the samples inside to `right`.
fn lost(
    left: f64,
    right: f64,
    window: &Window<'_>,
    inside: std::ops::Range<usize>,
    reset_at: &[usize],
) -> f64 {
    let values = &window.values[inside.start.min(inside.end)..inside.end];
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
        return if right < left { left } else { 0.0 };
    };
    let mut lost = if first < left { left } else { 0.0 };
    let (start, end) = (window.first + inside.start, window.first + inside.end);
    let from = reset_at.partition_point(|&i| i <= start);
    for &i in reset_at[from..].iter().take_while(|&&i| i < end) {
        lost += window.values[i - 1 - window.first];
    }
    if right < last { lost + last } else { lost }
}
