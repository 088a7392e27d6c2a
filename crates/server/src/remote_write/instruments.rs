//! What is measured of sending on, under the names of the field with our prefix, by endpoint.
//!
//! Endpoints are called by their names: a URL may hold a password.

use barograph::{Counter, Error, Family, Gauge, Histogram, Registry, Unit};

use super::batch::Counts;

/// Instruments of all endpoints.
#[derive(Debug)]
pub(crate) struct Instruments {
    sent: [Family<Counter, 1>; 3],
    failed: [Family<Counter, 1>; 3],
    retried: [Family<Counter, 1>; 3],
    dropped: Family<Counter, 2>,
    dropped_exemplars: Family<Counter, 1>,
    metadata: Family<Counter, 1>,
    metadata_failed: Family<Counter, 1>,
    bytes: Family<Counter, 1>,
    duration: Family<Histogram, 1>,
    pending: Family<Gauge, 1>,
    shards: Family<Gauge, 1>,
    shards_wanted: Family<Gauge, 1>,
    capacity: Family<Gauge, 1>,
    read_to: Family<Gauge, 1>,
    sent_to: Family<Gauge, 1>,
    lost: Family<Counter, 1>,
    log_kept: Gauge,
    log_given_up: Counter,
}

/// Those of one.
#[derive(Debug)]
pub(crate) struct Endpoint {
    sent: [Counter; 3],
    failed: [Counter; 3],
    retried: [Counter; 3],
    pub(super) dropped_old: Counter,
    pub(super) dropped_histograms: Counter,
    pub(super) dropped_again: Counter,
    pub(super) dropped_exemplars: Counter,
    pub(super) metadata: Counter,
    pub(super) metadata_failed: Counter,
    pub(super) bytes: Counter,
    pub(super) duration: Histogram,
    pub(super) pending: Gauge,
    pub(super) shards: Gauge,
    pub(super) shards_wanted: Gauge,
    pub(super) capacity: Gauge,
    pub(super) read_to: Gauge,
    pub(super) sent_to: Gauge,
    pub(super) lost: Counter,
}

const KINDS: [&str; 3] = ["samples", "histograms", "exemplars"];
const NAME: [&str; 1] = ["remote_name"];

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let three = |what: &str, help: &str| -> Result<[Family<Counter, 1>; 3], Error> {
            let one = |kind: &str| {
                let what = if what.is_empty() { String::new() } else { format!("_{what}") };
                registry
                    .counter(&format!("barograph_remote_storage_{kind}{what}_total"))
                    .help(&help.replace("{}", kind))
                    .family(NAME)
            };
            Ok([one(KINDS[0])?, one(KINDS[1])?, one(KINDS[2])?])
        };
        let counter = |name: &str, help: &str| registry.counter(name).help(help).family(NAME);
        let gauge = |name: &str, help: &str| registry.gauge(name).help(help).family(NAME);
        Ok(Self {
            sent: three("", "How many {} were sent on and taken by the other side.")?,
            failed: three("failed", "How many {} the other side refused for good.")?,
            retried: three("retried", "How many {} were to be sent again after a failure that may pass.")?,
            dropped: registry
                .counter("barograph_remote_storage_samples_dropped_total")
                .help("Samples that were read and not sent, by reason.")
                .family(["remote_name", "reason"])?,
            dropped_exemplars: counter(
                "barograph_remote_storage_exemplars_dropped_total",
                "Exemplars that were not sent: too many waited for a sample of their series, or the shard ended.",
            )?,
            metadata: counter("barograph_remote_storage_metadata_total", "Descriptions of metrics sent on.")?,
            metadata_failed: counter(
                "barograph_remote_storage_metadata_failed_total",
                "Descriptions of metrics that were not taken.",
            )?,
            bytes: registry
                .counter("barograph_remote_storage")
                .unit(Unit::Bytes)
                .help("Bytes of samples sent on, compressed.")
                .family(NAME)?,
            duration: registry
                .histogram("barograph_remote_storage_sent_batch_duration")
                .unit(Unit::Seconds)
                .help("Time a request took.")
                .family(NAME)?,
            pending: gauge("barograph_remote_storage_samples_pending", "Samples that wait in the shards.")?,
            shards: gauge("barograph_remote_storage_shards", "Shards that send at the same time.")?,
            shards_wanted: gauge("barograph_remote_storage_shards_desired", "Shards that the load needs.")?,
            capacity: gauge("barograph_remote_storage_shard_capacity", "Samples that may wait for a shard.")?,
            read_to: registry
                .gauge("barograph_remote_storage_highest_timestamp")
                .unit(Unit::Seconds)
                .help("The latest time of a sample that was read to be sent on, in Unix seconds.")
                .family(NAME)?,
            sent_to: registry
                .gauge("barograph_remote_storage_queue_highest_sent_timestamp")
                .unit(Unit::Seconds)
                .help("The latest time of a sample that was sent on, in Unix seconds.")
                .family(NAME)?,
            lost: counter(
                "barograph_remote_storage_log_gaps_total",
                "Gaps in what was read: parts of the log that were given up, or could not be read.",
            )?,
            log_kept: registry
                .gauge("barograph_remote_storage_log_kept")
                .unit(Unit::Bytes)
                .help("Bytes of the log that are kept only to be sent on.")
                .register()?,
            log_given_up: registry
                .counter("barograph_remote_storage_log_given_up_total")
                .help("Segments of the log that went before they were sent on, because storage.wal_kept was reached.")
                .register()?,
        })
    }

    /// Those of an endpoint.
    pub(super) fn endpoint(&self, name: &str) -> Endpoint {
        let all =
            |families: &[Family<Counter, 1>; 3]| [0, 1, 2].map(|kind: usize| families[kind].with([name]));
        Endpoint {
            sent: all(&self.sent),
            failed: all(&self.failed),
            retried: all(&self.retried),
            dropped_old: self.dropped.with([name, "too_old"]),
            dropped_histograms: self.dropped.with([name, "native_histogram"]),
            dropped_again: self.dropped.with([name, "sent_before"]),
            dropped_exemplars: self.dropped_exemplars.with([name]),
            metadata: self.metadata.with([name]),
            metadata_failed: self.metadata_failed.with([name]),
            bytes: self.bytes.with([name]),
            duration: self.duration.with([name]),
            pending: self.pending.with([name]),
            shards: self.shards.with([name]),
            shards_wanted: self.shards_wanted.with([name]),
            capacity: self.capacity.with([name]),
            read_to: self.read_to.with([name]),
            sent_to: self.sent_to.with([name]),
            lost: self.lost.with([name]),
        }
    }

    /// Sets what is known of the log.
    pub(super) fn observe_log(&self, kept_bytes: u64, given_up: u64) {
        self.log_kept.set(kept_bytes as f64);
        let before = self.log_given_up.value();
        if given_up > before {
            self.log_given_up.add(given_up - before);
            tracing::warn!(
                segments = given_up - before,
                "segments of the log went before they were sent on: more waits than storage.wal_kept allows"
            );
        }
    }
}

impl Endpoint {
    pub(super) fn sent(&self, counts: Counts) {
        add(&self.sent, counts);
    }

    pub(super) fn failed(&self, counts: Counts) {
        add(&self.failed, counts);
    }

    pub(super) fn retried(&self, counts: Counts) {
        add(&self.retried, counts);
    }
}

fn add(counters: &[Counter; 3], counts: Counts) {
    for (counter, count) in counters.iter().zip([counts.samples, counts.histograms, counts.exemplars]) {
        counter.add(count);
    }
}
