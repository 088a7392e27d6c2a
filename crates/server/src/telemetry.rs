//! What the server measures of itself, with its own SDK, under the prefix `barograph_`.
//!
//! The same figures are exposed at `/metrics` and stored every second like those of any other program.

use std::time::Duration;

use barograph::{
    Counter, Error, Family, Gauge, Histogram, Registry, Unit, UpDownCounter, transactions::Transactions,
};
use barograph_tsdb::{Appended, Level, Overflow, Reason, Stats};

use crate::{
    auth, events,
    memory::{Memory, Step},
    reload, remote_write, results, rules,
    storage::Instruments,
};

/// Where samples came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Remote write.
    RemoteWrite,
    /// Targets that were scraped.
    Scrape,
    /// Samples written by gRPC.
    Grpc,
    /// Exposition text that was posted.
    Import,
    /// Metrics by OTLP.
    Otlp,
    /// Groups that were pushed, as to a push gateway.
    Push,
    /// InfluxDB line protocol.
    Influx,
    /// StatsD.
    Statsd,
    /// Made of spans.
    Spans,
    /// Samples of any age that were moved in.
    History,
    /// Records by name.
    Record,
    /// The built-in collectors and our own metrics.
    Own,
    /// Rules: what they record, and the states of their alerts.
    Rules,
}

impl Origin {
    const ALL: [Self; 13] = [
        Self::RemoteWrite,
        Self::Scrape,
        Self::Grpc,
        Self::Import,
        Self::Otlp,
        Self::Push,
        Self::Influx,
        Self::Statsd,
        Self::Spans,
        Self::History,
        Self::Record,
        Self::Own,
        Self::Rules,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote_write",
            Self::Scrape => "scrape",
            Self::Grpc => "grpc",
            Self::Import => "import",
            Self::Otlp => "otlp",
            Self::Push => "push",
            Self::Influx => "influx",
            Self::Statsd => "statsd",
            Self::Spans => "spans",
            Self::History => "history",
            Self::Record => "record",
            Self::Own => "self",
            Self::Rules => "rules",
        }
    }
}

/// The server's instruments.
#[derive(Debug)]
pub struct Telemetry {
    /// Where they are registered.
    pub registry: Registry,
    /// How long a group commit took, most of it one fsync.
    pub commit_duration: Histogram,
    /// Group commits that failed.
    pub commit_failures: Counter,
    /// Rounds of maintenance that failed.
    pub maintenance_failures: Counter,
    /// Steps that were taken because memory was short, by step.
    pub memory_steps: Family<Counter, 1>,
    memory: MemoryGauges,
    stored: [Counter; Origin::ALL.len()],
    /// Fields of InfluxDB lines that are texts.
    pub influx_texts: Counter,
    late: Counter,
    rejected: Family<Counter, 1>,
    overflow: Family<Counter, 2>,
    overflow_merged: Counter,
    queries: Family<Counter, 1>,
    query_duration: Histogram,
    query_samples: Counter,
    query_refused: Family<Counter, 1>,
    /// Requests refused because their address asked too often.
    pub requests_limited: Counter,
    /// Logins and refusals.
    pub(crate) auth: auth::Instruments,
    /// What is done whole or not at all.
    pub transactions: Transactions,
    /// Queries that took longer than the setting says.
    pub query_slow: Counter,
    queries_running: Gauge,
    queries_waiting: Gauge,
    requests: Family<Counter, 2>,
    request_duration: Family<Histogram, 1>,
    /// HTTP requests being answered.
    pub in_flight: UpDownCounter,
    /// Backups.
    pub storage: Instruments,
    /// Results that are kept.
    pub results: results::Instruments,
    /// Events.
    pub(crate) events: events::Instruments,
    /// Rules.
    pub rules: rules::Instruments,
    /// Reloads of the configuration.
    pub reload: reload::Instruments,
    /// What is sent on.
    pub(crate) remote_write: remote_write::Instruments,
    /// Scrapes.
    pub scrapes: crate::scrape::Instruments,
    store: StoreGauges,
}

/// The memory budget and what draws from it.
#[derive(Debug)]
struct MemoryGauges {
    budget: Gauge,
    resident: Gauge,
    accounts: Family<Gauge, 1>,
    drift: Gauge,
    shedding: Family<Gauge, 1>,
}

/// The store's own figures, set at each tick from one snapshot.
#[derive(Debug)]
struct StoreGauges {
    late_bytes: Gauge,
    series: Gauge,
    series_limit: Gauge,
    bytes: Family<Gauge, 1>,
    blocks: Gauge,
    set_aside: Gauge,
    cache_bytes: Gauge,
    pending_bytes: Gauge,
    exemplars: Gauge,
}

