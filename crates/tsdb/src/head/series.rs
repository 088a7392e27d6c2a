//! One series of the head: its labels, the chunk being written and those that are full.

use std::sync::Arc;

use barograph_codec::{Decoder, Encoder};
use barograph_model::{Labels, TimeRange, Timestamp};

use super::{
    arena::{Arena, Chain},
    window_range,
};

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

    /// Whether both are one and the same chunk.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }

    /// The value at a time.
    pub(super) fn find(&self, at: i64) -> Option<f64> {
        let within = self.first <= at && at <= self.last;
        within.then(|| self.samples().find(|sample| sample.0 == at)).flatten().map(|sample| sample.1)
    }

    /// Bytes it takes, roughly.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    pub(crate) fn samples(&self) -> Decoder<'_> {
        Decoder::new(&self.bytes, self.count)
    }
}

/// What a series has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) count: u64,
}

/// A series. Kept small: there may be millions. The bytes of its open chunk lie in the arena of its lane.
pub(crate) struct Series {
    pub(crate) labels: Labels,
    encoder: Encoder,
    /// The chunk being written.
    open: Chain,
    /// The log segment that knows its labels; zero for none.
    pub(crate) segment: u32,
    /// End of the window the open chunk belongs to.
    window_end: i64,
    /// Full chunks, in time order. Most series have none, and pay a pointer for it.
    #[expect(clippy::box_collection, reason = "a pointer instead of three words, a million times")]
    full: Option<Box<Vec<HeadChunk>>>,
}

