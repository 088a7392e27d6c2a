//! Series in memory: what scripts load, as a source, with tiers made of them where a test wants some.

use std::collections::BTreeMap;

use crate::tiers;
use barograph_model::{
    Batch, Budget, Change, Changes, Exemplar, Histogram, HistogramRollup, HistogramSeries, Labels, Matcher,
    Metadata, MetricKey, Parts, ResetHint, Rollup, RollupCursor, Rollups, Selection, SeriesCursor, Source,
    SourceError, Tier, TimeRange, Timestamp,
};

/// A source that holds series in memory.
#[derive(Debug)]
pub struct Memory {
    series: BTreeMap<Labels, Column>,
    /// The times that each tier holds.
    kept: [TimeRange; Tier::ALL.len()],
    changes: Changes,
}

impl Default for Memory {
    fn default() -> Self {
        let none = TimeRange::new(Timestamp(0), Timestamp(0));
        Self {
            series: BTreeMap::new(),
            kept: Tier::ALL.map(|tier| if tier == Tier::Raw { TimeRange::ALL } else { none }),
            changes: Changes::default(),
        }
    }
}

/// Samples of a series, in time order.
#[derive(Debug, Default)]
struct Column {
    timestamps: Vec<i64>,
    values: Vec<f64>,
    histograms: BTreeMap<i64, Histogram>,
    /// Since when samples count, by their times.
    starts: BTreeMap<i64, i64>,
}

impl Column {
    /// Notes of each histogram what a store knows of it: that there was no reset, where it goes on from the sample before.
    /// Those before `from` know already.
    fn note_resets(&mut self, from: i64) {
        let mut before: Option<(i64, Histogram)> = None;
        for (&at, histogram) in &mut self.histograms {
            if at >= from && histogram.hint != ResetHint::Gauge {
                let last_float = self.timestamps[..self.timestamps.partition_point(|&t| t < at)].last();
                let follows =
                    before.as_ref().filter(|(before, _)| last_float.is_none_or(|float| float < before));
                let goes_on = follows.is_some_and(|(_, before)| goes_on(before, histogram));
                histogram.hint = if goes_on { ResetHint::No } else { ResetHint::Unknown };
            }
            before = Some((at, histogram.clone()));
        }
    }
}

fn goes_on(before: &Histogram, histogram: &Histogram) -> bool {
    let mut asked = histogram.clone();
    asked.hint = ResetHint::Unknown;
    before.hint != ResetHint::Gauge
        && histogram.hint != ResetHint::Yes
        && !before.is_stale()
        && before.schema() == histogram.schema()
        && before.zero_threshold() == histogram.zero_threshold()
        && before.bounds() == histogram.bounds()
        && !asked.is_reset_after(before)
}

impl Memory {
    /// No series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Throws all series away.
    pub fn clear(&mut self) {
        self.series.clear();
        self.kept = Self::default().kept;
        self.note(None, TimeRange::ALL);
    }

    fn note(&self, series: Option<&Labels>, range: TimeRange) {
        let metric = series.map(|labels| MetricKey::of(labels.metric_name().unwrap_or_default()));
        self.changes.note([Change { metric, tier: None, range }]);
    }

    /// Removes the samples in a range of time of all series that pass all matchers.
    pub fn remove(&mut self, matchers: &[Matcher], range: TimeRange) {
        for (_, column) in self.series.iter_mut().filter(|pair| matches(matchers, pair.0)) {
            let gone = |at: &i64| range.contains(Timestamp(*at));
            let kept: Vec<bool> = column.timestamps.iter().map(|at| !gone(at)).collect();
            let mut kept_values = kept.iter();
            column.values.retain(|_| kept_values.next() == Some(&true));
            column.timestamps.retain(|at| !gone(at));
            column.histograms.retain(|at, _| !gone(at));
        }
        self.note(None, range);
    }

    /// Lets a tier hold a span of time and no other: raw samples outside of it are read no more, windows inside of it
    /// are made of all samples there are.
    pub fn keep(&mut self, tier: Tier, range: TimeRange) {
        self.kept[tier as usize] = range;
        self.note(None, TimeRange::ALL);
    }

    /// Adds samples of a series, times in milliseconds. A sample at a time that is taken replaces the other.
    pub fn load(&mut self, labels: Labels, samples: impl IntoIterator<Item = (i64, f64)>) {
        let changes = &self.changes;
        let metric = Some(MetricKey::of(labels.metric_name().unwrap_or_default()));
        let column = self.series.entry(labels).or_default();
        for (at, value) in samples {
            let range = TimeRange::closed(Timestamp(at), Timestamp(at));
            changes.note([Change { metric, tier: None, range }]);
            match column.timestamps.binary_search(&at) {
                Ok(i) => column.values[i] = value,
                Err(i) => {
                    column.timestamps.insert(i, at);
                    column.values.insert(i, value);
                }
            }
        }
    }

