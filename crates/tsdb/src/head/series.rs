//! One series of the head: its labels, the chunk being written and those that are full.

use std::sync::Arc;

use barograph_codec::{Decoder, Encoder, stream::SAMPLE_BYTES_MAX};
use barograph_model::{Labels, TimeRange, Timestamp};

/// The time that is cut into one block: two hours, in milliseconds, aligned to the epoch.
pub(crate) const WINDOW_MS: i64 = 2 * 3600 * 1000;

/// A chunk is closed when it has this many bytes.
const CHUNK_BYTES: usize = 1000;

/// The start of the window a time belongs to.
pub(crate) const fn window_of(at: i64) -> i64 {
    at.div_euclid(WINDOW_MS).saturating_mul(WINDOW_MS)
}

/// A run of samples that does not change any more.
#[derive(Clone)]
pub(crate) struct HeadChunk {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) count: u16,
    pub(crate) bytes: Arc<[u8]>,
}

impl HeadChunk {
    pub(crate) fn overlaps(&self, range: &TimeRange) -> bool {
        self.first < range.end.millis() && self.last >= range.start.millis()
    }

    pub(crate) fn samples(&self) -> Decoder<'_> {
        Decoder::new(&self.bytes, self.count)
    }
}

/// A series. Kept small: there may be millions.
pub(crate) struct Series {
    pub(crate) labels: Labels,
    encoder: Encoder,
    /// The chunk being written.
    bytes: Vec<u8>,
    /// End of the window that chunk belongs to.
    window_end: i64,
    /// Full chunks, in time order. Most series have none, and pay a pointer for it.
    #[expect(clippy::box_collection, reason = "a pointer instead of three words, a million times")]
    full: Option<Box<Vec<HeadChunk>>>,
    /// The log segment that knows its labels; zero for none.
    pub(crate) segment: u32,
}

impl Series {
    pub(crate) fn new(labels: Labels) -> Self {
        Self {
            labels,
            encoder: Encoder::new(),
            bytes: Vec::new(),
            window_end: i64::MIN,
            full: None,
            segment: 0,
        }
    }

    #[inline]
    pub(crate) fn last_at(&self) -> i64 {
        self.encoder.last_at()
    }

    #[inline]
    pub(crate) fn last_bits(&self) -> u64 {
        self.encoder.last_bits()
    }

    /// Appends a sample that is later than the last; whether it began a chunk.
    #[inline]
    pub(crate) fn push(&mut self, at: i64, value: f64) -> bool {
        if at < self.window_end && self.bytes.len() < CHUNK_BYTES {
            self.grow();
            if self.encoder.push(&mut self.bytes, at, value) {
                return false;
            }
        }
        self.close();
        self.window_end = window_of(at).saturating_add(WINDOW_MS);
        self.grow();
        let taken = self.encoder.push(&mut self.bytes, at, value);
        debug_assert!(taken, "a new chunk takes any sample");
        true
    }

    /// Makes the last sample known without keeping it: a block has it.
    pub(crate) fn resume(&mut self, at: i64, value: f64) {
        if at > self.last_at() {
            self.encoder.restart();
            self.encoder.push(&mut Vec::new(), at, value);
            self.encoder.restart();
            self.bytes.clear();
            self.window_end = i64::MIN;
        }
    }

    /// Doubling wastes a quarter of the memory on average. Half again, and only when one sample may not fit.
    #[inline]
    fn grow(&mut self) {
        if self.bytes.capacity() - self.bytes.len() < SAMPLE_BYTES_MAX {
            self.bytes.reserve_exact((self.bytes.len() / 2).max(SAMPLE_BYTES_MAX + 5));
        }
    }

    /// Closes the chunk being written, if there is one; the next sample begins another.
    fn close(&mut self) {
        self.window_end = i64::MIN;
        if let Some(chunk) = self.open_chunk() {
            self.full.get_or_insert_default().push(chunk);
            self.bytes.clear();
            self.encoder.restart();
        }
    }

    /// A copy of the chunk being written.
    fn open_chunk(&self) -> Option<HeadChunk> {
        let (first, _) = Decoder::new(&self.bytes, self.encoder.count()).next()?;
        let (last, count) = (self.last_at(), self.encoder.count());
        Some(HeadChunk { first, last, count, bytes: self.bytes.as_slice().into() })
    }

