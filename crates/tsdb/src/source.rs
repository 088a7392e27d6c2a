//! The store as a [`Source`].

use std::sync::Arc;

use barograph_model::{
    Budget, Changes, Estimate, Exemplar, Histogram, HistogramRollup, Labels, Matcher, Metadata, Parts,
    RollupCursor, Sample, Selection, SeriesCursor, Source, SourceError, Tier, TimeRange, Timestamp,
    last_of_each,
};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Store,
    block::{Block, Index, IndexError, Meta, Span},
    rollup,
    select::Cursor,
};

impl Source for Store {
    fn select<'a>(
        &'a self,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn SeriesCursor + 'a>, SourceError> {
        budget.charge(0)?;
        Ok(Box::new(Cursor::open(self, selection, budget)?))
    }

    /// Most questions are about now, which the head answers alone.
    fn last_samples(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Sample)>, SourceError> {
        budget.charge(0)?;
        // The head first: what a cut moves meanwhile is then in a block that is seen.
        let found = self.head.last_samples(selection.matchers, &selection.range);
        if self.raw_blocks().into_iter().any(|block| block.overlaps(&selection.range)) {
            return last_of_each(&mut Cursor::open(self, selection, budget)?);
        }
        budget.hold(found.len())?;
        Ok(found)
    }

    fn coverage(&self, tier: Tier) -> TimeRange {
        if tier == Tier::Raw {
            return TimeRange::new(Timestamp(self.raw_start()), Timestamp::MAX);
        }
        let blocks = self.blocks();
        let first = blocks.iter().filter(|block| block.meta.holds(tier)).map(|block| block.meta.min_at).min();
        let floor = self.tier_state(tier).floor;
        TimeRange::new(Timestamp(first.unwrap_or(floor)), Timestamp(floor))
    }

    fn coverage_of(&self, tier: Tier, matchers: &[Matcher]) -> TimeRange {
        self.coverage_of_selection(tier, self.coverage(tier), matchers)
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
        budget.charge(0)?;
        Ok(Box::new(rollup::Cursor::open(self, tier, parts, selection, budget)?))
    }

    fn series(
        &self,
        selection: &Selection<'_>,
        limit: usize,
        budget: &Budget,
    ) -> Result<(Vec<Labels>, bool), SourceError> {
        let mut found = Vec::new();
        self.head.each_series(selection.matchers, &selection.range, |labels| found.push(labels.clone()));
        self.histograms
            .each_series(selection.matchers, &selection.range, |labels| found.push(labels.clone()));
        self.each_indexed(selection, budget, |index, _, ids| {
            found.extend(ids.filter_map(|id| index.labels(id)));
        })?;
        found.sort_unstable();
        found.dedup();
        let more = found.len() > limit;
        found.truncate(limit);
        Ok((found, more))
    }

    /// Most names that are asked for are written at this moment, which the head knows at once.
    fn has_series(&self, selection: &Selection<'_>, budget: &Budget) -> Result<bool, SourceError> {
        let mut found = self.head.has_series(selection.matchers, &selection.range);
        if !found {
            self.histograms.each_series(selection.matchers, &selection.range, |_| found = true);
        }
        if !found {
            self.each_indexed(selection, budget, |_, _, ids| found = found || ids.next().is_some())?;
        }
        Ok(found)
    }