    /// Adds native histograms of a series, times in milliseconds. One at a time that is taken replaces the other.
    pub fn load_histograms(&mut self, labels: Labels, samples: impl IntoIterator<Item = (i64, Histogram)>) {
        let mut samples = samples.into_iter().peekable();
        if let Some((from, _)) = samples.peek() {
            self.note(Some(&labels), TimeRange::ALL);
            let (from, column) = (*from, self.series.entry(labels).or_default());
            column.histograms.extend(samples);
            column.note_resets(from);
        }
    }

    /// Says since when samples of a series count: pairs of their times and those since which they do.
    pub fn load_starts(&mut self, labels: Labels, starts: impl IntoIterator<Item = (i64, i64)>) {
        self.note(Some(&labels), TimeRange::ALL);
        self.series.entry(labels).or_default().starts.extend(starts);
    }

    /// What the series of a selection have besides floats.
    fn besides<T: Clone>(
        &self,
        selection: &Selection<'_>,
        of: impl Fn(&Column) -> &BTreeMap<i64, T>,
    ) -> Vec<HistogramSeries<(i64, T)>> {
        let kept = self.kept[Tier::Raw as usize];
        let (start, end) = (selection.range.start.max(kept.start).0, selection.range.end.min(kept.end).0);
        let series = self.series.iter().filter(|pair| matches(selection.matchers, pair.0));
        let found = series.map(|(labels, column)| {
            let samples = if start < end { of(column).range(start..end).collect() } else { Vec::new() };
            let samples: Vec<_> = samples.into_iter().map(|(at, sample)| (*at, sample.clone())).collect();
            (labels.clone(), samples)
        });
        found.filter(|pair| !pair.1.is_empty()).collect()
    }

    /// The labels of a selection, of floats or of histograms.
    fn known<'a>(&'a self, selection: &Selection<'_>) -> impl Iterator<Item = &'a Labels> {
        let range = selection.range.start.0..selection.range.end.0.max(selection.range.start.0);
        let natives = self.series.iter().filter(|pair| matches(selection.matchers, pair.0));
        let natives = natives.filter(move |pair| pair.1.histograms.range(range.clone()).next().is_some());
        self.matching(selection).map(|pair| pair.0).chain(natives.map(|pair| pair.0))
    }

    fn matching<'a>(&'a self, selection: &Selection<'_>) -> impl Iterator<Item = (&'a Labels, Batch<'a>)> {
        self.stored(selection, self.kept[Tier::Raw as usize])
    }

    fn stored<'a>(
        &'a self,
        selection: &Selection<'_>,
        kept: TimeRange,
    ) -> impl Iterator<Item = (&'a Labels, Batch<'a>)> {
        let (matchers, range) = (selection.matchers, selection.range);
        let range = TimeRange::new(range.start.max(kept.start), range.end.min(kept.end));
        let selection = Selection { matchers, range };
        self.series.iter().filter(move |pair| matches(selection.matchers, pair.0)).filter_map(
            move |(labels, column)| {
                let start = column.timestamps.partition_point(|&t| t < selection.range.start.0);
                let end = column.timestamps.partition_point(|&t| t < selection.range.end.0);
                let batch = (start < end).then(|| Batch {
                    timestamps: &column.timestamps[start..end],
                    values: &column.values[start..end],
                });
                Some((labels, batch?))
            },
        )
    }
}

fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.value(matcher.name()).unwrap_or_default()))
}

impl Source for Memory {
    fn coverage(&self, tier: Tier) -> TimeRange {
        self.kept[tier as usize]
    }

    fn changes(&self) -> Option<&Changes> {
        Some(&self.changes)
    }

