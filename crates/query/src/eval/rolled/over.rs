//! Functions over ranges of windows.
//!
//! Sums, counts, means, extremes, deviations, the first and the last value, and how much a counter grew, are those of
//! the samples themselves wherever a range is made of whole windows. Quantiles are those of the merged sketches. The
//! rest takes a window for a sample, as the note of the answer says.
//!
//! A range that is not made of at least two whole windows reads as many as it takes; what grows with the length of a
//! range (sums, counts, increases) is then scaled to the length that was asked for.

use std::sync::Arc;

use barograph_model::{HistogramRollup, Labels, Moment, Parts, Rollup, Rollups, Sample, Tier, Timestamp};

use super::{
    Choice,
    natives::{self, Ranged},
    why,
};
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
    tiers::{self, Distribution},
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
    let mut frame = Frame::new(context, grid, selector, choice.tier)?;
    let name = node.function.name;
    let width = frame.width(over == Over::PredictLinear || parameters.iter().any(|p| p.0.len() > 1));
    let mut vector = Vector { series: Vec::new(), width };
    let mut samples = Samples::default();
    let mut error: Option<f64> = None;
    tiers::each_series(&frame.reading(context, selector, parts(over)), |labels, rolled| {
        context.budget.charge(width)?;
        frame.place(&rolled.starts);
        let laid = Laid { context, frame: &frame, rolled, width };
        let parameter = |i: usize, step: usize| crate::eval::column::at(&parameters[i].0, step);
        let values = match over {
            Over::Quantile => {
                let (values, off) = laid.quantiles(|step| parameter(0, step))?;
                error = Some(error.map_or(off, |error| error.max(off)));
                values
            }
            Over::Deriv | Over::PredictLinear | Over::Mad | Over::Smooth => {
                means(rolled, &mut samples);
                laid.each(|range| anew(&range.window(&samples), over, grid, &parameter))?
            }
            _ => laid.column(over)?,
        };
        if values.iter().copied().any(is_present) {
            if matches!(over, Over::Rate | Over::Increase) {
                note_unlikely_counter(context, &labels, node.args[0].span);
            }
            vector.series.push(Series::floats(labels, !over.keeps_name(), values));
        }
        Ok::<_, Error>(())
    })?;
    context.used.within(error.unwrap_or_default());
    let notes = [
        why::widened(frame.windows.range, frame.span),
        why::approximation(over, name, frame.tier),
        error.map(why::quantiles_within),
    ];
    why::note(context, choice, notes.into_iter().flatten());
    let ranged = Ranged {
        over,
        span: node.args[0].span,
        share: frame.windows.range as f64 / frame.span as f64,
        seconds: frame.span as f64 / 1e3,
    };
    let reading = frame.reading(context, selector, Parts::NONE);
    let natives = natives::over(context, &reading, ranged, width, |step| frame.bounds[step])?;
    Ok(natives::join(vector, natives))
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
    tiers::each_series(&frame.reading(context, selector, Parts::LAST), |labels, rolled| {
        let points = rolled.starts.iter().zip(rolled.column(Moment::Last));
        let points =
            points.map(|(start, &value)| Sample { at: Timestamp(start + frame.tier.width()), value });
        matrix.push((labels, points.collect::<Track>()));
        Ok::<_, Error>(())
    })?;
    for (labels, windows) in tiers::histograms(&frame.reading(context, selector, Parts::NONE))? {
        let at = |window: &HistogramRollup| Timestamp(window.start + frame.tier.width());
        let histograms = windows.iter().map(|window| (at(window), Arc::new((&window.last).into())));
        matrix.push((labels, Track { floats: Vec::new(), histograms: histograms.collect() }));
    }
    Ok(matrix)
}

/// What a function needs of windows.
fn parts(over: Over) -> Parts {
    match over {
        Over::Count | Over::TsOfFirst | Over::TsOfLast | Over::Present => Parts::NONE,
        Over::Sum | Over::Avg => Parts::SUM,
        Over::Min | Over::TsOfMin => Parts::MIN,
        Over::Max | Over::TsOfMax => Parts::MAX,
        Over::Stddev | Over::Stdvar => Parts::SUM | Parts::M2,
        Over::First => Parts::FIRST,
        Over::Last => Parts::LAST,
        Over::Delta => Parts::FIRST | Parts::LAST,
        Over::Increase | Over::Rate | Over::Irate | Over::Idelta | Over::Resets => {
            Parts::FIRST | Parts::LAST | Parts::INCREASE
        }
        Over::Changes => Parts::FIRST | Parts::LAST | Parts::MIN | Parts::MAX,
        Over::Quantile => Parts::MIN | Parts::MAX | Parts::SKETCH,
        Over::Deriv | Over::PredictLinear | Over::Mad | Over::Smooth => Parts::SUM,
    }
}

