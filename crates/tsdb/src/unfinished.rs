//! Blocks that could not be written to the end, and must not be there after a restart.
//!
//! Their files take space that may just be what is missing, and some have their name already: only the folder could not be
//! synced, or the block not be opened. What they hold is elsewhere as well, so to find one at a start does no harm, unless
//! something was deleted since. Where the disk refuses to remove one, its number is kept, and asked for again.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use barograph_disk::{Disk, TEMPORARY};

use crate::{
    Error, Store,
    block::{DIR, path_of},
};

/// The numbers of blocks whose files could not be removed.
#[derive(Default)]
pub(crate) struct Unfinished(Mutex<BTreeSet<u64>>);

impl Store {
    /// Removes what there may be of a block that was not written, unless it is visible.
    pub(crate) fn remove_unfinished(&self, seq: u64) {
        if self.blocks().iter().any(|block| block.meta.seq == seq) {
            return;
        }
        if remove(&*self.disk, seq).is_err() {
            self.unfinished.0.lock().unwrap_or_else(PoisonError::into_inner).insert(seq);
        }
    }

    /// Removes what could not be removed before, for good.
    ///
    /// # Errors
    /// When the disk fails again.
    pub(crate) fn remove_all_unfinished(&self) -> Result<(), Error> {
        let mut left = self.unfinished.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_empty() {
            return Ok(());
        }
        for &seq in left.iter() {
            // The number may have been used again, with more luck.
            if !self.blocks().iter().any(|block| block.meta.seq == seq) {
                remove(&*self.disk, seq)?;
            }
        }
        self.disk.sync_dir(DIR)?;
        left.clear();
        Ok(())
    }
}

fn remove(disk: &dyn Disk, seq: u64) -> Result<(), barograph_disk::Error> {
    let path = path_of(seq);
    // Both are tried, whatever becomes of the first.
    let both = [format!("{path}{TEMPORARY}"), path].map(|path| disk.remove(&path));
    both.into_iter().filter(|removed| !matches!(removed, Err(error) if error.is_not_found())).collect()
}