    fn full(&self) -> &[HeadChunk] {
        self.full.as_ref().map_or(&[], |full| full.as_slice())
    }

    pub(crate) fn has_samples(&self) -> bool {
        self.encoder.count() > 0 || self.full.is_some()
    }

    pub(crate) fn overlaps(&self, range: &TimeRange) -> bool {
        let open = || {
            let first = Decoder::new(&self.bytes, self.encoder.count()).next();
            first.is_some_and(|(first, _)| {
                first < range.end.millis() && self.last_at() >= range.start.millis()
            })
        };
        self.has_samples() && (open() || self.full().iter().any(|chunk| chunk.overlaps(range)))
    }

    /// The chunks that overlap a range, in time order.
    pub(crate) fn chunks_in(&self, range: &TimeRange) -> Vec<HeadChunk> {
        let mut chunks: Vec<_> = self.full().iter().filter(|c| c.overlaps(range)).cloned().collect();
        // Whether the open chunk overlaps is told without copying it, for its last time is known.
        if self.last_at() >= range.start.millis() {
            chunks.extend(self.open_chunk().filter(|chunk| chunk.overlaps(range)));
        }
        chunks
    }

    /// The chunks of a window, closed.
    pub(crate) fn close_window(&mut self, window: i64) -> Vec<HeadChunk> {
        let end = window.saturating_add(WINDOW_MS);
        if self.encoder.count() > 0 && self.window_end <= end {
            self.close();
        }
        let range = TimeRange::new(Timestamp(window), Timestamp(end));
        self.full().iter().filter(|chunk| chunk.overlaps(&range)).cloned().collect()
    }

    /// Drops the closed chunks of a window up to `last`, and lets go of what memory it can.
    pub(crate) fn drop_chunks(&mut self, window: i64, last: i64) {
        if let Some(full) = &mut self.full {
            full.retain(|chunk| chunk.last > last || chunk.first < window);
            full.shrink_to_fit();
            if full.is_empty() {
                self.full = None;
            }
        }
        if self.encoder.count() == 0 {
            self.bytes = Vec::new();
        }
    }

    pub(crate) fn chunk_bytes(&self) -> usize {
        self.bytes.capacity() + self.full().iter().map(|chunk| chunk.bytes.len() + 56).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stays_small() {
        assert!(size_of::<Series>() <= 96, "{}", size_of::<Series>());
    }

    #[test]
    fn chunks_end_with_their_window() {
        let mut series = Series::new(Labels::empty());
        for at in [0, 1_000, WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 5] {
            series.push(at, 1.0);
        }
        let chunks = series.chunks_in(&TimeRange::ALL);
        let spans: Vec<_> = chunks.iter().map(|c| (c.first, c.last, c.count)).collect();
        assert_eq!(spans, [(0, WINDOW_MS - 1, 3), (WINDOW_MS, WINDOW_MS + 5, 2)]);
        assert_eq!(series.close_window(0).len(), 1);
        series.drop_chunks(0, WINDOW_MS - 1);
        assert_eq!(series.chunks_in(&TimeRange::ALL).len(), 1);
        assert!(series.overlaps(&TimeRange::new(Timestamp(WINDOW_MS), Timestamp(WINDOW_MS + 1))));
        assert!(!series.overlaps(&TimeRange::new(Timestamp(0), Timestamp(WINDOW_MS))));
    }

    #[test]
    fn a_closed_window_begins_again() {
        let mut series = Series::new(Labels::empty());
        assert!(series.push(0, 1.0));
        assert!(!series.push(1, 1.0));
        assert_eq!(series.close_window(0).len(), 1);
        assert!(series.push(2, 1.0), "or nobody would know that the window has samples again");
    }

    #[test]
    fn resumed_series_know_their_last_sample_only() {
        let mut series = Series::new(Labels::empty());
        series.resume(5, 2.5);
        assert_eq!((series.last_at(), series.last_bits()), (5, 2.5f64.to_bits()));
        assert!(!series.has_samples());
        series.push(6, 2.5);
        let chunks = series.chunks_in(&TimeRange::ALL);
        assert_eq!(chunks[0].samples().collect::<Vec<_>>(), [(6, 2.5)]);
    }
}
