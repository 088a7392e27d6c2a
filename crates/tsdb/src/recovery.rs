//! What opening a store found, for the log of the server.

/// The ending of a file that was set aside because its bytes were not what was written.
pub(crate) const CORRUPT: &str = ".corrupt";

/// What was there when the store was opened, and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Blocks that serve.
    pub blocks: usize,
    /// Series of the head.
    pub series: usize,
    /// Samples that the log brought back into the head.
    pub samples: u64,
    /// Native histograms that the log had and no block.
    pub histograms: u64,
    /// Bytes of the log.
    pub wal_bytes: u64,
    /// Bytes of writes that a crash interrupted. None of them was acknowledged.
    pub torn_bytes: u64,
    /// Samples of the log whose series' labels were lost to damage.
    pub orphans: u64,
    /// Half-written files that were removed.
    pub temporary_removed: usize,
    /// Files with bytes that were not what was written; they keep their content under another name.
    pub set_aside: Vec<SetAside>,
}

/// A file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The name it had.
    pub path: String,
    /// What was wrong with it, and where.
    pub reason: String,
}

impl Recovery {
    pub(crate) fn set_aside(&mut self, path: &str, reason: String) {
        self.set_aside.push(SetAside { path: path.to_owned(), reason });
    }
}
