//! The gateway: where visitors come in, and from where the other services are asked.

use barograph::{Error, Requests};

use super::{Cart, Catalogue, Payment, Process, Reply, Visit, World};

/// After so many seconds the gateway answers for a service that does not.
const PATIENCE: f64 = 3.0;

/// What is asked of it, and how often: pages and actions of a shop.
const WEIGHTS: [f64; 5] = [0.34, 0.3, 0.16, 0.13, 0.07];

#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) process: Process,
    requests: Requests,
}

/// What the gateway can reach.
pub(crate) struct Behind<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) cart: &'a Cart,
    pub(crate) payment: &'a Payment,
}

impl Gateway {
    pub(crate) fn new(number: usize) -> Result<Self, Error> {
        let process = Process::new("gateway", number, "2.3.0", 64.0)?;
        Ok(Self { requests: Requests::register(&process.registry)?, process })
    }

    /// A visitor asks for something. Returns the orders that came of it.
    pub(crate) fn visit(&self, world: &mut World, behind: &Behind<'_>, visit: &mut Visit) -> u64 {
        let own = world.work(0.003, 0.3);
        let at = own / 2.0;
        let (method, route, reply) = match world.random.choose(&WEIGHTS) {
            0 => ("GET", "/", behind.catalogue.list(world, visit, at)),
            1 => ("GET", "/products/{id}", behind.catalogue.product(world, visit, at)),
            2 => ("GET", "/search", behind.catalogue.search(world, visit, at)),
            3 => ("POST", "/cart", behind.cart.add(world, visit, at)),
            _ => ("POST", "/checkout", behind.cart.checkout(world, visit, at, behind.payment)),
        };
        let late = reply.took > PATIENCE;
        let status = if late { 504 } else { reply.status };
        let took = own + reply.took.min(PATIENCE);
        visit.call(&self.requests, method, route, 0.0, Reply { status, took });
        u64::from(route == "/checkout" && status == 200)
    }

    pub(crate) fn second(&self, world: &mut World) {
        self.process.second(world, 0.0, 0.08);
    }
}
