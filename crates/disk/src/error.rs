//! What can go wrong with files, by what the caller does next.

use std::io;

/// Why a file operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system said no. Retrying may help (no space left), or not (I/O error).
    #[error("cannot {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: String,
        /// What the system answered.
        source: io::Error,
    },
    /// Another process holds the directory. The user stops it, or names another directory.
    #[error("{path} is in use by another server{}", holder.as_deref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Locked {
        /// The directory.
        path: String,
        /// What the lock file says of its holder.
        holder: Option<String>,
    },
    /// The bytes are not what was written. Retrying won't help: the file is set aside.
    #[error("corrupt {what} in {path} at byte {offset}")]
    Corrupt {
        /// Which part.
        what: &'static str,
        /// Of which file.
        path: String,
        /// Where it begins.
        offset: u64,
    },
    /// The file was written by a version that this one does not know.
    #[error("{path} has format version {found}, this program reads up to {known}")]
    Version {
        /// The file.
        path: String,
        /// The version its header names.
        found: u16,
        /// The newest version that can be read.
        known: u16,
    },
}

impl Error {
    /// An I/O error of one call.
    pub fn io(action: &'static str, path: &str, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// A part of a file that does not hold what was written.
    pub fn corrupt(what: &'static str, path: &str, offset: u64) -> Self {
        Self::Corrupt { what, path: path.to_owned(), offset }
    }

    /// The file or folder it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Io { path, .. } | Self::Locked { path, .. } => path,
            Self::Corrupt { path, .. } | Self::Version { path, .. } => path,
        }
    }

    /// Whether there was no space left: the one failure that goes away by itself.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// Whether the bytes themselves are wrong, as against the way to them.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Version { .. })
    }

    /// Whether the file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
