//! Reading a block: its index once, then pages by range.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use barograph_codec::{ColumnChunk, Number};
use barograph_disk::{Disk, Error, ReadAt, file};
use barograph_model::{Budget, BudgetError, METRIC_NAME, Matcher, TimeRange, Timestamp};

use super::{
    Cache, Deletes, Index, KIND, Meta,
    cache::{Entry, Key},
    index::Page,
    path_of,
};

/// The largest index that a reader believes.
const INDEX_BYTES_MAX: u64 = 1 << 31;

/// A block that was opened and whose footer and index are what was written.
pub(crate) struct Block {
    pub(crate) meta: Meta,
    pub(crate) path: String,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// What was deleted of it; every reader passes it over.
    pub(crate) deletes: Option<Arc<Deletes>>,
    file: Arc<dyn ReadAt>,
    body_end: u64,
    /// The index while anyone has it, so that those who read at the same time have one together.
    shared: Arc<Mutex<Weak<Index>>>,
    /// The first and the last name of its metrics, once the index was read.
    metrics: Arc<OnceLock<(Box<str>, Box<str>)>>,
    /// Whether a page was found that is not what was written.
    damaged: AtomicBool,
}

/// Why a query got no index.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error(transparent)]
    Disk(#[from] Error),
}

/// Bytes that are read at once to check an index.
const CHECK_BYTES: usize = 256 << 10;

impl Block {
    /// Opens a block and checks its header, its footer and the checksum of its index.
    pub(crate) fn open(disk: &dyn Disk, seq: u64) -> Result<Self, Error> {
        Self::open_at(disk, &path_of(seq), seq)
    }

    /// Opens the block with a number where it does not lie at its own path.
    pub(crate) fn open_at(disk: &dyn Disk, path: &str, seq: u64) -> Result<Self, Error> {
        let reader = file::Reader::open(disk, path, KIND)?;
        let broken = || Error::corrupt("footer", path, reader.body_end);
        let meta =
            Meta::decode(&reader.footer, reader.version).filter(|meta| meta.seq == seq).ok_or_else(broken)?;
        let fits = meta.index_at.checked_add(meta.index_len) == Some(reader.body_end);
        if !fits || meta.index_len > INDEX_BYTES_MAX || meta.min_at > meta.max_at {
            return Err(broken());
        }
        let size = reader.file.len();
        let damaged = AtomicBool::new(false);
        let path = path.to_owned();
        let (file, body_end) = (reader.file, reader.body_end);
        let (shared, metrics) = (Arc::default(), Arc::default());
        let block = Self { meta, path, size, deletes: None, file, body_end, shared, metrics, damaged };
        block.check_index()?;
        Ok(block)
    }

    /// The same block with other deletes.
    pub(crate) fn with_deletes(&self, deletes: Deletes) -> Self {
        Self {
            meta: self.meta.clone(),
            path: self.path.clone(),
            size: self.size,
            deletes: Some(Arc::new(deletes)),
            file: self.file.clone(),
            body_end: self.body_end,
            shared: self.shared.clone(),
            metrics: self.metrics.clone(),
            damaged: AtomicBool::new(self.is_damaged()),
        }
    }

