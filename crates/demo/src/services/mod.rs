//! The services of the shop: what each has, measures and answers.
//!
//! Each instance of a service stands for a process of its own: it has a [`Registry`] and instruments in it, as any
//! program that links the SDK. What it does is decided here; how long it takes is played by whoever runs the shop,
//! as [`Call`]s: in real time, or all at once for the hours before the start.

mod cache;
mod cart;
mod catalogue;
mod feed;
pub(crate) mod gateway;
mod payment;
mod worker;

use std::time::Duration;

use barograph::{Error, FloatCounter, Gauge, Outcome, Registry, Requests, Unit};

pub(crate) use self::{
    cache::Cache, cart::Cart, catalogue::Catalogue, feed::Feed, gateway::Gateway, payment::Payment,
    worker::Worker,
};
use crate::{days::Moment, faults::Faults, random::Random};

/// What services look at when they decide: the hour, what is broken, and chance.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) faults: Faults,
    pub(crate) random: Random,
}

impl World {
    /// The time of some work: around `median` seconds, more when the shop is busy.
    pub(crate) fn work(&mut self, median: f64, spread: f64) -> f64 {
        let busy = 1.0 + 0.35 * (self.now.load() - 1.0);
        self.random.log_normal(median * busy, spread)
    }
}

/// Who an instance is. The server learns it from the list of targets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    pub(crate) job: &'static str,
    pub(crate) instance: String,
    pub(crate) version: &'static str,
}

/// What every instance has.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) identity: Identity,
    pub(crate) registry: Registry,
    memory: Gauge,
    cpu: FloatCounter,
    /// The memory it has when nothing happens, in bytes.
    resting: f64,
}

impl Process {
    fn new(job: &'static str, number: usize, version: &'static str, resting_mib: f64) -> Result<Self, Error> {
        let registry = Registry::new();
        let memory =
            registry.gauge("service.memory").unit(Unit::Bytes).help("Resident memory.").register()?;
        let cpu =
            registry.float_counter("service.cpu").unit(Unit::Seconds).help("CPU time used.").register()?;
        let identity = Identity { job, instance: format!("{job}-{number}"), version };
        Ok(Self { identity, registry, memory, cpu, resting: resting_mib * 1_048_576.0 })
    }

    /// A second went by, in which this much memory was needed besides and so much of a core was used.
    fn second(&self, world: &mut World, more: f64, cores: f64) {
        let breathing = 1.0 + 0.06 * (world.now.load() - 1.0) + 0.004 * world.random.normal();
        self.memory.set((self.resting * breathing + more).max(0.0));
        self.cpu.add(cores * world.now.load() * world.random.between(0.8, 1.2));
    }
}

/// A request to a service, decided but not yet played.
#[derive(Debug)]
pub(crate) struct Call {
    requests: Requests,
    method: &'static str,
    route: &'static str,
    status: u16,
    /// When it comes, after the visit began.
    begins: Duration,
    /// How long it takes.
    takes: Duration,
}

impl Call {
    /// Records it as one that is over.
    pub(crate) fn play_at_once(&self) {
        self.requests.record(self.method, self.route, self.status, self.takes);
    }

    /// Lets it happen: it is in flight while it lasts.
    pub(crate) async fn play(self) {
        tokio::time::sleep(self.begins).await;
        let request = self.requests.begin(self.method, self.route);
        tokio::time::sleep(self.takes).await;
        request.finish(Outcome::Status(self.status));
    }
}

/// A request with the ones it leads to, as it is decided.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) calls: Vec<Call>,
}

/// What a service answered, as its caller sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Seconds from the request to the answer.
    pub(crate) took: f64,
}

impl Visit {
    /// Notes a request that comes `at` seconds after the visit began.
    fn call(
        &mut self,
        requests: &Requests,
        method: &'static str,
        route: &'static str,
        at: f64,
        reply: Reply,
    ) -> Reply {
        self.calls.push(Call {
            requests: requests.clone(),
            method,
            route,
            status: reply.status,
            begins: Duration::from_secs_f64(at),
            takes: Duration::from_secs_f64(reply.took),
        });
        reply
    }
}