/// The ranges of a selector as runs of windows.
pub(super) struct Frame {
    tier: Tier,
    windows: Windows,
    /// How long each run is, in milliseconds: at least the range, and at least two windows.
    span: i64,
    /// The points between which the range of each step lies.
    bounds: Vec<(i64, i64)>,
    /// How the ranges lie over the windows of series: most series have theirs where others have them too.
    layouts: Vec<Layout>,
    /// The one for the series at hand.
    at_hand: usize,
}

/// How many layouts are kept, so that few series need one of their own.
const LAYOUTS_MAX: usize = 8;

/// Where windows start, and which of them lie in the range of each step.
struct Layout {
    starts: Vec<i64>,
    places: Vec<std::ops::Range<usize>>,
}

/// The windows in one range, at least one.
struct Range<'a> {
    rolled: &'a Rollups,
    step: usize,
    /// The index of the first of them among all of the series, and the index after the last.
    first: usize,
    end: usize,
    /// The points between which the range lies.
    after: i64,
    last: i64,
}

impl Frame {
    pub(super) fn new(
        context: &Context<'_>,
        grid: Grid,
        selector: &RangeSelector,
        tier: Tier,
    ) -> Result<Self, Error> {
        let range = context.positive_length(&selector.range)?;
        let mut reference = context.reference(&selector.selector.shift)?;
        // Windows are half-open themselves.
        let half_open = i64::from(context.options.half_open);
        reference.offset = reference.offset.saturating_sub(half_open);
        let windows = Windows::new(grid, reference, range);
        let whole = range.div_euclid(tier.width()) + i64::from(range % tier.width() != 0);
        let span = whole.max(2 - half_open).saturating_mul(tier.width());
        let last = |step: usize| tier.window_of(windows.last(step));
        let bounds = (0..grid.len).map(|step| (last(step).saturating_sub(span), last(step))).collect();
        Ok(Self { tier, windows, span, bounds, layouts: Vec::new(), at_hand: 0 })
    }

    /// How many values a column has: one if the range does not move and nothing else does.
    fn width(&self, moves: bool) -> usize {
        if moves { self.bounds.len() } else { self.windows.width() }
    }

    /// The points between which the range of each step lies.
    pub(super) fn bounds(&self) -> &[(i64, i64)] {
        &self.bounds
    }

    pub(super) fn reading<'a>(
        &self,
        context: &'a Context<'_>,
        selector: &'a RangeSelector,
        parts: Parts,
    ) -> tiers::Reading<'a> {
        tiers::Reading {
            source: context.source,
            budget: context.budget,
            tier: self.tier,
            parts,
            matchers: &selector.selector.matchers,
            start: self.bounds[0].0,
            end: self.bounds[self.windows.width() - 1].1,
        }
    }

    /// Lays the ranges over the windows of a series; what is computed afterwards is of that series.
    fn place(&mut self, starts: &[i64]) {
        if let Some(known) = self.layouts.iter().position(|layout| layout.starts == starts) {
            self.at_hand = known;
            return;
        }
        if self.layouts.len() >= LAYOUTS_MAX {
            self.layouts.clear();
        }
        let (mut first, mut end) = (0, 0);
        let places = self.bounds.iter().map(|&(after, last)| {
            while end < starts.len() && starts[end] < last {
                end += 1;
            }
            while first < end && starts[first] < after {
                first += 1;
            }
            first..end
        });
        let places = places.collect();
        self.at_hand = self.layouts.len();
        self.layouts.push(Layout { starts: starts.to_vec(), places });
    }
}

/// The ranges of a frame, laid over the windows of a series.
struct Laid<'a> {
    context: &'a Context<'a>,
    frame: &'a Frame,
    rolled: &'a Rollups,
    /// How many values are made.
    width: usize,
}

