//! A quantile of several series together, from the sketches of their windows.

use barograph_model::Sketch;

use super::{Choice, over::Frame, why};
use crate::{
    eval::{
        Error,
        column::{ABSENT, Vector},
        context::Context,
        grid::Grid,
        pooled::Pools,
    },
    syntax::ast::{Aggregate, RangeSelector},
    tiers::{self, Distribution, Sketches},
};

/// What a sketch takes that spreads over a few powers of ten.
const SKETCH_BYTES: u64 = 4 << 10;

/// All windows of a group in the range of one step.
#[derive(Default)]
struct Cell {
    sketch: Option<Box<Sketch>>,
    /// What all values lie between, which a bucket may reach beyond.
    bounds: Option<(f64, f64)>,
}

pub(in crate::eval) fn pooled(
    context: &Context<'_>,
    grid: Grid,
    (node, selector): (&Aggregate, &RangeSelector),
    q: impl Fn(usize) -> f64,
    choice: Choice,
) -> Result<Vector, Error> {
    let frame = Frame::new(context, grid, selector, choice.tier)?;
    let mut pools: Pools<Cell> = Pools::new(grid.len);
    tiers::each_series(&frame.reading(context, selector, true), |labels, rolled| {
        let cells = pools.of(node, &labels);
        let mut first = 0;
        for (step, cell) in cells.iter_mut().enumerate() {
            let (after, last) = frame.bounds(step);
            first += rolled.windows[first..].iter().take_while(|window| window.start < after).count();
            let run = first..first + rolled.windows[first..].iter().take_while(|w| w.start < last).count();
            if run.is_empty() {
                continue;
            }
            if cell.sketch.is_none() {
                context.budget.reserve(SKETCH_BYTES)?;
            }
            rolled.sketches.merge_into(run.clone(), cell.sketch.get_or_insert_default());
            for window in &rolled.windows[run] {
                let (least, greatest) = cell.bounds.unwrap_or((f64::NAN, f64::NAN));
                cell.bounds = Some((least.min(window.min), greatest.max(window.max)));
            }
        }
        Ok::<_, Error>(context.check()?)
    })?;
    let mut error: f64 = 0.0;
    let vector = pools.into_vector(context, |step, cell| {
        let (Some(sketch), Some((least, greatest))) = (&cell.sketch, cell.bounds) else { return ABSENT };
        let mut one = Sketches::default();
        one.push(Some(sketch));
        let mut distribution = Distribution::new(&one);
        distribution.slide(0..1);
        error = error.max(distribution.relative_error());
        let quantile = distribution.quantile(q(step));
        if quantile.is_finite() { least.max(quantile.min(greatest)) } else { quantile }
    })?;
    context.used.within(error);
    why::note(context, &choice, [why::quantiles_within(error)]);
    Ok(vector)
}
