//! Native histograms over windows.
//!
//! How much a counter grew, what a gauge sums up to, the first and the last, and how many there were, are those of the
//! samples themselves. The rest takes the last histogram of a window for all of it.

use std::sync::Arc;

use barograph_model::{Histogram, HistogramRollup, ResetHint, Timestamp};

use crate::{
    eval::{
        Error,
        column::{Cell, Rows, Series, Vector},
        context::Context,
        kernels::Over,
        over::Reach,
        select::Give,
    },
    native::{FloatHistogram, Incompatible},
    syntax::Span,
    tiers,
};

/// The series of an instant selector: at each point the last window that ends by then, if it is young enough.
pub(super) fn instant(
    context: &Context<'_>,
    reading: &tiers::Reading<'_>,
    (width, lookback): (usize, i64),
    point: impl Fn(usize) -> i64,
    give: Give,
) -> Result<Vec<Series>, Error> {
    let mut series = Vec::new();
    for (labels, windows) in tiers::histograms(reading)? {
        context.budget.hold(width)?;
        let cell = |step: usize| {
            let at = point(step);
            let ended = windows.partition_point(|window| window.start + reading.tier.width() <= at);
            let Some(window) = ended.checked_sub(1).map(|i| &windows[i]) else { return Cell::Absent };
            if window.ended || window.start + reading.tier.width() <= at.saturating_sub(lookback) {
                return Cell::Absent;
            }
            match give {
                Give::Value => shared(&window.last),
                Give::Time => Cell::Float(Timestamp(window.last_at).seconds()),
                Give::Start => Cell::Float(0.0),
            }
        };
        series.push(Series::of_cells(labels, false, (0..width).map(cell).collect()));
    }
    series.retain(Series::is_present_anywhere);
    Ok(series)
}

fn shared(histogram: &Histogram) -> Cell {
    Cell::Histogram(Arc::new(histogram.into()))
}

/// A function over ranges, and how long they are.
#[derive(Clone, Copy)]
pub(super) struct Ranged {
    pub(super) over: Over,
    /// Where the range stands in the query.
    pub(super) span: Span,
    /// What the range that was asked for is of the one that is answered.
    pub(super) share: f64,
    /// The seconds of the one that is answered.
    pub(super) seconds: f64,
}

/// The series of a function over ranges; `bounds` are the points between which the windows of a step start.
pub(super) fn over(
    context: &Context<'_>,
    reading: &tiers::Reading<'_>,
    ranged: Ranged,
    width: usize,
    bounds: impl Fn(usize) -> (i64, i64),
) -> Result<Vec<Series>, Error> {
    let mut series = Vec::new();
    for (labels, windows) in tiers::histograms(reading)? {
        context.budget.hold(width)?;
        let mut cells = Vec::with_capacity(width);
        for step in 0..width {
            context.check()?;
            let (after, last) = bounds(step);
            let first = windows.partition_point(|window| window.start < after);
            let end = windows.partition_point(|window| window.start < last);
            let Some(windows) = windows.get(first..end).filter(|windows| !windows.is_empty()) else {
                cells.push(Cell::Absent);
                continue;
            };
            let run = Run { context, name: labels.metric_name(), windows, bounds: (after, last), ranged };
            cells.push(run.cell().unwrap_or_else(|Incompatible| {
                context.notes.mixed_buckets(labels.metric_name(), ranged.span);
                Cell::Absent
            }));
        }
        series.push(Series::of_cells(labels, !ranged.over.keeps_name(), cells));
    }
    series.retain(Series::is_present_anywhere);
    Ok(series)
}

/// Series of floats and of histograms as one vector, in label order. Where a window has both, floats count.
pub(super) fn join(vector: Vector, natives: Vec<Series>) -> Vector {
    if natives.is_empty() {
        return vector;
    }
    let mut rows = Rows::new(vector.width);
    for series in vector.series.into_iter().chain(natives) {
        rows.fill(series);
    }
    let mut joined = rows.finish();
    joined.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    joined
}

/// The windows in one range, at least one.
struct Run<'a> {
    context: &'a Context<'a>,
    name: Option<&'a str>,
    windows: &'a [HistogramRollup],
    bounds: (i64, i64),
    ranged: Ranged,
}

