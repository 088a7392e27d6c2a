//! What can be set about the store, with its defaults.

use std::time::Duration;

use barograph_model::MetricType;

use crate::{Retention, RetentionRule};

/// Limits and delays of a store.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Parts of the head that are locked apart. Rounded up to a power of two, at most 64. Default 4.
    pub lanes: usize,
    /// Series in the head at most. What is over it or one of the next two goes to a series whose label of most values is
    /// `__overflow__`; where not even that has room it is refused. Default 1,000,000.
    pub series_max: usize,
    /// Bytes that the series of the head take without their chunks, roughly, beyond which a new one is over the limit in
    /// total. Default: no limit.
    pub series_bytes_max: usize,
    /// Series of one metric in the head at most. Default 200,000.
    pub metric_series_max: usize,
    /// Values of one label of one metric in the head at most, at least 2. Default 50,000.
    pub label_values_max: usize,
    /// Series of native histograms in the head at most. Default 100,000.
    pub histogram_series_max: usize,
    /// The label that says whose a series is, where series of each owner are limited; it never gives way to overflow. None by
    /// default.
    pub owner_label: Option<String>,
    /// Labels of a series at most. Default 64.
    pub labels_max: usize,
    /// Bytes of a label's name at most. Default 512.
    pub label_name_bytes_max: usize,
    /// Bytes of a label's value at most. Default 4,096.
    pub label_value_bytes_max: usize,
    /// How far ahead of now a sample may be. Default 10 minutes.
    pub ahead_max: Duration,
    /// How much older than the last of its series a sample may be. Zero takes no such samples. Default 1 hour.
    pub out_of_order: Duration,
    /// Memory for late samples that wait to be put into a block, beyond which further ones are refused. An import counts
    /// what waits of times that were cut already to it as well. Default 64 MiB.
    pub late_bytes_max: usize,
    /// A segment of the write-ahead log is closed at about this size. Default 64 MiB.
    pub segment_bytes: u64,
    /// Bytes waiting for a commit, beyond which appends are refused. Default 64 MiB.
    pub pending_bytes_max: usize,
    /// How long after its end two hours of the head are cut into a block. Default 30 minutes.
    pub cut_delay: Duration,
    /// How long each tier is kept. Default 24 hours, 7 days, 30 days, 365 days.
    pub retention: Retention,
    /// Other times for some series; of those that match, the first that speaks of a tier counts. None by default.
    pub retention_rules: Vec<RetentionRule>,
    /// Other times for the metrics of some types, where no rule speaks of a tier, in the order of
    /// [`Tier::ALL`](barograph_model::Tier::ALL); [`Duration::MAX`] keeps it. None by default.
    pub retention_by_type: Vec<(MetricType, [Option<Duration>; 4])>,
    /// How long after it was looked for what is past its retention that is done again. Default zero: with each upkeep.
    pub cleanup_interval: Duration,
    /// Size of all blocks beyond which those go that have used up most of their tier's time; `None` keeps them, as is
    /// the default.
    pub retention_bytes: Option<u64>,
    /// Memory for decoded indexes and columns of blocks. Default 64 MiB.
    pub cache_bytes: usize,
    /// Memory for the index of a block being written or read, roughly: what the head has of a window is cut into as many
    /// blocks as that takes, and blocks that would need more together are not merged. Default 256 MiB.
    pub index_bytes_max: usize,
    /// Exemplars kept in memory; the oldest go first. Default 100,000.
    pub exemplars_max: usize,
    /// Metrics the catalog describes at most. Default 100,000.
    pub metrics_max: usize,
    /// Memory for unusual spellings of label sets, and for label sets over a limit, that are remembered. Default 16 MiB.
    pub aliases_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lanes: 4,
            series_max: 1_000_000,
            series_bytes_max: usize::MAX,
            metric_series_max: 200_000,
            label_values_max: 50_000,
            histogram_series_max: 100_000,
            owner_label: None,
            labels_max: 64,
            label_name_bytes_max: 512,
            label_value_bytes_max: 4096,
            ahead_max: Duration::from_secs(600),
            out_of_order: Duration::from_secs(3600),
            late_bytes_max: 64 << 20,
            segment_bytes: 64 << 20,
            pending_bytes_max: 64 << 20,
            cut_delay: Duration::from_secs(1800),
            retention: Retention::default(),
            retention_rules: Vec::new(),
            retention_by_type: Vec::new(),
            cleanup_interval: Duration::ZERO,
            retention_bytes: None,
            cache_bytes: 64 << 20,
            index_bytes_max: 256 << 20,
            exemplars_max: 100_000,
            metrics_max: 100_000,
            aliases_bytes_max: 16 << 20,
        }
    }
}

/// A duration in the milliseconds of samples.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
