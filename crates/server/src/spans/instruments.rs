//! What the server counts of its work on spans.

use barograph::{Counter, Family, Gauge, Registry, Unit};
use barograph_trace::Stats;

use super::figures::Seen;
use crate::telemetry::raise;

/// The instruments.
pub(super) struct Instruments {
    pub(super) received: Counter,
    pub(super) rejected: Counter,
    pub(super) failures: Counter,
    removed: Family<Counter, 1>,
    damaged: Counter,
    stored: Gauge,
    bytes: Gauge,
    overflow: Counter,
    unpaired: Counter,
    dropped: Counter,
}

impl Instruments {
    /// # Panics
    /// A name is not valid or stands twice, which a test would have found.
    pub(super) fn register(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| {
            registry.counter(name).help(help).register().expect("the name is valid and free")
        };
        Self {
            received: counter("barograph_spans_received_total", "Spans taken."),
            rejected: counter("barograph_spans_rejected_total", "Spans refused because of their ids."),
            failures: counter(
                "barograph_spans_failures_total",
                "Times that spans could not be written or removed.",
            ),
            removed: registry
                .counter("barograph_spans_removed_total")
                .help("Spans that went, by reason: they were too old, or all together too large.")
                .family(["reason"])
                .expect("the name is valid and free"),
            damaged: counter(
                "barograph_spans_damaged_records_total",
                "Records of spans that were not what was written when they were read.",
            ),
            stored: registry
                .gauge("barograph_spans_stored")
                .help("Spans on disk.")
                .register()
                .expect("the name is valid and free"),
            bytes: registry
                .gauge("barograph_spans_storage")
                .unit(Unit::Bytes)
                .help("Bytes of spans on disk.")
                .register()
                .expect("the name is valid and free"),
            overflow: counter(
                "barograph_spans_series_overflow_total",
                "Spans counted under __overflow__ because the metrics of spans had as many series as they may.",
            ),
            unpaired: counter(
                "barograph_spans_unpaired_total",
                "Spans of a call whose other side did not come in time.",
            ),
            dropped: counter(
                "barograph_spans_pairs_dropped_total",
                "Spans of a call that were not matched because too many waited for their other side.",
            ),
        }
    }

    /// Takes over what is kept, and what was counted since the last time.
    pub(super) fn observe(&self, stats: &Stats, seen: Seen) {
        self.stored.set(stats.spans as f64);
        self.bytes.set(stats.bytes as f64);
        raise(self.removed.with(["age"]), stats.removed_by_age);
        raise(self.removed.with(["size"]), stats.removed_by_size);
        raise(self.damaged, stats.damaged);
        raise(self.overflow, seen.overflowed);
        raise(self.unpaired, seen.unpaired);
        raise(self.dropped, seen.dropped);
    }
}
