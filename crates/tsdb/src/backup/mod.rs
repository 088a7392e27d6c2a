//! Backups: copies of a data directory in a directory of their own, each whole, none stored twice.
//!
//! A backup directory has a *pool* of files, named by the hash of their content, and one *manifest* a backup, which
//! says of which files of the pool a data directory is made. Blocks never change, so a second backup adds only those
//! that are new. A manifest is written last and all at once: a backup that has one is whole, and what a crash left
//! behind is no backup.
//!
//! What is copied is a [`Snapshot`]: of a running store ([`Store::snapshot`](crate::Store::snapshot)), or of a
//! directory that no server uses ([`Snapshot::of_directory`]). [`write()`] copies it, [`restore()`] makes a data
//! directory of it again, [`verify`](crate::verify()) looks for damage.
//!
//! Bytes on disk: `docs/format.md`, "Backups".

mod manifest;
mod restore;
mod snapshot;
mod write;

pub use manifest::{Backup, BackupFile, Listed, list};
pub(crate) use manifest::{DIR, POOL, pool_path};
pub(crate) use restore::is_unfinished;
pub use restore::{Restored, restore};
pub use snapshot::Snapshot;
pub use write::{Written, write};
pub(crate) use write::{hash_of, seq_of};

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A disk failed, or the directory is in use. Trying again may help.
    #[error(transparent)]
    Disk(#[from] barograph_disk::Error),
    /// There is no backup of that number. The user names another.
    #[error("there is no backup {id} in this directory")]
    Unknown {
        /// The number asked for.
        id: u64,
    },
    /// A restore into the directory was interrupted, so there is nothing to copy.
    #[error("the directory holds an unfinished restore")]
    Unfinished,
    /// The directory to restore into has files. The user empties it or names another.
    #[error("the target directory is not empty: it has {path}")]
    NotEmpty {
        /// A file that is there.
        path: String,
    },
    /// A file of the pool is not what was backed up. Another backup may have a good one.
    #[error("{path} is damaged: {pool} in the backup is not what was copied")]
    Damaged {
        /// The file as it was called in the data directory.
        path: String,
        /// The file of the pool.
        pool: String,
    },
}
