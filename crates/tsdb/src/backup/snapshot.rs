//! A data directory at one moment: its files, opened, so that they can be read even when the store has removed them.

use std::sync::Arc;

use barograph_disk::{Disk, Entry, Error, Held, ReadAt, TEMPORARY};
use barograph_model::Timestamp;

use super::{BackupError, is_unfinished, seq_of};
use crate::{Store, block, recovery::CORRUPT, wal};

/// The files of a data directory at one moment.
pub struct Snapshot {
    pub(super) files: Vec<SnapshotFile>,
    /// The directory, where no server uses it, is held until it has been copied.
    _held: Option<Box<dyn Held>>,
}

pub(super) struct SnapshotFile {
    pub(super) path: String,
    pub(super) file: Arc<dyn ReadAt>,
    /// Whether a file of this path, this size and this end was never another.
    pub(super) settled: bool,
}

impl Snapshot {
    /// A data directory that no server uses.
    ///
    /// # Errors
    /// A server uses it, it is the target of a restore that was interrupted, or the disk failed.
    pub fn of_directory(disk: &dyn Disk) -> Result<Self, BackupError> {
        let held = disk.lock()?;
        if is_unfinished(disk)? {
            return Err(BackupError::Unfinished);
        }
        Ok(Self { files: open_files(disk)?, _held: Some(held) })
    }

    /// Takes a file in place of the one at `path`.
    pub fn put(&mut self, path: &str, file: Arc<dyn ReadAt>) {
        self.files.retain(|one| one.path != path);
        self.files.push(SnapshotFile { path: path.to_owned(), file, settled: false });
    }

    /// Takes a file that only ever grows under its path, so that it need not be read again while it has the same size.
    pub fn put_settled(&mut self, path: &str, file: Arc<dyn ReadAt>) {
        self.files.retain(|one| one.path != path);
        self.files.push(SnapshotFile { path: path.to_owned(), file, settled: true });
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl Store {
    /// The store as it is now, with everything that was acknowledged. Appends and queries go on meanwhile, and
    /// upkeep does not wait for the copying.
    ///
    /// What is in memory is cut into blocks first, because they take a tenth of what the log takes. If there is no
    /// room for that, the log is part of the snapshot instead.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn snapshot(&self, now: Timestamp) -> Result<Snapshot, Error> {
        // What the log holds is copied as it is, so neither failure loses anything.
        let _ = self.commit();
        let _ = self.flush(now);
        // No file of the log and no block goes while they are opened. Those that are removed later stay readable. A
        // sample that comes meanwhile is in the snapshot or not: what lies in the log is a beginning of it.
        let upkeep = self.upkeep();
        let files = open_files(&*self.disk)?;
        drop(upkeep);
        Ok(Snapshot { files, _held: None })
    }
}

/// Opens everything that makes up a data directory, by path.
fn open_files(disk: &dyn Disk) -> Result<Vec<SnapshotFile>, Error> {
    let mut files = Vec::new();
    for dir in ["", block::DIR, wal::DIR] {
        for Entry { name, .. } in disk.list(dir)?.into_iter().filter(|entry| is_data(dir, &entry.name)) {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            match disk.open(&path) {
                // A block that was just found to be damaged and set aside.
                Err(error) if error.is_not_found() => {}
                file => files.push(SnapshotFile { file: file?, settled: seq_of(&path).is_some(), path }),
            }
        }
    }
    Ok(files)
}

fn is_data(dir: &str, name: &str) -> bool {
    let lock = dir.is_empty() && name == "lock";
    !lock && !name.starts_with('.') && !name.ends_with(TEMPORARY) && !name.ends_with(CORRUPT)
}
