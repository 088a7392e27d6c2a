//! What a service tells of itself and of its metrics.

use barograph_model::{MetricType, Tier, Timestamp};
use barograph_tsdb::{MetricInfo, Store};
use serde::Serialize;

/// A service in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsServiceStats {
    /// Collectors, built-in and own.
    pub total_collectors: usize,
    /// Points that they read.
    pub total_metrics_collected: u64,
    /// Runs of them that failed.
    pub collection_errors: u64,
    /// The store.
    pub storage: MetricsStorageStats,
}

/// A store in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricsStorageStats {
    /// Bytes of blocks and log.
    pub total_size: u64,
    /// Series with a recent sample.
    pub series: usize,
    /// Samples that were stored since the start.
    pub samples: u64,
    /// The tiers, from the finest.
    pub levels: Vec<StorageLevel>,
}

/// A tier in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageLevel {
    /// Its name: `raw`, `1m`, `5m`, `1h`.
    pub level: &'static str,
    /// Blocks.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Samples or windows in them.
    pub points: u64,
    /// The time of the first, in milliseconds since the epoch.
    pub oldest: Option<i64>,
    /// The time of the last.
    pub newest: Option<i64>,
}

impl MetricsStorageStats {
    pub(super) fn of(store: &Store) -> Self {
        let (stats, levels) = (store.stats(), store.levels());
        let level = |tier: Tier| {
            let level = &levels[tier as usize];
            StorageLevel {
                level: tier.as_str(),
                files: level.files,
                bytes: level.bytes,
                points: level.points,
                oldest: level.oldest.map(Timestamp::millis),
                newest: level.newest.map(Timestamp::millis),
            }
        };
        Self {
            total_size: stats.block_bytes + stats.wal_bytes,
            series: stats.series,
            samples: stats.samples_appended,
            levels: Tier::ALL.map(level).into(),
        }
    }
}

/// What is known of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricMetadata {
    /// Its name, as stored.
    pub name: String,
    /// What its values mean.
    pub metric_type: MetricType,
    /// Its unit, or empty.
    pub unit: String,
    /// One line for people, or empty.
    pub description: String,
    /// Series with a recent sample.
    pub series: usize,
    /// The time of its first sample.
    pub first_seen: Timestamp,
    /// The time of its last.
    pub last_seen: Timestamp,
}

impl From<MetricInfo> for MetricMetadata {
    fn from(info: MetricInfo) -> Self {
        Self {
            name: info.name,
            metric_type: info.metadata.kind,
            unit: info.metadata.unit,
            description: info.metadata.help,
            series: info.active_series,
            first_seen: info.first_seen,
            last_seen: info.last_seen,
        }
    }
}
