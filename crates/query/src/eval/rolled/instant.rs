//! Instant selectors over windows.

use barograph_model::{Moment, Parts, Tier, Timestamp};

use super::{Choice, join, natives, why};
use crate::{
    eval::{
        Error,
        column::{ABSENT, Series, Vector},
        context::{Context, Reference},
        grid::Grid,
        select::{self, Asked, Give},
    },
    syntax::ast::Selector,
    tiers,
};

/// The series of an instant selector: the older steps from the tier, the others from raw samples.
pub(in crate::eval) fn instant(
    context: &Context<'_>,
    grid: Grid,
    asked: Asked<'_>,
    give: Give,
    choice: &Choice,
) -> Result<Vector, Error> {
    let Asked { selector, reference, .. } = asked;
    why::note(context, choice, None);
    let (older, newer) = choice.split_at(grid, reference.at.is_some());
    let vector = from_windows(context, older, (selector, reference), give, choice.tier)?;
    let Some(newer) = newer else { return Ok(vector) };
    let rest = select::from_samples(context, newer, asked, give)?;
    Ok(join((vector, older.len), (rest, newer.len)))
}

fn from_windows(
    context: &Context<'_>,
    grid: Grid,
    (selector, reference): (&Selector, Reference),
    give: Give,
    tier: Tier,
) -> Result<Vector, Error> {
    let width = if reference.at.is_some() { 1 } else { grid.len };
    let point = |step: usize| reference.at.unwrap_or_else(|| grid.at(step)).saturating_sub(reference.offset);
    let lookback = context.options.lookback_ms.max(2 * tier.width());
    let reading = tiers::Reading {
        source: context.source,
        budget: context.budget,
        tier,
        parts: if give == Give::Value { Parts::LAST } else { Parts::NONE },
        matchers: &selector.matchers,
        start: tier.window_of(point(0).saturating_sub(lookback)),
        end: tier.window_of(point(width - 1)),
    };
    let mut vector = Vector { series: Vec::new(), width };
    tiers::each_series(&reading, |labels, rolled| {
        context.budget.charge(width)?;
        let mut values = vec![ABSENT; width];
        let last = rolled.column(Moment::Last);
        // Windows that end before the point of a step.
        let (mut end, mut any) = (0, false);
        let stamp = |window: usize| rolled.starts[window] + tier.width();
        for (step, value) in values.iter_mut().enumerate() {
            let at = point(step);
            while end < rolled.len() && stamp(end) <= at {
                end += 1;
            }
            let Some(window) = end.checked_sub(1) else { continue };
            if stamp(window) > at.saturating_sub(lookback) && !rolled.has_ended(window) {
                any = true;
                *value = match give {
                    Give::Value => last[window],
                    Give::Time => Timestamp(rolled.last_at(window)).seconds(),
                    // Windows do not keep it.
                    Give::Start => 0.0,
                };
            }
        }
        if any {
            vector.series.push(Series::floats(labels, false, values));
        }
        Ok::<_, Error>(())
    })?;
    let natives = natives::instant(context, &reading, (width, lookback), point, give)?;
    Ok(natives::join(vector, natives))
}
