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
use crate::syntax::{
    Span,
    ast::{Reading, Selector},
};

mod natives;

/// What an instant selector gives at a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Give {
    /// The value of the last sample.
    Value,
    /// Its time in seconds.
    Time,
    /// Since when it counts, in seconds; zero if that is not known.
    Start,
}

/// An instant selector and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) selector: &'a Selector,
    pub(super) reference: Reference,
    pub(super) span: Span,
}

/// The series of an instant selector.
pub(super) fn instant(
    context: &Context<'_>,
    grid: Grid,
    (selector, span): (&Selector, Span),
    give: Give,
) -> Result<Vector, Error> {
    let reference = context.reference(&selector.shift)?;
    let asked = Asked { selector, reference, span };
    match rolled::choose_instant(context, grid, reference, selector)? {
        None => from_samples(context, grid, asked, give),
        Some(choice) => rolled::instant(context, grid, asked, give, &choice),
    }
}

/// The same from raw samples.
pub(super) fn from_samples(
    context: &Context<'_>,
    grid: Grid,
    asked: Asked<'_>,
    give: Give,
) -> Result<Vector, Error> {
    let Asked { selector, reference, span } = asked;
    let width = if reference.at.is_some() { 1 } else { grid.len };
    let point = |step: usize| reference.at.unwrap_or_else(|| grid.at(step)).saturating_sub(reference.offset);
    let lookback = context.options.lookback_ms;
    let smoothed = selector.reading == Reading::Smoothed;
    let read_last = point(width - 1).saturating_add(if smoothed { lookback } else { 0 });
    let mut vector = Vector { series: Vec::new(), width };
    let read = Read {
        matchers: &selector.matchers,
        after: point(0).saturating_sub(lookback),
        last: read_last,
        starts: give == Give::Start,
        detect_resets: context.reads_totals(selector),
    };
    let mut others = natives::Natives::open(context, &read)?;
    if width == 1 && !smoothed && others.is_empty() && give != Give::Start {
        let range = TimeRange::left_open(Timestamp(read_last.saturating_sub(lookback)), Timestamp(read_last));
        let selection = Selection { matchers: &selector.matchers, range };
        for (labels, last) in context.source.last_samples(&selection, context.budget)? {
            context.budget.charge_series(labels.as_bytes().len())?;
            let value = if give == Give::Value { last.value } else { last.at.seconds() };
            if !is_stale(last.value) {
                vector.series.push(Series::floats(labels, false, vec![value]));
            }
        }
        return Ok(vector);
    }
    each_of(context, &read, &mut others, |labels, samples| {
        context.budget.hold(width)?;
        if !samples.histograms.is_empty() || give == Give::Start {
            let look = natives::Look { context, lookback, smoothed, give, span, width };
            vector.series.extend(look.series(labels, samples, point)?);
            return Ok(());
        }
        let values = match (smoothed, give) {
            (true, _) => interpolate(samples, width, lookback, point),
            (false, Give::Value) => look_back(samples, width, lookback, point, |i| samples.values[i]),
            (false, _) => {
                look_back(samples, width, lookback, point, |i| Timestamp(samples.timestamps[i]).seconds())
            }
        };
        if let Some(values) = values {
            vector.series.push(Series::floats(labels, false, values));
        }
        Ok(())
    })?;
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

/// What is read of the source: samples in `(after, last]`.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) matchers: &'a [Matcher],
    pub(super) after: i64,
    pub(super) last: i64,
    /// Whether it is asked since when samples count.
    pub(super) starts: bool,
    /// Whether histograms are told apart from those before them here, where nothing else looks at their buckets.
    pub(super) detect_resets: bool,
}

/// Reads all samples, staleness markers too, one series after the other in label order.
pub(super) fn each_series(
    context: &Context<'_>,
    read: &Read<'_>,
    visit: impl FnMut(Labels, &Samples) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut others = natives::Natives::open(context, read)?;
    each_of(context, read, &mut others, visit)
}

fn each_of(
    context: &Context<'_>,
    wanted: &Read<'_>,
    others: &mut natives::Natives,
    mut visit: impl FnMut(Labels, &Samples) -> Result<(), Error>,
) -> Result<(), Error> {
    let range = TimeRange::left_open(Timestamp(wanted.after), Timestamp(wanted.last));
    let selection = Selection { matchers: wanted.matchers, range };
    let mut cursor = context.source.select(&selection, context.budget)?;
    let mut samples = Samples::default();
    let charge = |labels: &Labels| context.budget.charge_series(labels.as_bytes().len());
    while let Some(labels) = cursor.next_series()? {
        charge(&labels)?;
        while let Some(labels) = others.next_before(&labels, &mut samples) {
            charge(&labels)?;
            visit(labels, &samples)?;
        }
        read(&mut *cursor, &mut samples)?;
        others.add_to(&labels, &mut samples);
        if !samples.is_empty() {
            visit(labels, &samples)?;
        }
    }
    while let Some(labels) = others.next(&mut samples) {
        charge(&labels)?;
        visit(labels, &samples)?;
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
