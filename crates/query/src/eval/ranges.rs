//! Range vectors, one series after the other: the samples that a range selector or a subquery gives, and its ranges.

use std::cell::Cell;

use barograph_model::{Labels, is_stale};

use super::{
    Error,
    column::{Vector, at, is_present},
    context::Context,
    expr,
    grid::Grid,
    over::mixed,
    select,
    windows::{Samples, Windows},
};
use crate::syntax::ast::{Expr, Node, RangeSelector, Reading, Subquery};

/// Visits the series of a range selector or subquery, staleness markers left out.
pub(super) fn each_range(
    context: &Context<'_>,
    grid: Grid,
    (range, starts): (&Expr, bool),
    mut visit: impl FnMut(Labels, bool, &Samples, &Windows) -> Result<(), Error>,
) -> Result<(), Error> {
    let seen = Cell::new(0);
    let counted = |labels: Labels, drop_name: bool, samples: &Samples, windows: &Windows| {
        seen.set(seen.get() + 1);
        visit(labels, drop_name, samples, windows)
    };
    context.watch(range.bare(), || of_range(context, grid, (range, starts), counted), |()| seen.get())
}

fn of_range(
    context: &Context<'_>,
    grid: Grid,
    (range, starts): (&Expr, bool),
    mut visit: impl FnMut(Labels, bool, &Samples, &Windows) -> Result<(), Error>,
) -> Result<(), Error> {
    match &range.bare().node {
        Node::Range(node) => each_selected(context, grid, (node, starts), visit),
        Node::Subquery(node) => {
            let (inner, points, mut windows) = subquery(context, grid, node)?;
            let mut samples = Samples::default();
            for series in inner.series {
                context.budget.charge(points.len)?;
                samples.clear();
                for step in 0..points.len {
                    let value = at(&series.values, step);
                    if is_present(value) {
                        samples.push(points.at(step), value);
                    }
                }
                if !series.histograms.is_empty() {
                    let there =
                        (0..points.len).filter_map(|step| Some((points.at(step), series.histogram(step)?)));
                    samples.histograms.extend(there.map(|(at, histogram)| (at, mixed::forgetful(histogram))));
                }
                if !samples.is_empty() {
                    windows.place(&samples.timestamps);
                    visit(series.labels, series.drop_name, &samples, &windows)?;
                }
            }
            Ok(())
        }
        _ => Err(Error::Execution("expected type range vector".into())),
    }
}

/// The ranges of a selector.
pub(super) fn windows(context: &Context<'_>, grid: Grid, node: &RangeSelector) -> Result<Windows, Error> {
    let range = context.positive_length(&node.range)?;
    let mut windows = Windows::new(grid, context.reference(&node.selector.shift)?, range);
    if node.selector.reading != Reading::Plain {
        windows.before = context.options.lookback_ms;
    }
    if node.selector.reading == Reading::Smoothed {
        windows.after = context.options.lookback_ms;
    }
    Ok(windows)
}

fn each_selected(
    context: &Context<'_>,
    grid: Grid,
    (node, starts): (&RangeSelector, bool),
    mut visit: impl FnMut(Labels, bool, &Samples, &Windows) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut windows = windows(context, grid, node)?;
    let mut live = Samples::default();
    let read = select::Read {
        matchers: &node.selector.matchers,
        after: windows.read_after(),
        last: windows.read_last(),
        starts: starts && node.selector.reading == Reading::Plain,
        detect_resets: context.reads_totals(&node.selector),
    };
    select::each_series(context, &read, |labels, samples| {
        context.budget.hold(windows.width())?;
        // Without an early end the loop takes several values at a time.
        let any_stale = samples.values.iter().fold(false, |any, &value| any | is_stale(value));
        let any_stale = any_stale || samples.histograms.iter().any(|pair| pair.1.is_stale());
        if !any_stale {
            windows.place(&samples.timestamps);
            return visit(labels, false, samples, &windows);
        }
        live.clear();
        for (&at, &value) in samples.timestamps.iter().zip(&samples.values).filter(|pair| !is_stale(*pair.1))
        {
            live.push(at, value);
        }
        live.histograms.extend(samples.histograms.iter().filter(|pair| !pair.1.is_stale()).cloned());
        live.starts.clone_from(&samples.starts);
        if live.is_empty() {
            return Ok(());
        }
        windows.place(&live.timestamps);
        visit(labels, false, &live, &windows)
    })
}

/// A subquery evaluated at all points that any of its ranges needs.
fn subquery(context: &Context<'_>, grid: Grid, node: &Subquery) -> Result<(Vector, Grid, Windows), Error> {
    let (points, windows) = points(context, grid, node)?;
    let Some(points) = points else { return Ok((Vector::empty(), grid, windows)) };
    Ok((expr::vector(context, points, &node.expr)?, points, windows))
}

/// The points that any range of a subquery needs, if there are any, and the ranges.
pub(super) fn points(
    context: &Context<'_>,
    grid: Grid,
    node: &Subquery,
) -> Result<(Option<Grid>, Windows), Error> {
    let range = context.positive_length(&node.range)?;
    let step = match &node.step {
        Some(step) => context.positive_length(step)?,
        None => context.options.subquery_step_ms,
    };
    let windows = Windows::new(grid, context.reference(&node.shift)?, range);
    Ok((Grid::aligned(windows.read_after(), windows.read_last(), step), windows))
}