impl Laid<'_> {
    /// Computes one value a step from the windows in its range.
    #[inline]
    fn each(&self, mut compute: impl FnMut(&Range<'_>) -> f64) -> Result<Vec<f64>, Error> {
        let Self { context, frame, rolled, width } = *self;
        let layout = &frame.layouts[frame.at_hand];
        debug_assert_eq!(layout.starts, rolled.starts, "the ranges were laid over this series");
        let mut values = vec![ABSENT; width];
        let mut seen = 0;
        let places = layout.places.iter().zip(&frame.bounds);
        for ((step, value), (place, &(after, last))) in values.iter_mut().enumerate().zip(places) {
            seen += place.len();
            if seen > CHECK_AFTER {
                context.check()?;
                seen = 0;
            }
            if !place.is_empty() {
                *value = compute(&Range { rolled, step, first: place.start, end: place.end, after, last });
            }
        }
        Ok(values)
    }

    /// The quantiles, and by how much they may be off.
    fn quantiles(&self, q: impl Fn(usize) -> f64) -> Result<(Vec<f64>, f64), Error> {
        let mut distribution = Distribution::new(&self.rolled.sketches);
        let values = self.each(|range| {
            distribution.slide(range.first..range.end);
            let quantile = distribution.quantile(q(range.step));
            if !quantile.is_finite() {
                return quantile;
            }
            // A bucket may reach beyond the least and the greatest of its values.
            range.least().max(quantile.min(range.greatest()))
        })?;
        Ok((values, distribution.relative_error()))
    }

    /// One value a step of a function that looks at windows as such.
    fn column(&self, over: Over) -> Result<Vec<f64>, Error> {
        let Self { frame, rolled, width, .. } = *self;
        // What the range that was asked for is of the one that is answered.
        let share = frame.windows.range as f64 / frame.span as f64;
        let a_second = 1e3 / frame.span as f64;
        let stamp = |window: usize| Timestamp(rolled.starts[window] + frame.tier.width()).seconds();
        let of = |moment: Moment| rolled.column(moment);
        match over {
            Over::Sum => self.each(|range| range.sum() * share),
            Over::Count => self.each(|range| range.count() * share),
            Over::Avg => self.each(|range| range.sum() / range.count()),
            Over::Min => self.each(|range| range.least()),
            Over::Max => self.each(|range| range.greatest()),
            Over::TsOfMin => self.each(|range| stamp(range.latest(of(Moment::Min), range.least()))),
            Over::TsOfMax => self.each(|range| stamp(range.latest(of(Moment::Max), range.greatest()))),
            Over::Stdvar => self.each(|range| range.variance()),
            Over::Stddev => self.each(|range| range.variance().sqrt()),
            Over::First => self.each(|range| of(Moment::First)[range.first]),
            Over::Last => self.each(|range| of(Moment::Last)[range.end - 1]),
            Over::TsOfFirst => self.each(|range| Timestamp(rolled.first_at(range.first)).seconds()),
            Over::TsOfLast => self.each(|range| Timestamp(rolled.last_at(range.end - 1)).seconds()),
            Over::Present => self.each(|_| 1.0),
            Over::Delta => self.each(|range| range.extrapolated(range.delta(), false, share)),
            Over::Increase => self.each(|range| range.extrapolated(range.increase(), true, share)),
            Over::Rate => self.each(|range| range.extrapolated(range.increase(), true, a_second)),
            Over::Irate => self.each(|range| range.last_change(true)),
            Over::Idelta => self.each(|range| range.last_change(false)),
            Over::Resets => {
                let (first, last) = (of(Moment::First), of(Moment::Last));
                self.each(|range| range.counted(|w| fell(rolled, w), |a, b| first[b] < last[a]))
            }
            Over::Changes => {
                let (first, last) = (of(Moment::First), of(Moment::Last));
                let (min, max) = (of(Moment::Min), of(Moment::Max));
                self.each(|range| range.counted(|w| min[w] < max[w], |a, b| last[a] != first[b]))
            }
            Over::Quantile | Over::Deriv | Over::PredictLinear | Over::Mad | Over::Smooth => {
                Ok(vec![ABSENT; width])
            }
        }
    }
}

