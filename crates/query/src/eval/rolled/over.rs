//! Functions over ranges of windows.
//!
//! Sums, counts, means, extremes, deviations, the first and the last value, and how much a counter grew, are those of
//! the samples themselves wherever a range is made of whole windows. Quantiles are those of the merged sketches. The
//! rest takes a window for a sample, as the note of the answer says.
//!
//! A range that is not made of at least two whole windows reads as many as it takes; what grows with the length of a
//! range (sums, counts, increases) is then scaled to the length that was asked for.

use barograph_model::{Labels, Rollup, Sample, Tier, Timestamp};

use super::{Choice, why};
use crate::{
    eval::{
        Error, Track,
        column::{ABSENT, Series, Vector, is_present},
        context::Context,
        grid::Grid,
        kernels::Over,
        math::Sum,
        over::{Parameters, Reach, anew, note_unlikely_counter},
        windows::{Samples, Window, Windows},
    },
    syntax::ast::{Call, RangeSelector},
    tiers::{self, Distribution, Rolled},
};

/// After how many windows, those of overlapping ranges counted again, a cancelled query is noticed.
const CHECK_AFTER: usize = 1 << 18;

/// A function over a range selector, at steps that all are the tier's. Nothing is settled yet.
pub(in crate::eval) fn over(
    context: &Context<'_>,
    grid: Grid,
    (node, selector): (&Call, &RangeSelector),
    (over, parameters): (Over, &Parameters),
    choice: &Choice,
) -> Result<Vector, Error> {
    let frame = Frame::new(context, grid, selector, choice.tier)?;
    let name = node.function.name;
    let width = frame.width(over == Over::PredictLinear || parameters.iter().any(|p| p.0.len() > 1));
    let mut vector = Vector { series: Vec::new(), width };
    let mut samples = Samples::default();
    let mut error: Option<f64> = None;
    tiers::each_series(&frame.reading(context, selector, over == Over::Quantile), |labels, rolled| {
        context.budget.charge(width)?;
        let parameter = |i: usize, step: usize| crate::eval::column::at(&parameters[i].0, step);
        let values = match over {
            Over::Quantile => {
                let (values, off) = frame.quantiles(context, rolled, width, |step| parameter(0, step))?;
                error = Some(error.map_or(off, |error| error.max(off)));
                values
            }
            Over::Deriv | Over::PredictLinear | Over::Mad | Over::Smooth => {
                means(rolled, &mut samples);
                frame.slide(context, rolled, width, |range| {
                    anew(&range.window(&samples), over, grid, &parameter)
                })?
            }
            _ => frame.slide(context, rolled, width, |range| frame.value(over, range))?,
        };
        if values.iter().copied().any(is_present) {
            if matches!(over, Over::Rate | Over::Increase) {
                note_unlikely_counter(context, &labels, node.args[0].span);
            }
            vector.series.push(Series::floats(labels, !over.keeps_name(), values));
        }
        Ok::<_, Error>(())
    })?;
    let notes = [
        why::widened(frame.windows.range, frame.span),
        why::approximation(over, name, frame.tier),
        error.map(why::quantiles_within),
    ];
    why::note(context, choice, notes.into_iter().flatten());
    Ok(vector)
}

/// The windows in a range as samples at their ends: a range vector that is itself the answer.
pub(in crate::eval) fn as_samples(
    context: &Context<'_>,
    grid: Grid,
    selector: &RangeSelector,
    choice: &Choice,
) -> Result<Vec<(Labels, Track)>, Error> {
    let frame = Frame::new(context, grid, selector, choice.tier)?;
    why::note(context, choice, why::widened(frame.windows.range, frame.span));
    let mut matrix = Vec::new();
    tiers::each_series(&frame.reading(context, selector, false), |labels, rolled| {
        let at = |window: &Rollup| Timestamp(window.start + frame.tier.width());
        let points = rolled.windows.iter().map(|window| Sample { at: at(window), value: window.last });
        matrix.push((labels, Track { floats: points.collect(), histograms: Vec::new() }));
        Ok::<_, Error>(())
    })?;
    Ok(matrix)
}

/// The ranges of a selector as runs of windows.
struct Frame {
    tier: Tier,
    windows: Windows,
    /// How long each run is, in milliseconds: at least the range, and at least two windows.
    span: i64,
    steps: usize,
}

