//! Raw blocks read as one: series by series in label order, the samples of each in time order.
//!
//! Blocks may overlap. Of two samples of a series with the same time the one whose block has the lower number (that of
//! its newest data, where blocks were merged) counts, because it came first. What was deleted is passed over. At most one series is in memory at a time.

use std::{cmp::Reverse, sync::Arc};

use barograph_disk::Error;
use barograph_model::{Labels, TimeRange};

use crate::{
    block::{Block, Cache, Index, Pages},
    columns::Columns,
};

/// Which series are read.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    All,
    /// These, which are in label order. Found by search: what lies between them costs nothing.
    Only(&'a [Labels]),
}

/// A reader of several blocks.
pub(crate) struct Blocks {
    /// The first counts.
    streams: Vec<Stream>,
    range: TimeRange,
    /// The series being gathered.
    labels: Option<Labels>,
    /// Its pages that were not read yet: stream, page and number of the series there, the next one last.
    left: Vec<(usize, u32, u32)>,
    columns: Columns,
}

/// A series with its samples. It has at least one.
pub(crate) struct Series<'a> {
    pub(crate) labels: Labels,
    /// Strictly increasing.
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
}

/// One of the blocks.
struct Stream {
    pages: Pages<'static>,
    ids: Box<dyn Iterator<Item = u32> + Send>,
    /// The series that comes next.
    front: Option<(u32, Labels)>,
}

impl Blocks {
    /// Begins to read the samples that blocks have in a range. Their indexes come from the cache, their columns do not
    /// go through it.
    ///
    /// # Errors
    /// When the index of a block cannot be read, or is not what was written.
    pub(crate) fn open(
        blocks: &[Arc<Block>],
        range: TimeRange,
        wanted: Wanted<'_>,
        cache: &Cache,
    ) -> Result<Self, Error> {
        let mut blocks: Vec<_> = blocks.iter().filter(|block| block.overlaps(&range)).cloned().collect();
        blocks.sort_by_key(|block| block.meta.data);
        let mut streams = Vec::with_capacity(blocks.len());
        for block in blocks {
            let index = block.index(cache)?;
            let count = index.series_count();
            let (ids, series): (Box<dyn Iterator<Item = u32> + Send>, _) = match wanted {
                Wanted::All => (Box::new(0..count), count as usize),
                Wanted::Only(labels) => {
                    let ids = find_all(&index, labels);
                    let series = ids.len();
                    (Box::new(ids.into_iter()), series)
                }
            };
            let mut stream = Stream { pages: Pages::new(block, index, None, series), ids, front: None };
            stream.advance()?;
            streams.push(stream);
        }
        Ok(Self { streams, range, labels: None, left: Vec::new(), columns: Columns::default() })
    }

    /// The next series that has samples in the range.
    ///
    /// # Errors
    /// When a page cannot be read, or is not what was written. The call after it goes on behind that page.
    pub(crate) fn next_series(&mut self) -> Result<Option<Series<'_>>, Error> {
        loop {
            if self.labels.is_none() && !self.begin()? {
                return Ok(None);
            }
            while let Some((stream, page, id)) = self.left.pop() {
                self.read(stream, page, id)?;
            }
            let labels = self.labels.take();
            if let Some(labels) = labels.filter(|_| !self.columns.is_empty()) {
                let (timestamps, values) = (self.columns.timestamps(), self.columns.values());
                return Ok(Some(Series { labels, timestamps, values }));
            }
        }
    }

    /// Goes to the next series of any block; `false` after the last.
    fn begin(&mut self) -> Result<bool, Error> {
        self.columns.clear();
        let fronts = self.streams.iter().filter_map(|stream| stream.front.as_ref());
        let Some(labels) = fronts.map(|(_, labels)| labels).min().cloned() else { return Ok(false) };
        for (number, stream) in self.streams.iter_mut().enumerate() {
            if let Some((id, _)) = stream.front.take_if(|(_, front)| *front == labels) {
                let index = &stream.pages.index;
                let within = index.pages(id).filter(|&page| index.span(page).overlaps(&self.range));
                self.left.extend(within.map(|page| (number, page, id)));
                stream.advance()?;
            }
        }
        self.left.sort_unstable_by_key(|&place| Reverse(place));
        self.labels = Some(labels);
        Ok(true)
    }

    fn read(&mut self, stream: usize, page: u32, id: u32) -> Result<(), Error> {
        let pages = &mut self.streams[stream].pages;
        let (timestamps, values) = (pages.timestamps(page)?, pages.values(page)?);
        let from = timestamps.partition_point(|&at| at < self.range.start.millis());
        let to = timestamps.partition_point(|&at| at < self.range.end.millis()).max(from);
        let (timestamps, values) = (&timestamps[from..to], &values[from..to]);
        match &pages.block.deletes {
            None => self.columns.add(timestamps, values),
            Some(deletes) => {
                for run in deletes.left(id, timestamps) {
                    self.columns.add(&timestamps[run.clone()], &values[run]);
                }
            }
        }
        Ok(())
    }
}

