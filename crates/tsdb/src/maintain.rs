//! Upkeep: windows of the head into blocks, blocks into tiers and larger ones, old blocks out.
//!
//! One call at a time. A block becomes visible before the samples it holds leave the head, so a reader that looks at
//! the head first sees every sample at least once. What a block holds may leave the log only when the block is durable.

use std::{
    collections::BTreeSet,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use barograph_codec::Code;
use barograph_model::{Tier, Timestamp};

use crate::{
    Error, Store,
    block::{Block, Cover, Meta, Writer},
    columns::Columns,
    compact,
    head::{HeadSeries, WINDOW_MS, window_of},
    options::millis,
};

/// So many windows that are over wait while they take samples.
const WAITING_MAX: usize = 2;

/// What one call of [`Store::maintain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Blocks cut from the head.
    pub blocks_cut: usize,
    /// Samples in them.
    pub samples_cut: u64,
    /// Series that left the head because they had no samples in it any more.
    pub series_forgotten: usize,
    /// Windows of tiers that were made of samples.
    pub windows_rolled: u64,
    /// Blocks that were merged into larger ones.
    pub blocks_merged: usize,
    /// Blocks deleted because they were too old, or the store too large.
    pub blocks_deleted: usize,
    /// Bytes of the log that blocks hold now.
    pub wal_bytes_deleted: u64,
}

/// What the store takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Columns of raw samples in blocks.
    pub raw_bytes: u64,
    /// Columns of roll-ups in blocks.
    pub rollup_bytes: u64,
    /// Indexes and footers of blocks.
    pub index_bytes: u64,
    /// The log.
    pub wal_bytes: u64,
    /// The catalog.
    pub state_bytes: u64,
    /// Samples in blocks.
    pub samples: u64,
    /// Windows of tiers in blocks.
    pub windows: u64,
}

/// Blocks are merged whose indexes, which are read together, take so many times what one may take.
const MERGED_INDEXES: u64 = 8;

/// Bytes of a series in an index, roughly, apart from its labels.
const INDEXED_SERIES_BYTES: usize = 128;

impl Store {
    /// Cuts the windows of the head that ended long enough ago, makes the windows of tiers that are complete then, merges
    /// blocks, and deletes those past retention. Of the windows that are over the newest two wait while they take samples,
    /// as they do when history is loaded.
    ///
    /// # Errors
    /// When the disk fails. Nothing is lost: what was not cut stays in the head and the log.
    pub fn maintain(&self, now: Timestamp) -> Result<Maintenance, Error> {
        self.maintain_but(&self.head.receiving(now.millis()), now)
    }

    /// As [`Self::maintain`], with everything that is over, even if it takes samples now.
    ///
    /// # Errors
    /// As of [`Self::maintain`].
    pub fn maintain_all(&self, now: Timestamp) -> Result<Maintenance, Error> {
        self.maintain_but(&BTreeSet::new(), now)
    }