    fn estimate(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Estimate, SourceError> {
        self.estimate_of(tier, selection, budget)
    }

    fn label_names(&self, selection: &Selection<'_>, budget: &Budget) -> Result<Vec<String>, SourceError> {
        let mut names = Texts::default();
        self.histograms.each_series(selection.matchers, &selection.range, |labels| {
            labels.iter().for_each(|(name, _)| names.insert(name));
        });
        if selection.matchers.is_empty() {
            self.head.each_name(&selection.range, |name| names.insert(name));
        } else {
            self.head.each_series(selection.matchers, &selection.range, |labels| {
                labels.iter().for_each(|(name, _)| names.insert(name));
            });
        }
        self.each_indexed(selection, budget, |index, whole, ids| {
            if whole {
                index.label_names().for_each(|name| names.insert(name));
            } else {
                ids.for_each(|id| index.pairs(id).for_each(|(name, _)| names.insert(name)));
            }
        })?;
        Ok(names.sorted())
    }

    fn label_values(
        &self,
        name: &str,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<String>, SourceError> {
        let mut values = Texts::default();
        self.histograms.each_series(selection.matchers, &selection.range, |labels| {
            labels.value(name).into_iter().for_each(|value| values.insert(value));
        });
        if selection.matchers.is_empty() {
            self.head.each_value(name, &selection.range, |value| values.insert(value));
        } else {
            self.head.each_series(selection.matchers, &selection.range, |labels| {
                labels.value(name).into_iter().for_each(|value| values.insert(value));
            });
        }
        self.each_indexed(selection, budget, |index, whole, ids| {
            if whole {
                index.label_values(name).for_each(|value| values.insert(value));
            } else {
                let pairs = ids.flat_map(|id| index.pairs(id));
                pairs.filter(|pair| pair.0 == name).for_each(|pair| values.insert(pair.1));
            }
        })?;
        Ok(values.sorted())
    }

    fn histograms(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<(i64, Histogram)>)>, SourceError> {
        self.read_histograms(selection, budget)
    }

    fn has_histograms(&self, selection: &Selection<'_>, budget: &Budget) -> Result<bool, SourceError> {
        for tier in Tier::ALL {
            if !self.histogram_series(tier, selection, budget)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn histogram_rollups(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<HistogramRollup>)>, SourceError> {
        self.read_histogram_rollups(tier, selection, budget)
    }

    fn metadata(&self, name: Option<&str>) -> Vec<(String, Metadata)> {
        self.catalog.list(name)
    }

    fn exemplars(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        budget.charge(0)?;
        Ok(self.exemplars.select(selection.matchers, &selection.range))
    }
}

/// A block and its index.
pub(crate) type Indexed = (Arc<Block>, Arc<Index>);

/// Texts, each once, most of which come several times.
#[derive(Default)]
struct Texts(HashTable<String>);

impl Texts {
    fn insert(&mut self, text: &str) {
        let hash = |text: &str| xxh3_64(text.as_bytes());
        let entry = self.0.entry(hash(text), |other| other == text, |other| hash(other));
        entry.or_insert_with(|| text.to_owned());
    }

    fn sorted(self) -> Vec<String> {
        let mut texts: Vec<_> = self.0.into_iter().collect();
        texts.sort_unstable();
        texts
    }
}

impl Store {
    /// The wanted blocks that overlap a range and may have series that match, with their indexes. One whose index is not
    /// what was written is set aside.
    pub(crate) fn indexes_in(
        &self,
        range: &TimeRange,
        matchers: &[Matcher],
        wanted: impl Fn(&Meta) -> bool,
        budget: &Budget,
    ) -> Result<Vec<Indexed>, SourceError> {
        let mut found = Vec::new();
        for block in self
            .blocks()
            .iter()
            .filter(|block| wanted(&block.meta) && block.overlaps(range) && block.may_match(matchers))
        {
            match block.index_within(&self.cache, budget) {
                Ok(index) => found.push((block.clone(), index)),
                Err(IndexError::Disk(error)) if error.is_corrupt() => self.set_block_aside(block),
                Err(IndexError::Disk(error)) => return Err(SourceError::Storage(Box::new(error))),
                Err(IndexError::Budget(error)) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// The series of a block that match; `None`, with the damage reported, if its postings are malformed.
    pub(crate) fn matching(&self, block: &Block, index: &Index, matchers: &[Matcher]) -> Option<Vec<u32>> {
        let ids = index.matching(matchers);
        if ids.is_none() {
            self.report_damage(block);
        }
        ids
    }

    /// Calls `see` for each block with whether all of it is asked for, and the series that match and have samples in
    /// the range.
    fn each_indexed(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
        mut see: impl FnMut(&Index, bool, &mut dyn Iterator<Item = u32>),
    ) -> Result<(), SourceError> {
        // Tiers are asked for what raw blocks may not know any more.
        let known = self.coverage_of(Tier::Raw, selection.matchers).start.millis();
        let wanted = |meta: &Meta| meta.tier == Tier::Raw || meta.min_at < known;
        // A window that starts before a range may have samples in it.
        let start = selection.range.start.saturating_add(-Tier::Hour.width());
        let widened = TimeRange::new(start, selection.range.end);
        for (block, index) in self.indexes_in(&widened, selection.matchers, wanted, budget)? {
            budget.charge(0)?;
            let width = block.meta.tier.width();
            let start = selection.range.start.saturating_add(1 - width);
            let range = TimeRange::new(start, selection.range.end);
            if !block.overlaps(&range) {
                continue;
            }
            // All of a block is no list that must be made.
            let (mut all, mut some);
            let ids: &mut dyn Iterator<Item = u32> = if selection.matchers.is_empty() {
                all = 0..index.series_count();
                &mut all
            } else {
                let Some(ids) = self.matching(&block, &index, selection.matchers) else { continue };
                some = ids.into_iter();
                &mut some
            };
            let (start, end) = (range.start.millis(), range.end.millis());
            let within = |id: &u32| {
                let spans = index.pages(*id).map(|page| index.span(page));
                let mut spans = spans.filter(|span| span.overlaps(&range));
                spans.any(|Span { first, last, .. }| {
                    let deleted = block.deletes.as_ref();
                    !deleted.is_some_and(|d| d.cover(*id, first.max(start), last.min(end - 1)))
                })
            };
            let whole = selection.matchers.is_empty() && block.deletes.is_none();
            see(&index, whole, &mut ids.filter(within));
        }
        Ok(())
    }
}
