//! A quantile of several series together, from the sketches of their windows.

use barograph_model::{Moment, Parts, Sketch, Sketches};

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
    tiers::{self, Distribution},
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
    let wanted = Parts::MIN | Parts::MAX | Parts::SKETCH;
    tiers::each_series(&frame.reading(context, selector, wanted), |labels, rolled| {
        let (starts, least, greatest) =
            (&rolled.starts, rolled.column(Moment::Min), rolled.column(Moment::Max));
        for (cell, &(after, last)) in pools.of(context, node, &labels)?.iter_mut().zip(frame.bounds()) {
            let first = starts.partition_point(|start| *start < after);
            let run = first..first + starts[first..].partition_point(|start| *start < last);
            if run.is_empty() {
                continue;
            }
            if cell.sketch.is_none() {
                context.budget.reserve(SKETCH_BYTES)?;
            }
            let sketch = cell.sketch.get_or_insert_default();
            for window in run {
                sketch.merge(&rolled.sketches.sketch(window, [0.0; 3]));
                let (low, high) = cell.bounds.unwrap_or((f64::NAN, f64::NAN));
                cell.bounds = Some((low.min(least[window]), high.max(greatest[window])));
            }
        }
        context.check()
    })?;
    let mut error: f64 = 0.0;
    let vector = pools.into_vector(context, |step, cell| {
        let (Some(sketch), Some((least, greatest))) = (&cell.sketch, cell.bounds) else { return ABSENT };
        let mut one = Sketches::default();
        one.push(sketch);
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
