//! Late samples of a lane: those older than the last of their series.
//!
//! They are kept apart, so that what comes in order, nearly everything, pays nothing for them. A series has a few
//! recent ones sorted by time and, when these are many, chunks of them. Such a chunk stays within a window; chunks may
//! overlap each other and those that came in order, but no time of a series is in the head twice.
//!
//! History that is imported for a series that is alive comes by here too, in order among itself: its samples go to the
//! end, are not searched for, and each chunk is written once.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasherDefault, Hasher},
    mem,
    ops::Range,
    sync::Arc,
};

use barograph_codec::Encoder;
use barograph_model::TimeRange;

use super::{
    series::{HeadChunk, window_of},
    window_range,
};

/// This many recent samples of a series become chunks.
const RECENT_MAX: usize = 120;

/// Bytes of a series here, apart from its samples.
const OVERHEAD: usize = 128;

/// The late samples of one lane, by slot.
#[derive(Default)]
pub(super) struct Late {
    series: HashMap<u32, Series, BuildHasherDefault<Spread>>,
    windows: BTreeSet<i64>,
    /// The window that was added to last, if it is still there.
    window: Option<i64>,
    bytes: usize,
}

#[derive(Default)]
struct Series {
    /// In time order.
    recent: Vec<(i64, f64)>,
    /// In the order of their first samples.
    full: Vec<HeadChunk>,
    /// No sample is later.
    newest: i64,
}

