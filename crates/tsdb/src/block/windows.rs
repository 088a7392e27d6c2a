//! Reading the windows of a block of a tier, page by page.

use std::{collections::HashMap, ops::Range, sync::Arc};

use barograph_codec::rollups::{Chunk, Times, TimesChunk, Windows};
use barograph_disk::Error;
use barograph_model::{Moment, Parts, Rollups, Sketches};

use super::{
    Block, Cache, Index, Pages,
    cache::{Entry, Key},
};

/// Reads pages of windows of one block.
pub(crate) struct WindowPages<'c> {
    pages: Pages<'c>,
    cache: Option<&'c Cache>,
    /// Pages of times read lately, by number: series scraped together come one after the other or in turns.
    times: HashMap<u32, Arc<Times>>,
    times_chunk: Option<(u32, TimesChunk)>,
    chunk: Option<(u32, Chunk)>,
    /// Reused.
    windows: Windows,
}

/// The most pages of times that are kept: two megabytes and a half at their longest.
const TIMES_KEPT_MAX: usize = 64;

/// A page as the cache has it: what readers wanted of it so far, without the times, which other pages share.
#[derive(Clone, Default)]
pub(crate) struct WindowPage {
    parts: Parts,
    ended: Arc<[u32]>,
    moments: [Option<Arc<[f64]>>; Moment::ALL.len()],
    sketches: Option<Arc<Sketches>>,
}

impl<'c> WindowPages<'c> {
    /// A reader that will be asked for the pages of about `series` series. It keeps what [`WindowPages::page`] reads in a
    /// cache, if there is one.
    pub(crate) fn new(block: Arc<Block>, index: Arc<Index>, cache: Option<&'c Cache>, series: usize) -> Self {
        Self {
            pages: Pages::new(block, index, cache, series),
            cache,
            times: HashMap::new(),
            times_chunk: None,
            chunk: None,
            windows: Windows::default(),
        }
    }

    pub(crate) fn block(&self) -> &Arc<Block> {
        &self.pages.block
    }

    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.pages.index
    }

    /// Where the windows of a page lie, and parts of them.
    pub(crate) fn page(&mut self, number: u32, parts: Parts) -> Result<(Arc<Times>, Arc<WindowPage>), Error> {
        let times = self.times(number)?;
        let key = Key::Windows(self.block().meta.seq, number);
        let known = match self.cache.and_then(|cache| cache.find(key)) {
            Some(Entry::Windows(page)) if page.parts.has(parts) => return Ok((times, page)),
            Some(Entry::Windows(page)) => Some(page),
            _ => None,
        };
        let mut windows = std::mem::take(&mut self.windows);
        let read = self.read(number, parts, &mut windows);
        let page = read.map(|()| {
            Arc::new(WindowPage::of(&windows, parts, known.as_deref().cloned().unwrap_or_default()))
        });
        self.windows = windows;
        let page = page?;
        if let Some(cache) = self.cache {
            cache.put(key, Entry::Windows(page.clone()));
        }
        Ok((times, page))
    }

    /// Reads parts of a page of windows, past the cache.
    pub(crate) fn read(&mut self, number: u32, parts: Parts, windows: &mut Windows) -> Result<(), Error> {
        let times = self.times(number)?;
        let page = self.pages.index.value_pages[number as usize];
        let (path, end) = (self.pages.block.path.clone(), self.chunk_end(page.chunk));
        let mut chunk = match self.chunk.take().filter(|(number, _)| *number == page.chunk) {
            Some((_, chunk)) => chunk,
            None => {
                let (meta, at) = self.chunk_meta(page.chunk)?;
                Chunk::open(meta).map_err(|_| Error::corrupt("meta of windows", &path, at))?
            }
        };
        let bytes = self.pages.read(page.at, page.len, page.crc, end)?;
        let read = chunk.read_page(bytes, &times, parts, windows);
        self.chunk = Some((page.chunk, chunk));
        read.map_err(|_| Error::corrupt("page of windows", &path, page.at))
    }

    fn times(&mut self, number: u32) -> Result<Arc<Times>, Error> {
        let number = self.pages.index.times_of(number);
        if let Some(times) = self.times.get(&number) {
            return Ok(times.clone());
        }
        let key = Key::Times(self.block().meta.seq, number);
        let times = match self.cache.and_then(|cache| cache.find(key)) {
            Some(Entry::Times(times)) => times,
            _ => {
                let times = Arc::new(self.read_times(number)?);
                self.cache.into_iter().for_each(|cache| cache.put(key, Entry::Times(times.clone())));
                times
            }
        };
        if self.times.len() >= TIMES_KEPT_MAX {
            self.times.clear();
        }
        self.times.insert(number, times.clone());
        Ok(times)
    }

    fn read_times(&mut self, number: u32) -> Result<Times, Error> {
        let (page, span) = self.pages.index.time_pages[number as usize];
        let (path, end) = (self.pages.block.path.clone(), self.chunk_end(page.chunk));
        let mut chunk = match self.times_chunk.take().filter(|(number, _)| *number == page.chunk) {
            Some((_, chunk)) => chunk,
            None => {
                let (meta, at) = self.chunk_meta(page.chunk)?;
                TimesChunk::open(meta).map_err(|_| Error::corrupt("meta of times", &path, at))?
            }
        };
        let bytes = self.pages.read(page.at, page.len, page.crc, end)?;
        let mut times = Times::default();
        let read = chunk.read_page(bytes, span.count as usize, &mut times);
        self.times_chunk = Some((page.chunk, chunk));
        read.map_err(|_| Error::corrupt("times of windows", &path, page.at))?;
        Ok(times)
    }

    fn chunk_end(&self, chunk: u32) -> u64 {
        self.pages.index.chunks[chunk as usize].end
    }

    /// The meta of a chunk, and where it lies.
    fn chunk_meta(&mut self, chunk: u32) -> Result<(&[u8], u64), Error> {
        let chunk = self.pages.index.chunks[chunk as usize];
        Ok((self.pages.read(chunk.at, chunk.meta_len, chunk.meta_crc, chunk.end)?, chunk.at))
    }
}