impl Run<'_> {
    fn cell(&self) -> Result<Cell, Incompatible> {
        let windows = self.windows;
        let (first, last) = (&windows[0], &windows[windows.len() - 1]);
        let gauge = last.last.hint == ResetHint::Gauge;
        Ok(match self.ranged.over {
            Over::Count => Cell::Float(self.count() * self.ranged.share),
            Over::Present => Cell::Float(1.0),
            Over::First => shared(&first.first),
            Over::Last => shared(&last.last),
            Over::TsOfFirst => Cell::Float(Timestamp(first.first_at).seconds()),
            Over::TsOfLast => Cell::Float(Timestamp(last.last_at).seconds()),
            Over::Sum => self.scaled(self.sum()?, self.ranged.share),
            Over::Avg => self.scaled(self.sum()?, 1.0 / self.count()),
            Over::Rate | Over::Increase | Over::Delta => self.rate(gauge)?,
            Over::Irate | Over::Idelta => {
                let [.., before, last] = windows else { return Ok(Cell::Absent) };
                let mut change = FloatHistogram::from(&last.last);
                if self.ranged.over == Over::Idelta || !change.is_reset_after(&(&before.last).into()) {
                    change.subtract(&(&before.last).into())?;
                }
                let seconds = (last.last_at - before.last_at) as f64 / 1e3;
                self.scaled(change, if self.ranged.over == Over::Irate { 1.0 / seconds } else { 1.0 })
            }
            Over::Changes => self.pairs(|a, b| FloatHistogram::from(a) != FloatHistogram::from(b)),
            Over::Resets => self.pairs(|a, b| FloatHistogram::from(b).is_reset_after(&a.into())),
            _ => Cell::Absent,
        })
    }

    fn scaled(&self, mut histogram: FloatHistogram, factor: f64) -> Cell {
        histogram.scale(factor);
        Cell::Histogram(Arc::new(histogram.with_hint(ResetHint::Gauge)))
    }

    fn count(&self) -> f64 {
        self.windows.iter().map(|window| window.count).sum::<u64>() as f64
    }

    fn pairs(&self, relate: impl Fn(&Histogram, &Histogram) -> bool) -> Cell {
        let count = self.windows.windows(2).filter(|two| relate(&two[0].last, &two[1].last)).count();
        Cell::Float(count as f64)
    }

    /// The sum of all samples: of gauges as it is kept, of counters as if each had been what the last of its window is.
    fn sum(&self) -> Result<FloatHistogram, Incompatible> {
        let of = |window: &HistogramRollup| {
            if window.last.hint == ResetHint::Gauge {
                return FloatHistogram::from(&window.total);
            }
            let mut sum = FloatHistogram::from(&window.last);
            sum.scale(window.count as f64);
            sum
        };
        let mut sum = of(&self.windows[0]);
        for window in &self.windows[1..] {
            sum.add(&of(window))?;
        }
        Ok(sum)
    }

    fn rate(&self, gauge: bool) -> Result<Cell, Incompatible> {
        let windows = self.windows;
        let Ranged { over, span, share, seconds } = self.ranged;
        let (first, last) = (&windows[0], &windows[windows.len() - 1]);
        if self.count() < 2.0 {
            return Ok(Cell::Absent);
        }
        let counter = over != Over::Delta;
        match (counter, gauge) {
            (true, true) => self.context.notes.not_a_counter(self.name, span),
            (false, false) => self.context.notes.not_a_gauge(self.name, span),
            _ => {}
        }
        let change = if counter && !gauge {
            self.growth()?
        } else {
            let mut change = FloatHistogram::from(&last.last);
            change.subtract(&(&first.first).into())?;
            change
        };
        let reach = Reach::of(self.bounds, (first.first_at, last.last_at), self.count());
        let stretch = if counter {
            reach.stretch_of_counter(first.first.count(), change.count())
        } else {
            reach.stretch()
        };
        Ok(self.scaled(change, stretch * if over == Over::Rate { 1.0 / seconds } else { share }))
    }

    /// By how much a counter grew from the first sample to the last.
    fn growth(&self) -> Result<FloatHistogram, Incompatible> {
        let mut growth = FloatHistogram::from(&self.windows[0].total);
        for two in self.windows.windows(2) {
            let mut step = FloatHistogram::from(&two[1].first);
            if !step.is_reset_after(&(&two[0].last).into()) {
                step.subtract(&(&two[0].last).into())?;
            }
            growth.add(&step)?;
            growth.add(&(&two[1].total).into())?;
        }
        Ok(growth)
    }
}