/// The windows in one range, at least one.
struct Range<'a> {
    windows: &'a [Rollup],
    step: usize,
    /// The index of the first of them among all of the series.
    first: usize,
    /// The points between which the range lies.
    after: i64,
    last: i64,
}

impl Frame {
    fn new(context: &Context<'_>, grid: Grid, selector: &RangeSelector, tier: Tier) -> Result<Self, Error> {
        let range = context.positive_length(&selector.range)?;
        let windows = Windows::new(grid, context.reference(&selector.selector.shift)?, range);
        let whole = range.div_euclid(tier.width()) + i64::from(range % tier.width() != 0);
        Ok(Self { tier, windows, span: whole.max(2).saturating_mul(tier.width()), steps: grid.len })
    }

    /// How many values a column has: one if the range does not move and nothing else does.
    fn width(&self, moves: bool) -> usize {
        if moves { self.steps } else { self.windows.width() }
    }

    fn reading<'a>(
        &self,
        context: &'a Context<'_>,
        selector: &'a RangeSelector,
        sketches: bool,
    ) -> tiers::Reading<'a> {
        let point = |step: usize| self.tier.window_of(self.windows.last(step));
        tiers::Reading {
            source: context.source,
            budget: context.budget,
            tier: self.tier,
            sketches,
            matchers: &selector.selector.matchers,
            start: point(0).saturating_sub(self.span),
            end: point(self.windows.width() - 1),
        }
    }

    /// Computes one value a step from the windows in its range.
    fn slide(
        &self,
        context: &Context<'_>,
        rolled: &Rolled,
        width: usize,
        mut compute: impl FnMut(&Range<'_>) -> f64,
    ) -> Result<Vec<f64>, Error> {
        let windows = &rolled.windows;
        let mut values = vec![ABSENT; width];
        let (mut first, mut end, mut seen) = (0, 0, 0);
        for (step, value) in values.iter_mut().enumerate() {
            let last = self.tier.window_of(self.windows.last(step));
            let after = last.saturating_sub(self.span);
            while end < windows.len() && windows[end].start < last {
                end += 1;
            }
            while first < end && windows[first].start < after {
                first += 1;
            }
            seen += end - first;
            if seen > CHECK_AFTER {
                context.check()?;
                seen = 0;
            }
            if first < end {
                *value = compute(&Range { windows: &windows[first..end], step, first, after, last });
            }
        }
        Ok(values)
    }

    /// The quantiles, and by how much they may be off.
    fn quantiles(
        &self,
        context: &Context<'_>,
        rolled: &Rolled,
        width: usize,
        q: impl Fn(usize) -> f64,
    ) -> Result<(Vec<f64>, f64), Error> {
        let mut distribution = Distribution::new(&rolled.sketches);
        let values = self.slide(context, rolled, width, |range| {
            distribution.slide(range.first..range.first + range.windows.len());
            let quantile = distribution.quantile(q(range.step));
            if !quantile.is_finite() {
                return quantile;
            }
            // A bucket may reach beyond the least and the greatest of its values.
            range.least().max(quantile.min(range.greatest()))
        })?;
        Ok((values, distribution.relative_error()))
    }

    fn value(&self, over: Over, range: &Range<'_>) -> f64 {
        let windows = range.windows;
        let (first, last) = (&windows[0], &windows[windows.len() - 1]);
        // What the range that was asked for is of the one that is answered.
        let share = self.windows.range as f64 / self.span as f64;
        let stamp = |window: &Rollup| Timestamp(window.start + self.tier.width()).seconds();
        match over {
            Over::Sum => range.sum() * share,
            Over::Count => range.count() * share,
            Over::Avg => range.sum() / range.count(),
            Over::Min => range.least(),
            Over::Max => range.greatest(),
            Over::TsOfMin => {
                range.windows.iter().rfind(|w| w.min == range.least()).map_or(stamp(last), stamp)
            }
            Over::TsOfMax => {
                range.windows.iter().rfind(|w| w.max == range.greatest()).map_or(stamp(last), stamp)
            }
            Over::Stdvar => range.variance(),
            Over::Stddev => range.variance().sqrt(),
            Over::First => first.first,
            Over::Last => last.last,
            Over::TsOfFirst => Timestamp(first.first_at).seconds(),
            Over::TsOfLast => Timestamp(last.last_at).seconds(),
            Over::Present => 1.0,
            Over::Delta => range.extrapolated(last.last - first.first, false, share),
            Over::Increase => range.extrapolated(range.increase(), true, share),
            Over::Rate => range.extrapolated(range.increase(), true, 1e3 / self.span as f64),
            Over::Irate | Over::Idelta => range.last_change(over == Over::Irate),
            Over::Resets => range.counted(fell, |a, b| b.first < a.last),
            Over::Changes => range.counted(|w| w.min < w.max, |a, b| a.last != b.first),
            Over::Quantile | Over::Deriv | Over::PredictLinear | Over::Mad | Over::Smooth => ABSENT,
        }
    }
}

