//! Recent histograms in memory, every one of them also in the log.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use barograph_codec::HistogramEncoder;
use barograph_model::{Histogram, Labels, Matcher, TimeRange, Timestamp, is_stale};

use super::page::{Entry, Sample};
use crate::{
    Reason,
    head::{Held, WINDOW_MS, window_of},
};

/// All series of histograms.
pub(crate) struct Head {
    series: Mutex<BTreeMap<Labels, Series>>,
    series_max: usize,
    /// What late histograms take, roughly.
    late_bytes: AtomicUsize,
}

/// A series: full chunks in time order, the one being written last. Only chunks of late histograms, which come first,
/// may overlap others.
#[derive(Default)]
pub(super) struct Series {
    chunks: Vec<Chunk>,
    encoder: HistogramEncoder,
    /// Whether the last chunk takes more.
    open: bool,
    /// Histograms that are older than the last, or than what is taken in order, until their window is cut. Not compressed:
    /// they are few.
    late: BTreeMap<i64, Histogram>,
}

/// Which times are taken.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// From here on what is in order goes to the log as such.
    pub(super) floor: i64,
    /// So much older than the last of its series, in milliseconds, one may be; zero where none may be late.
    pub(super) within: i64,
    /// So much may wait that is late.
    pub(super) late_bytes_max: usize,
}

/// What became of a good histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Known,
    InOrder,
    Late,
}

/// A run of histograms of one window of two hours.
#[derive(Clone)]
pub(super) struct Chunk {
    window: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    count: u64,
    pub(super) bytes: Vec<u8>,
}

/// A chunk is closed when it has this many bytes.
const CHUNK_BYTES: usize = 16 << 10;

/// A series with some of its chunks.
pub(super) type Snapshot = Vec<(Labels, Vec<Chunk>)>;