impl Stream {
    fn advance(&mut self) -> Result<(), Error> {
        let Some(id) = self.ids.next() else { return Ok(()) };
        let broken = || Error::corrupt("index", &self.pages.block.path, self.pages.block.meta.index_at);
        self.front = Some((id, self.pages.index.labels(id).ok_or_else(broken)?));
        Ok(())
    }
}

/// The numbers of those of the series that a block has, both in label order.
pub(crate) fn find_all(index: &Index, wanted: &[Labels]) -> Vec<u32> {
    let mut found = Vec::new();
    let mut from = 0;
    for labels in wanted {
        let (mut low, mut high) = (from, index.series_count());
        while low < high {
            let middle = low + (high - low) / 2;
            match index.labels(middle) {
                Some(other) if other < *labels => low = middle + 1,
                _ => high = middle,
            }
        }
        from = low;
        if low < index.series_count() && index.labels(low).as_ref() == Some(labels) {
            found.push(low);
            from += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use barograph_codec::Code;
    use barograph_disk::MemoryDisk;
    use barograph_model::Timestamp;

    use super::*;
    use crate::block::{Cover, Writer};

    /// Name and samples of a series.
    type Content<'a> = (&'a str, &'a [(i64, f64)]);

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)]).unwrap()
    }

    fn check(blocks: &[&[Content<'_>]], range: (i64, i64), only: Option<&[&str]>, expected: &[Content<'_>]) {
        let disk = MemoryDisk::new();
        let mut opened = Vec::new();
        for (seq, series) in (1..).zip(blocks) {
            let mut writer = Writer::create(&disk, seq, Code::Dense).unwrap();
            for (name, samples) in *series {
                let (timestamps, values): (Vec<_>, Vec<_>) = samples.iter().copied().unzip();
                writer.push(&labels(name), &timestamps, &values).unwrap();
            }
            writer.publish(Cover::default()).unwrap();
            opened.push(Arc::new(Block::open(&disk, seq).unwrap()));
        }
        opened.reverse();
        let range = TimeRange::new(Timestamp(range.0), Timestamp(range.1));
        let only: Option<Vec<_>> = only.map(|names| names.iter().map(|name| labels(name)).collect());
        let wanted = only.as_deref().map_or(Wanted::All, Wanted::Only);
        let mut blocks = Blocks::open(&opened, range, wanted, &Cache::new(1 << 20)).unwrap();
        let mut found = Vec::new();
        while let Some(series) = blocks.next_series().unwrap() {
            let samples = series.timestamps.iter().copied().zip(series.values.iter().copied());
            found.push((series.labels.to_string(), samples.collect::<Vec<_>>()));
        }
        let expected: Vec<_> =
            expected.iter().map(|(name, samples)| ((*name).to_owned(), samples.to_vec())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn blocks_that_overlap_are_merged() {
        let first: &[Content<'_>] = &[("a", &[(1, 1.0), (3, 3.0)]), ("c", &[(1, 1.0)])];
        let second: &[Content<'_>] = &[("a", &[(2, 20.0), (3, 30.0), (9, 90.0)]), ("b", &[(5, 50.0)])];
        let third: &[Content<'_>] = &[("a", &[(0, 0.5), (9, 0.5)])];
        let blocks = [first, second, third];
        let all = (i64::MIN, i64::MAX);
        let a: &[_] = &[(0, 0.5), (1, 1.0), (2, 20.0), (3, 3.0), (9, 90.0)];
        check(&blocks, all, None, &[("a", a), ("b", &[(5, 50.0)]), ("c", &[(1, 1.0)])]);
        check(&blocks, (2, 6), None, &[("a", &[(2, 20.0), (3, 3.0)]), ("b", &[(5, 50.0)])]);
        check(&blocks, all, Some(&["0", "b", "bb", "c", "d"]), &[("b", &[(5, 50.0)]), ("c", &[(1, 1.0)])]);
        check(&blocks, all, Some(&[]), &[]);
        check(&[], all, None, &[]);
    }

    #[test]
    fn a_broken_page_is_named_and_the_rest_goes_on() {
        let disk = MemoryDisk::new();
        let mut writer = Writer::create(&disk, 1, Code::Light).unwrap();
        writer.push(&labels("a"), &[1], &[1.5]).unwrap();
        writer.push(&labels("b"), &[1], &[2.5]).unwrap();
        writer.publish(Cover::default()).unwrap();
        // The metric's values are the first chunk: behind the file's header.
        disk.flip("blocks/0000000001.block", 16 * 8);
        let block = Arc::new(Block::open(&disk, 1).unwrap());
        let mut blocks = Blocks::open(&[block], TimeRange::ALL, Wanted::All, &Cache::new(1 << 20)).unwrap();
        assert!(blocks.next_series().is_err_and(|error| error.is_corrupt()));
        assert_eq!(blocks.next_series().unwrap().map(|series| series.labels), Some(labels("b")));
        assert!(blocks.next_series().unwrap().is_none());
    }
}