    fn maintain_but(&self, receiving: &BTreeSet<i64>, now: Timestamp) -> Result<Maintenance, Error> {
        let mut next_seq = self.upkeep();
        let mut done = Maintenance::default();
        self.maintained_at.fetch_max(now.millis(), Ordering::Relaxed);
        let late = self.head.late_windows();
        let closed = window_of(now.millis().saturating_sub(millis(self.options.cut_delay)));
        // What a flush cut is complete when its window is over, and can be rolled up then.
        let floor = self.cut_floor();
        let ends = self.raw_blocks().into_iter().map(|block| window_of(block.meta.max_at));
        let flushed = ends.filter(|window| window.saturating_add(WINDOW_MS) > floor);
        let over = |window: &i64| window.saturating_add(WINDOW_MS) <= closed;
        let histograms = self.histograms.windows().into_iter().filter(|window| *window >= floor);
        let windows = self.head.windows().into_iter().chain(histograms).chain(flushed);
        let mut due: BTreeSet<i64> = windows.filter(over).collect();
        for _ in 0..WAITING_MAX {
            if due.last().is_some_and(|last| receiving.contains(last)) {
                due.pop_last();
            }
        }
        if let Some(last) = due.last() {
            // First no more may come, then all that came is listed: a block that claims to hold everything before a
            // time must not be written while older samples still arrive.
            let floor = last.saturating_add(WINDOW_MS).max(self.head.floor());
            self.head.raise_floor(floor);
            self.head.begin_cut();
            let segment = self.wal.rotate();
            self.cut_histograms(floor, &mut next_seq, &mut done)?;
            let windows: BTreeSet<i64> = self.head_windows().range(..floor).copied().collect();
            for &window in self.head.late_windows().range(floor..).filter(|_| !windows.is_empty()) {
                let cover = Cover { floor: Meta::NO_FLOOR, ..Cover::default() };
                self.cut(window, &self.head.snapshot_late(window), cover, &mut next_seq, &mut done)?;
            }
            for &window in &windows {
                // With those ahead, all that the log has as late is in blocks then.
                let late_covered = if Some(&window) == windows.last() { segment - 1 } else { 0 };
                let floor = window.saturating_add(WINDOW_MS);
                let cover = Cover { floor, late_covered, ..Cover::default() };
                self.cut(window, &self.head.snapshot_window(window), cover, &mut next_seq, &mut done)?;
            }
            self.catalog.save(&*self.disk, segment - 1)?;
            done.wal_bytes_deleted = self.wal.delete_covered(0, floor, segment)?;
            done.series_forgotten = self.head.forget_idle(i64::MIN);
            self.cut_floor.store(floor, Ordering::Relaxed);
        }
        if self.late_is_due(now.millis()) {
            self.cut_late(&mut next_seq, &mut done)?;
        }
        if self.late_histograms_are_many() {
            self.cut_histograms(self.cut_floor(), &mut next_seq, &mut done)?;
        }
        self.roll_up(&mut next_seq, &mut done)?;
        self.roll_histograms(self.cut_floor(), &mut next_seq)?;
        self.merge_due(&late, &mut next_seq, &mut done)?;
        self.merge_histograms(&mut next_seq, &mut done)?;
        self.clean_up(now, &mut next_seq, &mut done)?;
        self.counters.upkeep(&done);
        Ok(done)
    }

    /// Cuts everything in the head into blocks, makes the windows of tiers that are complete, and merges what can be.
    ///
    /// # Errors
    /// When the disk fails; nothing is lost.
    pub fn flush(&self, now: Timestamp) -> Result<Sizes, Error> {
        let mut next_seq = self.upkeep();
        let mut done = Maintenance::default();
        let floor = self.cut_all(&mut next_seq, &mut done)?;
        self.roll_up(&mut next_seq, &mut done)?;
        self.roll_histograms(floor, &mut next_seq)?;
        self.merge_due(&BTreeSet::new(), &mut next_seq, &mut done)?;
        self.merge_histograms(&mut next_seq, &mut done)?;
        self.delete_expired(now, &mut done)?;
        self.forget_due(now, &mut next_seq)?;
        self.counters.upkeep(&done);
        Ok(self.sizes())
    }

    /// Cuts everything in the head into blocks, for whatever is in them to leave the log; the floor.
    fn cut_all(&self, next_seq: &mut u64, done: &mut Maintenance) -> Result<i64, Error> {
        self.head.begin_cut();
        let segment = self.wal.rotate();
        let covered = segment - 1;
        // Before a block claims to hold the log up to here, the catalog must.
        self.catalog.save(&*self.disk, covered)?;
        let floor = self.cut_floor();
        self.cut_histograms(i64::MAX, next_seq, done)?;
        let windows = self.head_windows();
        for &window in &windows {
            let wal_covered = if Some(&window) == windows.last() { covered } else { 0 };
            let cover = Cover { floor, wal_covered, ..Cover::default() };
            let snapshot = self.head.snapshot_window(window);
            self.cut(window, &snapshot, cover, next_seq, done)?;
            self.head.resume_late(&snapshot);
        }
        self.wal.commit()?;
        self.wal.delete_covered(covered, floor, segment)?;
        Ok(floor)
    }

