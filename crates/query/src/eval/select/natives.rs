//! Native histograms, and the times since which samples count, joined to the floats of their series.

use std::{iter::Peekable, sync::Arc, vec::IntoIter};

use barograph_model::{
    Histogram, HistogramSeries, Labels, ResetHint, Selection, TimeRange, Timestamp, is_stale,
};

use super::{Give, Read};
use crate::{
    eval::{
        Error,
        column::{Cell, Series, Shared},
        context::Context,
        windows::Samples,
    },
    native::FloatHistogram,
    syntax::Span,
};

/// The histograms that a selector finds, which come apart from the floats.
pub(super) struct Natives {
    series: Peekable<IntoIter<HistogramSeries<(i64, Histogram)>>>,
    starts: Peekable<IntoIter<HistogramSeries<(i64, i64)>>>,
    detect_resets: bool,
}

impl Natives {
    pub(super) fn open(context: &Context<'_>, read: &Read<'_>) -> Result<Self, Error> {
        let range = TimeRange::left_open(Timestamp(read.after), Timestamp(read.last));
        let selection = Selection { matchers: read.matchers, range };
        let series = context.source.histograms(&selection, context.budget)?;
        let starts =
            if read.starts { context.source.start_times(&selection, context.budget)? } else { Vec::new() };
        let (series, starts) = (series.into_iter().peekable(), starts.into_iter().peekable());
        Ok(Self { series, starts, detect_resets: read.detect_resets })
    }

    /// Whether there are none left.
    pub(super) fn is_empty(&self) -> bool {
        self.series.len() == 0
    }

    /// The next series that comes before another and so has no floats, with its samples.
    pub(super) fn next_before(&mut self, labels: &Labels, samples: &mut Samples) -> Option<Labels> {
        self.series.next_if(|pair| pair.0 < *labels).map(|found| self.fill(found, samples))
    }

    /// The next series, whatever it is.
    pub(super) fn next(&mut self, samples: &mut Samples) -> Option<Labels> {
        self.series.next().map(|found| self.fill(found, samples))
    }

    fn fill(&mut self, found: HistogramSeries<(i64, Histogram)>, samples: &mut Samples) -> Labels {
        samples.clear();
        self.push(&found.1, samples);
        self.add_starts(&found.0, samples);
        found.0
    }

    /// Adds to the floats of a series what else it has.
    pub(super) fn add_to(&mut self, labels: &Labels, samples: &mut Samples) {
        if let Some((_, histograms)) = self.series.next_if(|pair| pair.0 == *labels) {
            self.push(&histograms, samples);
        }
        self.add_starts(labels, samples);
    }

    fn push(&self, histograms: &[(i64, Histogram)], samples: &mut Samples) {
        for (at, histogram) in histograms {
            let mut histogram = FloatHistogram::from(histogram);
            if self.detect_resets && histogram.hint() == ResetHint::Unknown && !histogram.is_stale() {
                let before = samples.histograms.last().filter(|before| !before.1.is_stale());
                if let Some((_, before)) = before {
                    let hint = if histogram.fell_below(before) { ResetHint::Yes } else { ResetHint::No };
                    histogram = histogram.with_hint(hint);
                }
            }
            samples.histograms.push((*at, Arc::new(histogram)));
        }
    }

    fn add_starts(&mut self, labels: &Labels, samples: &mut Samples) {
        while self.starts.next_if(|pair| pair.0 < *labels).is_some() {}
        if let Some((_, starts)) = self.starts.next_if(|pair| pair.0 == *labels) {
            samples.starts = starts;
        }
    }
}

/// How an instant selector looks at a series that is not of floats alone.
pub(super) struct Look<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) lookback: i64,
    pub(super) smoothed: bool,
    pub(super) give: Give,
    pub(super) span: Span,
    pub(super) width: usize,
}

/// A sample of either kind.
enum Found {
    Float(i64, f64),
    Histogram(i64, Shared),
}

impl Found {
    fn at(&self) -> i64 {
        match self {
            Self::Float(at, _) | Self::Histogram(at, _) => *at,
        }
    }

    fn is_stale(&self) -> bool {
        match self {
            Self::Float(_, value) => is_stale(*value),
            Self::Histogram(_, histogram) => histogram.is_stale(),
        }
    }

    fn cell(self) -> Cell {
        match self {
            Self::Float(_, value) => value.into(),
            Self::Histogram(_, histogram) => Cell::Histogram(histogram),
        }
    }
}

