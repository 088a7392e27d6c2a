//! Deleting series, or a time of them: what is deleted is not read any more, and leaves the disk later.
//!
//! Blocks do not change, so what is deleted of one is noted beside it and passed over by every reader. When blocks are
//! merged, or on [`Store::clean_deletes`], the samples are left out of what is written.

use std::{collections::HashMap, sync::Arc};

use barograph_disk::Disk;
use barograph_model::{Matcher, Tier, TimeRange, Timestamp};

use crate::{
    Error, Recovery, Store,
    block::{self, Block, Deletes, deletes_path_of, path_of, seq_of_deletes},
    compact::{self, Job},
    recovery::CORRUPT,
    store::{is_resumed, last_samples},
    wal,
};

/// What a call of [`Store::delete`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Series of which something was deleted, counted anew in each block.
    pub series: usize,
    /// Blocks that they are in.
    pub blocks: usize,
    /// Windows of series at the edges of the range that still tell of what was deleted, as the raw samples are gone that
    /// the rest of them could be made of again.
    pub cut_windows: usize,
}

impl Store {
    /// Deletes the samples in a range of all series that pass all matchers, as far as they were stored before the call;
    /// durable when it returns. Of roll-ups, the windows that lie wholly in the range are deleted; those that lie in it in
    /// part are made again, where raw samples are still there.
    ///
    /// What is in memory is put into blocks first. Where the last samples of a series were deleted, others of their times
    /// may come again.
    ///
    /// # Errors
    /// When the disk fails; then a part may be deleted, and the call may be repeated.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange, now: Timestamp) -> Result<Deleted, Error> {
        let deleted = self.delete_stored(matchers, range, now);
        // A part may be deleted even if all is not.
        self.note_selection(matchers, range);
        deleted
    }

    fn delete_stored(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        now: Timestamp,
    ) -> Result<Deleted, Error> {
        self.flush(now)?;
        // Nothing of the log may come back after a crash and bring back what is deleted.
        self.disk.sync_dir(wal::DIR)?;
        let mut next_seq = self.upkeep();
        self.remove_all_unfinished()?;
        let mut deleted = Deleted::default();
        for block in self.blocks().iter() {
            let Some((first, last)) = bounds_in(block.meta.tier, &range) else { continue };
            if block.meta.max_at < first || block.meta.min_at > last {
                continue;
            }
            let index = match block.index(&self.cache) {
                Err(error) if error.is_corrupt() => {
                    self.set_block_aside(block);
                    continue;
                }
                index => index?,
            };
            let Some(ids) = self.matching(block, &index, matchers) else { continue };
            let mut deletes = block.deletes.as_deref().cloned().unwrap_or_default();
            let mut series = 0;
            for id in ids {
                let mut spans = index.pages(id).map(|page| index.span(page));
                let touched = spans.any(|span| span.first <= last && span.last >= first);
                series += usize::from(touched && deletes.add(id, first, last));
            }
            if series > 0 {
                deletes.write(&*self.disk, block.meta.seq)?;
                self.replace(block, block.with_deletes(deletes));
                deleted.series += series;
                deleted.blocks += 1;
            }
        }
        let floor = self.head.floor();
        let mut lasts = HashMap::new();
        for block in self.blocks().iter().filter(|block| is_resumed(block, floor)) {
            for (labels, at, value) in last_samples(block, &self.cache)? {
                let last = lasts.entry(labels).or_insert((at, value));
                *last = if last.0 < at { (at, value) } else { *last };
            }
        }
        self.head.forget_deleted(matchers, &range, &lasts);
        deleted.cut_windows = self.roll_edges(matchers, &range, &mut next_seq)?;
        Ok(deleted)
    }

    /// Writes the blocks anew of which something was deleted, so that it leaves the disk; how many there were.
    ///
    /// # Errors
    /// When the disk fails; what was deleted stays deleted.
    pub fn clean_deletes(&self) -> Result<usize, Error> {
        let mut next_seq = self.upkeep();
        let mut cleaned = 0;
        let blocks = self.blocks();
        let due = blocks.iter().filter(|b| b.deletes.is_some() && !b.is_damaged());
        for block in due {
            cleaned += usize::from(self.clean(&mut next_seq, block.meta.seq)?);
        }
        Ok(cleaned)
    }

    /// Writes a block anew without what was deleted of it; whether that was possible.
    pub(crate) fn clean(&self, next_seq: &mut u64, seq: u64) -> Result<bool, Error> {
        let blocks = self.blocks();
        let Some(block) = blocks.iter().find(|block| block.meta.seq == seq) else { return Ok(false) };
        if block.meta.histograms {
            let rewritten = self.rewrite_histograms(block.meta.tier, std::slice::from_ref(block), next_seq);
            return match rewritten {
                Err(Error::Disk(error)) if error.is_corrupt() => {
                    self.report_damage(block);
                    Ok(false)
                }
                rewritten => rewritten.map(|()| true),
            };
        }
        let job = Job { tier: block.meta.tier, inputs: vec![seq], level: block.meta.level };
        match compact::merge(&*self.disk, *next_seq, std::slice::from_ref(block), &job, &self.cache) {
            Ok(written) => {
                if written.is_some() {
                    self.install(*next_seq, &[seq])?;
                    *next_seq += 1;
                }
                self.remove_block(block)?;
                Ok(true)
            }
            Err(error) => {
                self.remove_unfinished(*next_seq);
                if !error.is_corrupt() {
                    return Err(error.into());
                }
                self.report_damage(block);
                Ok(false)
            }
        }
    }

    pub(crate) fn replace(&self, block: &Block, new: Block) {
        let new = Arc::new(new);
        self.change_blocks(|blocks| {
            let same = blocks.iter_mut().find(|other| other.meta.seq == block.meta.seq);
            same.into_iter().for_each(|other| *other = new.clone());
        });
    }

    /// Removes a block that is not needed any more, with what was noted beside it.
    pub(crate) fn remove_block(&self, block: &Block) -> Result<(), Error> {
        let seq = block.meta.seq;
        self.change_blocks(|blocks| blocks.retain(|block| block.meta.seq != seq));
        self.cache.forget(seq);
        self.disk.remove(&path_of(seq))?;
        if block.deletes.is_some() {
            // Were the note gone and the block there after a crash, what was deleted would be back.
            self.disk.sync_dir(block::DIR)?;
            self.disk.remove(&deletes_path_of(seq))?;
        }
        Ok(())
    }
}

