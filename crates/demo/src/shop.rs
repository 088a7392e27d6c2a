//! The shop as a whole: what happens in it from one moment to the next.
//!
//! [`Shop::advance`] goes through everything that happens until a time, in order: visits, which come at random as
//! often as the hour says, and what services do every second. The same seed gives the same visits at the same times
//! after the start, in whichever steps the time goes on.

use std::time::Duration;

use barograph::Error;
use barograph_model::Timestamp;

use crate::{
    days::{Days, Moment},
    faults::{Fault, Faults},
    random::Random,
    services::{
        Call, Cart, Catalogue, Feed, Gateway, Payment, Process, Visit, Worker, World, gateway::Behind,
    },
};

/// The shop, and how far its time has gone.
#[derive(Debug)]
pub(crate) struct Shop {
    days: Days,
    world: World,
    /// Visits a second, on the average of a day.
    rate: f64,
    gateways: [Gateway; 2],
    catalogue: Catalogue,
    cart: Cart,
    payment: Payment,
    worker: Worker,
    feed: Feed,
    /// Milliseconds of the next visit, with their fractions, and of the next full second.
    next_visit: f64,
    next_second: Timestamp,
}

impl Shop {
    /// The shop as it stands at `from`, when nothing has happened yet.
    pub(crate) fn new(seed: u64, rate: f64, days: Days, from: Timestamp) -> Result<Self, Error> {
        let world = World { now: days.at(from), faults: Faults::new(seed), random: Random::new(seed) };
        let mut shop = Self {
            days,
            world,
            rate,
            gateways: [Gateway::new(0)?, Gateway::new(1)?],
            catalogue: Catalogue::new()?,
            cart: Cart::new()?,
            payment: Payment::new()?,
            worker: Worker::new(rate)?,
            feed: Feed::new(rate)?,
            next_visit: from.millis() as f64,
            next_second: from,
        };
        shop.plan_visit();
        Ok(shop)
    }

    /// All that happens before `until`; `play` gets the requests of visits.
    pub(crate) fn advance(&mut self, until: Timestamp, mut play: impl FnMut(Call)) {
        loop {
            let second = self.next_second.millis() as f64;
            if self.next_visit.min(second) >= until.millis() as f64 {
                break;
            }
            if second <= self.next_visit {
                self.world.now = self.days.at(self.next_second);
                self.second();
                self.next_second = self.next_second.saturating_add(1000);
            } else {
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
                let at = Timestamp(self.next_visit as i64);
                self.world.now = self.days.at(at);
                self.visit().into_iter().for_each(&mut play);
                self.plan_visit();
            }
        }
        self.world.now = self.days.at(until);
    }

    /// What is wrong.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.world.faults.progress(self.world.now).map(|(fault, _)| fault)
    }

    /// Everything that ever runs.
    pub(crate) fn processes(&self) -> Vec<&Process> {
        let gateways = self.gateways.iter().map(|gateway| &gateway.process);
        let others = [&self.cart.process, &self.payment.process, &self.worker.process, &self.feed.process];
        gateways.chain(self.catalogue.processes()).chain(others).collect()
    }

    /// Whether a process runs now.
    pub(crate) fn runs(&self, process: &Process) -> bool {
        let running = self.catalogue.running(&self.world);
        let mut releases = self.catalogue.processes().into_iter().take(3);
        let is = |one: &Process| std::ptr::eq(one, process);
        !releases.any(is) || running.iter().any(|release| is(&release.process))
    }

    fn plan_visit(&mut self) {
        self.next_visit += 1000.0 * self.world.random.gap(self.rate * Moment::LOAD_MAX);
    }

    /// A visitor comes, if the hour is busy enough for this one.
    fn visit(&mut self) -> Vec<Call> {
        let mut visit = Visit::default();
        if self.world.random.chance(self.world.now.load() / Moment::LOAD_MAX) {
            let gateway = &self.gateways[usize::from(self.world.random.chance(0.5))];
            let behind = Behind { catalogue: &self.catalogue, cart: &self.cart, payment: &self.payment };
            let orders = gateway.visit(&mut self.world, &behind, &mut visit);
            (0..orders).for_each(|_| self.worker.order());
        }
        visit.calls
    }

    fn second(&mut self) {
        let world = &mut self.world;
        self.gateways.iter().for_each(|gateway| gateway.second(world));
        self.catalogue.second(world);
        self.cart.second(world);
        self.payment.second(world);
        self.worker.second(world);
        self.feed.second(world);
    }
}

/// How much time goes on at once while the shop is open.
pub(crate) const STEP: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use barograph::exposition::Format;

    const START: Timestamp = Timestamp(1_700_000_000_000);

    /// What all instances measured after ten minutes in steps of this many milliseconds.
    fn after(seed: u64, step: i64) -> Vec<String> {
        let days = Days::new(START, Duration::from_secs(1200));
        let mut shop = Shop::new(seed, 20.0, days, START).unwrap();
        for i in 1..=600_000 / step {
            shop.advance(START.saturating_add(i * step), |call| call.play_at_once());
        }
        shop.processes().iter().map(|process| process.registry.expose(Format::Text004)).collect()
    }

    #[test]
    fn a_seed_means_the_same_shop() {
        let coarse = after(3, 60_000);
        assert_eq!(coarse, after(3, 1_000));
        assert_ne!(coarse, after(4, 60_000));
    }

    #[test]
    fn every_service_has_something_to_tell() {
        let days = Days::new(START, Duration::from_secs(1200));
        let mut shop = Shop::new(1, 20.0, days, START).unwrap();
        let mut faults = Vec::new();
        let mut tried = false;
        for second in 1..=1200 {
            shop.advance(START.saturating_add(second * 1000), |call| call.play_at_once());
            let next = shop.processes()[4];
            assert_eq!(next.identity.version, "1.5.0");
            tried |= shop.runs(next);
            faults.extend(shop.fault().filter(|fault| faults.last() != Some(fault)));
        }
        assert!(tried && faults.len() >= Fault::ALL.len(), "{faults:?}");
        for process in shop.processes() {
            let text = process.registry.expose(Format::Text004);
            assert!(text.contains("service_memory_bytes ") && !text.contains("overflow"), "{text}");
        }
        let worker = shop.processes()[8].registry.expose(Format::Text004);
        assert!(worker.contains("worker_orders_total{outcome=\"refused\"}"), "{worker}");
    }
}