impl Look<'_> {
    /// The series, if it has something at any point.
    pub(super) fn series(
        &self,
        labels: Labels,
        samples: &Samples,
        point: impl Fn(usize) -> i64,
    ) -> Result<Option<Series>, Error> {
        self.context.budget.hold(self.width)?;
        let mut cells = Vec::with_capacity(self.width);
        for step in 0..self.width {
            cells.push(self.cell(&labels, samples, point(step)));
        }
        let series = Series::of_cells(labels, false, cells);
        Ok(series.is_present_anywhere().then_some(series))
    }

    fn cell(&self, labels: &Labels, samples: &Samples, at: i64) -> Cell {
        let Some(before) = last_before(samples, at, self.smoothed) else { return Cell::Absent };
        if before.is_stale() || before.at() <= at.saturating_sub(self.lookback) {
            return Cell::Absent;
        }
        match self.give {
            Give::Time => return Timestamp(before.at()).seconds().into(),
            Give::Start => return Timestamp(samples.start(before.at())).seconds().into(),
            Give::Value => {}
        }
        let next = if self.smoothed && before.at() < at { first_after(samples, at) } else { None };
        match (before, next.filter(|next| next.at() <= at.saturating_add(self.lookback))) {
            (before, None) => before.cell(),
            (Found::Float(t0, v0), Some(Found::Float(t1, v1))) => (v0 + (v1 - v0) * share(at, t0, t1)).into(),
            (Found::Histogram(t0, h0), Some(Found::Histogram(t1, h1))) => {
                let counter = h0.hint() != ResetHint::Gauge && h1.hint() != ResetHint::Gauge;
                self.between((&h0, &h1), share(at, t0, t1), counter, labels)
            }
            _ => {
                self.context.notes.mixed_types(labels.metric_name(), self.span);
                Cell::Absent
            }
        }
    }

    fn between(&self, (h0, h1): (&Shared, &Shared), share: f64, counter: bool, labels: &Labels) -> Cell {
        if counter && h0.is_custom() == h1.is_custom() && h1.is_reset_after(h0) {
            let mut grown = FloatHistogram::clone(h1);
            grown.scale(share);
            return Cell::Histogram(Arc::new(grown));
        }
        match h0.towards(h1, share) {
            Ok((histogram, _)) => Cell::Histogram(Arc::new(histogram)),
            Err(_) => {
                self.context.notes.mixed_buckets(labels.metric_name(), self.span);
                Cell::Absent
            }
        }
    }
}

fn share(at: i64, from: i64, to: i64) -> f64 {
    (at - from) as f64 / (to - from) as f64
}

/// The last sample at or before a point; markers are passed over if asked.
fn last_before(samples: &Samples, at: i64, pass_markers: bool) -> Option<Found> {
    let (floats, histograms) = (&samples.timestamps, &samples.histograms);
    let floats = (0..floats.partition_point(|&t| t <= at)).rev();
    let mut floats = floats.map(|i| Found::Float(samples.timestamps[i], samples.values[i]));
    let histograms = histograms[..histograms.partition_point(|pair| pair.0 <= at)].iter().rev();
    let mut histograms = histograms.map(|(at, histogram)| Found::Histogram(*at, histogram.clone()));
    let live = |found: &Found| !pass_markers || !found.is_stale();
    match (floats.find(live), histograms.find(live)) {
        (Some(float), Some(histogram)) if float.at() > histogram.at() => Some(float),
        (float, None) => float,
        (_, histogram) => histogram,
    }
}

/// The first sample after a point that is no marker.
fn first_after(samples: &Samples, at: i64) -> Option<Found> {
    let from = samples.timestamps.partition_point(|&t| t <= at);
    let mut floats =
        (from..samples.timestamps.len()).map(|i| Found::Float(samples.timestamps[i], samples.values[i]));
    let from = samples.histograms.partition_point(|pair| pair.0 <= at);
    let histograms = samples.histograms[from..].iter();
    let mut histograms = histograms.map(|(at, histogram)| Found::Histogram(*at, histogram.clone()));
    let live = |found: &Found| !found.is_stale();
    match (floats.find(live), histograms.find(live)) {
        (Some(float), Some(histogram)) if float.at() < histogram.at() => Some(float),
        (float, None) => float,
        (_, histogram) => histogram,
    }
}
