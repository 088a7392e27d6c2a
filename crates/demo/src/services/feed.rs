//! The feed: tells visitors over WebSockets what is new.

use barograph::{Error, Socket, Sockets};

use super::{Process, World};
use crate::random::whole;

/// The most connections that are held.
const CONNECTIONS: usize = 200;

#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) process: Process,
    sockets: Sockets,
    open: Vec<Socket>,
    rate: f64,
}

impl Feed {
    /// For a shop with so many visits a second on average.
    pub(crate) fn new(rate: f64) -> Result<Self, Error> {
        let process = Process::new("feed", 0, "1.2.0", 48.0)?;
        Ok(Self { sockets: Sockets::register(&process.registry)?, open: Vec::new(), rate, process })
    }

    /// Visitors come and go, and are told.
    pub(crate) fn second(&mut self, world: &mut World) {
        let wanted = 1.6 * self.rate * world.now.load();
        let leave = world.random.poisson(self.open.len() as f64 / 45.0);
        for _ in 0..leave.min(self.open.len() as u64) {
            let which = world.random.between(0.0, self.open.len() as f64);
            self.open.swap_remove(usize::try_from(whole(which.floor())).unwrap_or_default());
        }
        for _ in 0..world.random.poisson(wanted / 45.0) {
            if self.open.len() < CONNECTIONS {
                self.open.push(self.sockets.opened());
            }
        }
        for socket in &self.open {
            for _ in 0..world.random.poisson(0.4) {
                socket.message_sent(whole(world.random.log_normal(320.0, 0.6)));
            }
            if world.random.chance(0.08) {
                socket.message_received(whole(world.random.log_normal(60.0, 0.4)));
            }
        }
        self.process.second(world, self.open.len() as f64 * 16_384.0, 0.02);
    }
}
