//! Late samples out of the head when they take too much of it.
//!
//! Usually they go with the window they belong to. When more came than may wait, as when history is imported, they
//! are put into blocks of their own, which overlap others and are merged with them later.

use crate::{
    Error, Maintenance, Store,
    block::{Cover, Meta},
};

impl Store {
    /// Whether so many late samples wait that they should not wait for the end of their windows.
    pub(crate) fn late_are_many(&self) -> bool {
        self.head.late_bytes() >= self.options.late_bytes_max / 2
    }

    /// Cuts all late samples into blocks, one a window.
    pub(crate) fn cut_late(&self, next_seq: &mut u64, done: &mut Maintenance) -> Result<(), Error> {
        // Late samples that come from now on are in a later segment.
        let covered = self.wal.rotate() - 1;
        let windows = self.head.late_windows();
        for &window in &windows {
            let late_covered = if Some(&window) == windows.last() { covered } else { 0 };
            let cover = Cover { floor: Meta::NO_FLOOR, late_covered, ..Cover::default() };
            let snapshot = self.head.snapshot_late(window);
            self.cut(window, &snapshot, cover, next_seq, done)?;
        }
        Ok(())
    }
}
