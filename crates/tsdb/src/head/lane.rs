//! A lane: a part of the head with its own lock, series, look-up table and postings.

use std::collections::{BTreeSet, HashSet};

use barograph_model::{Labels, Matcher, Sample, TimeRange, Timestamp, is_stale};
use hashbrown::HashTable;

use super::{
    Head, HeadChunk, HeadSeries, Held, Place,
    arena::Arena,
    index::Index,
    late::Late,
    order::Order,
    past::Past,
    series::{Series, window_of},
    verdicts::{Accepted, Group, Verdicts},
    window_range,
};
use crate::{Reason, Rejected, again::Over, guard::Excess, histograms, limits::SeriesLimits, spelling};

/// Slots are visited in parts of this many, so that the lock is free in between.
pub(super) const PART: usize = 4096;

/// Series are kept in pages, so that growing never copies them and wastes little.
const PAGE: usize = 256;

/// A time that no sample is before: window arithmetic stays clear of the ends of `i64`.
pub(crate) const LOWEST: i64 = i64::MIN / 2;

/// See the module.
pub(crate) struct Lane {
    table: HashTable<Key>,
    pub(super) pages: Vec<Vec<Option<Series>>>,
    free: Vec<u32>,
    pub(super) arena: Arena,
    pub(super) index: Index,
    order: Order,
    /// Windows before it were cut. What comes in order all the same is logged as late.
    pub(crate) floor: i64,
    windows: BTreeSet<i64>,
    pub(super) late: Late,
    pub(super) past: Past,
    /// Slots of series that have native histograms, too, as far as that was seen.
    mixed: HashSet<u32>,
}

/// An entry of the look-up table: half of the hash, so that most strangers are told without a look at the series, and
/// growing the table needs no labels.
#[derive(Clone, Copy)]
struct Key {
    tag: u32,
    slot: u32,
}

