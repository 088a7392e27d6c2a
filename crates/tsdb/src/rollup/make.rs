//! Making the windows of tiers of the samples in raw blocks.
//!
//! A pass reads the raw blocks of up to a day once, a series at a time, and writes a block for each tier. Each tier has
//! its own floor, so what a crash left undone between two of them is made up for by the next pass.

use std::sync::{Arc, atomic::Ordering};

use barograph_codec::{
    Code,
    rollups::{Scratch, Windows},
};
use barograph_model::{Tier, TimeRange, Timestamp};

use crate::{
    Error, Maintenance, Policy, Store,
    block::{Block, Cover, Meta, Writer},
    merge::{Blocks, Wanted},
};

/// The times that one pass reads at most.
const DAY_MS: i64 = 24 * Tier::Hour.width();

/// How far a tier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// It has all windows that end by then.
    pub(crate) floor: i64,
    /// It was made of raw blocks whose data is not newer than this.
    pub(crate) rolled: u64,
}

impl State {
    /// The state of a tier, by the footers of all blocks.
    pub(crate) fn of<'m>(tier: Tier, metas: impl Iterator<Item = &'m Meta>) -> Self {
        Self::among(metas.filter(|meta| meta.holds(tier)))
    }

    /// The same of its windows of native histograms.
    pub(crate) fn of_histograms<'m>(tier: Tier, metas: impl Iterator<Item = &'m Meta>) -> Self {
        Self::among(metas.filter(|meta| meta.histograms && meta.tier == tier))
    }

    fn among<'m>(metas: impl Iterator<Item = &'m Meta>) -> Self {
        metas.fold(Self { floor: i64::MIN, rolled: 0 }, |state, meta| Self {
            floor: state.floor.max(meta.floor),
            rolled: state.rolled.max(meta.rolled),
        })
    }

    /// Whether all samples of a raw block are in the tier.
    pub(crate) fn has(&self, raw: &Meta) -> bool {
        raw.max_at < self.floor && raw.data <= self.rolled
    }
}

/// What raw blocks say of the log. Blocks of tiers that are made of them say it too: of old samples the raw blocks go at
/// once, and what the log has of them must not come again.
pub(super) fn claims_of(raw: &[Arc<Block>]) -> Cover {
    Cover {
        wal_covered: raw.iter().map(|block| block.meta.wal_covered).max().unwrap_or(0),
        late_covered: raw.iter().map(|block| block.meta.late_covered).max().unwrap_or(0),
        ..Cover::default()
    }
}

impl Store {
    /// How far a tier is.
    pub(crate) fn tier_state(&self, tier: Tier) -> State {
        let state = State::of(tier, self.blocks().iter().map(|block| &block.meta));
        State { rolled: state.rolled.max(self.rolled[tier as usize].load(Ordering::Relaxed)), ..state }
    }

    /// Makes all windows that are complete, and again those that late samples fell into.
    pub(crate) fn roll_up(&self, next_seq: &mut u64, done: &mut Maintenance) -> Result<(), Error> {
        let raw = self.raw_blocks();
        let Some(rolled) = raw.iter().map(|block| block.meta.data).max() else { return Ok(()) };
        for tier in Tier::ROLLED {
            if !self.roll_late(tier, &raw, rolled, next_seq, done)? {
                return Ok(());
            }
        }
        let target = Tier::Hour.window_of(self.cut_floor());
        let mut floors = Tier::ROLLED.map(|tier| self.tier_state(tier).floor);
        loop {
            let from = floors.into_iter().min().unwrap_or(target);
            let ahead = raw.iter().filter(|block| block.meta.max_at >= from && block.meta.min_at < target);
            let Some(first) = ahead.map(|block| block.meta.min_at.max(from)).min() else { return Ok(()) };
            if first >= target {
                return Ok(());
            }
            let day_end = first.div_euclid(DAY_MS).saturating_mul(DAY_MS).saturating_add(DAY_MS);
            let end = day_end.min(target);
            if !self.roll_pass(&raw, floors, end, rolled, next_seq, done)? {
                return Ok(());
            }
            floors = floors.map(|floor| floor.max(end));
        }
    }

