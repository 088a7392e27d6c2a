//! Reading histograms: of blocks series by series, and of the whole store for a question.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barograph_disk::Error;
use barograph_model::{
    Budget, HistogramRollup, Labels, Matcher, Selection, SourceError, Tier, TimeRange, Timestamp,
};

use super::page::{Entry, Sample};
use crate::{
    Store,
    block::{Block, Cache, Meta, Pages},
    source::Indexed,
};

/// What a histogram is charged to a budget, in samples: it takes the memory of about so many.
const CHARGE: usize = 32;

/// Several blocks read as one: series by series in label order, entries in time order. Where two blocks have one of the
/// same time, that of the block with the older data counts for histograms, with the newer for windows.
pub(super) struct Blocks {
    streams: Vec<Stream>,
    range: TimeRange,
    /// Where pages that are not what was written are passed over: the blocks that have them.
    damaged: Option<BTreeSet<String>>,
}

struct Stream {
    pages: Pages<'static>,
    ids: std::vec::IntoIter<u32>,
    front: Option<(u32, Labels)>,
}

impl Blocks {
    /// Begins to read what blocks have in a range of the series that match.
    pub(super) fn open(
        blocks: Vec<Arc<Block>>,
        matchers: &[Matcher],
        range: TimeRange,
        cache: &Cache,
    ) -> Result<Self, Error> {
        let with_index = |block: Arc<Block>| block.index(cache).map(|index| (block, index));
        Self::of(blocks.into_iter().map(with_index).collect::<Result<_, _>>()?, matchers, range)
    }

    /// As [`Self::open`], of blocks whose indexes were read.
    pub(super) fn of(
        mut blocks: Vec<Indexed>,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Self, Error> {
        blocks.sort_by_key(|(block, _)| (block.meta.data, block.meta.seq));
        let mut streams = Vec::with_capacity(blocks.len());
        for (block, index) in blocks {
            let broken = || Error::corrupt("index", &block.path, block.meta.index_at);
            let ids = index.matching(matchers).ok_or_else(broken)?;
            let pages = Pages::new(block.clone(), index, None, ids.len());
            let mut stream = Stream { pages, ids: ids.into_iter(), front: None };
            stream.advance()?;
            streams.push(stream);
        }
        Ok(Self { streams, range, damaged: None })
    }

    /// Passes over pages that are not what was written; the rest serves.
    pub(super) fn lenient(mut self) -> Self {
        self.damaged = Some(BTreeSet::new());
        self
    }

    /// Of which blocks pages were passed over.
    pub(super) fn damaged(self) -> BTreeSet<String> {
        self.damaged.unwrap_or_default()
    }

    /// The next series with its entries in the range, at least one.
    pub(super) fn next_series<T: Entry>(&mut self, newest: bool) -> Result<Option<(Labels, Vec<T>)>, Error> {
        loop {
            let fronts = self.streams.iter().filter_map(|stream| stream.front.as_ref());
            let Some(labels) = fronts.map(|(_, labels)| labels).min().cloned() else { return Ok(None) };
            let mut found: Vec<T> = Vec::new();
            for stream in &mut self.streams {
                if let Some((id, _)) = stream.front.take_if(|(_, front)| *front == labels) {
                    stream.read(id, &self.range, &mut found, self.damaged.as_mut())?;
                    stream.advance()?;
                }
            }
            if newest {
                found.reverse();
            }
            // Stable, so that of the same time the one that counts comes first.
            found.sort_by_key(Entry::at);
            found.dedup_by_key(|entry| entry.at());
            if !found.is_empty() {
                return Ok(Some((labels, found)));
            }
        }
    }
}

impl Stream {
    fn advance(&mut self) -> Result<(), Error> {
        let Some(id) = self.ids.next() else { return Ok(()) };
        let broken = || Error::corrupt("index", &self.pages.block.path, self.pages.block.meta.index_at);
        self.front = Some((id, self.pages.index.labels(id).ok_or_else(broken)?));
        Ok(())
    }