/// Spreads the bits of a slot over a hash.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(u32::from(byte)));
    }

    fn write_u32(&mut self, slot: u32) {
        self.0 = (self.0 ^ u64::from(slot)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Late {
    /// Bytes they take, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has(&self, slot: u32) -> bool {
        self.series.contains_key(&slot)
    }

    /// The starts of the windows that have late samples, in order.
    pub(super) fn windows(&self) -> impl Iterator<Item = i64> {
        self.windows.iter().copied()
    }

    /// The value of a series at a time.
    pub(super) fn find(&self, slot: u32, at: i64) -> Option<f64> {
        let series = self.series.get(&slot).filter(|series| at <= series.newest)?;
        if let Ok(place) = series.recent.binary_search_by_key(&at, |sample| sample.0) {
            return Some(series.recent[place].1);
        }
        let range = series.chunks_from(window_of(at), at.saturating_add(1));
        series.full[range].iter().rev().find_map(|chunk| chunk.find(at))
    }

    /// Adds a sample; its time must be in the head nowhere else.
    pub(super) fn insert(&mut self, slot: u32, at: i64, value: f64) {
        let series = self.series.entry(slot).or_insert_with(|| {
            self.bytes += OVERHEAD;
            Series { newest: i64::MIN, ..Series::default() }
        });
        if series.recent.last().is_none_or(|last| last.0 < at) {
            series.recent.push((at, value));
        } else {
            let place = series.recent.partition_point(|sample| sample.0 < at);
            series.recent.insert(place, (at, value));
        }
        series.newest = series.newest.max(at);
        self.bytes += size_of::<(i64, f64)>();
        let window = window_of(at);
        if self.window != Some(window) {
            self.windows.insert(window);
            self.window = Some(window);
        }
        if series.recent.len() >= RECENT_MAX {
            self.bytes += series.close();
            self.bytes -= RECENT_MAX * size_of::<(i64, f64)>();
        }
    }

    /// Whether any series may have samples in a range; most often this is all there is to ask.
    fn any_in(&self, range: &TimeRange) -> bool {
        let first = self.windows.range(window_of(range.start.millis())..).next();
        first.is_some_and(|&window| window < range.end.millis())
    }

    pub(super) fn overlaps(&self, slot: u32, range: &TimeRange) -> bool {
        self.any_in(range)
            && self.series.get(&slot).is_some_and(|series| {
                let (start, end) = (range.start.millis(), range.end.millis());
                let place = series.recent.partition_point(|sample| sample.0 < start);
                series.recent.get(place).is_some_and(|sample| sample.0 < end)
                    || series.chunks_in(range).next().is_some()
            })
    }

    /// The chunks of a series that overlap a range, recent samples as chunks too.
    pub(super) fn chunks_in(&self, slot: u32, range: &TimeRange) -> Vec<HeadChunk> {
        let series = self.any_in(range).then(|| self.series.get(&slot)).flatten();
        let Some(series) = series else { return Vec::new() };
        let mut chunks: Vec<_> = series.chunks_in(range).cloned().collect();
        let before = chunks.len();
        encode(&series.recent, |chunk| chunks.push(chunk));
        let recent = chunks.split_off(before);
        chunks.extend(recent.into_iter().filter(|chunk| chunk.overlaps(range)));
        chunks
    }

    /// The chunks of a series in a window, closed: what comes later goes to others.
    pub(super) fn close_window(&mut self, slot: u32, window: i64) -> Vec<HeadChunk> {
        if self.series.is_empty() {
            return Vec::new();
        }
        let Some(series) = self.series.get_mut(&slot) else { return Vec::new() };
        self.bytes -= series.recent.len() * size_of::<(i64, f64)>();
        self.bytes += series.close();
        series.chunks_in(&window_range(window)).cloned().collect()
    }

    /// The slots that have late samples.
    pub(super) fn slots(&self) -> Vec<u32> {
        self.series.keys().copied().collect()
    }

    /// Drops these chunks of a window of a series.
    pub(super) fn drop_chunks(&mut self, slot: u32, window: i64, chunks: &[HeadChunk]) {
        let Some(series) = self.series.get_mut(&slot) else { return };
        let range = series.chunks_from(window, window_range(window).end.millis());
        for chunk in series.full.extract_if(range, |chunk| chunks.iter().any(|other| other.is(chunk))) {
            self.bytes -= chunk.memory();
        }
        if series.full.is_empty() && series.recent.is_empty() {
            self.series.remove(&slot);
            self.bytes -= OVERHEAD;
        }
    }

    /// Forgets a window unless it has samples again.
    pub(super) fn forget_window(&mut self, window: i64) {
        let range = window_range(window);
        if self.windows.contains(&window) && !self.series.keys().any(|&slot| self.overlaps(slot, &range)) {
            self.windows.remove(&window);
            self.window = None;
        }
    }
}

impl Series {
    /// Recent samples become chunks; how many bytes these take.
    fn close(&mut self) -> usize {
        let mut bytes = 0;
        encode(&mem::take(&mut self.recent), |chunk| {
            bytes += chunk.memory();
            let place = match self.full.last() {
                Some(last) if last.first > chunk.first => {
                    self.full.partition_point(|other| other.first <= chunk.first)
                }
                _ => self.full.len(),
            };
            self.full.insert(place, chunk);
        });
        bytes
    }

    /// Where the chunks lie whose first samples are in a span of time.
    fn chunks_from(&self, start: i64, end: i64) -> Range<usize> {
        let from = self.full.partition_point(|chunk| chunk.first < start);
        from..from + self.full[from..].partition_point(|chunk| chunk.first < end)
    }

    /// The chunks that overlap a range. None reaches beyond its window, so a search finds them.
    fn chunks_in<'a>(&'a self, range: &'a TimeRange) -> impl Iterator<Item = &'a HeadChunk> {
        let places = self.chunks_from(window_of(range.start.millis()), range.end.millis());
        self.full[places].iter().filter(|chunk| chunk.overlaps(range))
    }
}

/// Gives out samples in time order as chunks, each within a window.
fn encode(samples: &[(i64, f64)], mut give: impl FnMut(HeadChunk)) {
    for samples in samples.chunk_by(|a, b| window_of(a.0) == window_of(b.0)) {
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        let mut first = samples[0].0;
        let finish = |encoder: &Encoder, bytes: &mut Vec<u8>, first| HeadChunk {
            first,
            last: encoder.last_at(),
            count: encoder.count(),
            bytes: Arc::from(mem::take(bytes)),
        };
        for &(at, value) in samples {
            let encoded = encoder.push(at, value).unwrap_or_else(|| {
                give(finish(&encoder, &mut bytes, first));
                first = at;
                encoder.restart();
                encoder.push(at, value).expect("a new chunk takes any sample")
            });
            bytes.extend_from_slice(encoded.as_slice());
        }
        give(finish(&encoder, &mut bytes, first));
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::Timestamp;

    use super::*;
    use crate::head::WINDOW_MS;

    fn samples(chunks: &[HeadChunk]) -> Vec<(i64, f64)> {
        chunks.iter().flat_map(HeadChunk::samples).collect()
    }

    #[test]
    fn samples_come_back_in_the_order_of_time() {
        let mut late = Late::default();
        let times: Vec<i64> = (0..500).map(|n| n * 7919 % 500 * 60_000).collect();
        for &at in &times {
            assert_eq!(late.find(3, at), None);
            late.insert(3, at, at as f64);
        }
        assert!(times.iter().all(|&at| late.find(3, at) == Some(at as f64)));
        let mut all = samples(&late.chunks_in(3, &TimeRange::ALL));
        all.sort_by_key(|sample| sample.0);
        assert!(all.into_iter().map(|sample| sample.0).eq((0..500).map(|n| n * 60_000)));
        assert!(late.chunks_in(3, &TimeRange::ALL).iter().all(|c| window_of(c.first) == window_of(c.last)));
    }

    #[test]
    fn windows_are_found_whatever_the_order() {
        let mut late = Late::default();
        for step in [1, -1] {
            let slot = if step > 0 { 1 } else { 2 };
            (0..2000).for_each(|n: i64| late.insert(slot, 50_000_000 + step * n * 20_000, n as f64));
            for n in 0..2000 {
                let at = 50_000_000 + step * n * 20_000;
                assert_eq!((late.find(slot, at), late.find(slot, at + 1)), (Some(n as f64), None));
                let range = TimeRange::new(Timestamp(at), Timestamp(at + 1));
                assert!(late.overlaps(slot, &range) && late.chunks_in(slot, &range).len() == 1);
            }
            let chunks = late.chunks_in(slot, &TimeRange::ALL);
            assert!(chunks.len() < 40, "{}", chunks.len());
        }
    }

    #[test]
    fn what_was_closed_can_be_dropped_and_the_rest_stays() {
        let mut late = Late::default();
        late.insert(1, 5, 1.0);
        late.insert(1, WINDOW_MS, 2.0);
        late.insert(2, 5, 3.0);
        let closed = late.close_window(1, 0);
        assert_eq!(samples(&closed), [(5, 1.0)]);
        late.insert(1, 6, 4.0);
        late.drop_chunks(1, 0, &closed);
        assert_eq!(samples(&late.chunks_in(1, &window_range(0))), [(6, 4.0)]);
        late.forget_window(0);
        assert_eq!(late.windows().collect::<Vec<_>>(), [0, WINDOW_MS]);
        for slot in [1, 2] {
            for window in [0, WINDOW_MS] {
                let closed = late.close_window(slot, window);
                late.drop_chunks(slot, window, &closed);
                late.forget_window(window);
            }
        }
        assert_eq!((late.windows().count(), late.bytes(), late.has(1)), (0, 0, false));
    }
}
