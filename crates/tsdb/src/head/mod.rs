//! The head: recent samples in memory, every one of them also in the log.
//!
//! It is split into *lanes* by the hash of the label bytes; each lane is locked apart and knows its own series, their
//! chunks and postings. A lane's lock is taken once per request. While it is held the rows are judged, applied and
//! handed to the log, so that per series the order of the log is the order of the head.
//!
//! Time is cut into windows of two hours. A chunk never crosses the end of a window, so cutting a window into a
//! block never splits a chunk.

mod arena;
mod index;
mod lane;
mod late;
mod order;
mod past;
mod series;
mod verdicts;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use barograph_model::{Labels, Matcher, Sample, TimeRange, Timestamp};
pub(crate) use lane::{LOWEST, Lane};
pub(crate) use series::{HeadChunk, Held, WINDOW_MS, window_of};
pub(crate) use verdicts::{Accepted, Group, Verdicts};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Options,
    aliases::Aliases,
    guard::{Guard, Seen},
};

/// All lanes, and what they share: who may come in, and under which other name.
pub(crate) struct Head {
    lanes: Box<[Mutex<Lane>]>,
    pub(crate) guard: Guard,
    pub(crate) aliases: Aliases,
}

/// A series of the head as a reader or a block writer takes it.
pub(crate) struct HeadSeries {
    pub(crate) labels: Labels,
    /// Where it lies: lane and slot.
    pub(crate) place: Place,
    /// Its chunks in time order.
    pub(crate) chunks: Vec<HeadChunk>,
    /// Chunks of samples that came late; they may overlap the others and each other.
    pub(crate) late: Vec<HeadChunk>,
}

impl HeadSeries {
    /// Bytes that it takes, roughly, without what it shares with the head.
    pub(crate) fn memory(&self) -> u64 {
        let chunks: usize = self.chunks.iter().map(|chunk| size_of::<HeadChunk>() + chunk.bytes.len()).sum();
        (size_of::<Self>() + chunks) as u64
    }
}

/// Lane and slot of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) lane: usize,
    pub(crate) slot: u32,
}

/// The lanes of a head at most: six bits of a series id.
const LANES_MAX: usize = 64;

/// Series whose memory is brought near together before they are read.
const NEAR: usize = 64;

impl Head {
    pub(crate) fn new(options: &Options) -> Self {
        let lanes = options.lanes.clamp(1, LANES_MAX).next_power_of_two();
        Self {
            lanes: (0..lanes).map(|_| Mutex::new(Lane::default())).collect(),
            guard: Guard::new(options),
            aliases: Aliases::new(options.aliases_bytes_max),
        }
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// How many series there are.
    pub(crate) fn series(&self) -> usize {
        self.guard.series()
    }

    /// The lane a hash belongs to. The lane's table uses the low half of the hash, so this uses the high one.
    #[inline]
    pub(crate) fn lane_of(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) & (self.lanes.len() - 1)
    }