impl Series {
    pub(super) fn new(labels: Labels) -> Self {
        let (encoder, open) = (Encoder::new(), Chain::EMPTY);
        Self { labels, encoder, open, segment: 0, window_end: i64::MIN, full: None }
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
    pub(super) fn push(&mut self, arena: &mut Arena, at: i64, value: f64) -> bool {
        if at < self.window_end
            && self.open.len() < CHUNK_BYTES
            && let Some(sample) = self.encoder.push(at, value)
        {
            arena.append(&mut self.open, &sample);
            return false;
        }
        self.begin_chunk(arena, at, value);
        true
    }

    #[inline(never)]
    fn begin_chunk(&mut self, arena: &mut Arena, at: i64, value: f64) {
        self.close(arena);
        self.window_end = window_of(at).saturating_add(WINDOW_MS);
        let sample = self.encoder.push(at, value).expect("a new chunk takes any sample");
        arena.append(&mut self.open, &sample);
    }

    /// Reads from where the next sample will be written, so that it is near when it comes.
    #[inline]
    pub(super) fn touch(&self, arena: &Arena) -> u8 {
        arena.touch(&self.open)
    }

    /// Makes the last sample known without keeping it: a block has it.
    pub(super) fn resume(&mut self, at: i64, value: f64) {
        if at > self.last_at() {
            self.encoder.restart();
            // Only the encoder's memory of it is wanted.
            let _ = self.encoder.push(at, value);
            self.encoder.restart();
        }
    }

    /// Forgets the last sample, which is kept nowhere any more.
    pub(super) fn forget_last(&mut self) {
        debug_assert!(!self.has_samples(), "what is here is known");
        self.encoder = Encoder::new();
    }

    /// Makes a later sample known that lies elsewhere; the next one begins a chunk.
    pub(super) fn go_on_after(&mut self, arena: &mut Arena, at: i64, value: f64) {
        self.close(arena);
        self.resume(at, value);
    }

    /// Closes the chunk being written, if there is one; the next sample begins another.
    fn close(&mut self, arena: &mut Arena) {
        self.window_end = i64::MIN;
        if let Some(chunk) = self.open_chunk(arena) {
            arena.count_closed(chunk.memory());
            let full = self.full.get_or_insert_default();
            // Few come, far apart: room for four at once would be more than a short chunk takes.
            full.reserve_exact(1);
            full.push(chunk);
            arena.release(&mut self.open);
            self.encoder.restart();
        }
    }

    /// A copy of the chunk being written.
    fn open_chunk(&self, arena: &Arena) -> Option<HeadChunk> {
        let first = self.open_first(arena)?;
        let (last, count) = (self.last_at(), self.encoder.count());
        Some(HeadChunk { first, last, count, bytes: arena.collect(&self.open) })
    }

    /// The time of the first sample of the open chunk. It lies in the first piece.
    fn open_first(&self, arena: &Arena) -> Option<i64> {
        Decoder::new(arena.start(&self.open), self.encoder.count()).next().map(|sample| sample.0)
    }

    fn full(&self) -> &[HeadChunk] {
        self.full.as_ref().map_or(&[], |full| full.as_slice())
    }

    /// The times of the first and the last sample, and how many there are; `None` without any.
    pub(super) fn held(&self, arena: &Arena) -> Option<Held> {
        let open = u64::from(self.encoder.count());
        let full = self.full();
        let first = full.first().map(|chunk| chunk.first).or_else(|| self.open_first(arena))?;
        let last = if open > 0 { self.last_at() } else { full.last()?.last };
        Some(Held { first, last, count: open + full.iter().map(|chunk| u64::from(chunk.count)).sum::<u64>() })
    }

    pub(super) fn has_samples(&self) -> bool {
        self.encoder.count() > 0 || self.full.is_some()
    }

    pub(super) fn overlaps(&self, arena: &Arena, range: &TimeRange) -> bool {
        // The last sample is at hand, the first of a chunk is not.
        let last_within = self.has_samples() && range.contains(Timestamp(self.last_at()));
        last_within
            || self.open_overlaps(arena, range)
            || self.full().iter().any(|chunk| chunk.overlaps(range))
    }

    fn open_overlaps(&self, arena: &Arena, range: &TimeRange) -> bool {
        self.last_at() >= range.start.millis()
            && self.open_first(arena).is_some_and(|first| first < range.end.millis())
    }

    /// The bytes of the open chunk, if it may overlap a range as far as its window tells.
    pub(super) fn open_in(&self, range: &TimeRange) -> Option<Chain> {
        let begins = Timestamp(self.window_end.saturating_sub(WINDOW_MS));
        let overlaps = begins < range.end && Timestamp(self.last_at()) >= range.start;
        (self.encoder.count() > 0 && overlaps).then_some(self.open)
    }

    /// How many chunks there are, and the times of the first and the last sample in them.
    pub(super) fn extent(&self, arena: &Arena) -> Option<(usize, i64, i64)> {
        let open = self.open_first(arena);
        let first = self.full().first().map(|chunk| chunk.first).or(open)?;
        Some((self.full().len() + usize::from(open.is_some()), first, self.last_at()))
    }

    /// The value at a time.
    pub(super) fn find(&self, arena: &Arena, at: i64) -> Option<f64> {
        let begun = self.full().partition_point(|chunk| chunk.first <= at);
        let full = self.full()[..begun].last().and_then(|chunk| chunk.find(at));
        let may_be_open = at <= self.last_at() && self.open_first(arena).is_some_and(|first| first <= at);
        full.or_else(|| may_be_open.then(|| self.open_chunk(arena)).flatten()?.find(at))
    }

    /// The chunks that overlap a range, in time order.
    pub(super) fn chunks_in(&self, arena: &Arena, range: &TimeRange) -> Vec<HeadChunk> {
        let mut chunks: Vec<_> = self.full().iter().filter(|c| c.overlaps(range)).cloned().collect();
        if self.open_overlaps(arena, range) {
            chunks.extend(self.open_chunk(arena));
        }
        chunks
    }

    /// The chunks of a window, closed.
    pub(super) fn close_window(&mut self, arena: &mut Arena, window: i64) -> Vec<HeadChunk> {
        let range = window_range(window);
        if self.encoder.count() > 0 && self.window_end <= range.end.millis() {
            self.close(arena);
        }
        self.full().iter().filter(|chunk| chunk.overlaps(&range)).cloned().collect()
    }

    /// Drops the closed chunks of a window up to `last`, and lets go of what memory it can.
    pub(super) fn drop_chunks(&mut self, arena: &mut Arena, window: i64, last: i64) {
        if let Some(full) = &mut self.full {
            for chunk in full.extract_if(.., |chunk| chunk.last <= last && chunk.first >= window) {
                arena.count_dropped(chunk.memory());
            }
            full.shrink_to_fit();
            if full.is_empty() {
                self.full = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stays_small() {
        assert!(size_of::<Series>() <= 80, "{}", size_of::<Series>());
    }

    #[test]
    fn chunks_end_with_their_window() {
        let mut series = Series::new(Labels::empty());
        let arena = &mut Arena::default();
        for at in [0, 1_000, WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 5] {
            series.push(arena, at, 1.0);
        }
        let chunks = series.chunks_in(arena, &TimeRange::ALL);
        let spans: Vec<_> = chunks.iter().map(|c| (c.first, c.last, c.count)).collect();
        assert_eq!(spans, [(0, WINDOW_MS - 1, 3), (WINDOW_MS, WINDOW_MS + 5, 2)]);
        assert_eq!(series.close_window(arena, 0).len(), 1);
        series.drop_chunks(arena, 0, WINDOW_MS - 1);
        assert_eq!(series.chunks_in(arena, &TimeRange::ALL).len(), 1);
        assert!(series.overlaps(arena, &TimeRange::new(Timestamp(WINDOW_MS), Timestamp(WINDOW_MS + 1))));
        assert!(!series.overlaps(arena, &TimeRange::new(Timestamp(0), Timestamp(WINDOW_MS))));
    }

    #[test]
    fn a_closed_window_begins_again() {
        let mut series = Series::new(Labels::empty());
        let arena = &mut Arena::default();
        assert!(series.push(arena, 0, 1.0));
        assert!(!series.push(arena, 1, 1.0));
        assert_eq!(series.close_window(arena, 0).len(), 1);
        assert!(series.push(arena, 2, 1.0), "or nobody would know that the window has samples again");
    }

    #[test]
    fn resumed_series_know_their_last_sample_only() {
        let mut series = Series::new(Labels::empty());
        let arena = &mut Arena::default();
        series.resume(5, 2.5);
        assert_eq!((series.last_at(), series.last_bits()), (5, 2.5f64.to_bits()));
        assert!(!series.has_samples());
        series.push(arena, 6, 2.5);
        let chunks = series.chunks_in(arena, &TimeRange::ALL);
        assert_eq!(chunks[0].samples().collect::<Vec<_>>(), [(6, 2.5)]);
    }
}