    /// Compares the index with its checksum without holding all of it.
    fn check_index(&self) -> Result<(), Error> {
        let (mut at, mut left) = (self.meta.index_at, self.meta.index_len);
        let mut piece = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(CHECK_BYTES)];
        let mut checksum = 0;
        while left > 0 {
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(CHECK_BYTES);
            self.file.read_at(at, &mut piece[..len])?;
            checksum = file::checksum_on(checksum, &piece[..len]);
            (at, left) = (at + len as u64, left - len as u64);
        }
        let broken = || Error::corrupt("index", &self.path, self.meta.index_at);
        (checksum == self.meta.index_crc).then_some(()).ok_or_else(broken)
    }

    fn index_bytes(&self) -> Result<Vec<u8>, Error> {
        let broken = || Error::corrupt("index", &self.path, self.meta.index_at);
        let mut bytes = vec![0; usize::try_from(self.meta.index_len).map_err(|_| broken())?];
        self.file.read_at(self.meta.index_at, &mut bytes)?;
        (file::checksum(&bytes) == self.meta.index_crc).then_some(bytes).ok_or_else(broken)
    }

    /// The index, from the cache or the disk.
    pub(crate) fn index(&self, cache: &Cache) -> Result<Arc<Index>, Error> {
        self.index_after(cache, |_| Ok(()))
    }

    /// The index for a query, which pays for the memory if it is the one that reads it.
    pub(crate) fn index_within(&self, cache: &Cache, budget: &Budget) -> Result<Arc<Index>, IndexError> {
        self.index_after(cache, |bytes| Ok(budget.reserve(bytes)?))
    }

    fn index_after<E: From<Error>>(
        &self,
        cache: &Cache,
        may_take: impl Fn(u64) -> Result<(), E>,
    ) -> Result<Arc<Index>, E> {
        let key = Key::Index(self.meta.seq);
        if let Some(Entry::Index(index)) = cache.find(key) {
            return Ok(index);
        }
        // Whoever comes meanwhile waits rather than read it a second time.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = shared.upgrade() {
            return Ok(index);
        }
        may_take(self.meta.index_len)?;
        let index = Arc::new(self.decode_index()?);
        may_take((index.memory() as u64).saturating_sub(self.meta.index_len))?;
        *shared = Arc::downgrade(&index);
        cache.put(key, Entry::Index(index.clone()));
        Ok(index)
    }

    /// The index, from the disk.
    pub(crate) fn decode_index(&self) -> Result<Index, Error> {
        let index = Index::decode(&self.index_bytes()?, self.meta.min_at, self.body_end);
        let index = index.ok_or_else(|| Error::corrupt("index", &self.path, self.meta.index_at))?;
        self.note_metrics(&index);
        Ok(index)
    }

    fn note_metrics(&self, index: &Index) {
        let mut names = index.label_values(METRIC_NAME);
        if let Some(first) = names.next() {
            let last = names.last().unwrap_or(first);
            // Whoever read it before found the same.
            let _ = self.metrics.set((first.into(), last.into()));
        }
    }

    /// Whether what is known of it leaves it possible that some series match. Where a window was cut into several blocks,
    /// each has a part of the metrics.
    pub(crate) fn may_match(&self, matchers: &[Matcher]) -> bool {
        let Some((first, last)) = self.metrics.get() else { return true };
        let mut of_metric = matchers.iter().filter(|m| m.name() == METRIC_NAME && !m.matches_absent());
        of_metric.all(|matcher| {
            let within = |value: &&str| (&**first..=&**last).contains(value);
            matcher.allowed_values().is_none_or(|values| values.iter().any(within))
        })
    }

    /// Bytes of the file, as they are.
    pub(super) fn read_at(&self, at: u64, buffer: &mut [u8]) -> Result<(), Error> {
        self.file.read_at(at, buffer)
    }

    pub(crate) fn overlaps(&self, range: &TimeRange) -> bool {
        range.overlaps(&TimeRange::closed(Timestamp(self.meta.min_at), Timestamp(self.meta.max_at)))
    }

    /// Remembers that a page is broken; whether that is news.
    pub(crate) fn mark_damaged(&self) -> bool {
        !self.damaged.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}

/// Reads pages of one block, one after the other.
pub(crate) struct Pages<'c> {
    pub(crate) block: Arc<Block>,
    pub(crate) index: Arc<Index>,
    /// Where decoded pages are looked for and kept; nowhere for a reader that reads everything once.
    cache: Option<&'c Cache>,
    /// How many bytes are read at once where a page is shorter.
    ahead: usize,
    /// The bytes read last, and where they begin.
    window: (u64, Vec<u8>),
    /// The page of timestamps asked for last; series that were scraped together share it.
    last_times: Option<(u32, Arc<[i64]>)>,
    times: Option<(u32, ColumnChunk<i64>)>,
    values: Option<(u32, ColumnChunk<f64>)>,
}

/// What is read at once when most pages of a chunk will be wanted.
const AHEAD: usize = 128 << 10;

/// From this many series on, reading ahead pays.
const AHEAD_FROM: usize = 16;

impl<'c> Pages<'c> {
    /// A reader that will be asked for the pages of about `series` series.
    pub(crate) fn new(block: Arc<Block>, index: Arc<Index>, cache: Option<&'c Cache>, series: usize) -> Self {
        let ahead = if series >= AHEAD_FROM { AHEAD } else { 0 };
        Self {
            block,
            index,
            cache,
            ahead,
            window: (0, Vec::new()),
            last_times: None,
            times: None,
            values: None,
        }
    }

    /// The timestamps of a page of values.
    pub(crate) fn timestamps(&mut self, page: u32) -> Result<Arc<[i64]>, Error> {
        let number = self.index.times_of(page);
        if let Some((last, column)) = &self.last_times
            && *last == number
        {
            return Ok(column.clone());
        }
        let column = self.timestamps_of(number)?;
        self.last_times = Some((number, column.clone()));
        Ok(column)
    }