impl WindowPage {
    /// Parts of all windows of a page, beside those that are known.
    fn of(windows: &Windows, parts: Parts, known: Self) -> Self {
        let mut rollups = Rollups::default();
        windows.append_to(0..windows.len(), parts, &mut rollups);
        let Self { parts: before, mut moments, sketches, .. } = known;
        for moment in parts.moments() {
            moments[moment as usize] = Some(rollups.column(moment).into());
        }
        let sketches = match parts.has(Parts::SKETCH) {
            true => Some(Arc::new(rollups.sketches)),
            false => sketches,
        };
        Self { parts: before | parts, ended: rollups.ended.into(), moments, sketches }
    }

    /// Bytes it takes in memory.
    pub(super) fn memory(&self) -> usize {
        let moments: usize = self.moments.iter().flatten().map(|column| size_of_val(&**column)).sum();
        let sketches = self.sketches.as_ref().map_or(0, |sketches| sketches.memory());
        size_of::<Self>() + size_of_val(&*self.ended) + moments + sketches
    }

    /// Adds parts of some windows, which lie at these times, to those of a reader.
    pub(crate) fn append_to(&self, times: &Times, range: Range<usize>, parts: Parts, out: &mut Rollups) {
        let before = out.len();
        out.starts.extend_from_slice(&times.starts[range.clone()]);
        out.counts.extend_from_slice(&times.counts[range.clone()]);
        out.first_after.extend_from_slice(&times.firsts[range.clone()]);
        out.last_after.extend_from_slice(&times.lasts[range.clone()]);
        let ended = self.ended.iter().map(|&window| window as usize).filter(|window| range.contains(window));
        let moved = ended.map(|window| u32::try_from(window - range.start + before).unwrap_or(u32::MAX));
        out.ended.extend(moved);
        for moment in parts.moments() {
            if let Some(column) = &self.moments[moment as usize] {
                out.column_mut(moment).extend_from_slice(&column[range.clone()]);
            }
        }
        if let Some(sketches) = self.sketches.as_ref().filter(|_| parts.has(Parts::SKETCH)) {
            out.sketches.append(sketches, range);
        }
    }
}
