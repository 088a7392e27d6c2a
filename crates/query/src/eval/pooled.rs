//! A quantile of the samples of several series together.
//!
//! PromQL has quantiles over time, of one series, and quantiles of what series have at one time; this is of all samples
//! in the range of all series of a group. No text means it: the JSON language asks for it.

use barograph_model::Labels;

use super::{
    Error,
    aggregate::keeps,
    column::{ABSENT, Map, Series, Vector},
    context::Context,
    expr,
    grid::Grid,
    kernels::{Kernel, Over},
    math::quantile,
    ranges, rolled,
};
use crate::syntax::ast::{Aggregate, Node};

pub(super) fn evaluate(context: &Context<'_>, grid: Grid, node: &Aggregate) -> Result<Vector, Error> {
    let Node::Call(call) = &node.expr.bare().node else { return Err(no_quantile()) };
    let (Kernel::Over(Over::Quantile), [q, range]) = (call.function.kernel, call.args.as_slice()) else {
        return Err(no_quantile());
    };
    let q = expr::scalar(context, grid, q)?;
    let q = |step: usize| super::column::at(&q, step);
    if let (Some(choice), Node::Range(selector)) =
        (rolled::choose_range(context, grid, range, Some(Over::Quantile))?, &range.bare().node)
    {
        let work = || rolled::pooled(context, grid, (node, selector), q, choice);
        return context.watch(range.bare(), work, |vector| vector.series.len());
    }
    let mut pools: Pools<Vec<f64>> = Pools::new(grid.len);
    ranges::each_range(context, grid, (range, false), |labels, _, samples, windows| {
        context.budget.reserve(8 * samples.len() as u64)?;
        let cells = pools.of(context, node, &labels)?;
        windows.slide(context, samples, |window| {
            cells[window.step].extend_from_slice(window.values);
            ABSENT
        })?;
        Ok(())
    })?;
    pools.into_vector(context, |step, values| match values.is_empty() {
        true => ABSENT,
        false => quantile(q(step), values),
    })
}

fn no_quantile() -> Error {
    Error::Execution("only quantiles over time are taken of several series together".into())
}

/// What is gathered of each group, one cell a step.
pub(super) struct Pools<T> {
    steps: usize,
    places: Map<Vec<u8>, usize>,
    groups: Vec<(Labels, Vec<T>)>,
}

impl<T: Default> Pools<T> {
    pub(super) fn new(steps: usize) -> Self {
        Self { steps, places: Map::default(), groups: Vec::new() }
    }

    /// The cells of the group that a series belongs to.
    pub(super) fn of(
        &mut self,
        context: &Context<'_>,
        node: &Aggregate,
        labels: &Labels,
    ) -> Result<&mut [T], Error> {
        let mut key = Vec::new();
        labels.append_kept(&mut key, |name| keeps(node, name));
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                context.budget.reserve((self.steps * size_of::<T>()) as u64)?;
                let labels = Labels::from_canonical_bytes(&key).expect("a subset of labels is in order");
                let mut cells = Vec::new();
                cells.resize_with(self.steps, T::default);
                self.groups.push((labels, cells));
                self.places.insert(key, self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        Ok(&mut self.groups[place].1)
    }

    /// One value a cell.
    pub(super) fn into_vector(
        self,
        context: &Context<'_>,
        mut value: impl FnMut(usize, &mut T) -> f64,
    ) -> Result<Vector, Error> {
        let mut vector = Vector { series: Vec::with_capacity(self.groups.len()), width: self.steps };
        for (labels, mut cells) in self.groups {
            context.budget.hold(self.steps)?;
            let values = cells.iter_mut().enumerate().map(|(step, cell)| value(step, cell)).collect();
            vector.series.push(Series::floats(labels, false, values));
        }
        Ok(vector)
    }
}
