//! The catalogue: lists, products and search, with a cache in front of its database.

use barograph::{Counter, Error, Requests};

use super::{Cache, Process, Reply, Visit, World};
use crate::faults::Fault;

/// The version that runs.
const STABLE: &str = "1.4.2";
/// The version that is tried now and then.
const NEXT: &str = "1.5.0";

/// One version of the catalogue on one instance.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) process: Process,
    requests: Requests,
    database: Counter,
}

/// Both instances of the catalogue, the second in two versions of which one runs.
#[derive(Debug)]
pub(crate) struct Catalogue {
    first: Release,
    second: Release,
    next: Release,
    cache: Cache,
}

impl Release {
    fn new(number: usize, version: &'static str) -> Result<Self, Error> {
        let process = Process::new("catalogue", number, version, 140.0)?;
        let registry = &process.registry;
        let database = registry
            .counter("catalogue_database_queries_total")
            .help("Queries that the cache could not answer.")
            .register()?;
        Ok(Self { requests: Requests::register(registry)?, database, process })
    }

    fn is_next(&self) -> bool {
        self.process.identity.version == NEXT
    }
}

impl Catalogue {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            first: Release::new(0, STABLE)?,
            second: Release::new(1, STABLE)?,
            next: Release::new(1, NEXT)?,
            cache: Cache::new()?,
        })
    }

    /// A page of products.
    pub(crate) fn list(&self, world: &mut World, visit: &mut Visit, at: f64) -> Reply {
        let release = self.any(world);
        let took = self.look_up(world, release, "lists", 0.012);
        self.answer(world, release, visit, ("GET", "/products"), at, Reply { status: 200, took })
    }

    /// One product; some are gone.
    pub(crate) fn product(&self, world: &mut World, visit: &mut Visit, at: f64) -> Reply {
        let release = self.any(world);
        let took = self.look_up(world, release, "products", 0.009);
        let status = if world.random.chance(0.015) { 404 } else { 200 };
        self.answer(world, release, visit, ("GET", "/products/{id}"), at, Reply { status, took })
    }

    /// A search, which no cache can answer.
    pub(crate) fn search(&self, world: &mut World, visit: &mut Visit, at: f64) -> Reply {
        let release = self.any(world);
        release.database.inc();
        let broken = 0.5 * world.faults.strength(Fault::SearchErrors, world.now);
        let (status, median) = if world.random.chance(broken) { (500, 0.006) } else { (200, 0.045) };
        let took = world.work(median, 0.5);
        self.answer(world, release, visit, ("GET", "/search"), at, Reply { status, took })
    }

    pub(crate) fn second(&self, world: &mut World) {
        for release in self.running(world) {
            release.process.second(world, 0.0, 0.06);
        }
        self.cache.second(world);
    }

    /// The releases that run, without the cache.
    pub(crate) fn running(&self, world: &World) -> [&Release; 2] {
        let tried = world.faults.strength(Fault::Rollout, world.now) > 0.0;
        [&self.first, if tried { &self.next } else { &self.second }]
    }

    /// All that ever runs.
    pub(crate) fn processes(&self) -> [&Process; 4] {
        [&self.first.process, &self.second.process, &self.next.process, &self.cache.process]
    }

    fn any(&self, world: &mut World) -> &Release {
        let running = self.running(world);
        running[usize::from(world.random.chance(0.5))]
    }

    fn look_up(&self, world: &mut World, release: &Release, what: &'static str, median: f64) -> f64 {
        let asked = world.work(0.002, 0.25);
        if self.cache.hit(world, what) {
            return asked;
        }
        release.database.inc();
        asked + world.work(median, 0.45)
    }

    /// The answer, as the release gives it.
    fn answer(
        &self,
        world: &mut World,
        release: &Release,
        visit: &mut Visit,
        (method, route): (&'static str, &'static str),
        at: f64,
        mut reply: Reply,
    ) -> Reply {
        if release.is_next() {
            reply.took *= 2.4;
            if world.random.chance(0.04) {
                reply.status = 500;
            }
        }
        visit.call(&release.requests, method, route, at, reply)
    }
}