    /// A panic while a lane is locked is a bug of ours that no reader should spread.
    #[inline]
    pub(crate) fn lane(&self, lane: usize) -> MutexGuard<'_, Lane> {
        self.lanes[lane].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The series that match, with their chunks in the range, in label order.
    pub(crate) fn select(&self, matchers: &[Matcher], range: &TimeRange) -> Vec<HeadSeries> {
        let mut found = Vec::new();
        let mut slots = Vec::new();
        for number in 0..self.lanes.len() {
            let mut lane = self.lane(number);
            lane.matching_arranged(matchers, &mut slots);
            for part in slots.chunks(NEAR) {
                lane.bring_near(part, range);
                for &slot in part {
                    let (chunks, late) = (lane.chunks_in(slot, range), lane.late_in(slot, range));
                    if !chunks.is_empty() || !late.is_empty() {
                        let (labels, place) =
                            (lane.series(slot).labels.clone(), Place { lane: number, slot });
                        found.push(HeadSeries { labels, place, chunks, late });
                    }
                }
            }
        }
        // Lanes whose series came in order are runs, which a stable sort only merges.
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// The last sample in the range of every series that matches, in label order. One that is the very last of its
    /// series is known without decoding anything.
    pub(crate) fn last_samples(&self, matchers: &[Matcher], range: &TimeRange) -> Vec<(Labels, Sample)> {
        let mut found = Vec::new();
        let mut slots = Vec::new();
        for number in 0..self.lanes.len() {
            let mut lane = self.lane(number);
            lane.matching_arranged(matchers, &mut slots);
            for &slot in &slots {
                let last = lane.last_in(slot, range);
                found.extend(last.map(|last| (lane.series(slot).labels.clone(), last)));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Calls `see` with the labels of every series that matches and may have samples in the range.
    pub(crate) fn each_series(&self, matchers: &[Matcher], range: &TimeRange, mut see: impl FnMut(&Labels)) {
        let mut slots = Vec::new();
        for number in 0..self.lanes.len() {
            let lane = self.lane(number);
            lane.matching(matchers, &mut slots);
            slots.retain(|&slot| lane.overlaps(slot, range));
            slots.iter().for_each(|&slot| see(&lane.series(slot).labels));
        }
    }

    /// Whether a series matches and may have samples in the range.
    pub(crate) fn has_series(&self, matchers: &[Matcher], range: &TimeRange) -> bool {
        (0..self.lanes.len()).any(|number| self.lane(number).has_series(matchers, range))
    }

    /// Calls `see` with what every series that matches has in order. One lane is locked at a time.
    pub(crate) fn each_matching(&self, matchers: &[Matcher], mut see: impl FnMut(Held)) {
        let mut slots = Vec::new();
        for number in 0..self.lanes.len() {
            let lane = self.lane(number);
            lane.matching(matchers, &mut slots);
            slots.iter().filter_map(|&slot| lane.held(slot)).for_each(&mut see);
        }
    }

    /// Calls `see` with every series that has samples in memory, and what it has. One lane is locked at a time.
    pub(crate) fn each_held(&self, mut see: impl FnMut(&Labels, Held)) {
        (0..self.lanes.len()).for_each(|number| self.lane(number).each_held(&mut see));
    }

    /// Calls `see` with the label names of all series that may have samples in the range, some more than once.
    pub(crate) fn each_name(&self, range: &TimeRange, mut see: impl FnMut(&str)) {
        (0..self.lanes.len()).for_each(|number| self.lane(number).each_name(range, &mut see));
    }

    /// Calls `see` with the values of a label in all series that may have samples in the range, some more than once.
    pub(crate) fn each_value(&self, name: &str, range: &TimeRange, mut see: impl FnMut(&str)) {
        (0..self.lanes.len()).for_each(|number| self.lane(number).each_value(name, range, &mut see));
    }

    /// The names of all labels.
    pub(crate) fn names_in_use(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for number in 0..self.lanes.len() {
            self.lane(number).index.each_name(
                |_| true,
                |name| {
                    if !names.contains(name) {
                        names.insert(name.to_owned());
                    }
                },
            );
        }
        names
    }

    /// The values of a label, lane by lane.
    pub(crate) fn values_seen(&self, name: &str) -> Vec<Seen> {
        let mut seen = Vec::new();
        for number in 0..self.lanes.len() {
            let lane = self.lane(number);
            let labels_of = |slot| &lane.series(slot).labels;
            lane.index.each_posting(name, labels_of, |value, series| seen.push(Seen::new(value, series)));
        }
        seen
    }

    /// The value of a label with this hash, if a series has it.
    pub(crate) fn value_of_hash(&self, name: &str, hash: u64) -> Option<String> {
        (0..self.lanes.len()).find_map(|number| {
            let lane = self.lane(number);
            let slot = lane.index.slot_of_hash(name, hash)?;
            lane.series(slot).labels.value(name).map(str::to_owned)
        })
    }

    /// The starts of all windows that have samples which came in order, in order.
    pub(crate) fn windows(&self) -> BTreeSet<i64> {
        (0..self.lanes.len()).flat_map(|n| self.lane(n).windows()).collect()
    }

    /// The starts of the windows that take samples now, in order.
    pub(crate) fn receiving(&self, now: i64) -> BTreeSet<i64> {
        (0..self.lanes.len()).flat_map(|n| self.lane(n).receiving(now)).collect()
    }

    /// Forgets what it knows of samples that were deleted: those of a range of the series that match. `lasts` are the last
    /// samples that a start would know then.
    pub(crate) fn forget_deleted(
        &self,
        matchers: &[Matcher],
        range: &TimeRange,
        lasts: &HashMap<Labels, (i64, f64)>,
    ) {
        (0..self.lanes.len()).for_each(|number| self.lane(number).forget_deleted(matchers, range, lasts));
    }

    /// What waits before the floor is about to be cut.
    pub(crate) fn begin_cut(&self) {
        (0..self.lanes.len()).for_each(|number| self.lane(number).begin_cut());
    }

    /// The starts of all windows that have samples which are late or before the floor, in order.
    pub(crate) fn late_windows(&self) -> BTreeSet<i64> {
        (0..self.lanes.len()).flat_map(|n| self.lane(n).late_windows()).collect()
    }

    /// Bytes of late samples, roughly.
    pub(crate) fn late_bytes(&self) -> usize {
        (0..self.lanes.len()).map(|number| self.lane(number).late_bytes()).sum()
    }

    /// Bytes of samples that are late or before the floor, roughly.
    pub(crate) fn waiting_bytes(&self) -> usize {
        (0..self.lanes.len()).map(|number| self.lane(number).waiting_bytes()).sum()
    }

    /// The same of the lane that has most of them, as each has a share of its own.
    pub(crate) fn waiting_bytes_of_fullest(&self) -> usize {
        (0..self.lanes.len()).map(|number| self.lane(number).waiting_bytes()).max().unwrap_or(0)
    }

    /// The time up to which windows were cut.
    pub(crate) fn floor(&self) -> i64 {
        self.lane(0).floor
    }

    /// Samples before `floor` count as late to the log from now on.
    pub(crate) fn raise_floor(&self, floor: i64) {
        for number in 0..self.lanes.len() {
            let mut lane = self.lane(number);
            lane.floor = lane.floor.max(floor);
        }
    }

    /// All series with samples in a window, in label order, with the chunks of that window closed, so that later
    /// samples go to new ones. Lanes are locked a part at a time.
    pub(crate) fn snapshot_window(&self, window: i64) -> Vec<HeadSeries> {
        let mut found = Vec::new();
        for number in 0..self.lanes.len() {
            let mut from = 0;
            while let Some(next) = self.lane(number).snapshot_window(window, from, number, &mut found) {
                from = next;
            }
        }
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// All series with late samples in a window, in label order, with their late chunks of that window closed.
    pub(crate) fn snapshot_late(&self, window: i64) -> Vec<HeadSeries> {
        let mut found = Vec::new();
        (0..self.lanes.len()).for_each(|n| self.lane(n).snapshot_late(window, n, &mut found));
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        found
    }

    /// Lets go of the chunks that a snapshot had, once a block holds them.
    pub(crate) fn drop_snapshot(&self, window: i64, snapshot: &[HeadSeries]) {
        let mut by_lane: Vec<Vec<&HeadSeries>> = vec![Vec::new(); self.lanes.len()];
        snapshot.iter().for_each(|series| by_lane[series.place.lane].push(series));
        for (number, series) in by_lane.iter().enumerate() {
            for part in series.chunks(lane::PART) {
                self.lane(number).drop_chunks(window, part);
            }
            self.lane(number).forget_window(window);
        }
    }

    /// Makes the last late sample known as the last of its series where none came in order, as a start does that finds
    /// it in a block. Usually something came in order, or it would not have been late; that may be lost with a damaged
    /// file.
    pub(crate) fn resume_late(&self, snapshot: &[HeadSeries]) {
        for series in snapshot {
            let last = series.late.iter().flat_map(HeadChunk::samples).max_by_key(|sample| sample.0);
            let mut lane = self.lane(series.place.lane);
            if let Some((at, value)) = last
                && lane.series(series.place.slot).last_at() == i64::MIN
            {
                lane.resume(series.place.slot, at, value);
            }
        }
    }

    /// Removes the series that have no samples here and none at or after the floor, or `before`, anywhere.
    pub(crate) fn forget_idle(&self, before: i64) -> usize {
        let mut count = 0;
        for number in 0..self.lanes.len() {
            let gone = self.lane(number).forget_idle(before);
            self.guard.release(&gone);
            count += gone.len();
        }
        if count > 0 {
            self.aliases.forget_overflow();
        }
        count
    }

    /// Chunks, and the times of the first and the last sample; `None` if there are none.
    pub(crate) fn extent(&self) -> Option<(usize, i64, i64)> {
        let mut extent = (0, i64::MAX, i64::MIN);
        (0..self.lanes.len()).for_each(|number| self.lane(number).measure(&mut extent));
        (extent.0 > 0).then_some(extent)
    }

    /// Bytes of all of it, roughly; for the statistics.
    pub(crate) fn memory(&self) -> u64 {
        self.chunk_bytes() + (self.guard.memory() + self.aliases.memory()) as u64
    }

    /// Bytes of chunks, roughly; for the statistics.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        (0..self.lanes.len()).map(|number| self.lane(number).chunk_bytes()).sum()
    }
}

/// The times of a window.
pub(crate) fn window_range(window: i64) -> TimeRange {
    TimeRange::new(Timestamp(window), Timestamp(window.saturating_add(WINDOW_MS)))
}

/// The hash by which a series is found: of its label bytes as they lie.
#[inline]
pub(crate) fn hash_of(labels: &[u8]) -> u64 {
    xxh3_64(labels)
}