    fn timestamps_of(&mut self, number: u32) -> Result<Arc<[i64]>, Error> {
        let key = Key::Timestamps(self.block.meta.seq, number);
        if let Some(Entry::Timestamps(column)) = self.cache.and_then(|cache| cache.find(key)) {
            return Ok(column);
        }
        let (page, span) = self.index.time_pages[number as usize];
        let mut column = Vec::new();
        let mut chunk = match self.times.take().filter(|(number, _)| *number == page.chunk) {
            Some((_, chunk)) => chunk,
            None => self.open_chunk(page.chunk)?,
        };
        self.read_page(&mut chunk, page, span.count, &mut column)?;
        self.times = Some((page.chunk, chunk));
        if !column.is_sorted_by(|a, b| a < b) {
            return Err(Error::corrupt("timestamps", &self.block.path, page.at));
        }
        let column: Arc<[i64]> = column.into();
        if let Some(cache) = self.cache {
            cache.put(key, Entry::Timestamps(column.clone()));
        }
        Ok(column)
    }

    /// The values of a page.
    pub(crate) fn values(&mut self, number: u32) -> Result<Arc<[f64]>, Error> {
        let key = Key::Values(self.block.meta.seq, number);
        if let Some(Entry::Values(column)) = self.cache.and_then(|cache| cache.find(key)) {
            return Ok(column);
        }
        let (page, count) = (self.index.value_pages[number as usize], self.index.span(number).count);
        let mut column = Vec::new();
        let mut chunk = match self.values.take().filter(|(number, _)| *number == page.chunk) {
            Some((_, chunk)) => chunk,
            None => self.open_chunk(page.chunk)?,
        };
        self.read_page(&mut chunk, page, count, &mut column)?;
        self.values = Some((page.chunk, chunk));
        let column: Arc<[f64]> = column.into();
        if let Some(cache) = self.cache {
            cache.put(key, Entry::Values(column.clone()));
        }
        Ok(column)
    }

    /// The bytes of a page that is a stream.
    pub(crate) fn bytes(&mut self, number: u32) -> Result<&[u8], Error> {
        let page = self.index.value_pages[number as usize];
        let end = self.index.chunks[page.chunk as usize].end;
        self.read(page.at, page.len, page.crc, end)
    }

    fn open_chunk<T: Number>(&mut self, number: u32) -> Result<ColumnChunk<T>, Error> {
        let index = self.index.clone();
        let chunk = &index.chunks[number as usize];
        let path = self.block.path.clone();
        let meta = self.read(chunk.at, chunk.meta_len, chunk.meta_crc, chunk.end)?;
        ColumnChunk::open(meta).map_err(|_| Error::corrupt("column meta", &path, chunk.at))
    }

    fn read_page<T: Number>(
        &mut self,
        chunk: &mut ColumnChunk<T>,
        page: Page,
        count: u32,
        column: &mut Vec<T>,
    ) -> Result<(), Error> {
        let end = self.index.chunks[page.chunk as usize].end;
        let path = self.block.path.clone();
        let bytes = self.read(page.at, page.len, page.crc, end)?;
        let read = chunk.read_page(bytes, count as usize, column);
        read.map_err(|_| Error::corrupt("column page", &path, page.at))
    }

    /// Bytes that were checked. Reads up to `end` ahead where that pays.
    pub(super) fn read(&mut self, at: u64, len: u32, crc: u32, end: u64) -> Result<&[u8], Error> {
        let broken = || Error::corrupt("column", &self.block.path, at);
        let len = len as usize;
        let (start, bytes) = &self.window;
        let within = at.checked_sub(*start).and_then(|skip| usize::try_from(skip).ok());
        let within = within.filter(|&skip| skip.checked_add(len).is_some_and(|end| end <= bytes.len()));
        let skip = match within {
            Some(skip) => skip,
            None => {
                let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
                let mut bytes = std::mem::take(&mut self.window.1);
                bytes.clear();
                bytes.resize(len.max(self.ahead.min(most)), 0);
                self.block.file.read_at(at, &mut bytes)?;
                self.window = (at, bytes);
                0
            }
        };
        let bytes = &self.window.1[skip..skip + len];
        (file::checksum(bytes) == crc).then_some(bytes).ok_or_else(broken)
    }
}
