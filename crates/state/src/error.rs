//! What can go wrong with state, by what the caller does next.

/// Why a call failed. Nothing of its batch was written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed, or is full. The next call opens the file anew; the caller tries again later.
    #[error("cannot {action} the state database")]
    Io {
        /// What was being done.
        action: &'static str,
        /// What the database or the disk said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bytes are not what was written. With the next call the file is set aside and an empty one takes its place.
    #[error("the state database is not what was written: {reason}")]
    Corrupt {
        /// What was found wrong.
        reason: String,
    },
    /// The file was written by a version that this one does not know. It is left as it is; the user takes the newer
    /// program, or moves the file.
    #[error("the state database has format version {found}, this program reads up to {known}")]
    Version {
        /// The version that it names.
        found: u64,
        /// The newest version that can be read.
        known: u64,
    },
    /// A value is larger than [`VALUE_BYTES_MAX`](crate::State::VALUE_BYTES_MAX), or a key than a quarter of it. The
    /// caller leaves something out.
    #[error("{bytes} bytes are too many for one entry of table {table}")]
    TooLarge {
        /// The table.
        table: &'static str,
        /// How many they are.
        bytes: usize,
    },
    /// A value cannot be written as JSON: its type is not made for it.
    #[error("cannot write a value of table {table}")]
    Value {
        /// The table.
        table: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

impl Error {
    pub(crate) fn corrupt(reason: impl ToString) -> Self {
        Self::Corrupt { reason: reason.to_string() }
    }

    /// What the database said, by what it means.
    pub(crate) fn of(action: &'static str, error: impl Into<redb::Error>) -> Self {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        match error.into() {
            // A file that is none of a database, or ends where it should not.
            redb::Error::Io(error) if matches!(error.kind(), InvalidData | UnexpectedEof) => {
                Self::corrupt(error)
            }
            error @ (redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::RepairAborted) => Self::corrupt(error),
            error => Self::Io { action, source: Box::new(error) },
        }
    }
}
