//! A backup back into a data directory.
//!
//! While it is being restored the directory has a file [`UNFINISHED`]; a store is not opened on it, so a restore that
//! was interrupted is never taken for a whole one. It can be begun again.

use std::collections::BTreeSet;

use barograph_disk::{Disk, Error, TEMPORARY};

use super::{Backup, BackupError, list, pool_path, write::copy_bytes};
use crate::{block, wal};

/// The file that says that a directory is not whole yet; its content is the number of the backup.
pub(crate) const UNFINISHED: &str = "restoring";

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Files written.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
}

/// Makes a data directory of a backup. Every file is compared with its checksum while it is copied.
///
/// # Errors
/// The target has files or is in use, there is no such backup, a file of it is damaged, or a disk failed. After one of
/// the last two the target is unfinished: no store is opened on it, and a restore of the same backup may be tried again.
pub fn restore(backups: &dyn Disk, id: u64, target: &dyn Disk) -> Result<Restored, BackupError> {
    let listed = list(backups)?;
    let backup = listed.backups.into_iter().find(|backup| backup.id == id);
    let backup = backup.ok_or(BackupError::Unknown { id })?;
    let _held = target.lock()?;
    let folders = folders_of(&backup);
    let note = format!("backup {id}\n");
    if target.read_whole(UNFINISHED).ok().as_deref() != Some(note.as_bytes()) {
        refuse_files(target, &folders)?;
        target.write_whole(UNFINISHED, note.as_bytes())?;
    }
    for dir in &folders {
        target.create_dir(dir)?;
    }
    for file in &backup.files {
        let pool = pool_path(file.hash);
        let damaged = || BackupError::Damaged { path: file.path.clone(), pool: pool.clone() };
        let source = match backups.open(&pool) {
            Err(error) if error.is_not_found() => return Err(damaged()),
            source => source?,
        };
        let mut copy = target.create(&file.path)?;
        let hash = copy_bytes(&*source, &mut *copy)?;
        if (source.len(), hash) != (file.len, file.hash) {
            return Err(damaged());
        }
        copy.sync()?;
    }
    for dir in folders.iter().copied().chain([""]) {
        target.sync_dir(dir)?;
    }
    target.remove(UNFINISHED)?;
    target.sync_dir("")?;
    Ok(Restored { files: backup.files.len(), bytes: backup.bytes() })
}

/// The folders of a data directory: those that it always has, and those of the backup's files.
fn folders_of(backup: &Backup) -> BTreeSet<&str> {
    let folders = backup.files.iter().filter_map(|file| Some(file.path.split_once('/')?.0));
    folders.chain([block::DIR, wal::DIR]).collect()
}

fn refuse_files(target: &dyn Disk, folders: &BTreeSet<&str>) -> Result<(), BackupError> {
    for dir in folders.iter().copied().chain([""]) {
        // The note of a restore that was interrupted may be half written.
        let half_written = format!("{UNFINISHED}{TEMPORARY}");
        let is_ours = |name: &str| dir.is_empty() && (name == "lock" || name == half_written);
        let found = target.list(dir)?.into_iter().find(|entry| !is_ours(&entry.name));
        if let Some(entry) = found {
            let path = if dir.is_empty() { entry.name } else { format!("{dir}/{}", entry.name) };
            return Err(BackupError::NotEmpty { path });
        }
    }
    Ok(())
}

/// Whether a restore into a directory was interrupted.
pub(crate) fn is_unfinished(disk: &dyn Disk) -> Result<bool, Error> {
    Ok(disk.list("")?.iter().any(|entry| entry.name == UNFINISHED))
}
