//! Functions over ranges: windows slid over the samples of one series after the other.
//!
//! Rates and counts use what is computed once for the whole series (the resets, the changes so far), so a step
//! costs the same however long its range is. Functions whose rounding depends on the order of additions go through
//! each window anew, to give the very numbers of Prometheus.

use barograph_model::{Labels, METRIC_NAME, Sample, Timestamp};

use super::{
    Error, Track,
    column::{ABSENT, Series, Vector, at, is_present},
    context::Context,
    expr,
    grid::Grid,
    kernels::Over,
    math::{self, Mean, Sum, Variance},
    ranges::each_range,
    rolled::{self, Choice},
    windows::{Samples, Window, Windows},
};
use crate::syntax::{
    Span,
    ast::{Call, Expr, Node, Reading},
};

mod extended;
pub(super) mod mixed;
mod rates;

use rates::Rates;
pub(super) use rates::Reach;

/// Evaluates a function over its range argument, series by series.
pub(super) fn evaluate(context: &Context<'_>, grid: Grid, node: &Call, over: Over) -> Result<Vector, Error> {
    let range = range_of(node, over);
    let mut parameters = Vec::new();
    for arg in node.args.iter().filter(|arg| !std::ptr::eq(*arg, range)) {
        parameters.push((expr::scalar(context, grid, arg)?, arg.span));
    }
    check_parameters(context, over, &parameters)?;
    let reading = reading_of(range);
    extended::check(over, node.function.name, reading)?;
    let vector = match rolled::choose_range(context, grid, range, Some(over))? {
        None => from_samples(context, grid, node, (over, &parameters))?,
        Some(choice) => from_tier(context, grid, (node, range), (over, &parameters), &choice)?,
    };
    if vector.series.is_empty() {
        return Ok(Vector::empty());
    }
    if context.options.delayed_name_removal { Ok(vector) } else { vector.settle() }
}

/// The argument that is a range.
fn range_of(node: &Call, over: Over) -> &Expr {
    &node.args[usize::from(over == Over::Quantile)]
}

/// Columns of scalars and where they stand in the query.
pub(super) type Parameters = Vec<(Vec<f64>, Span)>;

/// The older steps from a tier, the others from raw samples.
fn from_tier(
    context: &Context<'_>,
    grid: Grid,
    (node, range): (&Call, &Expr),
    (over, parameters): (Over, &Parameters),
    choice: &Choice,
) -> Result<Vector, Error> {
    let Node::Range(selector) = &range.bare().node else { return Ok(Vector::empty()) };
    let (older, newer) = choice.split(grid, selector);
    let rolled = |parameters: &Parameters| {
        let work = || rolled::over(context, older, (node, selector), (over, parameters), choice);
        context.watch(range.bare(), work, |vector| vector.series.len())
    };
    let Some(newer) = newer else { return rolled(parameters) };
    let part = |from: usize, to: usize| -> Parameters {
        let cut =
            |values: &[f64]| if values.len() == 1 { values.to_vec() } else { values[from..to].to_vec() };
        parameters.iter().map(|(values, span)| (cut(values), *span)).collect()
    };
    let tiered = rolled(&part(0, older.len))?;
    let rest = part(older.len, grid.len);
    let vector = from_samples(context, newer, node, (over, &rest))?;
    Ok(rolled::join((tiered, older.len), (vector, newer.len)))
}