    fn rollups<'a>(
        &'a self,
        tier: Tier,
        parts: Parts,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn RollupCursor + 'a>, SourceError> {
        let kept = self.kept[tier as usize];
        let mut series = Vec::new();
        // What is made of all samples does not depend on what is asked for.
        let all = Selection { range: TimeRange::ALL, ..*selection };
        for (labels, batch) in self.stored(&all, kept) {
            let mut windows = Vec::new();
            let samples = batch.timestamps.iter().copied().zip(batch.values.iter().copied());
            tiers::roll(tier.width(), parts.has(Parts::SKETCH), samples, &mut windows);
            windows.retain(|window| selection.range.contains(Timestamp(window.start)));
            if !windows.is_empty() {
                series.push((labels, windows));
            }
        }
        series.reverse();
        Ok(Box::new(Windows { series, current: Vec::new(), parts, budget }))
    }

    fn select<'a>(
        &'a self,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn SeriesCursor + 'a>, SourceError> {
        let mut series: Vec<_> = self.matching(selection).collect();
        series.reverse();
        Ok(Box::new(Cursor { series, rest: None, budget }))
    }

    fn histograms(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<(i64, Histogram)>>, SourceError> {
        let found = self.besides(selection, |column| &column.histograms);
        budget.charge(found.iter().map(|pair| pair.1.len()).sum())?;
        Ok(found)
    }

    fn histogram_rollups(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<HistogramRollup>>, SourceError> {
        let kept = self.kept[tier as usize];
        let (start, end) = (selection.range.start.max(kept.start).0, selection.range.end.min(kept.end).0);
        let mut found = Vec::new();
        for (labels, column) in self.series.iter().filter(|pair| matches(selection.matchers, pair.0)) {
            let mut windows: Vec<HistogramRollup> = Vec::new();
            for (&at, histogram) in column.histograms.range(start..end.max(start)) {
                budget.charge(1)?;
                match windows.last_mut().filter(|window| window.start == tier.window_of(at)) {
                    Some(window) => window.push(at, histogram),
                    None => windows.push(HistogramRollup::of(tier.window_of(at), at, histogram)),
                }
            }
            if !windows.is_empty() {
                found.push((labels.clone(), windows));
            }
        }
        Ok(found)
    }

    fn start_times(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<(i64, i64)>>, SourceError> {
        budget.charge(0)?;
        Ok(self.besides(selection, |column| &column.starts))
    }

    fn series(
        &self,
        selection: &Selection<'_>,
        limit: usize,
        _budget: &Budget,
    ) -> Result<(Vec<Labels>, bool), SourceError> {
        let mut labels: Vec<Labels> = self.matching(selection).map(|pair| pair.0.clone()).collect();
        let more = labels.len() > limit;
        labels.truncate(limit);
        Ok((labels, more))
    }

    fn label_names(&self, selection: &Selection<'_>, _budget: &Budget) -> Result<Vec<String>, SourceError> {
        let names = self.known(selection).flat_map(Labels::iter).map(|pair| pair.0.to_owned());
        Ok(sorted(names))
    }

    fn label_values(
        &self,
        name: &str,
        selection: &Selection<'_>,
        _budget: &Budget,
    ) -> Result<Vec<String>, SourceError> {
        Ok(sorted(self.known(selection).filter_map(|labels| labels.value(name)).map(str::to_owned)))
    }

    fn metadata(&self, _name: Option<&str>) -> Vec<(String, Metadata)> {
        Vec::new()
    }

    fn exemplars(
        &self,
        _selection: &Selection<'_>,
        _budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        Ok(Vec::new())
    }
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    texts.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// The windows of series, last series first.
struct Windows<'a> {
    series: Vec<(&'a Labels, Vec<Rollup>)>,
    current: Vec<Rollup>,
    parts: Parts,
    budget: &'a Budget,
}

impl RollupCursor for Windows<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        let Some((labels, windows)) = self.series.pop() else { return Ok(None) };
        self.current = windows;
        Ok(Some(labels.clone()))
    }

    fn next_batch(&mut self, windows: &mut Rollups) -> Result<bool, SourceError> {
        self.budget.charge(self.current.len())?;
        let more = !self.current.is_empty();
        self.current.drain(..).for_each(|window| windows.push(&window, self.parts));
        Ok(more)
    }
}

struct Cursor<'a> {
    /// What is still to come, last first.
    series: Vec<(&'a Labels, Batch<'a>)>,
    rest: Option<Batch<'a>>,
    budget: &'a Budget,
}

impl SeriesCursor for Cursor<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        let next = self.series.pop();
        self.rest = next.map(|pair| pair.1);
        Ok(next.map(|pair| pair.0.clone()))
    }

    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, SourceError> {
        let Some(rest) = self.rest.filter(|rest| !rest.timestamps.is_empty()) else {
            return Ok(None);
        };
        let size = rest.timestamps.len().min(Batch::MAX);
        self.budget.charge(size)?;
        let (now, later) = rest.timestamps.split_at(size);
        let (now_values, later_values) = rest.values.split_at(size);
        self.rest = Some(Batch { timestamps: later, values: later_values });
        Ok(Some(Batch { timestamps: now, values: now_values }))
    }
}