impl Range<'_> {
    fn sum(&self) -> f64 {
        self.windows.iter().fold(Sum::default(), |sum, window| sum.plus(window.sum)).total()
    }

    fn count(&self) -> f64 {
        self.windows.iter().map(|window| window.count).sum::<u64>() as f64
    }

    fn least(&self) -> f64 {
        self.windows.iter().fold(f64::NAN, |least, window| least.min(window.min))
    }

    fn greatest(&self) -> f64 {
        self.windows.iter().fold(f64::NAN, |greatest, window| greatest.max(window.max))
    }

    fn variance(&self) -> f64 {
        let mut windows = self.windows.iter();
        let Some(first) = windows.next() else { return ABSENT };
        let mut all = Rollup { sketch: None, ..*first };
        windows.for_each(|window| all.join(window));
        all.variance()
    }

    /// By how much a counter grew from the first sample to the last.
    fn increase(&self) -> f64 {
        let joins = self.windows.windows(2).map(|two| two[0].growth_to(&two[1]) + two[1].increase);
        joins.fold(self.windows[0].increase, |sum, growth| sum + growth)
    }

    /// A growth between the first and the last sample, extrapolated to the whole range, and a share of that.
    fn extrapolated(&self, growth: f64, counter: bool, share: f64) -> f64 {
        let (first, last) = (&self.windows[0], &self.windows[self.windows.len() - 1]);
        if self.count() < 2.0 {
            return ABSENT;
        }
        let reach = Reach::of((self.after, self.last), (first.first_at, last.last_at), self.count());
        let value = if counter { reach.increase(first.first, growth) } else { reach.extrapolated(growth) };
        // Computing with what stands for no value would make it one.
        if is_present(value) { value * share } else { ABSENT }
    }

    /// The change from the last value of the window before to that of the last window, a second for rates.
    fn last_change(&self, rate: bool) -> f64 {
        let last = &self.windows[self.windows.len() - 1];
        let before = self.windows.len().checked_sub(2).map(|i| &self.windows[i]);
        let (change, from) = match before {
            Some(before) if rate => (before.growth_to(last) + last.increase, before.last_at),
            Some(before) => (last.last - before.last, before.last_at),
            None if last.count < 2 => return ABSENT,
            None if rate => (last.increase, last.first_at),
            None => (last.last - last.first, last.first_at),
        };
        if rate { change / ((last.last_at - from) as f64 / 1e3) } else { change }
    }

    /// How many windows, and joins of two, something holds for.
    fn counted(&self, inside: impl Fn(&Rollup) -> bool, between: impl Fn(&Rollup, &Rollup) -> bool) -> f64 {
        let within = self.windows.iter().filter(|window| inside(window)).count();
        (within + self.windows.windows(2).filter(|two| between(&two[0], &two[1])).count()) as f64
    }

    /// The same range of samples, one a window.
    fn window<'a>(&self, samples: &'a Samples) -> Window<'a> {
        let (first, end) = (self.first, self.first + self.windows.len());
        Window {
            step: self.step,
            after: self.after,
            last: self.last,
            first,
            end,
            timestamps: &samples.timestamps[first..end],
            values: &samples.values[first..end],
        }
    }
}

/// Whether a value fell in a window: a counter then grew by more than from the first to the last.
fn fell(window: &Rollup) -> bool {
    let slack = 1e-9 * (window.increase.abs() + window.first.abs() + window.last.abs());
    window.increase - (window.last - window.first) > slack
}

/// The mean of each window, at the middle of its samples.
fn means(rolled: &Rolled, samples: &mut Samples) {
    samples.clear();
    for window in &rolled.windows {
        samples.push(window.first_at + (window.last_at - window.first_at) / 2, window.mean());
    }
}