    /// Gives back what memory it can: cuts the head early, and forgets the series whose last sample is older than `idle`.
    /// They come back with their next sample. How many were forgotten. Tiers and larger blocks are made by the next
    /// [`Self::maintain`], which takes memory for it.
    ///
    /// # Errors
    /// When the disk fails; nothing is lost.
    pub fn shed(&self, idle: Duration, now: Timestamp) -> Result<usize, Error> {
        let mut next_seq = self.upkeep();
        let mut done = Maintenance::default();
        self.cut_all(&mut next_seq, &mut done)?;
        self.counters.upkeep(&done);
        Ok(self.head.forget_idle(now.millis().saturating_sub(millis(idle))))
    }

    /// Whether so much waits in memory to be put into blocks that [`Store::maintain`] should not be put off.
    pub fn needs_upkeep(&self) -> bool {
        self.late_are_many() || self.late_histograms_are_many()
    }

    /// Limits the memory for decoded blocks from now on, and lets go of what is over it.
    pub fn limit_cache(&self, bytes: usize) {
        self.cache.set_limit(bytes);
    }

    /// Whether the files of the store still have their names: a directory may be removed under a process, or another be
    /// mounted over it.
    ///
    /// # Errors
    /// The folder of the log cannot be read.
    pub fn is_in_place(&self) -> Result<bool, Error> {
        Ok(self.wal.stats().segments == 0 || !self.disk.list(crate::wal::DIR)?.is_empty())
    }

    /// What the store takes on disk now.
    pub fn sizes(&self) -> Sizes {
        let mut sizes = Sizes { wal_bytes: self.wal.stats().bytes, ..Sizes::default() };
        for block in self.blocks().iter() {
            sizes.index_bytes += block.size - block.meta.index_at;
            if block.meta.tier == Tier::Raw {
                sizes.raw_bytes += block.meta.index_at;
                sizes.samples += block.meta.samples;
            } else {
                sizes.rollup_bytes += block.meta.index_at;
                sizes.windows += block.meta.samples;
            }
        }
        sizes.state_bytes = self.catalog.file_bytes();
        sizes
    }

    /// The time up to which everything is in blocks but what came late or in order before it. Where a cut failed that is less
    /// than the floor of the head, before which no more is expected.
    pub(crate) fn cut_floor(&self) -> i64 {
        self.cut_floor.load(Ordering::Relaxed)
    }

    /// The right to change blocks, and the number of the next one.
    pub(crate) fn upkeep(&self) -> MutexGuard<'_, u64> {
        self.next_block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The starts of all windows of which the head has samples.
    pub(crate) fn head_windows(&self) -> BTreeSet<i64> {
        let mut windows = self.head.windows();
        windows.extend(self.head.late_windows());
        windows
    }

    /// Writes a snapshot of a window as blocks and lets it go from the head. Only the last block says what is covered: what
    /// those before it hold is in the head and the log as well until then.
    pub(crate) fn cut(
        &self,
        window: i64,
        snapshot: &[HeadSeries],
        cover: Cover,
        next_seq: &mut u64,
        done: &mut Maintenance,
    ) -> Result<(), Error> {
        let mut left = snapshot;
        loop {
            let (part, after) = left.split_at(fitting(left, self.options.index_bytes_max));
            let cover = match after {
                [] => cover.clone(),
                _ => {
                    Cover { floor: cover.floor.min(window), wal_covered: 0, late_covered: 0, ..cover.clone() }
                }
            };
            let written = self.write_block(*next_seq, |writer| write_series(writer, part), cover)?;
            if let Some((meta, _)) = written {
                *next_seq += 1;
                done.blocks_cut += 1;
                done.samples_cut += meta.samples;
                self.install(meta.seq, &[])?;
            }
            self.head.drop_snapshot(window, part);
            if after.is_empty() {
                return Ok(());
            }
            left = after;
        }
    }