impl Head {
    pub(crate) fn new(series_max: usize) -> Self {
        Self { series: Mutex::default(), series_max, late_bytes: AtomicUsize::new(0) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<Labels, Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are histograms of a series.
    pub(crate) fn knows(&self, labels: &Labels) -> bool {
        self.lock().contains_key(labels)
    }

    /// The time of the newest histogram of a series.
    pub(crate) fn newest(&self, labels: &Labels) -> Option<i64> {
        self.lock().get(labels).and_then(Series::last_at)
    }

    /// Whether the newest histogram of a series has exactly this time and is no marker.
    pub(crate) fn is_last(&self, labels: &Labels, at: i64) -> bool {
        let all = self.lock();
        let Some(series) = all.get(labels).filter(|series| series.last_at() == Some(at)) else {
            return false;
        };
        series.find(at).is_some_and(|histogram| !is_stale(histogram.sum()))
    }

    /// Judges a histogram and keeps a good one.
    pub(super) fn push(
        &self,
        all: &mut BTreeMap<Labels, Series>,
        labels: &Labels,
        (at, histogram): (i64, &Histogram),
        bounds: Bounds,
    ) -> Result<Fate, Reason> {
        let last = all.get(labels).and_then(Series::last_at);
        let in_order = last.is_none_or(|last| at > last);
        if last.is_some_and(|last| at < last && last.saturating_sub(at) > bounds.within) {
            return Err(if bounds.within == 0 { Reason::OutOfOrder } else { Reason::TooOld });
        }
        if !all.contains_key(labels) {
            if all.len() >= self.series_max {
                return Err(Reason::TooManySeries);
            }
            all.insert(labels.clone(), Series::default());
        }
        let Some(series) = all.get_mut(labels) else { return Ok(Fate::Known) };
        if in_order && at >= bounds.floor {
            series.push(at, histogram);
            return Ok(Fate::InOrder);
        }
        match series.find(at) {
            Some(known) if is_same(&known, histogram) => Ok(Fate::Known),
            Some(_) => Err(Reason::Duplicate),
            None if self.late_bytes() >= bounds.late_bytes_max => Err(Reason::TooManyLate),
            None => {
                self.keep_late(series, at, histogram);
                Ok(Fate::Late)
            }
        }
    }

    fn keep_late(&self, series: &mut Series, at: i64, histogram: &Histogram) {
        self.late_bytes.fetch_add(bytes_of(histogram), Ordering::Relaxed);
        series.late.insert(at, histogram.clone());
    }

    /// Takes a late histogram from the log again. What is known is passed over.
    pub(crate) fn replay_late(&self, labels: Labels, at: i64, histogram: &Histogram) -> bool {
        let mut all = self.lock();
        let series = all.entry(labels).or_default();
        let news = series.find(at).is_none();
        if news {
            self.keep_late(series, at, histogram);
        }
        news
    }

    /// What late histograms take, roughly.
    pub(crate) fn late_bytes(&self) -> usize {
        self.late_bytes.load(Ordering::Relaxed)
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
        let all = self.lock();
        let chunks = all.values().flat_map(|series| &series.chunks);
        chunks.map(|chunk| chunk.bytes.capacity()).sum::<usize>() + self.late_bytes()
    }

    /// The starts of all windows that have histograms.
    pub(crate) fn windows(&self) -> BTreeSet<i64> {
        let all = self.lock();
        let late = all.values().flat_map(|series| series.late.keys()).map(|at| window_of(*at));
        all.values().flat_map(|series| &series.chunks).map(|chunk| chunk.window).chain(late).collect()
    }

    /// Calls `see` with the labels of every series that matches and has histograms in the range.
    pub(crate) fn each_series(&self, matchers: &[Matcher], range: &TimeRange, mut see: impl FnMut(&Labels)) {
        for (labels, series) in self.lock().iter() {
            let late = series.late.keys().any(|at| range.contains(Timestamp(*at)));
            let within = late || series.chunks.iter().any(|chunk| chunk.overlaps(range));
            if within && matches(matchers, labels) {
                see(labels);
            }
        }
    }

    /// Calls `see` with every series that has histograms in memory, and what it has.
    pub(crate) fn each_held(&self, mut see: impl FnMut(&Labels, Held)) {
        for (labels, series) in self.lock().iter() {
            let chunks = series.chunks.iter().map(|chunk| (chunk.first, chunk.last, chunk.count));
            let late = series.late.keys().map(|at| (*at, *at, 1));
            let held = chunks.chain(late).map(|(first, last, count)| Held { first, last, count });
            let both = |a: Held, b: Held| Held {
                first: a.first.min(b.first),
                last: a.last.max(b.last),
                count: a.count + b.count,
            };
            held.reduce(both).into_iter().for_each(|held| see(labels, held));
        }
    }

    /// The series that match, with their chunks in the range.
    pub(super) fn select(&self, matchers: &[Matcher], range: &TimeRange) -> Snapshot {
        let all = self.lock();
        let matching = all.iter().filter(|(labels, _)| matches(matchers, labels));
        let chunks = |series: &Series| -> Vec<Chunk> {
            let late = series.late.iter().filter(|(at, _)| range.contains(Timestamp(**at)));
            let late = late.map(|(at, histogram)| Chunk::of(vec![(*at, histogram.clone())]));
            series.chunks.iter().filter(|chunk| chunk.overlaps(range)).cloned().chain(late).collect()
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
            let late = series.late.extract_if(window..end_of(window), |_, _| true).collect::<Vec<Sample>>();
            if !late.is_empty() {
                let bytes = late.iter().map(|sample| bytes_of(&sample.1)).sum();
                self.late_bytes.fetch_sub(bytes, Ordering::Relaxed);
                series.chunks.insert(0, Chunk::of(late));
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
                let idle = series.chunks.is_empty()
                    && series.late.is_empty()
                    && series.encoder.last_at().is_none_or(|last| last < floor);
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
                chunk.count += 1;
            }
            None => {
                self.encoder = HistogramEncoder::default();
                let mut bytes = Vec::new();
                self.encoder.push(at, histogram, &mut bytes);
                self.chunks.push(Chunk { window, first: at, last: at, count: 1, bytes });
                self.open = true;
            }
        }
    }

    /// The time of the last one, late or not.
    fn last_at(&self) -> Option<i64> {
        self.encoder.last_at().max(self.late.last_key_value().map(|last| *last.0))
    }

    /// The histogram of a time.
    fn find(&self, at: i64) -> Option<Histogram> {
        if let Some(known) = self.late.get(&at) {
            return Some(known.clone());
        }
        let around = self.chunks.iter().filter(|chunk| chunk.first <= at && at <= chunk.last);
        let mut around = around.filter_map(|chunk| Sample::decode(&chunk.bytes)).flatten();
        around.find(|sample| sample.0 == at).map(|sample| sample.1)
    }
}

/// What a histogram takes that is not compressed.
fn bytes_of(histogram: &Histogram) -> usize {
    let buckets = histogram.positive().len() + histogram.negative().len();
    size_of::<(i64, Histogram)>() + 16 * buckets + 8 * histogram.bounds().len()
}

impl Chunk {
    /// Some of one window, at least one, in time order.
    fn of(samples: Vec<Sample>) -> Self {
        let (first, last) = (samples[0].0, samples[samples.len() - 1].0);
        let count = samples.len() as u64;
        Self { window: window_of(first), first, last, count, bytes: Sample::encode(&samples) }
    }

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