    fn read<T: Entry>(
        &mut self,
        id: u32,
        range: &TimeRange,
        found: &mut Vec<T>,
        mut damaged: Option<&mut BTreeSet<String>>,
    ) -> Result<(), Error> {
        let index = self.pages.index.clone();
        for page in index.pages(id).filter(|&page| index.span(page).overlaps(range)) {
            let path = self.pages.block.path.clone();
            let decoded = self.pages.bytes(page).map(T::decode);
            let decoded = decoded.and_then(|e| e.ok_or_else(|| Error::corrupt("histograms", &path, 0)));
            let entries = match (decoded, &mut damaged) {
                (Err(error), Some(damaged)) if error.is_corrupt() => {
                    damaged.insert(path);
                    continue;
                }
                (decoded, _) => decoded?,
            };
            let deletes = self.pages.block.deletes.as_ref();
            let left = |at| deletes.is_none_or(|deletes| !deletes.cover(id, at, at));
            let within = |at| range.contains(Timestamp(at)) && left(at);
            found.extend(entries.into_iter().filter(|entry| within(entry.at())));
        }
        Ok(())
    }
}

impl Store {
    /// The blocks of histograms of a tier that overlap a range.
    pub(crate) fn histogram_blocks(&self, tier: Tier, range: &TimeRange) -> Vec<Arc<Block>> {
        let blocks = self.blocks();
        let of_tier = blocks.iter().filter(|block| block.meta.histograms && block.meta.tier == tier);
        of_tier.filter(|block| block.overlaps(range)).cloned().collect()
    }

    /// The series of native histograms of a selection, in label order: of the raw tier those that are there one by one, of
    /// another those it has windows of.
    ///
    /// # Errors
    /// [`SourceError::Storage`] when the index of a block cannot be read.
    pub fn histogram_series(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let mut found = Vec::new();
        if tier == Tier::Raw {
            self.histograms
                .each_series(selection.matchers, &selection.range, |labels| found.push(labels.clone()));
        }
        let wanted = |meta: &Meta| meta.histograms && meta.tier == tier;
        for (block, index) in self.indexes_in(&selection.range, selection.matchers, wanted, budget)? {
            let ids = self.matching(&block, &index, selection.matchers).unwrap_or_default();
            found.extend(ids.into_iter().filter_map(|id| index.labels(id)));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Those whose index is what was written; others are set aside.
    pub(super) fn sound_histogram_blocks(
        &self,
        tier: Tier,
        range: &TimeRange,
    ) -> Result<Vec<Indexed>, Error> {
        let mut sound = Vec::new();
        for block in self.histogram_blocks(tier, range) {
            match block.index(&self.cache) {
                Err(error) if error.is_corrupt() => self.set_block_aside(&block),
                index => sound.push((block, index?)),
            }
        }
        Ok(sound)
    }

    /// See [`barograph_model::Source::histograms`].
    pub(crate) fn read_histograms(
        &self,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<Sample>)>, SourceError> {
        // The head first: what a cut moves meanwhile is then seen twice, not missed.
        let head = self.histograms.select(selection.matchers, &selection.range);
        let mut series: BTreeMap<Labels, Vec<Sample>> =
            self.read_entries(Tier::Raw, selection, budget)?.into_iter().collect();
        for (labels, chunks) in head {
            let entries = series.entry(labels).or_default();
            for chunk in chunks {
                let decoded = Sample::decode(&chunk.bytes).unwrap_or_default();
                let within = decoded.into_iter().filter(|s| selection.range.contains(Timestamp(s.0)));
                entries.extend(within);
            }
            budget.charge(entries.len() * CHARGE)?;
            entries.sort_by_key(|sample| sample.0);
            entries.dedup_by_key(|sample| sample.0);
        }
        series.retain(|_, entries| !entries.is_empty());
        Ok(series.into_iter().collect())
    }

    /// See [`barograph_model::Source::histogram_rollups`].
    pub(crate) fn read_histogram_rollups(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<HistogramRollup>)>, SourceError> {
        self.read_entries(tier, selection, budget)
    }

    /// What blocks of one tier have of one series.
    pub(crate) fn entries_of<T: Entry>(
        &self,
        blocks: Vec<Arc<Block>>,
        range: TimeRange,
        labels: &Labels,
    ) -> Result<Vec<T>, Error> {
        let matchers: Vec<_> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        let newest = blocks.first().is_some_and(|block| block.meta.tier != Tier::Raw);
        let mut reader = Blocks::open(blocks, &matchers, range, &self.cache)?;
        while let Some((found, entries)) = reader.next_series(newest)? {
            if found == *labels {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }

    fn read_entries<T: Entry>(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<(Labels, Vec<T>)>, SourceError> {
        let storage = |error: Error| SourceError::Storage(Box::new(error));
        let wanted = |meta: &Meta| meta.histograms && meta.tier == tier;
        let blocks = self.indexes_in(&selection.range, selection.matchers, wanted, budget)?;
        let reader = Blocks::of(blocks, selection.matchers, selection.range);
        let mut reader = reader.map_err(storage)?.lenient();
        let mut found = Vec::new();
        while let Some((labels, entries)) = reader.next_series::<T>(tier != Tier::Raw).map_err(storage)? {
            budget.charge(entries.len() * CHARGE)?;
            found.push((labels, entries));
        }
        reader.damaged().iter().for_each(|path| self.report_damage_at(path));
        Ok(found)
    }
}
