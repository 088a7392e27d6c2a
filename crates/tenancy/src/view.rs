//! A store as one tenant sees it.

use std::{borrow::Cow, ops::Deref, sync::Arc};

use barograph_model::{
    Batch, Budget, Changes, Estimate, Exemplar, Histogram, HistogramRollup, HistogramSeries, Labels, Matcher,
    Metadata, Parts, RollupCursor, Rollups, Sample, Selection, SeriesCursor, Source, SourceError, Tier,
    TimeRange,
};

use crate::{LABEL, Tenant};

/// A source that gives out what belongs to whoever asks, and nothing else.
///
/// Each selection gets one matcher more. Matchers that name [`LABEL`] are asked of a series without it, as it is without it in
/// all answers. What is not read through [`Source`] is reached by `Deref`, and is not kept apart.
#[derive(Clone, Debug)]
pub struct Tenanted<S> {
    source: S,
    whose: Option<fn() -> Tenant>,
}

impl<S> Tenanted<S> {
    /// A source of several tenants: `whose` says for whom it is read at the moment. With `None` it is all one's own.
    pub fn new(source: S, whose: Option<fn() -> Tenant>) -> Self {
        Self { source, whose }
    }

    /// The source with everything that is in it.
    pub fn whole(&self) -> &S {
        &self.source
    }

    /// Whose data are read at the moment; `None` if they are not kept apart.
    pub fn tenant(&self) -> Option<Tenant> {
        self.whose.map(|whose| whose())
    }

    /// Matchers with the one of whoever asks; `None` if no series of theirs can match.
    pub fn scoped<'m>(&self, matchers: &'m [Matcher]) -> Option<Cow<'m, [Matcher]>> {
        let Some(tenant) = self.tenant() else { return Some(Cow::Borrowed(matchers)) };
        let mut scoped = Vec::with_capacity(matchers.len() + 1);
        for matcher in matchers {
            match matcher.name() == LABEL {
                false => scoped.push(matcher.clone()),
                true if matcher.matches_absent() => {}
                true => return None,
            }
        }
        scoped.push(Matcher::equal(LABEL, tenant.name().map_or("", |name| name)));
        Some(Cow::Owned(scoped))
    }

    /// Whether the label has to be taken away from what is found.
    fn hides(&self) -> bool {
        self.tenant().is_some_and(|tenant| tenant.name().is_some())
    }

    /// Labels as whoever asks sees them.
    pub fn shown(&self, labels: Labels) -> Labels {
        if self.hides() { hidden(&labels) } else { labels }
    }

    /// Series as whoever asks sees them, in the order of their labels.
    fn listed<T>(&self, mut found: Vec<(Labels, T)>) -> Vec<(Labels, T)> {
        if self.hides() {
            found.iter_mut().for_each(|(labels, _)| *labels = hidden(labels));
            found.sort_by(|a, b| a.0.cmp(&b.0));
        }
        found
    }
}

fn hidden(labels: &Labels) -> Labels {
    labels.without(|name| name == LABEL.as_bytes())
}

impl<S: Deref> Deref for Tenanted<S> {
    type Target = S::Target;

    fn deref(&self) -> &S::Target {
        &self.source
    }
}

