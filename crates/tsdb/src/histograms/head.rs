//! Recent histograms in memory, every one of them also in the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use barograph_codec::HistogramEncoder;
use barograph_model::{Histogram, Labels, Matcher, TimeRange};

use crate::{
    Reason,
    head::{WINDOW_MS, window_of},
};

/// All series of histograms.
pub(crate) struct Head {
    series: Mutex<BTreeMap<Labels, Series>>,
    series_max: usize,
}

/// A series: full chunks in time order, the one being written last.
#[derive(Default)]
pub(super) struct Series {
    chunks: Vec<Chunk>,
    encoder: HistogramEncoder,
    /// Whether the last chunk takes more.
    open: bool,
}

/// A run of histograms of one window of two hours.
#[derive(Clone)]
pub(super) struct Chunk {
    window: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) bytes: Vec<u8>,
}

/// A chunk is closed when it has this many bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// A series with some of its chunks.
pub(super) type Snapshot = Vec<(Labels, Vec<Chunk>)>;

impl Head {
    pub(crate) fn new(series_max: usize) -> Self {
        Self { series: Mutex::default(), series_max }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Labels, Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a histogram and keeps a good one; whether it is news.
    pub(super) fn push(
        &self,
        all: &mut BTreeMap<Labels, Series>,
        labels: &Labels,
        at: i64,
        histogram: &Histogram,
    ) -> Result<bool, Reason> {
        if !all.contains_key(labels) {
            if all.len() >= self.series_max {
                return Err(Reason::TooManySeries);
            }
            all.insert(labels.clone(), Series::default());
        }
        let Some(series) = all.get_mut(labels) else { return Ok(false) };
        match series.encoder.last_at() {
            Some(last) if at < last => Err(Reason::OutOfOrder),
            Some(last) if at == last => {
                let same = series.encoder.last().is_some_and(|last| is_same(last, histogram));
                if same { Ok(false) } else { Err(Reason::Duplicate) }
            }
            _ => {
                series.push(at, histogram);
                Ok(true)
            }
        }
    }

    /// Takes a histogram from the log again. What is known is passed over.
    pub(crate) fn replay(&self, labels: Labels, at: i64, histogram: &Histogram) -> bool {
        let mut all = self.lock();
        let series = all.entry(labels).or_default();
        let news = series.encoder.last_at().is_none_or(|last| at > last);
        if news {
            series.push(at, histogram);
        }
        news
    }

    pub(crate) fn series(&self) -> usize {
        self.lock().len()
    }

    /// Bytes of all chunks.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().values().flat_map(|series| &series.chunks).map(|chunk| chunk.bytes.capacity()).sum()
    }

    /// The starts of all windows that have histograms.
    pub(crate) fn windows(&self) -> BTreeSet<i64> {
        self.lock().values().flat_map(|series| &series.chunks).map(|chunk| chunk.window).collect()
    }

    /// Calls `see` with the labels of every series that matches and has histograms in the range.
    pub(crate) fn each_series(&self, matchers: &[Matcher], range: &TimeRange, mut see: impl FnMut(&Labels)) {
        for (labels, series) in self.lock().iter() {
            let within = series.chunks.iter().any(|chunk| chunk.overlaps(range));
            if within && matches(matchers, labels) {
                see(labels);
            }
        }
    }

    /// The series that match, with their chunks in the range.
    pub(super) fn select(&self, matchers: &[Matcher], range: &TimeRange) -> Snapshot {
        let all = self.lock();
        let matching = all.iter().filter(|(labels, _)| matches(matchers, labels));
        let chunks = |series: &Series| -> Vec<Chunk> {
            series.chunks.iter().filter(|chunk| chunk.overlaps(range)).cloned().collect()
        };
        let found = matching.map(|(labels, series)| (labels.clone(), chunks(series)));
        found.filter(|(_, chunks)| !chunks.is_empty()).collect()
    }

    /// All chunks of a window, closed, so that what comes later goes to new ones.
    pub(super) fn snapshot(&self, window: i64) -> Snapshot {
        let mut found = Vec::new();
        for (labels, series) in self.lock().iter_mut() {
            if series.chunks.last().is_some_and(|chunk| chunk.window == window) {
                series.open = false;
            }
            let chunks: Vec<_> = series.chunks.iter().filter(|c| c.window == window).cloned().collect();
            if !chunks.is_empty() {
                found.push((labels.clone(), chunks));
            }
        }
        found
    }

    /// Lets go of the chunks of a snapshot, once a block holds them, and of series that ended before `floor`.
    pub(super) fn drop_snapshot(&self, snapshot: &Snapshot, floor: i64) {
        let mut all = self.lock();
        for (labels, gone) in snapshot {
            if let Some(series) = all.get_mut(labels) {
                series
                    .chunks
                    .retain(|chunk| !gone.iter().any(|g| (g.first, g.last) == (chunk.first, chunk.last)));
                let idle =
                    series.chunks.is_empty() && series.encoder.last_at().is_none_or(|last| last < floor);
                if idle {
                    all.remove(labels);
                }
            }
        }
    }
}

impl Series {
    fn push(&mut self, at: i64, histogram: &Histogram) {
        let window = window_of(at);
        let room = |chunk: &&mut Chunk| chunk.window == window && chunk.bytes.len() < CHUNK_BYTES;
        match self.chunks.last_mut().filter(|_| self.open).filter(room) {
            Some(chunk) => {
                self.encoder.push(at, histogram, &mut chunk.bytes);
                chunk.last = at;
            }
            None => {
                self.encoder = HistogramEncoder::default();
                let mut bytes = Vec::new();
                self.encoder.push(at, histogram, &mut bytes);
                self.chunks.push(Chunk { window, first: at, last: at, bytes });
                self.open = true;
            }
        }
    }
}

impl Chunk {
    fn overlaps(&self, range: &TimeRange) -> bool {
        self.first < range.end.millis() && self.last >= range.start.millis()
    }
}

/// The end of a window.
pub(super) fn end_of(window: i64) -> i64 {
    window.saturating_add(WINDOW_MS)
}

pub(super) fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches(labels.value(m.name()).unwrap_or("")))
}

/// Bit for bit in the sum, so that a marker equals itself.
fn is_same(a: &Histogram, b: &Histogram) -> bool {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    HistogramEncoder::default().push(0, a, &mut left);
    HistogramEncoder::default().push(0, b, &mut right);
    left == right
}
