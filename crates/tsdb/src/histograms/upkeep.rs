//! Histograms of the head into blocks, blocks into tiers, small blocks into larger ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use barograph_model::{HistogramRollup, Labels, Tier, TimeRange, Timestamp};

use super::{
    head::end_of,
    page::{Entry, PAGE_MAX, Sample},
    read::Blocks,
};
use crate::{
    Error, Maintenance, Policy, Store,
    block::{Block, Cover, Writer},
    rollup::State,
};

const DAY_MS: i64 = 24 * 3_600_000;

/// The span of time that one merged block of a tier covers.
const fn span_of(tier: Tier) -> i64 {
    match tier {
        Tier::Raw | Tier::Minute => DAY_MS,
        Tier::FiveMinutes => 4 * DAY_MS,
        Tier::Hour => 32 * DAY_MS,
    }
}

impl Store {
    /// Cuts the windows of the head that end at or before `before`.
    pub(crate) fn cut_histograms(
        &self,
        before: i64,
        next_seq: &mut u64,
        done: &mut Maintenance,
    ) -> Result<(), Error> {
        for window in self.histograms.windows().into_iter().filter(|window| end_of(*window) <= before) {
            let snapshot = self.histograms.snapshot(window);
            let fill = |writer: &mut Writer<'_>| {
                for (labels, chunks) in &snapshot {
                    let decoded = chunks.iter().filter_map(|chunk| Sample::decode(&chunk.bytes));
                    let mut samples: Vec<Sample> = decoded.flatten().collect();
                    samples.sort_by_key(|sample| sample.0);
                    push(writer, labels, &samples)?;
                }
                Ok(())
            };
            let cover = Cover { floor: i64::MIN, histograms: true, ..Cover::default() };
            if let Some((meta, _)) = self.write_block(*next_seq, fill, cover)? {
                *next_seq += 1;
                done.blocks_cut += 1;
                self.install(meta.seq, &[])?;
            }
            self.histograms.drop_snapshot(&snapshot, self.head.floor());
        }
        Ok(())
    }

    /// How far a tier of histograms is.
    pub(crate) fn histogram_state(&self, tier: Tier) -> State {
        State::of_histograms(tier, self.blocks().iter().map(|block| &block.meta))
    }

    /// Makes the tiers of all histograms before `floor`, which is the end of a window, and again the windows that late
    /// ones fell into.
    pub(crate) fn roll_histograms(&self, floor: i64, next_seq: &mut u64) -> Result<(), Error> {
        let raw = self.histogram_blocks(Tier::Raw, &TimeRange::ALL);
        let Some(rolled) = raw.iter().map(|block| block.meta.data).max() else { return Ok(()) };
        for tier in Tier::ROLLED {
            self.roll_late_histograms(tier, &raw, rolled, next_seq)?;
        }
        let floors = Tier::ROLLED.map(|tier| self.histogram_state(tier).floor);
        let from = floors.into_iter().min().unwrap_or(i64::MIN);
        if from >= floor {
            return Ok(());
        }
        let range = TimeRange::new(Timestamp(from), Timestamp(floor));
        let blocks = self.sound_histogram_blocks(Tier::Raw, &range)?;
        if blocks.is_empty() {
            return Ok(());
        }
        let policies = self.policies.all();
        let mut reader = Blocks::of(blocks, &[], range)?.lenient();
        let mut tiers: [Vec<(Labels, Vec<HistogramRollup>)>; 3] = Default::default();
        while let Some((labels, samples)) = reader.next_series::<Sample>(false)? {
            let policy = Policy::of(&policies, &labels);
            for ((made, tier), floor) in tiers.iter_mut().zip(Tier::ROLLED).zip(floors) {
                let windows = windows_of(&samples, tier).into_iter();
                let news: Vec<_> = windows.filter(|window| window.start >= floor).collect();
                if !news.is_empty() && policy.is_none_or(|policy| policy.makes(tier)) {
                    made.push((labels.clone(), news));
                }
            }
        }
        reader.damaged().iter().for_each(|path| self.report_damage_at(path));
        for (series, tier) in tiers.into_iter().zip(Tier::ROLLED) {
            let state = State { floor, rolled };
            self.write_histogram_windows(tier, &series, state, next_seq)?;
        }
        Ok(())
    }

    /// Writes windows of a tier as a block and makes it visible.
    pub(crate) fn write_histogram_windows(
        &self,
        tier: Tier,
        series: &[(Labels, Vec<HistogramRollup>)],
        state: State,
        next_seq: &mut u64,
    ) -> Result<(), Error> {
        let fill =
            |writer: &mut Writer<'_>| series.iter().try_for_each(|(l, windows)| push(writer, l, windows));
        let State { floor, rolled } = state;
        let cover = Cover { floor, rolled, tier, histograms: true, ..Cover::default() };
        if let Some((meta, _)) = self.write_block(*next_seq, fill, cover)? {
            *next_seq += 1;
            self.install(meta.seq, &[])?;
            self.note_block(&meta);
            self.counters.windows_rolled.fetch_add(meta.samples, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Merges blocks of histograms that lie in one span, once nothing more can come to it.
    pub(crate) fn merge_histograms(&self, next_seq: &mut u64, done: &mut Maintenance) -> Result<(), Error> {
        let mut spans: BTreeMap<(Tier, i64), Vec<Arc<Block>>> = BTreeMap::new();
        for block in self.blocks().iter().filter(|block| block.meta.histograms && !block.is_damaged()) {
            let width = span_of(block.meta.tier);
            let span = block.meta.min_at.div_euclid(width);
            let over = (span + 1).saturating_mul(width) <= self.cut_floor();
            if over && block.meta.max_at.div_euclid(width) == span {
                spans.entry((block.meta.tier, span)).or_default().push(block.clone());
            }
        }
        for ((tier, _), blocks) in spans.into_iter().filter(|(_, blocks)| blocks.len() > 1) {
            match self.rewrite_histograms(tier, &blocks, next_seq) {
                // The damaged one stays as it is, and serves what it can.
                Err(Error::Disk(error)) if error.is_corrupt() => self.report_damage_at(error.path()),
                written => {
                    written?;
                    done.blocks_merged += blocks.len();
                }
            }
        }
        Ok(())
    }

    /// Writes blocks of histograms as one, without what was deleted of them, and puts it in their place.
    pub(crate) fn rewrite_histograms(
        &self,
        tier: Tier,
        blocks: &[Arc<Block>],
        next_seq: &mut u64,
    ) -> Result<(), Error> {
        let replaces: Vec<u64> = blocks.iter().map(|block| block.meta.seq).collect();
        let cover = Cover {
            level: 2,
            tier,
            histograms: true,
            rolled: blocks.iter().map(|block| block.meta.rolled).max().unwrap_or(0),
            floor: blocks.iter().map(|block| block.meta.floor).max().unwrap_or(i64::MIN),
            data: blocks.iter().map(|block| block.meta.data).max(),
            replaces: replaces.clone(),
            ..Cover::default()
        };
        let fill = |writer: &mut Writer<'_>| {
            let mut reader = Blocks::open(blocks.to_vec(), &[], TimeRange::ALL, &self.cache)?;
            if tier == Tier::Raw {
                while let Some((labels, entries)) = reader.next_series::<Sample>(false)? {
                    push(writer, &labels, &entries)?;
                }
            } else {
                while let Some((labels, entries)) = reader.next_series::<HistogramRollup>(true)? {
                    push(writer, &labels, &entries)?;
                }
            }
            Ok(())
        };
        if let Some((meta, _)) = self.write_block(*next_seq, fill, cover)? {
            *next_seq += 1;
            self.install(meta.seq, &replaces)?;
        }
        blocks.iter().try_for_each(|block| self.remove_block(block))
    }
}

fn push<T: Entry>(
    writer: &mut Writer<'_>,
    labels: &Labels,
    entries: &[T],
) -> Result<(), barograph_disk::Error> {
    let pages: Vec<_> = entries
        .chunks(PAGE_MAX)
        .map(|entries| (entries.iter().map(Entry::at).collect(), T::encode(entries)))
        .collect();
    writer.push_streams(labels, pages)
}

/// The windows of a tier of the histograms of a series, each tier made of the one below.
pub(crate) fn windows_of(samples: &[Sample], tier: Tier) -> Vec<HistogramRollup> {
    match tier {
        Tier::Raw | Tier::Minute => minutes_of(samples),
        Tier::FiveMinutes => fold(&minutes_of(samples), tier),
        Tier::Hour => fold(&windows_of(samples, Tier::FiveMinutes), tier),
    }
}

/// The windows of a minute of a series.
fn minutes_of(samples: &[Sample]) -> Vec<HistogramRollup> {
    let mut windows: Vec<HistogramRollup> = Vec::new();
    for (at, histogram) in samples {
        let start = Tier::Minute.window_of(*at);
        match windows.last_mut().filter(|window| window.start == start) {
            Some(window) => window.push(*at, histogram),
            // A marker alone in its window ends nothing that is there.
            None if histogram.is_stale() => {}
            None => windows.push(HistogramRollup::of(start, *at, histogram)),
        }
    }
    windows
}

/// Windows of a tier from those of the one below.
fn fold(below: &[HistogramRollup], tier: Tier) -> Vec<HistogramRollup> {
    let mut windows: Vec<HistogramRollup> = Vec::new();
    for window in below {
        let start = tier.window_of(window.start);
        match windows.last_mut().filter(|wide| wide.start == start) {
            Some(wide) => wide.join(window),
            None => windows.push(HistogramRollup { start, ..window.clone() }),
        }
    }
    windows
}
