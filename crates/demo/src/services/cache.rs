//! The cache that the instances of the catalogue share.

use barograph::{Counter, Error, Family, Gauge};

use super::{Process, World};
use crate::{faults::Fault, random::whole};

#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) process: Process,
    hits: Family<Counter, 1>,
    misses: Family<Counter, 1>,
    evictions: Family<Counter, 1>,
    entries: Gauge,
}

impl Cache {
    pub(crate) fn new() -> Result<Self, Error> {
        let process = Process::new("cache", 0, "7.2.4", 256.0)?;
        let registry = &process.registry;
        let hits =
            registry.counter("cache_hits_total").help("Look-ups that found something.").family(["cache"])?;
        let misses =
            registry.counter("cache_misses_total").help("Look-ups that found nothing.").family(["cache"])?;
        let evictions = registry
            .counter("cache_evictions_total")
            .help("Entries taken out, by cause.")
            .family(["cause"])?;
        let entries = registry.gauge("cache_entries").help("Entries held.").register()?;
        Ok(Self { hits, misses, evictions, entries, process })
    }

    /// Whether it has something. A new version of the catalogue asks for other keys, so it finds less.
    pub(crate) fn hit(&self, world: &mut World, cache: &'static str) -> bool {
        let ratio =
            0.92 - 0.08 * (world.now.load() - 1.0) - 0.35 * world.faults.strength(Fault::Rollout, world.now);
        let hit = world.random.chance(ratio);
        if hit { &self.hits } else { &self.misses }.with([cache]).inc();
        hit
    }

    pub(crate) fn second(&self, world: &mut World) {
        let load = world.now.load();
        self.entries.set(whole(18_000.0 + 5_000.0 * load + 120.0 * world.random.normal()) as f64);
        self.evictions.with(["size"]).add(world.random.poisson(2.0 * load));
        self.evictions.with(["expired"]).add(world.random.poisson(0.8));
        self.process.second(world, 0.0, 0.03);
    }
}
