//! Late samples of a lane: those older than the last of their series, or than what the head takes in order.
//!
//! They are kept apart, so that what comes in order, nearly everything, pays nothing for them. A series has a few
//! recent ones sorted by time and, when these are many, chunks of them. Such a chunk stays within a window; chunks may
//! overlap each other and those that came in order, but no time of a series is in the head twice.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
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
    series: HashMap<u32, Series>,
    windows: BTreeSet<i64>,
    bytes: usize,
}

#[derive(Default)]
struct Series {
    /// In time order.
    recent: Vec<(i64, f64)>,
    full: Vec<HeadChunk>,
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
        let series = self.series.get(&slot)?;
        if let Ok(place) = series.recent.binary_search_by_key(&at, |sample| sample.0) {
            return Some(series.recent[place].1);
        }
        series.full.iter().find_map(|chunk| chunk.find(at))
    }

    /// Adds a sample; its time must be in the head nowhere else.
    pub(super) fn insert(&mut self, slot: u32, at: i64, value: f64) {
        let series = self.series.entry(slot).or_insert_with(|| {
            self.bytes += OVERHEAD;
            Series::default()
        });
        let place = series.recent.partition_point(|sample| sample.0 < at);
        series.recent.insert(place, (at, value));
        self.bytes += size_of::<(i64, f64)>();
        self.windows.insert(window_of(at));
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
                    || series.full.iter().any(|chunk| chunk.overlaps(range))
            })
    }

    /// The chunks of a series that overlap a range, recent samples as chunks too.
    pub(super) fn chunks_in(&self, slot: u32, range: &TimeRange) -> Vec<HeadChunk> {
        let series = self.any_in(range).then(|| self.series.get(&slot)).flatten();
        let Some(series) = series else { return Vec::new() };
        let mut chunks = series.full.clone();
        encode(&series.recent, &mut chunks);
        chunks.retain(|chunk| chunk.overlaps(range));
        chunks
    }

    /// The chunks of a series in a window, closed: what comes later goes to others.
    pub(super) fn close_window(&mut self, slot: u32, window: i64) -> Vec<HeadChunk> {
        let Some(series) = self.series.get_mut(&slot) else { return Vec::new() };
        let range = window_range(window);
        self.bytes -= series.recent.len() * size_of::<(i64, f64)>();
        self.bytes += series.close();
        series.full.iter().filter(|chunk| chunk.overlaps(&range)).cloned().collect()
    }

    /// The slots that have late samples.
    pub(super) fn slots(&self) -> Vec<u32> {
        self.series.keys().copied().collect()
    }

    /// Drops these chunks of a series.
    pub(super) fn drop_chunks(&mut self, slot: u32, chunks: &[HeadChunk]) {
        let Some(series) = self.series.get_mut(&slot) else { return };
        for chunk in series.full.extract_if(.., |chunk| chunks.iter().any(|other| other.is(chunk))) {
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
        if !self.series.keys().any(|&slot| self.overlaps(slot, &range)) {
            self.windows.remove(&window);
        }
    }
}

impl Series {
    /// Recent samples become chunks; how many bytes these take.
    fn close(&mut self) -> usize {
        let before = self.full.len();
        encode(&mem::take(&mut self.recent), &mut self.full);
        self.full[before..].iter().map(HeadChunk::memory).sum()
    }
}

/// Appends samples in time order as chunks, each within a window.
fn encode(samples: &[(i64, f64)], chunks: &mut Vec<HeadChunk>) {
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
                chunks.push(finish(&encoder, &mut bytes, first));
                first = at;
                encoder.restart();
                encoder.push(at, value).expect("a new chunk takes any sample")
            });
            bytes.extend_from_slice(encoded.as_slice());
        }
        chunks.push(finish(&encoder, &mut bytes, first));
    }
}

#[cfg(test)]
mod tests {
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
    fn what_was_closed_can_be_dropped_and_the_rest_stays() {
        let mut late = Late::default();
        late.insert(1, 5, 1.0);
        late.insert(1, WINDOW_MS, 2.0);
        late.insert(2, 5, 3.0);
        let closed = late.close_window(1, 0);
        assert_eq!(samples(&closed), [(5, 1.0)]);
        late.insert(1, 6, 4.0);
        late.drop_chunks(1, &closed);
        assert_eq!(samples(&late.chunks_in(1, &window_range(0))), [(6, 4.0)]);
        late.forget_window(0);
        assert_eq!(late.windows().collect::<Vec<_>>(), [0, WINDOW_MS]);
        for slot in [1, 2] {
            for window in [0, WINDOW_MS] {
                let closed = late.close_window(slot, window);
                late.drop_chunks(slot, &closed);
                late.forget_window(window);
            }
        }
        assert_eq!((late.windows().count(), late.bytes(), late.has(1)), (0, 0, false));
    }
}
