//! The sections that are ours: storage, query, limits.

use std::time::Duration;

use super::{
    section::{Findings, Section, boolean, count},
    tree::Node,
    units::{parse_duration, parse_size},
};

/// How samples are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// What `retention.raw` says, in its older place; that one counts if both are there.
    pub retention_raw: Option<Duration>,
    /// How far behind the latest sample one may be that is older than the last of its series; 1 hour by default,
    /// zero for none.
    pub out_of_order: Duration,
    /// When a write is acknowledged.
    pub durability: Durability,
    /// Bytes of the log that are kept beyond what the store needs, for those to whom it is sent on; 2 GiB by default.
    pub wal_kept: u64,
    /// Whether a zero is stored where a sender says that counting began; not by default.
    pub start_time_zeros: bool,
    /// How often it is looked for what can be cut into blocks, rolled up and merged; 60 seconds by default.
    pub aggregation_interval: Duration,
    /// How often it is looked for what is past its retention; 1 hour by default.
    pub cleanup_interval: Duration,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            retention_raw: None,
            out_of_order: Duration::from_secs(3600),
            durability: Durability::Batch,
            wal_kept: 2 << 30,
            start_time_zeros: false,
            aggregation_interval: Duration::from_secs(60),
            cleanup_interval: Duration::from_secs(3600),
        }
    }
}

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After the group commit that made it durable.
    #[default]
    Batch,
    /// After a commit of its own.
    Sync,
    /// At once; a crash may lose what came in its last second.
    Relaxed,
}

/// What a query may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// How far back an instant selector looks for a sample; 5 minutes by default.
    pub lookback: Duration,
    /// How long a query may take; 2 minutes by default.
    pub timeout: Duration,
    /// How many samples a query may read; 50 million by default.
    pub max_samples: u64,
    /// How many series a query may read, each as often as parts of it read it; 500,000 by default.
    pub max_series: u64,
    /// How many bytes of memory a query may hold; 512 MiB by default. All together hold a fifth of the memory.
    pub max_bytes: u64,
    /// How many queries run at once; 20 by default. More wait.
    pub max_concurrency: u64,
    /// How many queries of one caller run at once; 10 by default.
    pub max_concurrency_per_caller: u64,
    /// How many queries wait for their turn; 100 by default. More are refused.
    pub max_queued: u64,
    /// From how long on a query is slow, which is logged and kept; 1 second by default.
    pub slow: Duration,
    /// Bytes of results that are kept to be used again; a 32nd of the memory budget by default. Zero keeps none.
    pub cache: Option<u64>,
    /// Whether the experimental parts of PromQL may be used: functions, duration expressions, `anchored` and
    /// `smoothed`, `fill`, and names that are dropped at the very end. Off by default, as in Prometheus.
    pub experimental: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            timeout: Duration::from_secs(120),
            max_samples: 50_000_000,
            max_series: 500_000,
            max_bytes: 512 << 20,
            max_concurrency: 20,
            max_concurrency_per_caller: 10,
            max_queued: 100,
            slow: Duration::from_secs(1),
            cache: None,
            experimental: false,
        }
    }
}

/// What one request, series or the whole server takes at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body as sent; 32 MiB by default.
    pub body_bytes: u64,
    /// Bytes of a request's body after decompression; 128 MiB by default.
    pub decoded_bytes: u64,
    /// Samples of a request; 100,000 by default.
    pub samples_per_request: u64,
    /// Labels of a series; 64 by default.
    pub labels_per_series: u64,
    /// Bytes of a label name; 512 by default.
    pub label_name_bytes: u64,
    /// Bytes of a label value; 4 KiB by default.
    pub label_value_bytes: u64,
    /// Series with a recent sample; 1 million by default.
    pub active_series: u64,
    /// Series with a recent sample of one metric; 200,000 by default.
    pub series_per_metric: u64,
    /// Values of one label in the series with a recent sample of one metric; 50,000 by default.
    pub values_per_label: u64,
    /// Connections of a port that are served at once; 12,000 by default. More wait to be accepted.
    pub connections: u64,
    /// Connections of one address, but for this machine's own; 1,000 by default. More are closed.
    pub connections_per_address: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            decoded_bytes: 128 << 20,
            samples_per_request: 100_000,
            labels_per_series: 64,
            label_name_bytes: 512,
            label_value_bytes: 4 << 10,
            active_series: 1_000_000,
            series_per_metric: 200_000,
            values_per_label: 50_000,
            connections: 12_000,
            connections_per_address: 1_000,
        }
    }
}