impl Telemetry {
    /// Registers everything.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub fn register() -> Result<Self, Error> {
        let registry = Registry::new();
        let ingested = registry
            .counter("barograph_ingest_samples_total")
            .help("Samples stored, by where they came from.")
            .family(["source"])?;
        let info = registry
            .gauge("barograph_build_info")
            .help("Always 1; the labels tell the build.")
            .label("version", crate::VERSION)
            .register()?;
        info.set(1.0);
        Ok(Self {
            commit_duration: registry
                .histogram("barograph_wal_fsync_duration")
                .unit(Unit::Seconds)
                .help("Time a group commit of the write-ahead log took.")
                .register()?,
            commit_failures: registry
                .counter("barograph_wal_commit_failures_total")
                .help("Group commits that failed.")
                .register()?,
            maintenance_failures: registry
                .counter("barograph_maintenance_failures_total")
                .help("Rounds of store maintenance that failed.")
                .register()?,
            memory_steps: registry
                .counter("barograph_memory_steps_total")
                .help("Steps taken because memory was short, by step.")
                .family(["step"])?,
            memory: MemoryGauges {
                budget: registry
                    .gauge("barograph_memory_budget")
                    .unit(Unit::Bytes)
                    .help("Memory that everything together may use.")
                    .register()?,
                resident: registry
                    .gauge("barograph_memory_resident")
                    .unit(Unit::Bytes)
                    .help("Anonymous resident memory of the process.")
                    .register()?,
                accounts: registry
                    .gauge("barograph_memory_account")
                    .unit(Unit::Bytes)
                    .help("Memory in use, by what for.")
                    .family(["account"])?,
                drift: registry
                    .gauge("barograph_memory_drift")
                    .unit(Unit::Ratio)
                    .help("Resident memory over the sum of the accounts, less one.")
                    .register()?,
                shedding: registry
                    .gauge("barograph_memory_shedding")
                    .help("1 while a step is taken because memory is short, by step.")
                    .family(["step"])?,
            },
            stored: Origin::ALL.map(|origin| ingested.with([origin.as_str()])),
            influx_texts: registry
                .counter("barograph_influx_texts_skipped_total")
                .help("Fields of InfluxDB lines that were passed over because they are texts.")
                .register()?,
            late: registry
                .counter("barograph_ingest_late_samples_total")
                .help("Samples stored that came late: older than the last of their series.")
                .register()?,
            rejected: registry
                .counter("barograph_ingest_rejected_samples_total")
                .help("Samples refused, by reason.")
                .family(["reason"])?,
            overflow: registry
                .counter("barograph_overflow_samples_total")
                .help("Samples of series over a limit, by metric and label whose value became __overflow__.")
                .family(["metric", "label"])?,
            overflow_merged: registry
                .counter("barograph_overflow_samples_merged_total")
                .help("Samples not kept because their overflow series had one of that time or later.")
                .register()?,
            queries: registry
                .counter("barograph_queries_total")
                .help("Queries answered, by outcome.")
                .family(["outcome"])?,
            query_duration: registry
                .histogram("barograph_query_duration")
                .unit(Unit::Seconds)
                .help("Time a query took, waiting for its turn included.")
                .register()?,
            query_samples: registry
                .counter("barograph_query_samples_total")
                .help("Samples read by queries.")
                .register()?,
            query_refused: registry
                .counter("barograph_query_limits_total")
                .help("Queries refused or stopped at a limit, by limit.")
                .family(["limit"])?,
            requests_limited: registry
                .counter("barograph_http_requests_limited_total")
                .help("Requests refused because their address asked too often.")
                .register()?,
            auth: auth::Instruments::register(&registry)?,
            transactions: Transactions::register(&registry)?,
            query_slow: registry
                .counter("barograph_query_slow_total")
                .help("Queries slower than the setting query.slow.")
                .register()?,
            queries_running: registry
                .gauge("barograph_queries_running")
                .help("Queries that have a turn.")
                .register()?,
            queries_waiting: registry
                .gauge("barograph_queries_waiting")
                .help("Queries that wait for a turn.")
                .register()?,
            requests: registry
                .counter("barograph_http_requests_total")
                .help("HTTP requests answered, by route and status.")
                .family(["route", "status"])?,
            request_duration: registry
                .histogram("barograph_http_request_duration")
                .unit(Unit::Seconds)
                .help("Time until the head of an answer was ready.")
                .family(["route"])?,
            in_flight: registry
                .up_down_counter("barograph_http_requests_in_flight")
                .help("HTTP requests being answered.")
                .register()?,
            storage: Instruments::register(&registry)?,
            results: results::Instruments::register(&registry)?,
            events: events::Instruments::register(&registry)?,
            rules: rules::Instruments::register(&registry)?,
            reload: reload::Instruments::register(&registry)?,
            remote_write: remote_write::Instruments::register(&registry)?,
            scrapes: crate::scrape::Instruments::register(&registry)?,
            store: StoreGauges {
                late_bytes: registry
                    .gauge("barograph_head_late")
                    .unit(Unit::Bytes)
                    .help("Bytes of late samples that wait to be put into a block.")
                    .register()?,
                series: registry
                    .gauge("barograph_head_series")
                    .help("Series that have samples in memory.")
                    .register()?,
                series_limit: registry
                    .gauge("barograph_series_limit")
                    .help("Series that may have samples in memory.")
                    .register()?,
                bytes: registry
                    .gauge("barograph_storage")
                    .unit(Unit::Bytes)
                    .help("Bytes on disk, by what they hold.")
                    .family(["kind"])?,
                blocks: registry.gauge("barograph_storage_blocks").help("Blocks on disk.").register()?,
                set_aside: registry
                    .gauge("barograph_storage_files_set_aside")
                    .help("Files set aside because their bytes were not what was written.")
                    .register()?,
                pending_bytes: registry
                    .gauge("barograph_wal_pending")
                    .unit(Unit::Bytes)
                    .help("Bytes that wait for the next group commit.")
                    .register()?,
                exemplars: registry.gauge("barograph_exemplars").help("Exemplars in memory.").register()?,
                cache_bytes: registry
                    .gauge("barograph_block_cache")
                    .unit(Unit::Bytes)
                    .help("Bytes of blocks held in memory.")
                    .register()?,
            },
            registry,
        })
    }

    /// Counts what became of rows.
    pub fn appended(&self, origin: Origin, appended: &Appended) {
        self.stored[origin as usize].add(appended.stored as u64);
        self.late.add(appended.late as u64);
        for rejected in &appended.rejected {
            self.rejected.with([rejected.reason.as_str()]).inc();
        }
    }

    /// Counts a sample that was refused before it was read.
    pub fn rejected(&self, reason: Reason) {
        self.rejected.with([reason.as_str()]).inc();
    }

    /// Counts a query that met a limit.
    pub fn query_refused(&self, limit: &str) {
        self.query_refused.with([limit]).inc();
    }

    /// Takes over how many queries run and wait.
    pub fn observe_queries(&self, running: usize, waiting: usize) {
        self.queries_running.set(running as f64);
        self.queries_waiting.set(waiting as f64);
    }

    /// Counts a query.
    pub fn queried(&self, took: Duration, samples: u64, outcome: &str) {
        self.queries.with([outcome]).inc();
        self.query_duration.record(took.as_secs_f64());
        self.query_samples.add(samples);
    }

    /// Counts an answer.
    pub fn answered(&self, route: &str, status: u16, took: Duration) {
        self.requests.with([route, &status.to_string()]).inc();
        self.request_duration.with([route]).record(took.as_secs_f64());
    }

    /// Takes over what memory is used for.
    pub fn observe_memory(&self, memory: &Memory) {
        let seen = memory.seen();
        self.memory.budget.set(memory.budget() as f64);
        self.memory.resident.set(seen.resident as f64);
        self.memory.drift.set(seen.drift());
        for (account, bytes) in seen.accounts() {
            self.memory.accounts.with([account]).set(bytes as f64);
        }
        for step in Step::ALL {
            self.memory.shedding.with([step.as_str()]).set(f64::from(u8::from(memory.sheds(step))));
        }
    }

    /// Takes over who overflowed.
    pub fn observe_overflow(&self, overflows: &[Overflow]) {
        for overflow in overflows {
            // One metric and label may be over more than one limit.
            let same =
                |other: &&Overflow| (&other.metric, &other.label) == (&overflow.metric, &overflow.label);
            let samples = overflows.iter().filter(same).map(|other| other.samples).sum();
            raise(self.overflow.with([&overflow.metric, &overflow.label]), samples);
        }
    }

    /// Takes over the store's figures.
    pub fn observe_store(&self, stats: &Stats, levels: &[Level]) {
        self.storage.observe_log(stats);
        self.store.late_bytes.set(stats.late_bytes as f64);
        self.store.series.set(stats.series as f64);
        self.store.series_limit.set(stats.series_max as f64);
        raise(self.overflow_merged, stats.overflow_merged);
        self.store.blocks.set(stats.blocks as f64);
        self.store.cache_bytes.set(stats.cache_bytes as f64);
        self.store.set_aside.set(stats.set_aside as f64);
        self.store.pending_bytes.set(stats.wal_pending_bytes as f64);
        self.store.exemplars.set(stats.exemplars as f64);
        self.store.bytes.with(["wal"]).set(stats.wal_bytes as f64);
        for level in levels {
            self.store.bytes.with([level.tier.as_str()]).set(level.bytes as f64);
        }
    }
}

/// Raises a counter to a total that was counted elsewhere.
pub(crate) fn raise(counter: Counter, total: u64) {
    counter.add(total.saturating_sub(counter.value()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_valid_and_unique() {
        assert!(Telemetry::register().is_ok());
    }
}
