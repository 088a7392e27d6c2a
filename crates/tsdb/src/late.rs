//! Samples that are late, or in order before the floor, out of the head when they take too much of it.
//!
//! Usually they go with the windows that are cut next. When more came than may wait, as when history is loaded, or when
//! nobody sees them before they are in tiers, they are put into blocks of their own, which overlap others and are merged
//! with them later.

use crate::{
    Error, Maintenance, Store,
    block::{Cover, Meta},
    head::HeadSeries,
};

impl Store {
    /// Whether what is late or before the floor should not wait for the next cut: it is much, or it is so old that only
    /// tiers show it, and no more is coming.
    pub(crate) fn late_is_due(&self, now: i64) -> bool {
        if self.late_are_many() {
            return true;
        }
        let unseen = self.head.late_windows().first().is_some_and(|&first| first < self.raw_start());
        unseen && self.head.receiving(now).first().is_none_or(|&first| first >= self.raw_start())
    }

    /// Whether half of what may wait does.
    pub(crate) fn late_are_many(&self) -> bool {
        self.head.waiting_bytes_of_fullest() >= self.options.late_bytes_max / self.head.lanes() / 2
    }

    /// Cuts everything that is late or before the floor into blocks, one a window.
    pub(crate) fn cut_late(&self, next_seq: &mut u64, done: &mut Maintenance) -> Result<(), Error> {
        self.head.begin_cut();
        // What comes from now on is in a later segment.
        let covered = self.wal.rotate() - 1;
        let floor = self.head.floor();
        let windows = self.head_windows();
        let late = self.head.late_windows();
        let due: Vec<_> =
            windows.into_iter().filter(|window| *window < floor || late.contains(window)).collect();
        for &window in &due {
            let late_covered = if Some(&window) == due.last() { covered } else { 0 };
            let cover = Cover { floor: Meta::NO_FLOOR, late_covered, ..Cover::default() };
            let snapshot = self.snapshot_late(window, floor);
            self.cut(window, &snapshot, cover, next_seq, done)?;
        }
        Ok(())
    }

    /// What the log has as late of a window: before the floor that may be all of it.
    pub(crate) fn snapshot_late(&self, window: i64, floor: i64) -> Vec<HeadSeries> {
        if window < floor { self.head.snapshot_window(window) } else { self.head.snapshot_late(window) }
    }
}
