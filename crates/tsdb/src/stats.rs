//! The store in numbers, for its own metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Maintenance, Reason};

/// The store in numbers. Counts begin at zero with each start, sizes and gauges are those of the moment.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Series in the head.
    pub series: usize,
    /// Series of native histograms in the head.
    pub histogram_series: usize,
    /// Bytes of native histograms in the head.
    pub histogram_bytes: usize,
    /// Native histograms that were stored.
    pub histograms_appended: u64,
    /// Series in the head at most.
    pub series_max: usize,
    /// Series that came to the head.
    pub series_created: u64,
    /// Bytes of chunks in the head.
    pub chunk_bytes: u64,
    /// Bytes of the head as a whole: chunks, series, postings, counts and aliases, roughly.
    pub head_bytes: u64,
    /// Rows that were stored.
    pub samples_appended: u64,
    /// Rows among them that came late: older than the last of their series.
    pub samples_late: u64,
    /// Bytes of late samples that wait to be put into a block.
    pub late_bytes: usize,
    /// Rows that were not, by reason.
    pub rejected: Vec<(Reason, u64)>,
    /// Rows of series over a limit, which went to overflow series.
    pub overflow_samples: u64,
    /// Those of them that were not stored, because that series had a sample of their time or a later one.
    pub overflow_merged: u64,
    /// Bytes of the log on disk.
    pub wal_bytes: u64,
    /// Segments of the log on disk.
    pub wal_segments: usize,
    /// Bytes that wait for a commit.
    pub wal_pending_bytes: usize,
    /// Commits that had something to do.
    pub commits: u64,
    /// Batches of the log that were synced.
    pub wal_syncs: u64,
    /// Files of the log that failed to be written or synced.
    pub wal_failures: u64,
    /// Whether appends are refused because the log cannot be written.
    pub read_only: bool,
    /// Blocks on disk.
    pub blocks: usize,
    /// Bytes of them.
    pub block_bytes: u64,
    /// Samples in raw ones.
    pub block_samples: u64,
    /// Blocks that were cut from the head.
    pub blocks_cut: u64,
    /// When upkeep ran last, in milliseconds since the epoch; the least number if it did not.
    pub maintained_at: i64,
    /// When it was looked last for what is past its retention.
    pub cleaned_at: i64,
    /// Metrics with a policy of their own.
    pub policies: usize,
    /// Windows of tiers that were made.
    pub windows_rolled: u64,
    /// Blocks that were merged into larger ones.
    pub blocks_merged: u64,
    /// Blocks that were deleted because of retention.
    pub blocks_deleted: u64,
    /// Blocks of which a part turned out not to be what was written; the rest of each serves.
    pub blocks_damaged: u64,
    /// Bytes of decoded indexes and columns in memory.
    pub cache_bytes: usize,
    /// Look-ups that found what they wanted in memory.
    pub cache_hits: u64,
    /// Look-ups that had to read the disk.
    pub cache_misses: u64,
    /// Metrics in the catalog.
    pub metrics: usize,
    /// Exemplars in memory.
    pub exemplars: usize,
    /// Exemplars that were overwritten by newer ones.
    pub exemplars_overwritten: u64,
    /// Descriptions of metrics that were refused: too many, or too long.
    pub metadata_refused: u64,
    /// Files set aside as corrupt since the store was opened, and then.
    pub set_aside: u64,
    /// How often changes of the past were too many to be noted one by one, so that all results kept from before count as
    /// changed.
    pub changes_forgotten: u64,
}

/// What is counted while the store works.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) samples: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) series: AtomicU64,
    pub(crate) histograms: AtomicU64,
    pub(crate) rejected: [AtomicU64; Reason::ALL.len()],
    pub(crate) metadata_refused: AtomicU64,
    pub(crate) set_aside: AtomicU64,
    pub(crate) blocks_damaged: AtomicU64,
    pub(crate) blocks_cut: AtomicU64,
    pub(crate) blocks_merged: AtomicU64,
    pub(crate) blocks_deleted: AtomicU64,
    pub(crate) windows_rolled: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl Counters {
    /// Counts what a round of upkeep did.
    pub(crate) fn upkeep(&self, done: &Maintenance) {
        add(&self.blocks_cut, done.blocks_cut);
        add(&self.blocks_merged, done.blocks_merged);
        add(&self.blocks_deleted, done.blocks_deleted);
    }

    pub(crate) fn rejected(&self) -> Vec<(Reason, u64)> {
        let counts = self.rejected.iter().map(|count| count.load(Ordering::Relaxed));
        Reason::ALL.into_iter().zip(counts).collect()
    }
}
