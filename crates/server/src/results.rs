//! Results of range queries that are kept to be used again: the cache of the query engine, with its share of memory, its
//! clock and its figures.

use std::time::Duration;

use barograph::{Counter, Error, Family, Gauge, Registry, Unit};
use barograph_model::Timestamp;
use barograph_query::{Cache, CacheCounts, Reuse};
use barograph_tsdb::Stats;
use serde_json::{Value, json};

use crate::{config, memory::results_share, telemetry::raise};

/// Samples that are older than this when they come count as a change of what is kept; nearly all are younger.
const SETTLED_AFTER: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Debug)]
pub struct Results {
    cache: Cache,
    bytes_max: usize,
}

impl Results {
    /// As many bytes as are set, or their share of the memory budget.
    pub(crate) fn new(settings: &config::Query, budget: u64) -> Self {
        let set = settings.cache.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let bytes_max = set.unwrap_or_else(|| results_share(budget));
        Self { cache: Cache::new(bytes_max), bytes_max }
    }

    /// The cache as one question uses it that is asked now.
    pub(crate) fn reuse(&self, now: Timestamp) -> Reuse<'_> {
        let after = i64::try_from(SETTLED_AFTER.as_millis()).unwrap_or(i64::MAX);
        Reuse::new(&self.cache, now.saturating_add(-after))
    }

    /// Bytes that are kept now.
    pub(crate) fn bytes(&self) -> usize {
        self.cache.counts().bytes
    }

    /// Shrinks to an eighth while memory is short.
    pub(crate) fn shrink(&self, short: bool) {
        self.cache.limit(if short { self.bytes_max / 8 } else { self.bytes_max });
    }

    /// The cache in numbers.
    pub fn counts(&self) -> CacheCounts {
        self.cache.counts()
    }

    /// The cache in numbers, as documents of our API have it. The rate is null before the first query.
    pub(crate) fn document(&self) -> Value {
        let counts = self.counts();
        let asked = counts.hits + counts.misses;
        json!({
            "hits": counts.hits,
            "misses": counts.misses,
            "hit_rate": (asked > 0).then(|| counts.hits as f64 / asked as f64),
            "steps_kept": counts.steps_kept,
            "steps_evaluated": counts.steps_evaluated,
            "pieces": counts.pieces,
            "bytes": counts.bytes,
            "bytes_max": counts.bytes_max,
            "evicted": counts.evicted,
            "changed": counts.changed,
        })
    }
}

/// What the server measures of its results.
#[derive(Debug)]
pub struct Instruments {
    requests: Family<Counter, 1>,
    steps: Family<Counter, 1>,
    gone: Family<Counter, 1>,
    forgotten: Counter,
    bytes: Gauge,
    bytes_max: Gauge,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            requests: registry
                .counter("barograph_query_cache_requests_total")
                .help("Range queries that results may be kept of, by whether some were there.")
                .family(["outcome"])?,
            steps: registry
                .counter("barograph_query_cache_steps_total")
                .help("Steps of these queries, by whether they were kept or had to be evaluated.")
                .family(["outcome"])?,
            gone: registry
                .counter("barograph_query_cache_evictions_total")
                .help("Pieces of results that went: for want of room, or because samples were changed.")
                .family(["cause"])?,
            forgotten: registry
                .counter("barograph_query_cache_resets_total")
                .help("Times when all results from before were given up because too much was changed to note it.")
                .register()?,
            bytes: registry
                .gauge("barograph_query_cache")
                .unit(Unit::Bytes)
                .help("Bytes of results that are kept.")
                .register()?,
            bytes_max: registry
                .gauge("barograph_query_cache_limit")
                .unit(Unit::Bytes)
                .help("Bytes of results that may be kept now.")
                .register()?,
        })
    }

    /// Takes over the figures of the cache, and how often the store forgot what was changed.
    pub fn observe(&self, counts: &CacheCounts, store: &Stats) {
        raise(self.requests.with(["hit"]), counts.hits);
        raise(self.requests.with(["miss"]), counts.misses);
        raise(self.steps.with(["kept"]), counts.steps_kept);
        raise(self.steps.with(["evaluated"]), counts.steps_evaluated);
        raise(self.gone.with(["room"]), counts.evicted);
        raise(self.gone.with(["changed"]), counts.changed);
        raise(self.forgotten, store.changes_forgotten);
        self.bytes.set(counts.bytes as f64);
        self.bytes_max.set(counts.bytes_max as f64);
    }
}