/// The first and last time to delete from blocks of a tier; of windows, those of their starts.
fn bounds_in(tier: Tier, range: &TimeRange) -> Option<(i64, i64)> {
    let (start, end) = (range.start.millis(), range.end.millis());
    let bounds = match tier {
        Tier::Raw => (start, end.saturating_sub(1)),
        tier => {
            let first = tier.window_of(start.saturating_add(tier.width() - 1));
            (first, end.saturating_sub(tier.width()))
        }
    };
    (bounds.0 <= bounds.1).then_some(bounds)
}

/// Gives the blocks what was deleted of them. A file that is not what was written is set aside: what it deleted is there
/// again. One without a block is removed, or it might be taken for that of a later block.
pub(crate) fn attach(
    disk: &dyn Disk,
    names: &[String],
    blocks: &mut [Arc<Block>],
    recovery: &mut Recovery,
) -> Result<(), Error> {
    for seq in names.iter().filter_map(|name| seq_of_deletes(name)) {
        let path = deletes_path_of(seq);
        let Some(block) = blocks.iter_mut().find(|block| block.meta.seq == seq) else {
            disk.remove(&path)?;
            continue;
        };
        match Deletes::read(disk, seq) {
            Ok(Some(deletes)) => *block = Arc::new(block.with_deletes(deletes)),
            Ok(None) => {}
            Err(error @ barograph_disk::Error::Corrupt { .. }) => {
                disk.rename(&path, &format!("{path}{CORRUPT}"))?;
                recovery.set_aside(&path, error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_roll_ups_whole_windows_go() {
        let bounds = |tier, start, end| bounds_in(tier, &TimeRange::new(Timestamp(start), Timestamp(end)));
        assert_eq!(bounds(Tier::Raw, 5, 10), Some((5, 9)));
        assert_eq!(bounds(Tier::Raw, 5, 5), None);
        assert_eq!(bounds(Tier::Minute, 60_000, 180_000), Some((60_000, 120_000)));
        assert_eq!(bounds(Tier::Minute, 59_999, 179_999), Some((60_000, 119_999)));
        assert_eq!(bounds(Tier::Minute, 60_001, 179_999), None);
    }
}