impl Key {
    /// The table takes its bits from both ends of 64; the tag is spread over them.
    #[inline]
    fn hash(tag: u32) -> u64 {
        u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Nothing was found that a row might belong to.
const NO_GUESS: u32 = u32::MAX;

impl Default for Lane {
    fn default() -> Self {
        Self {
            table: HashTable::new(),
            pages: Vec::new(),
            free: Vec::new(),
            arena: Arena::default(),
            index: Index::default(),
            order: Order::default(),
            floor: LOWEST,
            windows: BTreeSet::new(),
            late: Late::default(),
            past: Past::default(),
            mixed: HashSet::new(),
        }
    }
}

impl Lane {
    /// Judges the rows of a group and takes those that are good.
    pub(crate) fn append(
        &mut self,
        head: &Head,
        histograms: &histograms::Head,
        limits: &SeriesLimits,
        group: &Group<'_, '_>,
        out: &mut Verdicts,
    ) {
        let mut guesses = std::mem::take(&mut out.guesses);
        self.guess(group, &mut guesses);
        for (&(hash, number), &guess) in group.members.iter().zip(&guesses) {
            if let Err(reason) =
                self.append_row((head, histograms), limits, group, (hash, number, guess), out)
            {
                out.rejected.push(Rejected { row: number as usize, reason });
            }
        }
        out.guesses = guesses;
    }

    /// The slots that the rows of a group probably belong to, [`NO_GUESS`] for none, with what appending will need of
    /// them brought near. Every look-up misses the processor's caches some four times, each miss waiting for the
    /// one before; in these short loops the misses of many rows are under way together.
    fn guess(&self, group: &Group<'_, '_>, guesses: &mut Vec<u32>) {
        guesses.clear();
        guesses.extend(group.members.iter().map(|&(hash, _)| {
            let tag = tag_of(hash);
            self.table.find(Key::hash(tag), |key| key.tag == tag).map_or(NO_GUESS, |key| key.slot)
        }));
        let near = guesses.iter().filter(|&&slot| slot != NO_GUESS).fold(0, |near: u8, &slot| {
            let series = self.series(slot);
            let labels = series.labels.as_bytes();
            let (first, last) = (labels.first(), labels.last());
            near ^ first.unwrap_or(&0) ^ last.unwrap_or(&0) ^ series.touch(&self.arena)
        });
        std::hint::black_box(near);
    }

    #[inline]
    fn append_row(
        &mut self,
        (head, histograms): (&Head, &histograms::Head),
        limits: &SeriesLimits,
        group: &Group<'_, '_>,
        (hash, number, guess): (u64, u32, u32),
        out: &mut Verdicts,
    ) -> Result<(), Reason> {
        let row = &group.rows[number as usize];
        if row.at > group.latest {
            return Err(Reason::TooFarAhead);
        }
        let guessed = guess != NO_GUESS && self.series(guess).labels.as_bytes() == row.labels;
        let slot = match if guessed { Some(guess) } else { self.find(hash, row.labels) } {
            Some(slot) => slot,
            None => {
                spelling::check_size(row.labels, limits)?;
                let alias = head.aliases.has(hash, row.labels);
                let Some(labels) = Labels::from_canonical_bytes(row.labels).filter(|_| !alias) else {
                    out.odd.push(number);
                    return Ok(());
                };
                spelling::check(&labels, limits)?;
                if row.at < group.oldest {
                    return Err(Reason::TooOld);
                }
                match head.guard.admit(&labels) {
                    Ok(()) => {}
                    Err(Excess::Hopeless(reason)) => return Err(reason),
                    Err(Excess::Label { index: label, limit }) => {
                        out.over.push(Over { row: number, label, limit });
                        return Ok(());
                    }
                }
                out.new_series += 1;
                let mixed = histograms.knows(&labels);
                let slot = self.insert(hash, labels);
                if mixed {
                    self.note_histograms(slot);
                }
                slot
            }
        };
        // Hardly any series has both. A marker ends floats alone.
        if !self.mixed.is_empty() && self.mixed.contains(&slot) && !is_stale(row.value) {
            let series = series_of_mut(&mut self.pages, slot);
            if histograms.is_last(&series.labels, row.at) {
                return Err(Reason::Duplicate);
            }
        }
        let floor = self.floor;
        let series = series_of_mut(&mut self.pages, slot);
        let last_at = series.last_at();
        if row.at == last_at {
            if row.value.to_bits() != series.last_bits() {
                return Err(Reason::Duplicate);
            }
            out.repeated = true;
            out.stored += 1;
            return Ok(());
        }
        if row.at < last_at {
            return self.append_late(group, slot, row, out);
        }
        if row.at < floor {
            return self.append_past(group, slot, row, out);
        }
        let began = series.push(&mut self.arena, row.at, row.value);
        if series.segment != group.segment {
            series.segment = group.segment;
            out.undefined.push(slot);
        }
        if began {
            self.windows.insert(window_of(row.at));
        }
        out.accepted.push(Accepted { slot, at: row.at, value: row.value });
        out.stored += 1;
        Ok(())
    }

    /// Takes a sample from the log again. What is already known, or is in a block, is passed over.
    pub(crate) fn replay(&mut self, slot: u32, at: i64, value: f64) -> bool {
        let floor = self.floor;
        let series = series_of_mut(&mut self.pages, slot);
        if at <= series.last_at() || at < floor {
            return false;
        }
        if series.push(&mut self.arena, at, value) {
            self.windows.insert(window_of(at));
        }
        true
    }

    /// The slots accepted by a call that a segment does not know, when it is another than was thought.
    pub(crate) fn undefined(&mut self, segment: u32, verdicts: &mut Verdicts) {
        verdicts.undefined.clear();
        for accepted in verdicts.accepted.iter().chain(&verdicts.late) {
            let series = self.series_mut(accepted.slot);
            if series.segment != segment {
                series.segment = segment;
                verdicts.undefined.push(accepted.slot);
            }
        }
    }

    /// From now on no float of the series is taken that has the time of its newest histogram.
    pub(crate) fn note_histograms(&mut self, slot: u32) {
        self.mixed.insert(slot);
    }

    /// The slot of a series, by its label bytes.
    #[inline]
    pub(crate) fn find(&self, hash: u64, labels: &[u8]) -> Option<u32> {
        let tag = tag_of(hash);
        let same = |key: &Key| key.tag == tag && self.series(key.slot).labels.as_bytes() == labels;
        self.table.find(Key::hash(tag), same).map(|key| key.slot)
    }

    /// Adds a series that is not there.
    pub(crate) fn insert(&mut self, hash: u64, labels: Labels) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            if self.pages.last().is_none_or(|page| page.len() == PAGE) {
                self.pages.push(Vec::with_capacity(PAGE));
            }
            let page = self.pages.len() - 1;
            let within = self.pages[page].len();
            self.pages[page].push(None);
            u32::try_from(page * PAGE + within).expect("a lane has fewer than 2^32 series")
        });
        let tag = tag_of(hash);
        self.table.insert_unique(Key::hash(tag), Key { tag, slot }, |key| Key::hash(key.tag));
        self.pages[slot as usize / PAGE][slot as usize % PAGE] = Some(Series::new(labels.clone()));
        let pages = &self.pages;
        self.index.add(slot, &labels, |slot| &series_of(pages, slot).labels);
        self.order.add(slot);
        slot
    }

    /// A series by its slot.
    ///
    /// # Panics
    /// If the slot is empty: slots are handed out by `find` and `insert` and used under the same lock.
    #[inline]
    pub(crate) fn series(&self, slot: u32) -> &Series {
        series_of(&self.pages, slot)
    }

    #[inline]
    pub(super) fn series_mut(&mut self, slot: u32) -> &mut Series {
        series_of_mut(&mut self.pages, slot)
    }

    /// Makes the last sample of a series known, which a block holds.
    pub(crate) fn resume(&mut self, slot: u32, at: i64, value: f64) {
        self.series_mut(slot).resume(at, value);
    }

    /// The chunks of a series that overlap a range, in time order.
    pub(super) fn chunks_in(&self, slot: u32, range: &TimeRange) -> Vec<HeadChunk> {
        self.series(slot).chunks_in(&self.arena, range)
    }

    /// The late chunks of a series that overlap a range.
    pub(super) fn late_in(&self, slot: u32, range: &TimeRange) -> Vec<HeadChunk> {
        self.late.chunks_in(slot, range)
    }

    /// Whether a series has samples in a range, as far as its chunks tell.
    pub(super) fn overlaps(&self, slot: u32, range: &TimeRange) -> bool {
        self.series(slot).overlaps(&self.arena, range) || self.late.overlaps(slot, range)
    }

    /// What a series has in order.
    pub(super) fn held(&self, slot: u32) -> Option<Held> {
        self.series(slot).held(&self.arena)
    }

    /// Calls `see` with each series that has samples, and what it has.
    pub(super) fn each_held(&self, mut see: impl FnMut(&Labels, Held)) {
        for series in self.pages.iter().flatten().flatten() {
            series.held(&self.arena).into_iter().for_each(|held| see(&series.labels, held));
        }
    }

    /// Calls `see` with each label name of a series that may have samples in a range.
    pub(super) fn each_name(&self, range: &TimeRange, see: impl FnMut(&str)) {
        self.index.each_name(|slot| self.overlaps(slot, range), see);
    }

    /// Calls `see` with each value that a label has in a series that may have samples in a range.
    pub(super) fn each_value(&self, name: &str, range: &TimeRange, see: impl FnMut(&str)) {
        let labels_of = |slot| &self.series(slot).labels;
        self.index.each_value(name, labels_of, |slot| self.overlaps(slot, range), see);
    }

    /// Puts the slots of all series that pass all matchers into `slots`.
    pub(crate) fn matching(&self, matchers: &[Matcher], slots: &mut Vec<u32>) {
        self.index.matching(matchers, |slot| &self.series(slot).labels, self.slots(), slots);
    }

    /// Whether a series passes all matchers and may have samples in a range.
    pub(crate) fn has_series(&self, matchers: &[Matcher], range: &TimeRange) -> bool {
        let labels_of = |slot| &self.series(slot).labels;
        self.index.any(matchers, labels_of, self.slots(), |slot| self.overlaps(slot, range))
    }

    /// As [`Lane::matching`], in label order if they are many.
    pub(super) fn matching_arranged(&mut self, matchers: &[Matcher], slots: &mut Vec<u32>) {
        self.matching(matchers, slots);
        let Self { pages, order, table, .. } = self;
        order.arrange(slots, table.len(), slots_in_use(pages), |slot| &series_of(pages, slot).labels);
    }

    /// Brings near what reading some series in a range will need.
    pub(super) fn bring_near(&self, slots: &[u32], range: &TimeRange) {
        let first_of = |&slot: &u32| self.series(slot).labels.as_bytes().first().copied().unwrap_or(0);
        std::hint::black_box(slots.iter().map(first_of).fold(0, u8::wrapping_add));
        self.arena.bring_near(slots.iter().filter_map(|&slot| self.series(slot).open_in(range)));
    }

    /// The last sample of a series in a range.
    pub(super) fn last_in(&self, slot: u32, range: &TimeRange) -> Option<Sample> {
        let series = self.series(slot);
        let sample = |(at, value)| Sample { at: Timestamp(at), value };
        let last = sample((series.last_at(), f64::from_bits(series.last_bits())));
        if range.contains(last.at) && series.has_samples() && !self.late.has(slot) {
            return Some(last);
        }
        let chunks = self.chunks_in(slot, range).into_iter().chain(self.late_in(slot, range));
        let within = |chunk: HeadChunk| chunk.samples().map(sample).filter(|s| range.contains(s.at)).last();
        chunks.filter_map(within).max_by_key(|sample| sample.at)
    }

    fn slots(&self) -> impl Iterator<Item = u32> {
        slots_in_use(&self.pages)
    }

    pub(crate) fn windows(&self) -> Vec<i64> {
        self.windows.iter().copied().collect()
    }

    pub(super) fn late_windows(&self) -> Vec<i64> {
        self.late.windows().chain(self.past_windows()).collect()
    }

    pub(super) fn late_bytes(&self) -> usize {
        self.late.bytes()
    }

    /// Adds the series of up to [`PART`] slots that have samples in a window, with those closed; the slot to go on
    /// with, if there are more.
    pub(super) fn snapshot_window(
        &mut self,
        window: i64,
        from: usize,
        lane: usize,
        found: &mut Vec<HeadSeries>,
    ) -> Option<usize> {
        let pages = self.pages.iter_mut().enumerate().skip(from / PAGE).take(PART / PAGE);
        for (page, slots) in pages {
            for (within, series) in slots.iter_mut().enumerate() {
                let Some(series) = series else { continue };
                let slot = u32::try_from(page * PAGE + within).expect("a lane has fewer than 2^32 series");
                let chunks = series.close_window(&mut self.arena, window);
                let late = self.late.close_window(slot, window);
                if !chunks.is_empty() || !late.is_empty() {
                    let (labels, place) = (series.labels.clone(), Place { lane, slot });
                    found.push(HeadSeries { labels, place, chunks, late });
                }
            }
        }
        let next = from + PART;
        (next < self.pages.len() * PAGE).then_some(next)
    }

    /// Adds the series that have late samples in a window, with those closed.
    pub(super) fn snapshot_late(&mut self, window: i64, lane: usize, found: &mut Vec<HeadSeries>) {
        for slot in self.late.slots() {
            let late = self.late.close_window(slot, window);
            if !late.is_empty() {
                let (labels, place) = (self.series(slot).labels.clone(), Place { lane, slot });
                found.push(HeadSeries { labels, place, chunks: Vec::new(), late });
            }
        }
    }

    /// Drops the chunks that a snapshot of a window had.
    pub(super) fn drop_chunks(&mut self, window: i64, snapshot: &[&HeadSeries]) {
        for HeadSeries { place: Place { slot, .. }, chunks, late, .. } in snapshot {
            if let Some(last) = chunks.last() {
                let series = series_of_mut(&mut self.pages, *slot);
                series.drop_chunks(&mut self.arena, window, last.last);
            }
            self.late.drop_chunks(*slot, window, late);
        }
    }

    /// Forgets a window unless a sample of it came in after the snapshot.
    pub(super) fn forget_window(&mut self, window: i64) {
        let range = window_range(window);
        let mut all = self.pages.iter().flatten().flatten();
        let known = self.windows.contains(&window) || self.past.windows.contains(&window);
        if known && !all.any(|series| series.overlaps(&self.arena, &range)) {
            self.windows.remove(&window);
            self.past.windows.remove(&window);
        }
        self.late.forget_window(window);
    }

    /// Removes series without samples whose last one is before the floor or `before`; their labels. What is older than that
    /// one and comes later is in order to a series that is new.
    pub(super) fn forget_idle(&mut self, before: i64) -> Vec<Labels> {
        let floor = self.floor.max(before);
        let idle = |slot: &u32| {
            let series = self.series(*slot);
            !series.has_samples() && series.last_at() < floor && !self.late.has(*slot)
        };
        let idle: Vec<u32> = self.slots().filter(idle).collect();
        if idle.is_empty() {
            return Vec::new();
        }
        let mut gone = vec![false; self.pages.len() * PAGE];
        idle.iter().for_each(|&slot| gone[slot as usize] = true);
        self.index.remove(|slot| gone[slot as usize]);
        self.order.remove(|slot| gone[slot as usize]);
        self.table.retain(|key| !gone[key.slot as usize]);
        self.mixed.retain(|slot| !gone[*slot as usize]);
        self.free.extend(idle.iter().rev());
        let take = |slot: u32| self.pages[slot as usize / PAGE][slot as usize % PAGE].take();
        idle.into_iter().filter_map(take).map(|series| series.labels).collect()
    }

    /// Counts chunks and widens the span of times by those of all series.
    pub(super) fn measure(&self, (count, from, to): &mut (usize, i64, i64)) {
        for (chunks, first, last) in
            self.pages.iter().flatten().flatten().filter_map(|s| s.extent(&self.arena))
        {
            *count += chunks;
            (*from, *to) = ((*from).min(first), (*to).max(last));
        }
    }

    pub(super) fn chunk_bytes(&self) -> u64 {
        self.arena.memory() as u64
    }
}

fn slots_in_use(pages: &[Vec<Option<Series>>]) -> impl Iterator<Item = u32> {
    (0u32..).zip(pages.iter().flatten()).filter(|(_, series)| series.is_some()).map(|(slot, _)| slot)
}

#[inline]
fn series_of(pages: &[Vec<Option<Series>>], slot: u32) -> &Series {
    pages[slot as usize / PAGE][slot as usize % PAGE].as_ref().expect("the slot is in use")
}

#[inline]
pub(super) fn series_of_mut(pages: &mut [Vec<Option<Series>>], slot: u32) -> &mut Series {
    pages[slot as usize / PAGE][slot as usize % PAGE].as_mut().expect("the slot is in use")
}

/// The half of the hash that the table keeps; the other half chose the lane.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn tag_of(hash: u64) -> u32 {
    hash as u32
}
