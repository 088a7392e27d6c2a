//! Selectors answered from the windows of a tier, where raw samples are gone or a tier was asked for.
//!
//! A window is a sample stamped at its end, and it ends the series if a staleness marker was the last thing in it.
//! Instant selectors give its last value and look back at least two windows ([`instant`]). Functions over ranges take
//! what the window keeps for them ([`over`]); their ranges end at the end of a window and are at least two long. Which
//! tier answers which step is decided once a selector ([`choose`]), and the answer says so ([`why`]).

mod choose;
mod instant;
mod natives;
mod over;
mod pooled;
mod why;

use std::cell::Cell;

use barograph_model::Tier;

use super::{
    Error,
    column::{ABSENT, Series, Vector},
    context::{Context, Reference},
    grid::Grid,
    kernels::Over,
};
use crate::syntax::ast::{Expr, Node, RangeSelector, Reading, Selector};
pub(super) use choose::Choice;
use choose::{Demand, Want, choose};
pub(super) use instant::instant;
pub(super) use over::{as_samples, over};
pub(super) use pooled::pooled;
pub(crate) use why::gone;

/// Which tiers were read for an answer, and how far off it may be.
#[derive(Debug, Default)]
pub(super) struct Used {
    tiers: Cell<[bool; Tier::ALL.len()]>,
    error: Cell<f64>,
}

impl Used {
    fn add(&self, tier: Tier) {
        let mut used = self.tiers.get();
        used[tier as usize] = true;
        self.tiers.set(used);
    }

    /// Quantiles may be off by so much.
    fn within(&self, error: f64) {
        self.error.set(self.error.get().max(error));
    }

    /// The most that quantiles are off.
    pub(super) fn error(&self) -> f64 {
        self.error.get()
    }

    /// From the finest.
    pub(super) fn tiers(&self) -> Vec<Tier> {
        let used = self.tiers.get();
        Tier::ALL.into_iter().filter(|tier| used[*tier as usize]).collect()
    }
}

/// The tier that answers an instant selector; `None` if raw samples do.
pub(super) fn choose_instant(
    context: &Context<'_>,
    grid: Grid,
    reference: Reference,
    selector: &Selector,
) -> Result<Option<Choice>, Error> {
    pick(context, grid, reference, selector, (context.options.lookback_ms, Want::Last))
}

/// The tier that answers a function over a range selector; `None` if raw samples do, or if the range is that of a
/// subquery, whose selectors choose for themselves.
pub(super) fn choose_range(
    context: &Context<'_>,
    grid: Grid,
    range: &Expr,
    over: Option<Over>,
) -> Result<Option<Choice>, Error> {
    let Node::Range(node) = &range.bare().node else { return Ok(None) };
    let length = context.positive_length(&node.range)?;
    let before = if node.selector.reading == Reading::Plain { 0 } else { context.options.lookback_ms };
    let reach = (length.saturating_add(before), Want::Range { length, adds_up: over.is_some_and(adds_up) });
    pick(context, grid, context.reference(&node.selector.shift)?, &node.selector, reach)
}

fn pick(
    context: &Context<'_>,
    grid: Grid,
    reference: Reference,
    selector: &Selector,
    (reach, want): (i64, Want),
) -> Result<Option<Choice>, Error> {
    let demand = Demand {
        first: reference.at.unwrap_or(grid.start).saturating_sub(reference.offset),
        step: grid.step,
        len: if reference.at.is_some() { 1 } else { grid.len },
        reach,
        want,
    };
    let (reading, matchers) = (selector.reading, &selector.matchers);
    let coverage = |tier| context.source.coverage_of(tier, matchers);
    let choice = choose(coverage, context.options.tier, &demand);
    if let Some(choice) = choice {
        if reading != Reading::Plain {
            let modifier = if reading == Reading::Smoothed { "smoothed" } else { "anchored" };
            let message = format!(
                "the {modifier} modifier needs raw samples, and the {} tier is to answer: {}",
                choice.tier,
                why::reason(choice.why)
            );
            return Err(Error::Execution(message));
        }
        context.used.add(choice.tier);
    }
    if choice.is_none_or(|choice| choice.steps < demand.len) {
        context.used.add(Tier::Raw);
    }
    Ok(choice)
}