impl<S: Deref<Target: Source> + Send + Sync> Source for Tenanted<S> {
    fn select<'a>(
        &'a self,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn SeriesCursor + 'a>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Box::new(Nothing)) };
        let cursor = self.source.select(&Selection { matchers: &matchers, ..*selection }, budget)?;
        Ok(if self.hides() { Box::new(Hidden(cursor)) } else { cursor })
    }

    fn coverage(&self, tier: Tier) -> TimeRange {
        self.source.coverage(tier)
    }

    fn coverage_of(&self, tier: Tier, matchers: &[Matcher]) -> TimeRange {
        match self.scoped(matchers) {
            Some(matchers) => self.source.coverage_of(tier, &matchers),
            None => self.source.coverage(tier),
        }
    }

    fn owner(&self) -> Option<Arc<str>> {
        self.tenant().map(|tenant| tenant.name().cloned().unwrap_or_default())
    }

    fn changes(&self) -> Option<&Changes> {
        self.source.changes()
    }

    fn rollups<'a>(
        &'a self,
        tier: Tier,
        parts: Parts,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn RollupCursor + 'a>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Box::new(Nothing)) };
        let selection = Selection { matchers: &matchers, ..*selection };
        let cursor = self.source.rollups(tier, parts, &selection, budget)?;
        Ok(if self.hides() { Box::new(HiddenRollups(cursor)) } else { cursor })
    }

    fn last_samples(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Sample)>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        let selection = Selection { matchers: &matchers, ..*selection };
        Ok(self.listed(self.source.last_samples(&selection, budget)?))
    }

    fn histograms(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<(i64, Histogram)>>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        let selection = Selection { matchers: &matchers, ..*selection };
        Ok(self.listed(self.source.histograms(&selection, budget)?))
    }

    fn start_times(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<(i64, i64)>>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        let selection = Selection { matchers: &matchers, ..*selection };
        Ok(self.listed(self.source.start_times(&selection, budget)?))
    }

    fn histogram_rollups(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<HistogramSeries<HistogramRollup>>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        let selection = Selection { matchers: &matchers, ..*selection };
        Ok(self.listed(self.source.histogram_rollups(tier, &selection, budget)?))
    }

    fn has_histograms(&self, selection: &Selection<'_>, budget: &Budget) -> Result<bool, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(false) };
        self.source.has_histograms(&Selection { matchers: &matchers, ..*selection }, budget)
    }

    fn series(
        &self,
        selection: &Selection<'_>,
        limit: usize,
        budget: &Budget,
    ) -> Result<(Vec<Labels>, bool), SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok((Vec::new(), false)) };
        let selection = Selection { matchers: &matchers, ..*selection };
        let (mut found, more) = self.source.series(&selection, limit, budget)?;
        if self.hides() {
            found.iter_mut().for_each(|labels| *labels = hidden(labels));
            found.sort();
        }
        Ok((found, more))
    }

    fn has_series(&self, selection: &Selection<'_>, budget: &Budget) -> Result<bool, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(false) };
        self.source.has_series(&Selection { matchers: &matchers, ..*selection }, budget)
    }

    fn estimate(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Estimate, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Estimate::default()) };
        self.source.estimate(tier, &Selection { matchers: &matchers, ..*selection }, budget)
    }

    fn label_names(&self, selection: &Selection<'_>, budget: &Budget) -> Result<Vec<String>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        let selection = Selection { matchers: &matchers, ..*selection };
        let mut names = self.source.label_names(&selection, budget)?;
        if self.whose.is_some() {
            names.retain(|name| name != LABEL);
        }
        Ok(names)
    }

    fn label_values(
        &self,
        name: &str,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<String>, SourceError> {
        if self.whose.is_some() && name == LABEL {
            return Ok(Vec::new());
        }
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        self.source.label_values(name, &Selection { matchers: &matchers, ..*selection }, budget)
    }

    fn metadata(&self, name: Option<&str>) -> Vec<(String, Metadata)> {
        let Some(tenant) = self.tenant() else { return self.source.metadata(name) };
        let found = match name.map(|name| tenant.catalog_name(name)) {
            None => self.source.metadata(None),
            Some(Some(name)) => self.source.metadata(Some(&name)),
            Some(None) => return Vec::new(),
        };
        let own =
            |(name, metadata): (String, Metadata)| Some((tenant.metric_of(&name)?.to_owned(), metadata));
        found.into_iter().filter_map(own).collect()
    }

    fn exemplars(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        let selection = Selection { matchers: &matchers, ..*selection };
        Ok(self.listed(self.source.exemplars(&selection, budget)?))
    }
}

/// No series.
struct Nothing;

impl SeriesCursor for Nothing {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        Ok(None)
    }

    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, SourceError> {
        Ok(None)
    }
}

impl RollupCursor for Nothing {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        Ok(None)
    }

    fn next_batch(&mut self, _windows: &mut Rollups) -> Result<bool, SourceError> {
        Ok(false)
    }
}

/// Series without the label.
struct Hidden<'a>(Box<dyn SeriesCursor + 'a>);

impl SeriesCursor for Hidden<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        Ok(self.0.next_series()?.map(|labels| hidden(&labels)))
    }

    fn next_batch(&mut self) -> Result<Option<Batch<'_>>, SourceError> {
        self.0.next_batch()
    }
}

struct HiddenRollups<'a>(Box<dyn RollupCursor + 'a>);

impl RollupCursor for HiddenRollups<'_> {
    fn next_series(&mut self) -> Result<Option<Labels>, SourceError> {
        Ok(self.0.next_series()?.map(|labels| hidden(&labels)))
    }

    fn next_batch(&mut self, windows: &mut Rollups) -> Result<bool, SourceError> {
        self.0.next_batch(windows)
    }
}