    pub(crate) fn write_block(
        &self,
        seq: u64,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), barograph_disk::Error>,
        cover: Cover,
    ) -> Result<Option<(Meta, u64)>, Error> {
        let write = || {
            let mut writer = Writer::create(&*self.disk, seq, Code::Light)?;
            fill(&mut writer)?;
            writer.publish(cover)
        };
        Ok(write().inspect_err(|_| self.remove_unfinished(seq))?)
    }

    /// Makes a block visible in place of others.
    pub(crate) fn install(&self, seq: u64, replaced: &[u64]) -> Result<(), Error> {
        let block = Block::open(&*self.disk, seq).inspect_err(|_| self.remove_unfinished(seq))?;
        self.change_blocks(|blocks| {
            blocks.retain(|block| !replaced.contains(&block.meta.seq));
            blocks.push(Arc::new(block));
        });
        Ok(())
    }

    /// Merges what is complete; `late` are windows to which late samples were still coming.
    fn merge_due(
        &self,
        late: &BTreeSet<i64>,
        next_seq: &mut u64,
        done: &mut Maintenance,
    ) -> Result<(), Error> {
        let blocks = self.blocks();
        let sound: Vec<_> =
            blocks.iter().filter(|block| !block.is_damaged() && !block.meta.histograms).collect();
        let metas: Vec<_> = sound.iter().map(|block| &block.meta).collect();
        for job in compact::plan(&metas, self.cut_floor(), late) {
            let inputs: Vec<_> = sound
                .iter()
                .filter(|block| job.inputs.contains(&block.meta.seq))
                .map(|b| Arc::clone(b))
                .collect();
            let index_bytes: u64 = inputs.iter().map(|block| block.meta.index_len).sum();
            if index_bytes > MERGED_INDEXES * self.options.index_bytes_max as u64 {
                continue;
            }
            match compact::merge(&*self.disk, *next_seq, &inputs, &job, &self.cache) {
                Ok(Some((meta, _))) => {
                    *next_seq += 1;
                    done.blocks_merged += inputs.len();
                    self.install(meta.seq, &job.inputs)?;
                    inputs.iter().try_for_each(|block| self.remove_block(block))?;
                }
                // All of it was deleted.
                Ok(None) => inputs.iter().try_for_each(|block| self.remove_block(block))?,
                Err(error) => {
                    self.remove_unfinished(*next_seq);
                    // The damaged one stays as it is, and serves what it can.
                    match inputs.iter().find(|block| block.path == error.path()) {
                        Some(block) if error.is_corrupt() => self.report_damage(block),
                        _ => return Err(error.into()),
                    }
                }
            }
        }
        Ok(())
    }
}

/// How many of some series an index of about `bytes_max` has room for, at least one if there is one.
fn fitting(series: &[HeadSeries], bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = |series: &&HeadSeries| {
        bytes += INDEXED_SERIES_BYTES + series.labels.as_bytes().len();
        bytes <= bytes_max
    };
    series.iter().take_while(fits).count().max(1).min(series.len())
}

fn write_series(writer: &mut Writer<'_>, snapshot: &[HeadSeries]) -> Result<(), barograph_disk::Error> {
    let mut columns = Columns::default();
    for series in snapshot {
        columns.clear();
        series.chunks.iter().for_each(|chunk| columns.extend_chunk(chunk.samples()));
        series.late.iter().for_each(|chunk| columns.add_chunk(chunk.samples()));
        writer.push(&series.labels, columns.timestamps(), columns.values())?;
    }
    Ok(())
}
