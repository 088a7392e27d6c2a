//! Selectors read from the source, each once for all steps.

use barograph_model::{Labels, Matcher, Selection, SeriesCursor, TimeRange, Timestamp, is_stale};

use super::{
    Error,
    column::{ABSENT, Series, Vector},
    context::{Context, Reference},
    grid::Grid,
    rolled,
    windows::Samples,
};
use crate::syntax::ast::{Reading, Selector};

/// What an instant selector gives at a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Give {
    /// The value of the last sample.
    Value,
    /// Its time in seconds.
    Time,
}

/// The series of an instant selector.
pub(super) fn instant(
    context: &Context<'_>,
    grid: Grid,
    selector: &Selector,
    give: Give,
) -> Result<Vector, Error> {
    let reference = context.reference(&selector.shift)?;
    match rolled::choose_instant(context, grid, reference, selector)? {
        None => from_samples(context, grid, (selector, reference), give),
        Some(choice) => rolled::instant(context, grid, (selector, reference), give, &choice),
    }
}

/// The same from raw samples.
pub(super) fn from_samples(
    context: &Context<'_>,
    grid: Grid,
    (selector, reference): (&Selector, Reference),
    give: Give,
) -> Result<Vector, Error> {
    let width = if reference.at.is_some() { 1 } else { grid.len };
    let point = |step: usize| reference.at.unwrap_or_else(|| grid.at(step)).saturating_sub(reference.offset);
    let lookback = context.options.lookback_ms;
    let smoothed = selector.reading == Reading::Smoothed;
    let read_last = point(width - 1).saturating_add(if smoothed { lookback } else { 0 });
    let mut vector = Vector { series: Vec::new(), width };
    if width == 1 && !smoothed {
        let range = TimeRange::left_open(Timestamp(read_last.saturating_sub(lookback)), Timestamp(read_last));
        let selection = Selection { matchers: &selector.matchers, range };
        for (labels, last) in context.source.last_samples(&selection, context.budget)? {
            let value = if give == Give::Value { last.value } else { last.at.seconds() };
            if !is_stale(last.value) {
                vector.series.push(Series { labels, drop_name: false, values: vec![value] });
            }
        }
        return Ok(vector);
    }
    each_series(
        context,
        &selector.matchers,
        point(0).saturating_sub(lookback),
        read_last,
        |labels, samples| {
            context.budget.hold(width)?;
            let values = match (smoothed, give) {
                (true, _) => interpolate(samples, width, lookback, point),
                (false, Give::Value) => look_back(samples, width, lookback, point, |i| samples.values[i]),
                (false, Give::Time) => {
                    look_back(samples, width, lookback, point, |i| Timestamp(samples.timestamps[i]).seconds())
                }
            };
            if let Some(values) = values {
                vector.series.push(Series { labels, drop_name: false, values });
            }
            Ok(())
        },
    )?;
    Ok(vector)
}

/// For each point the last sample at or before it, if it is young enough and no staleness marker. `None` if there
/// is none anywhere.
fn look_back(
    samples: &Samples,
    width: usize,
    lookback: i64,
    point: impl Fn(usize) -> i64,
    give: impl Fn(usize) -> f64,
) -> Option<Vec<f64>> {
    let mut values = vec![ABSENT; width];
    let (mut end, mut any) = (0, false);
    for (step, value) in values.iter_mut().enumerate() {
        let at = point(step);
        while end < samples.len() && samples.timestamps[end] <= at {
            end += 1;
        }
        let Some(i) = end.checked_sub(1) else { continue };
        if samples.timestamps[i] > at.saturating_sub(lookback) && !is_stale(samples.values[i]) {
            *value = give(i);
            any = true;
        }
    }
    any.then_some(values)
}

/// For each point the value between the samples around it; after the last one, that one.
fn interpolate(
    samples: &Samples,
    width: usize,
    lookback: i64,
    point: impl Fn(usize) -> i64,
) -> Option<Vec<f64>> {
    let mut values = vec![ABSENT; width];
    let live: Vec<usize> = (0..samples.len()).filter(|&i| !is_stale(samples.values[i])).collect();
    let (mut end, mut any) = (0, false);
    for (step, value) in values.iter_mut().enumerate() {
        let at = point(step);
        while end < live.len() && samples.timestamps[live[end]] <= at {
            end += 1;
        }
        let Some(before) = end.checked_sub(1).map(|i| live[i]) else { continue };
        if samples.timestamps[before] <= at.saturating_sub(lookback) {
            continue;
        }
        any = true;
        *value = samples.values[before];
        let next = live.get(end).copied().filter(|&i| samples.timestamps[i] <= at.saturating_add(lookback));
        if let Some(next) = next.filter(|_| samples.timestamps[before] < at) {
            let (t0, t1) = (samples.timestamps[before], samples.timestamps[next]);
            let (v0, v1) = (samples.values[before], samples.values[next]);
            *value = v0 + (v1 - v0) * (at - t0) as f64 / (t1 - t0) as f64;
        }
    }
    any.then_some(values)
}

/// Reads all samples in `(after, last]`, staleness markers too, one series after the other.
pub(super) fn each_series(
    context: &Context<'_>,
    matchers: &[Matcher],
    after: i64,
    last: i64,
    mut visit: impl FnMut(Labels, &Samples) -> Result<(), Error>,
) -> Result<(), Error> {
    let range = TimeRange::left_open(Timestamp(after), Timestamp(last));
    let mut cursor = context.source.select(&Selection { matchers, range }, context.budget)?;
    let mut samples = Samples::default();
    while let Some(labels) = cursor.next_series()? {
        context.check()?;
        read(&mut *cursor, &mut samples)?;
        if samples.len() > 0 {
            visit(labels, &samples)?;
        }
    }
    Ok(())
}

fn read(cursor: &mut dyn SeriesCursor, samples: &mut Samples) -> Result<(), Error> {
    samples.clear();
    while let Some(batch) = cursor.next_batch()? {
        samples.timestamps.extend_from_slice(batch.timestamps);
        samples.values.extend_from_slice(batch.values);
    }
    Ok(())
}
