//! What can go wrong with the store as a whole. What is wrong with one row is a [`crate::Reason`].

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log cannot be written. Nothing of the request was taken; it may be sent again later. Every further commit
    /// tries again, and the first that succeeds ends this state.
    #[error("the store is read-only until its log can be written again")]
    ReadOnly,
    /// More is waiting for the disk than may wait. Nothing of the request was taken; it may be sent again later.
    #[error("too many bytes wait for the disk (limit {limit})")]
    Overloaded {
        /// How many bytes may wait.
        limit: usize,
    },
    /// More comes than whoever sends it may bring. Nothing of the request was taken; it may be sent again later.
    #[error("{owner} brings more than {limit} allows; send again in {} s", wait.as_secs().saturating_add(1))]
    TooFast {
        /// Who that is.
        owner: String,
        /// The name of the limit.
        limit: &'static str,
        /// How long until more may come.
        wait: std::time::Duration,
    },
    /// A restore into the directory was interrupted. The user restores again, or empties the directory.
    #[error("the directory holds an unfinished restore; restore into it again, or empty it")]
    Unfinished,
    /// The disk failed. What was acknowledged is still there.
    #[error(transparent)]
    Disk(#[from] barograph_disk::Error),
}

impl Error {
    /// Whether there is no space left on the disk.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_full())
    }

    /// Whether the data directory is held by another server.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Disk(barograph_disk::Error::Locked { .. }))
    }
}