/// Every step from raw samples, or from the points of a subquery.
fn from_samples(
    context: &Context<'_>,
    grid: Grid,
    node: &Call,
    (over, parameters): (Over, &Parameters),
) -> Result<Vector, Error> {
    let (range, first_span) = (range_of(node, over), node.args[0].span);
    let reading = reading_of(range);
    // What a moving parameter or the step itself goes into is different at each step even over a fixed range.
    let moves = over == Over::PredictLinear || parameters.iter().any(|parameter| parameter.0.len() > 1);
    let mut vector = Vector::empty();
    let mut rates = Rates::default();
    let starts = matches!(over, Over::Rate | Over::Increase | Over::Irate | Over::Resets);
    each_range(context, grid, (range, starts), |labels, drop_name, samples, windows| {
        if !samples.is_plain() {
            let name = labels.metric_name();
            let mixed = mixed::Mixed {
                context,
                grid,
                over,
                reading,
                parameters,
                name,
                spans: (first_span, range.span),
            };
            let cells = mixed.apply(samples, windows, moves)?;
            vector.width = cells.len();
            let series = Series::of_cells(labels, drop_name || !over.keeps_name(), cells);
            let any_float = series.values.iter().copied().any(is_present);
            if any_float && matches!(over, Over::Rate | Over::Increase) {
                note_unlikely_counter(context, &series.labels, range.span);
            }
            if series.is_present_anywhere() {
                vector.series.push(series);
            }
            return Ok(());
        }
        let spread = Spread { grid, moves };
        let values = match reading {
            Reading::Plain if matches!(over, Over::Rate | Over::Increase | Over::Delta) => {
                rates.apply(windows, samples, over)
            }
            Reading::Plain => spread.apply(context, windows, samples, over, parameters)?,
            reading => extended::apply(context, over, reading, samples, windows)?,
        };
        vector.width = values.len();
        if !values.iter().copied().any(is_present) {
            return Ok(());
        }
        if matches!(over, Over::Rate | Over::Increase) {
            note_unlikely_counter(context, &labels, range.span);
        }
        vector.series.push(Series::floats(labels, drop_name || !over.keeps_name(), values));
        Ok(())
    })?;
    Ok(vector)
}