    /// Reads everything before `end` that is not in all tiers, and adds it to those that lack it. Whether that was done; it
    /// is not if a block turned out to be damaged, and nothing later may be made before it is.
    fn roll_pass(
        &self,
        raw: &[Arc<Block>],
        floors: [i64; 3],
        end: i64,
        rolled: u64,
        next_seq: &mut u64,
        done: &mut Maintenance,
    ) -> Result<bool, Error> {
        let from = floors.into_iter().min().unwrap_or(end);
        let range = TimeRange::new(Timestamp(from), Timestamp(end));
        let seqs = [*next_seq, *next_seq + 1, *next_seq + 2];
        *next_seq += 3;
        let made = self.write_pass(raw, floors, range, rolled, seqs, done);
        if made.is_err() {
            seqs.iter().for_each(|&seq| self.remove_unfinished(seq));
        }
        match made {
            // The index of a raw block is not what was written: without it the rest goes on next time.
            Err(Error::Disk(error)) if error.is_corrupt() => {
                self.set_aside_at(error.path());
                Ok(false)
            }
            made => made.map(|()| true),
        }
    }

    fn write_pass(
        &self,
        raw: &[Arc<Block>],
        floors: [i64; 3],
        range: TimeRange,
        rolled: u64,
        seqs: [u64; 3],
        done: &mut Maintenance,
    ) -> Result<(), Error> {
        let mut blocks = Blocks::open(raw, range, Wanted::All, &self.cache)?;
        let mut writers = Vec::with_capacity(seqs.len());
        for seq in seqs {
            writers.push(Writer::create(&*self.disk, seq, Code::Light)?);
        }
        let (mut windows, mut scratch) = (Windows::default(), Scratch::default());
        let policies = self.policies.all();
        loop {
            let series = match blocks.next_series() {
                Err(error) if error.is_corrupt() => {
                    self.report_damage_at(error.path());
                    continue;
                }
                series => series?,
            };
            let Some(series) = series else { break };
            let policy = Policy::of(&policies, &series.labels);
            for ((tier, writer), floor) in Tier::ROLLED.into_iter().zip(&mut writers).zip(floors) {
                if policy.is_some_and(|policy| !policy.makes(tier)) {
                    continue;
                }
                let new = series.timestamps.partition_point(|&at| at < floor);
                windows.roll(tier, &series.timestamps[new..], &series.values[new..], &mut scratch);
                if policy.is_some_and(|policy| !policy.keeps_sketches()) {
                    windows.forget_sketches();
                }
                writer.push_windows(&series.labels, &windows)?;
            }
        }
        for (tier, writer) in Tier::ROLLED.into_iter().zip(writers) {
            let cover = Cover { tier, rolled, floor: range.end.millis(), ..claims_of(raw) };
            self.publish_windows(writer, cover, done)?;
        }
        Ok(())
    }

    /// Gives a block of a tier its name and makes it visible.
    pub(super) fn publish_windows(
        &self,
        writer: Writer<'_>,
        cover: Cover,
        done: &mut Maintenance,
    ) -> Result<(), Error> {
        let Some((meta, _)) = writer.publish(cover)? else { return Ok(()) };
        self.install(meta.seq, &[])?;
        self.note_block(&meta);
        self.rolled[meta.tier as usize].fetch_max(meta.rolled, Ordering::Relaxed);
        done.windows_rolled += meta.samples;
        self.counters.windows_rolled.fetch_add(meta.samples, Ordering::Relaxed);
        Ok(())
    }

    /// The raw blocks, in the order of time.
    pub(crate) fn raw_blocks(&self) -> Vec<Arc<Block>> {
        self.blocks().iter().filter(|block| block.meta.holds(Tier::Raw)).cloned().collect()
    }
}
