//! The cart: what visitors are about to buy. Its memory leaks now and then, and it is restarted.

use barograph::{Counter, Error, Family, Requests};

use super::{Payment, Process, Reply, Visit, World};
use crate::faults::Fault;

/// The most bytes it leaks before it is restarted.
const LEAK: f64 = 700.0 * 1_048_576.0;

#[derive(Debug)]
pub(crate) struct Cart {
    pub(crate) process: Process,
    requests: Requests,
    checkouts: Family<Counter, 1>,
}

impl Cart {
    pub(crate) fn new() -> Result<Self, Error> {
        let process = Process::new("cart", 0, "3.1.0", 180.0)?;
        let checkouts = process
            .registry
            .counter("cart_checkouts_total")
            .help("Carts taken to the till, by what came of it.")
            .family(["outcome"])?;
        Ok(Self { requests: Requests::register(&process.registry)?, checkouts, process })
    }

    /// Something is put into it.
    pub(crate) fn add(&self, world: &mut World, visit: &mut Visit, at: f64) -> Reply {
        let took = self.work(world, 0.006);
        let status = if world.random.chance(0.004) { 409 } else { 200 };
        visit.call(&self.requests, "POST", "/items", at, Reply { status, took })
    }

    /// It is paid.
    pub(crate) fn checkout(&self, world: &mut World, visit: &mut Visit, at: f64, payment: &Payment) -> Reply {
        let own = self.work(world, 0.012);
        let paid = payment.charge(world, visit, at + own / 2.0);
        let outcome = match paid.status {
            200 => "paid",
            402 => "declined",
            _ => "failed",
        };
        self.checkouts.with([outcome]).inc();
        let reply = Reply { status: paid.status, took: own + paid.took };
        visit.call(&self.requests, "POST", "/checkout", at, reply)
    }

    pub(crate) fn second(&self, world: &mut World) {
        let leaked = self.leak(world) * LEAK;
        self.process.second(world, leaked, 0.04);
    }

    /// How much of the leak there is, from 0 to 1.
    fn leak(&self, world: &World) -> f64 {
        world
            .faults
            .progress(world.now)
            .filter(|(fault, _)| *fault == Fault::MemoryLeak)
            .map_or(0.0, |(_, far)| far)
    }

    /// The fuller the memory, the slower.
    fn work(&self, world: &mut World, median: f64) -> f64 {
        let slower = 1.0 + 2.5 * self.leak(world).powi(2);
        slower * world.work(median, 0.35)
    }
}