/// Functions of which a long window says the same as the short ones it is made of.
fn adds_up(over: Over) -> bool {
    match over {
        Over::Avg | Over::Count | Over::Sum | Over::Min | Over::Max | Over::Stddev | Over::Stdvar => true,
        Over::First | Over::Last | Over::TsOfFirst | Over::TsOfLast | Over::Present => true,
        Over::Delta | Over::Increase | Over::Rate | Over::Quantile => true,
        Over::Irate | Over::Idelta | Over::Changes | Over::Resets | Over::TsOfMin | Over::TsOfMax => false,
        Over::Deriv | Over::PredictLinear | Over::Mad | Over::Smooth => false,
    }
}

impl Choice {
    pub(super) fn tier(&self) -> Tier {
        self.tier
    }

    /// How many of the first steps it answers.
    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    pub(super) fn reason(&self) -> String {
        why::reason(self.why)
    }

    /// The steps that the tier answers, and those that raw samples answer, if there are any.
    pub(super) fn split(&self, grid: Grid, node: &RangeSelector) -> (Grid, Option<Grid>) {
        self.split_at(grid, node.selector.shift.at.is_some())
    }

    fn split_at(&self, grid: Grid, fixed: bool) -> (Grid, Option<Grid>) {
        if fixed || self.steps >= grid.len {
            return (grid, None);
        }
        (grid.part(0, self.steps), Some(grid.part(self.steps, grid.len)))
    }
}

/// The columns of the older steps, followed by those of the newer ones, series by series. Both are in label order, as
/// sources give them.
pub(super) fn join(older: (Vector, usize), newer: (Vector, usize)) -> Vector {
    let ((older, before), (newer, after)) = (older, newer);
    let width = before + after;
    let mut series: Vec<Series> = Vec::with_capacity(older.series.len().max(newer.series.len()));
    let mut newer = newer.series.into_iter().peekable();
    let late = |mut late: Series| {
        late.values.splice(0..0, std::iter::repeat_n(ABSENT, before));
        if !late.histograms.is_empty() {
            late.histograms.splice(0..0, std::iter::repeat_n(None, before));
        }
        late
    };
    for mut early in older.series {
        while let Some(next) = newer.next_if(|next| next.labels < early.labels) {
            series.push(late(next));
        }
        match newer.next_if(|next| next.labels == early.labels) {
            Some(next) => {
                if !early.histograms.is_empty() || !next.histograms.is_empty() {
                    early.histograms.resize(before, None);
                    early.histograms.extend(next.histograms);
                }
                early.values.extend(next.values);
            }
            None => early.values.resize(width, ABSENT),
        }
        if !early.histograms.is_empty() {
            early.histograms.resize(width, None);
        }
        series.push(early);
    }
    series.extend(newer.map(late));
    Vector { series, width }
}

#[cfg(test)]
mod tests {
    use barograph_model::Labels;

    use super::*;

    #[test]
    fn parts_join_by_series() {
        let vector = |rows: &[(&str, &[f64])]| {
            let of = |&(name, values): &(&str, &[f64])| {
                Series::floats(Labels::from_pairs([("i", name)]).unwrap(), false, values.to_vec())
            };
            Vector { series: rows.iter().map(of).collect(), width: rows[0].1.len() }
        };
        let older = vector(&[("b", &[1.0]), ("c", &[2.0])]);
        let newer = vector(&[("a", &[3.0, 4.0]), ("c", &[5.0, 6.0]), ("d", &[7.0, 8.0])]);
        let joined = join((older, 1), (newer, 2));
        assert_eq!(joined.width, 3);
        let shown: Vec<String> = joined
            .series
            .iter()
            .map(|series| {
                let values =
                    series.values.iter().map(|v| if v.is_nan() { "_".into() } else { v.to_string() });
                values.collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(shown, ["_ 3 4", "1 _ _", "2 5 6", "_ 7 8"]);
    }
}
