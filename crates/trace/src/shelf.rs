//! The segments there are: the one that is written with its whole index, the others with what passes them by.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph_disk::{Disk, Error};

use crate::{
    index::{Filter, Index},
    log::FOLDER,
};

/// A segment that is not written any more.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Bytes of the segment.
    pub(crate) len: u64,
    pub(crate) spans: u64,
    /// The first nanosecond and the last of its spans.
    pub(crate) times: (u64, u64),
    /// The millisecond at which its last record was taken.
    pub(crate) newest: i64,
    pub(crate) filter: Filter,
    /// The index, until it is in its file.
    unsaved: Mutex<Option<Arc<Index>>>,
}

impl Segment {
    pub(crate) fn of(number: u64, index: &Index, len: u64) -> Self {
        Self {
            number,
            len,
            spans: index.spans(),
            times: index.times(),
            newest: index.received.map_or(i64::MIN, |received| received.1),
            filter: index.filter(),
            unsaved: Mutex::new(None),
        }
    }

    /// As [`Segment::of`]; the index is written to its file, or kept in memory until that can be done.
    pub(crate) fn saved(disk: &dyn Disk, number: u64, index: Index, len: u64) -> Self {
        let segment = Self::of(number, &index, len);
        if index.save(disk, &index_of(number)).is_err() {
            *lock(&segment.unsaved) = Some(Arc::new(index));
        }
        segment
    }

    /// Its index. One that is not what was written is an error.
    pub(crate) fn index(&self, disk: &dyn Disk) -> Result<Arc<Index>, Error> {
        let unsaved = lock(&self.unsaved).clone();
        match unsaved {
            Some(index) => Ok(index),
            None => Index::load(disk, &index_of(self.number)).map(Arc::new),
        }
    }

    /// Keeps an index that was made again, because its file is lost.
    pub(crate) fn mend(&self, index: Arc<Index>) {
        *lock(&self.unsaved) = Some(index);
    }

    /// Tries again to write an index that could not be.
    pub(crate) fn save(&self, disk: &dyn Disk) {
        let mut unsaved = lock(&self.unsaved);
        if unsaved.as_ref().is_some_and(|index| index.save(disk, &index_of(self.number)).is_ok()) {
            *unsaved = None;
        }
    }
}

/// What there is, and what went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Segments on the disk.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Spans in them.
    pub spans: u64,
    /// Spans that went because they were too old, since the start.
    pub removed_by_age: u64,
    /// Spans that went because all together were too large, since the start.
    pub removed_by_size: u64,
    /// Records that were not what was written when they were read, since the start.
    pub damaged: u64,
    /// Bytes that wait for the disk.
    pub pending_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// In the order of their numbers.
    pub(crate) sealed: Mutex<Vec<Arc<Segment>>>,
    pub(crate) active: Mutex<Option<(u64, Index)>>,
}

impl Shelf {
    pub(crate) fn begin(&self, number: u64) {
        *lock(&self.active) = Some((number, Index::default()));
    }

    /// The segment that was written is so no more.
    pub(crate) fn seal(&self, disk: &dyn Disk) {
        // Readers find it among the sealed before it leaves here; for a moment it may be in both.
        let found = lock(&self.active).clone();
        let Some((number, index)) = found else { return };
        if !index.records.is_empty() {
            let len = index.len;
            let segment = Arc::new(Segment::saved(disk, number, index, len));
            lock(&self.sealed).push(segment);
        } else {
            // It has nothing; what cannot be removed is found empty at the next start.
            let _ = disk.remove(&path_of(number));
        }
        *lock(&self.active) = None;
    }
}

/// The file of a segment.
pub(crate) fn path_of(number: u64) -> String {
    format!("{FOLDER}/{number:016}.spans")
}

/// The file of its index.
pub(crate) fn index_of(number: u64) -> String {
    format!("{FOLDER}/{number:016}.index")
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
