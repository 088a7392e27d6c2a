//! Reading the windows of a block of a tier, page by page.

use std::{collections::HashMap, sync::Arc};

use barograph_codec::rollups::{Chunk, Times, TimesChunk, Windows};
use barograph_disk::Error;

use super::{Block, Index, Pages};

/// Reads pages of windows of one block.
pub(crate) struct WindowPages {
    pages: Pages<'static>,
    /// Pages of times read lately, by number: series scraped together come one after the other or in turns.
    times: HashMap<u32, Arc<Times>>,
    times_chunk: Option<(u32, TimesChunk)>,
    chunk: Option<(u32, Chunk)>,
}

/// The most pages of times that are kept: two megabytes and a half at their longest.
const TIMES_KEPT_MAX: usize = 64;

impl WindowPages {
    /// A reader that will be asked for the pages of about `series` series.
    pub(crate) fn new(block: Arc<Block>, index: Arc<Index>, series: usize) -> Self {
        let pages = Pages::new(block, index, None, series);
        Self { pages, times: HashMap::new(), times_chunk: None, chunk: None }
    }

    pub(crate) fn block(&self) -> &Arc<Block> {
        &self.pages.block
    }

    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.pages.index
    }

    /// Reads a page, with its sketches if these are wanted.
    pub(crate) fn read(&mut self, number: u32, sketches: bool, windows: &mut Windows) -> Result<(), Error> {
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
        let read = chunk.read_page(bytes, &times, sketches, windows);
        self.chunk = Some((page.chunk, chunk));
        read.map_err(|_| Error::corrupt("page of windows", &path, page.at))
    }

    fn times(&mut self, number: u32) -> Result<Arc<Times>, Error> {
        let number = self.pages.index.times_of(number);
        if let Some(times) = self.times.get(&number) {
            return Ok(times.clone());
        }
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
        if self.times.len() >= TIMES_KEPT_MAX {
            self.times.clear();
        }
        let times = Arc::new(times);
        self.times.insert(number, times.clone());
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
