//! What the server measures of its storage every now and then: backups, upkeep, the room on the disk.

use std::time::Duration;

use barograph::{Counter, Error, Family, Gauge, Histogram, Registry, Unit};
use barograph_model::Timestamp;
use barograph_tsdb::{Stats, backup::Written};

use super::Space;
use crate::telemetry::raise;

/// Instruments of backups, upkeep and the disk.
#[derive(Debug)]
pub struct Instruments {
    backups: Family<Counter, 1>,
    backup_duration: Histogram,
    backup_last: Gauge,
    backup_copied: Counter,
    disk: Family<Gauge, 1>,
    upkeep: Family<Gauge, 1>,
    rolled: Counter,
    cache: Family<Counter, 1>,
    damaged: Gauge,
    read_only: Gauge,
    metadata_refused: Counter,
    exemplars_overwritten: Counter,
    histogram_series: Gauge,
    histogram_bytes: Gauge,
    policies: Gauge,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            backups: registry
                .counter("barograph_backups_total")
                .help("Backups, by outcome.")
                .family(["outcome"])?,
            backup_duration: registry
                .histogram("barograph_backup_duration")
                .unit(Unit::Seconds)
                .help("Time a backup took.")
                .register()?,
            backup_last: registry
                .gauge("barograph_backup_last_success_timestamp")
                .unit(Unit::Seconds)
                .help("When the newest backup was made, in Unix seconds.")
                .register()?,
            backup_copied: registry
                .counter("barograph_backup_copied_bytes_total")
                .help("Bytes that backups copied because no backup before had them.")
                .register()?,
            disk: registry
                .gauge("barograph_storage_disk")
                .unit(Unit::Bytes)
                .help("Bytes of the file system of the data directory.")
                .family(["kind"])?,
            upkeep: registry
                .gauge("barograph_storage_upkeep_blocks")
                .help("Blocks that upkeep has cut, merged or deleted since the start.")
                .family(["did"])?,
            rolled: registry
                .counter("barograph_rollup_windows_total")
                .help("Windows of tiers that were made, those made again included.")
                .register()?,
            cache: registry
                .counter("barograph_block_cache_requests_total")
                .help("Look-ups of decoded parts of blocks, by whether they were in memory.")
                .family(["outcome"])?,
            damaged: registry
                .gauge("barograph_storage_blocks_damaged")
                .help("Blocks of which a part is not what was written; the rest of each serves.")
                .register()?,
            read_only: registry
                .gauge("barograph_storage_read_only")
                .help("1 while writes are refused because the log cannot be written.")
                .register()?,
            metadata_refused: registry
                .counter("barograph_metadata_refused_total")
                .help("Descriptions of metrics that were refused: too many, or too long.")
                .register()?,
            exemplars_overwritten: registry
                .counter("barograph_exemplars_overwritten_total")
                .help("Exemplars that newer ones took the place of.")
                .register()?,
            histogram_series: registry
                .gauge("barograph_histogram_series")
                .help("Series of native histograms in memory.")
                .register()?,
            histogram_bytes: registry
                .gauge("barograph_histogram_head")
                .unit(Unit::Bytes)
                .help("Bytes of native histograms in memory.")
                .register()?,
            policies: registry
                .gauge("barograph_metric_policies")
                .help("Metrics with a retention or aggregation of their own.")
                .register()?,
        })
    }

    /// Takes over whether the log can be written, which may pass quickly.
    pub fn observe_log(&self, stats: &Stats) {
        self.read_only.set(f64::from(u8::from(stats.read_only)));
    }

    /// Takes over what upkeep did, and the room on the disk.
    pub fn observe(&self, stats: &Stats, space: Option<Space>) {
        let Stats { blocks_cut, blocks_merged, blocks_deleted, .. } = stats;
        for (did, blocks) in [("cut", blocks_cut), ("merged", blocks_merged), ("deleted", blocks_deleted)] {
            self.upkeep.with([did]).set(*blocks as f64);
        }
        raise(self.rolled, stats.windows_rolled);
        raise(self.cache.with(["hit"]), stats.cache_hits);
        raise(self.cache.with(["miss"]), stats.cache_misses);
        raise(self.metadata_refused, stats.metadata_refused);
        raise(self.exemplars_overwritten, stats.exemplars_overwritten);
        self.damaged.set(stats.blocks_damaged as f64);
        self.histogram_series.set(stats.histogram_series as f64);
        self.histogram_bytes.set(stats.histogram_bytes as f64);
        self.policies.set(stats.policies as f64);
        if let Some(space) = space {
            self.disk.with(["total"]).set(space.total as f64);
            self.disk.with(["free"]).set(space.free as f64);
        }
    }

    /// Counts a backup that was made, or was not.
    pub fn backed_up(&self, written: Option<&Written>, now: Timestamp, took: Duration) {
        self.backups.with([if written.is_some() { "ok" } else { "error" }]).inc();
        if let Some(written) = written {
            self.backup_duration.record(took.as_secs_f64());
            self.backup_last.set(now.seconds());
            self.backup_copied.add(written.bytes_copied);
        }
    }
}
