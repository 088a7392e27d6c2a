//! What can go wrong, by what the caller does next.

/// Why spans are not kept, or not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More is waiting for the disk than may wait. Nothing of the batch was taken; it may be sent again later.
    #[error("too many bytes of spans wait for the disk (limit {limit})")]
    Overloaded {
        /// How many bytes may wait.
        limit: usize,
    },
    /// The batch is larger than one may be. Its sender splits it.
    #[error("a batch of {bytes} bytes is larger than {limit}; send it in several")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes could not be made smaller: memory is short.
    #[error("cannot compress a batch")]
    Compress(#[source] std::io::Error),
    /// The disk failed. What was acknowledged is still there.
    #[error(transparent)]
    Disk(#[from] barograph_disk::Error),
}

impl Error {
    /// Whether there is no space left on the disk.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_full())
    }
}