impl Range<'_> {
    /// A number of each window.
    #[inline]
    fn of(&self, moment: Moment) -> &[f64] {
        &self.rolled.column(moment)[self.first..self.end]
    }

    #[inline]
    fn sum(&self) -> f64 {
        Sum::of(self.of(Moment::Sum)).total()
    }

    #[inline]
    fn count(&self) -> f64 {
        self.rolled.counts[self.first..self.end].iter().map(|&count| u64::from(count)).sum::<u64>() as f64
    }

    #[inline]
    fn least(&self) -> f64 {
        self.of(Moment::Min).iter().copied().fold(f64::NAN, f64::min)
    }

    #[inline]
    fn greatest(&self) -> f64 {
        self.of(Moment::Max).iter().copied().fold(f64::NAN, f64::max)
    }

    /// The last window with a value; the last of all if none has it.
    fn latest(&self, column: &[f64], value: f64) -> usize {
        (self.first..self.end).rfind(|&window| column[window] == value).unwrap_or(self.end - 1)
    }

    fn variance(&self) -> f64 {
        let mut windows = self.rolled.list(self.first..self.end);
        let Some(mut all) = windows.next() else { return ABSENT };
        windows.for_each(|window| all.join(&window));
        all.variance()
    }

    #[inline]
    fn delta(&self) -> f64 {
        self.rolled.column(Moment::Last)[self.end - 1] - self.rolled.column(Moment::First)[self.first]
    }

    /// By how much a counter grew from the first sample to the last.
    #[inline]
    fn increase(&self) -> f64 {
        let (first, last) = (self.of(Moment::First), self.of(Moment::Last));
        let increase = self.of(Moment::Increase);
        let joins = last.iter().zip(&first[1..]).zip(&increase[1..]);
        joins.fold(increase[0], |sum, ((&before, &after), inside)| {
            sum + (Rollup::growth(before, after) + inside)
        })
    }

    /// A growth between the first and the last sample, extrapolated to the whole range, and a share of that.
    #[inline]
    fn extrapolated(&self, growth: f64, counter: bool, share: f64) -> f64 {
        let count = self.count();
        if count < 2.0 {
            return ABSENT;
        }
        let between = (self.rolled.first_at(self.first), self.rolled.last_at(self.end - 1));
        let reach = Reach::of((self.after, self.last), between, count);
        let first = self.rolled.column(Moment::First)[self.first];
        let value = if counter { reach.increase(first, growth) } else { reach.extrapolated(growth) };
        // Computing with what stands for no value would make it one.
        if is_present(value) { value * share } else { ABSENT }
    }

    /// The change from the last value of the window before to that of the last window, a second for rates.
    fn last_change(&self, rate: bool) -> f64 {
        let (first, last) = (self.of(Moment::First), self.of(Moment::Last));
        let increase = self.of(Moment::Increase);
        let at = self.end - self.first - 1;
        let (change, from) = match at.checked_sub(1) {
            Some(before) if rate => (
                Rollup::growth(last[before], first[at]) + increase[at],
                self.rolled.last_at(self.first + before),
            ),
            Some(before) => (last[at] - last[before], self.rolled.last_at(self.first + before)),
            None if self.count() < 2.0 => return ABSENT,
            None if rate => (increase[at], self.rolled.first_at(self.first)),
            None => (last[at] - first[at], self.rolled.first_at(self.first)),
        };
        if rate { change / ((self.rolled.last_at(self.end - 1) - from) as f64 / 1e3) } else { change }
    }

    /// How many windows, and joins of two, something holds for.
    fn counted(&self, inside: impl Fn(usize) -> bool, between: impl Fn(usize, usize) -> bool) -> f64 {
        let within = (self.first..self.end).filter(|&window| inside(window)).count();
        (within + (self.first + 1..self.end).filter(|&window| between(window - 1, window)).count()) as f64
    }

    /// The same range of samples, one a window.
    fn window<'a>(&self, samples: &'a Samples) -> Window<'a> {
        let (first, end) = (self.first, self.end);
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
fn fell(rolled: &Rollups, window: usize) -> bool {
    let of = |moment: Moment| rolled.column(moment)[window];
    let (first, last, increase) = (of(Moment::First), of(Moment::Last), of(Moment::Increase));
    increase - (last - first) > 1e-9 * (increase.abs() + first.abs() + last.abs())
}

/// The mean of each window, at the middle of its samples.
fn means(rolled: &Rollups, samples: &mut Samples) {
    samples.clear();
    for (window, &sum) in rolled.column(Moment::Sum).iter().enumerate() {
        let (first_at, last_at) = (rolled.first_at(window), rolled.last_at(window));
        samples.push(first_at + (last_at - first_at) / 2, sum / f64::from(rolled.counts[window]));
    }
}
