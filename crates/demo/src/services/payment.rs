//! Payments, for which a bank is asked.

use barograph::{Counter, Error, Family, Histogram, Requests, Unit};

use super::{Process, Reply, Visit, World};
use crate::faults::Fault;

/// How long the bank is waited for, in seconds.
const PATIENCE: f64 = 2.4;

#[derive(Debug)]
pub(crate) struct Payment {
    pub(crate) process: Process,
    requests: Requests,
    payments: Family<Counter, 2>,
    amounts: Histogram,
}

impl Payment {
    pub(crate) fn new() -> Result<Self, Error> {
        let process = Process::new("payment", 0, "1.9.4", 96.0)?;
        let registry = &process.registry;
        let payments = registry
            .counter("payments_total")
            .help("Payments, by means and by what came of them.")
            .family(["means", "outcome"])?;
        let amounts = registry
            .histogram("payment.amount")
            .unit(Unit::Custom("euros"))
            .help("What was asked for.")
            .bounds(&[5.0, 10.0, 25.0, 50.0, 100.0, 250.0])
            .register()?;
        Ok(Self { requests: Requests::register(registry)?, payments, amounts, process })
    }

    /// Asks the bank for money.
    pub(crate) fn charge(&self, world: &mut World, visit: &mut Visit, at: f64) -> Reply {
        let means = ["card", "transfer", "voucher"][world.random.choose(&[0.7, 0.2, 0.1])];
        self.amounts.record(world.random.log_normal(32.0, 0.8));
        let slow = world.faults.strength(Fault::SlowPayment, world.now);
        let bank = world.work(0.085, 0.3) + slow * world.random.log_normal(1.1, 0.5);
        let declined = world.random.chance(0.04);
        let (status, outcome) = match bank {
            late if late > PATIENCE => (504, "timeout"),
            _ if declined => (402, "declined"),
            _ => (200, "paid"),
        };
        self.payments.with([means, outcome]).inc();
        visit.call(&self.requests, "POST", "/charge", at, Reply { status, took: bank.min(PATIENCE) })
    }

    pub(crate) fn second(&self, world: &mut World) {
        self.process.second(world, 0.0, 0.02);
    }
}