pub(super) fn read_storage(node: &Node, findings: &mut Findings) -> Storage {
    let mut storage = Storage::default();
    let mut section = Section::open(node, "`storage`", findings);
    storage.retention_raw = section.value("retention_raw", positive_duration, findings);
    section.set("out_of_order", &mut storage.out_of_order, parse_duration, findings);
    section.set("wal_kept", &mut storage.wal_kept, parse_size, findings);
    section.set("start_time_zeros", &mut storage.start_time_zeros, boolean, findings);
    section.set("durability", &mut storage.durability, parse_durability, findings);
    for (key, preset, interval) in [
        ("aggregation_interval", "aggregationInterval", &mut storage.aggregation_interval),
        ("cleanup_interval", "cleanupInterval", &mut storage.cleanup_interval),
    ] {
        // The other spelling counts seconds.
        section.set(preset, interval, |text| positive_count(text).map(Duration::from_secs), findings);
        section.set(key, interval, positive_duration, findings);
    }
    section.finish(&["tsdb", "exemplars"], findings);
    storage
}

pub(super) fn read_query(node: &Node, findings: &mut Findings) -> Query {
    let mut query = Query::default();
    let mut section = Section::open(node, "`query`", findings);
    section.set("lookback", &mut query.lookback, positive_duration, findings);
    section.set("timeout", &mut query.timeout, positive_duration, findings);
    section.set("max_samples", &mut query.max_samples, positive_count, findings);
    section.set("max_series", &mut query.max_series, positive_count, findings);
    section.set("max_bytes", &mut query.max_bytes, positive_size, findings);
    section.set("max_concurrency", &mut query.max_concurrency, positive_count, findings);
    let per_caller = &mut query.max_concurrency_per_caller;
    section.set("max_concurrency_per_caller", per_caller, positive_count, findings);
    section.set("max_queued", &mut query.max_queued, count, findings);
    section.set("slow", &mut query.slow, parse_duration, findings);
    query.cache = section.value("cache", parse_size, findings);
    section.set("experimental", &mut query.experimental, boolean, findings);
    section.finish(&[], findings);
    query
}

pub(super) fn read_limits(node: &Node, findings: &mut Findings) -> Limits {
    let mut limits = Limits::default();
    let mut section = Section::open(node, "`limits`", findings);
    section.set("body", &mut limits.body_bytes, positive_size, findings);
    section.set("decoded_body", &mut limits.decoded_bytes, positive_size, findings);
    section.set("samples_per_request", &mut limits.samples_per_request, positive_count, findings);
    section.set("labels_per_series", &mut limits.labels_per_series, positive_count, findings);
    section.set("label_name", &mut limits.label_name_bytes, positive_size, findings);
    section.set("label_value", &mut limits.label_value_bytes, positive_size, findings);
    section.set("active_series", &mut limits.active_series, positive_count, findings);
    section.set("series_per_metric", &mut limits.series_per_metric, two_or_more, findings);
    section.set("values_per_label", &mut limits.values_per_label, two_or_more, findings);
    section.set("connections", &mut limits.connections, positive_count, findings);
    section.set("connections_per_address", &mut limits.connections_per_address, positive_count, findings);
    section.finish(&[], findings);
    limits
}

fn parse_durability(word: &str) -> Result<Durability, String> {
    match word {
        "batch" => Ok(Durability::Batch),
        "sync" => Ok(Durability::Sync),
        "relaxed" => Ok(Durability::Relaxed),
        _ => Err(format!("expected `batch`, `sync` or `relaxed`, found `{word}`")),
    }
}

pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    positive(parse_duration(text)?, Duration::ZERO)
}

pub(super) fn positive_count(text: &str) -> Result<u64, String> {
    positive(count(text)?, 0)
}

/// A count of which one is kept for overflow.
fn two_or_more(text: &str) -> Result<u64, String> {
    count(text).and_then(|count| if count < 2 { Err("expected 2 or more".to_owned()) } else { Ok(count) })
}

pub(super) fn positive_size(text: &str) -> Result<u64, String> {
    positive(parse_size(text)?, 0)
}

pub(super) fn positive<T: PartialEq>(value: T, zero: T) -> Result<T, String> {
    if value == zero { Err("expected more than 0".to_owned()) } else { Ok(value) }
}