fn check_parameters(context: &Context<'_>, over: Over, parameters: &[(Vec<f64>, Span)]) -> Result<(), Error> {
    match over {
        Over::Quantile => {
            for &q in parameters[0].0.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                context.notes.invalid_quantile(q, parameters[0].1);
            }
        }
        Over::Smooth => {
            for ((values, _), what) in parameters.iter().zip(["smoothing", "trend"]) {
                if let Some(value) = values.iter().find(|value| !(**value > 0.0 && **value < 1.0)) {
                    let letter = &what[..1];
                    let message =
                        format!("invalid {what} factor. Expected: 0 < {letter}f < 1, got: {value:.6}");
                    return Err(Error::Execution(message));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn note_unlikely_counter(context: &Context<'_>, labels: &Labels, span: Span) {
    const SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
    if let Some(name) = labels.value(METRIC_NAME).filter(|name| !SUFFIXES.iter().any(|s| name.ends_with(s))) {
        let name = barograph_model::quote(name);
        let message =
            format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name}");
        context.notes.inform(&message, span);
    }
}

fn reading_of(range: &Expr) -> Reading {
    match &range.bare().node {
        Node::Range(range) => range.selector.reading,
        _ => Reading::Plain,
    }
}

/// The series and samples of a range vector that is itself the answer.
pub(super) fn top_matrix(
    context: &Context<'_>,
    grid: Grid,
    range: &Expr,
) -> Result<Vec<(Labels, Track)>, Error> {
    if let (Some(choice), Node::Range(selector)) =
        (rolled::choose_range(context, grid, range, None)?, &range.bare().node)
    {
        let work = || rolled::as_samples(context, grid, selector, &choice);
        let mut matrix = context.watch(range.bare(), work, Vec::len)?;
        super::label_functions::sort_by_labels(&mut matrix);
        return Ok(matrix);
    }
    let mut matrix: Vec<(Labels, Track)> = Vec::new();
    each_range(context, grid, (range, false), |labels, drop_name, samples, windows| {
        let labels = if drop_name { super::column::without_name(&labels) } else { labels };
        let mut track = Track::default();
        windows.slide(context, samples, |window| {
            let pairs = window.timestamps.iter().zip(window.values);
            track.floats.extend(pairs.map(|(&at, &value)| Sample { at: Timestamp(at), value }));
            ABSENT
        })?;
        let within = mixed::within(&samples.histograms, (windows.read_after(), windows.read_last()));
        track.histograms.extend(within.iter().map(|(at, histogram)| (Timestamp(*at), histogram.clone())));
        if !track.is_empty() {
            matrix.push((labels, track));
        }
        Ok(())
    })?;
    super::label_functions::sort_by_labels(&mut matrix);
    if matrix.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(super::column::same_labels());
    }
    Ok(matrix)
}

/// How the windows of a series become a column.
struct Spread {
    grid: Grid,
    /// Whether the column differs from step to step even if the window does not move.
    moves: bool,
}

impl Spread {
    fn apply(
        &self,
        context: &Context<'_>,
        windows: &Windows,
        samples: &Samples,
        over: Over,
        parameters: &[(Vec<f64>, Span)],
    ) -> Result<Vec<f64>, Error> {
        let parameter = |i: usize, step: usize| at(&parameters[i].0, step);
        if !self.moves || windows.width() == self.grid.len {
            return plain(context, windows, samples, over, self.grid, parameter);
        }
        // One window, many steps.
        let mut values = vec![ABSENT; self.grid.len];
        windows.slide(context, samples, |window| {
            for (step, value) in values.iter_mut().enumerate() {
                *value = anew(&Window { step, ..*window }, over, self.grid, &parameter);
            }
            ABSENT
        })?;
        Ok(values)
    }
}

/// One value a window.
fn plain(
    context: &Context<'_>,
    windows: &Windows,
    samples: &Samples,
    over: Over,
    grid: Grid,
    parameter: impl Fn(usize, usize) -> f64,
) -> Result<Vec<f64>, Error> {
    match over {
        Over::Changes => {
            let differs = |a: f64, b: f64| a != b && !(a.is_nan() && b.is_nan());
            counted(context, windows, samples, differs)
        }
        Over::Resets => counted(context, windows, samples, |before, value| value < before),
        Over::Count => windows.slide(context, samples, |window| window.len() as f64),
        Over::Present => windows.slide(context, samples, |_| 1.0),
        Over::First => windows.slide(context, samples, |window| window.values[0]),
        Over::Last => windows.slide(context, samples, |window| window.values[window.len() - 1]),
        Over::TsOfFirst => {
            windows.slide(context, samples, |window| Timestamp(window.timestamps[0]).seconds())
        }
        Over::TsOfLast => {
            windows.slide(context, samples, |window| Timestamp(window.timestamps[window.len() - 1]).seconds())
        }
        _ => windows.slide(context, samples, |window| anew(window, over, grid, &parameter)),
    }
}

/// How often in each window a sample relates to the one before.
fn counted(
    context: &Context<'_>,
    windows: &Windows,
    samples: &Samples,
    relates: impl Fn(f64, f64) -> bool,
) -> Result<Vec<f64>, Error> {
    let mut so_far = Vec::with_capacity(samples.len());
    let mut count = 0u32;
    for (i, &value) in samples.values.iter().enumerate() {
        count += u32::from(i > 0 && relates(samples.values[i - 1], value));
        so_far.push(count);
    }
    windows.slide(context, samples, |window| f64::from(so_far[window.end - 1] - so_far[window.first]))
}

/// Functions that go through all samples of the window.
pub(super) fn anew(
    window: &Window<'_>,
    over: Over,
    grid: Grid,
    parameter: &impl Fn(usize, usize) -> f64,
) -> f64 {
    let values = window.values;
    let best = |better: fn(f64, f64) -> bool| {
        let mut best = 0;
        for (i, &value) in values.iter().enumerate().skip(1) {
            if better(value, values[best]) || values[best].is_nan() {
                best = i;
            }
        }
        best
    };
    let time = |i: usize| Timestamp(window.timestamps[i]).seconds();
    match over {
        Over::Sum => Sum::of(values).total(),
        Over::Avg => Mean::of(values),
        Over::Min => values[best(|a, b| a < b)],
        Over::Max => values[best(|a, b| a > b)],
        Over::TsOfMin => time(best(|a, b| a <= b)),
        Over::TsOfMax => time(best(|a, b| a >= b)),
        Over::Stddev => variance(values).sqrt(),
        Over::Stdvar => variance(values),
        Over::Quantile => math::quantile(parameter(0, window.step), &mut values.to_vec()),
        // The order of numbers would hide a NaN.
        Over::Mad if values.iter().any(|value| value.is_nan()) => f64::NAN,
        Over::Mad => {
            let median = math::quantile(0.5, &mut values.to_vec());
            let mut deviations: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
            math::quantile(0.5, &mut deviations)
        }
        Over::Irate | Over::Idelta => instant_change(window, over == Over::Irate),
        Over::Deriv if values.len() > 1 => math::line(window.timestamps, values, window.timestamps[0]).0,
        Over::PredictLinear if values.len() > 1 => {
            let (slope, intercept) = math::line(window.timestamps, values, grid.at(window.step));
            slope * parameter(0, window.step) + intercept
        }
        Over::Smooth if values.len() > 1 => {
            smoothed(values, parameter(0, window.step), parameter(1, window.step))
        }
        _ => ABSENT,
    }
}

fn variance(values: &[f64]) -> f64 {
    let mut variance = Variance::default();
    values.iter().for_each(|&value| variance.add(value));
    variance.variance()
}

/// The change between the last two samples, a second for rates.
fn instant_change(window: &Window<'_>, rate: bool) -> f64 {
    let count = window.len();
    if count < 2 {
        return ABSENT;
    }
    let (before, last) = (window.values[count - 2], window.values[count - 1]);
    let reset = rate && last < before;
    let change = if reset { last } else { last - before };
    let seconds = (window.timestamps[count - 1] - window.timestamps[count - 2]) as f64 / 1e3;
    if rate { change / seconds } else { change }
}

/// Holt's double exponential smoothing.
fn smoothed(values: &[f64], smoothing: f64, trend_factor: f64) -> f64 {
    let mut level = values[0];
    let mut trend = values[1] - values[0];
    let mut level_before = 0.0;
    for (i, value) in values.iter().enumerate().skip(1) {
        if i > 1 {
            trend = trend_factor * (level - level_before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        (level_before, level) = (level, next);
    }
    level
}

/// Whether any series has a sample in the range of a step.
pub(super) fn present(context: &Context<'_>, grid: Grid, node: &Call) -> Result<Vec<bool>, Error> {
    let range = &node.args[0];
    let Some(choice) = rolled::choose_range(context, grid, range, Some(Over::Present))? else {
        return present_in_samples(context, grid, range);
    };
    let Node::Range(selector) = &range.bare().node else { return Ok(Vec::new()) };
    let (older, newer) = choice.split(grid, selector);
    let work = || rolled::over(context, older, (node, selector), (Over::Present, &Vec::new()), &choice);
    let vector = context.watch(range.bare(), work, |vector| vector.series.len())?;
    let seen = |step: usize| vector.series.iter().any(|series| is_present(series.at(step)));
    let mut present: Vec<bool> = (0..older.len).map(seen).collect();
    if let Some(newer) = newer {
        present.extend(present_in_samples(context, newer, range)?);
    }
    Ok(present)
}

fn present_in_samples(context: &Context<'_>, grid: Grid, range: &Expr) -> Result<Vec<bool>, Error> {
    context.budget.hold(grid.len)?;
    let mut present = vec![false; grid.len];
    each_range(context, grid, (range, false), |_, _, samples, windows| {
        let seen = windows.slide(context, samples, |_| 1.0)?;
        for (step, present) in present.iter_mut().enumerate() {
            let last = windows.last(step);
            let histograms = mixed::within(&samples.histograms, (last.saturating_sub(windows.range), last));
            *present |= is_present(at(&seen, step)) || !histograms.is_empty();
        }
        Ok(())
    })?;
    Ok(present)
}
