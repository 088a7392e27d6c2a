//! The worker: takes orders from a queue and brings them through three steps, from importer to exporter.

use barograph::{Counter, Error, Family, Gauge, Histogram, Unit};

use super::{Process, World};
use crate::{faults::Fault, random::whole};

/// The most orders that wait, as seconds of visits.
const QUEUE: f64 = 9.0;

/// The steps an order goes through, with the time a batch of them takes, in seconds.
const STEPS: [(&str, f64); 3] = [("importer", 0.03), ("processor", 0.07), ("exporter", 0.05)];

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) process: Process,
    depth: Gauge,
    orders: Family<Counter, 1>,
    durations: Family<Histogram, 1>,
    volume: Family<Counter, 1>,
    waiting: u64,
    room: u64,
    rate: f64,
}

impl Worker {
    /// For a shop with so many visits a second on average.
    pub(crate) fn new(rate: f64) -> Result<Self, Error> {
        let process = Process::new("worker", 0, "0.8.1", 120.0)?;
        let registry = &process.registry;
        let capacity =
            registry.gauge("worker_queue_capacity").help("The most orders that wait.").register()?;
        let room = whole(QUEUE * rate).max(20);
        capacity.set(room as f64);
        let depth = registry.gauge("worker_queue_depth").help("Orders that wait.").register()?;
        let orders = registry
            .counter("worker_orders_total")
            .help("Orders, by what became of them.")
            .family(["outcome"])?;
        let durations = registry
            .histogram("worker.step.duration")
            .unit(Unit::Seconds)
            .help("Time a batch of orders takes in a step.")
            .family(["step"])?;
        let volume = registry
            .counter("worker.step.volume")
            .unit(Unit::Bytes)
            .help("Data that a step was given.")
            .family(["step"])?;
        Ok(Self { depth, orders, durations, volume, waiting: 0, room, rate, process })
    }

    /// An order comes; one too many is refused.
    pub(crate) fn order(&mut self) {
        if self.waiting < self.room {
            self.waiting += 1;
        } else {
            self.orders.with(["refused"]).inc();
        }
    }

    /// A second's work.
    pub(crate) fn second(&mut self, world: &mut World) {
        // Besides what visitors buy, the suppliers send.
        for _ in 0..world.random.poisson(0.12 * self.rate * world.now.load()) {
            self.order();
        }
        let stalled = world.faults.strength(Fault::FullQueue, world.now);
        let able = 0.55 * self.rate * (1.0 - 0.97 * stalled) + world.random.unit();
        let batch = self.waiting.min(whole(able));
        if batch > 0 {
            self.waiting -= batch;
            self.orders.with(["done"]).add(batch);
            for (step, median) in STEPS {
                let slower = if step == "exporter" { 1.0 + 18.0 * stalled } else { 1.0 };
                self.durations.with([step]).record(slower * world.work(median, 0.3));
                self.volume.with([step]).add(batch * whole(world.random.between(1_500.0, 2_500.0)));
            }
        }
        self.depth.set(self.waiting as f64);
        self.process.second(world, self.waiting as f64 * 65_536.0, 0.05);
    }
}
