//! Sending requests over several connections at a time.

use std::{
    collections::VecDeque,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{Body, REMOTE_WRITE_HEADERS};
use crate::http::Client;

/// Sends every lane's bodies in order, over `connections` at a time; a lane is never sent on two at once, so the
/// samples of a series stay in order. The time from the first byte to the last acknowledgement.
///
/// # Errors
/// If an answer is not a success.
pub(crate) fn send(address: &str, lanes: &[Vec<Body>], connections: usize) -> Result<Duration> {
    send_to(To { address, path: "/api/v1/write", headers: &REMOTE_WRITE_HEADERS }, lanes, connections)
}

/// Where requests go, and what stands before them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct To<'a> {
    pub(crate) address: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
}

/// As [`send`], to any path.
///
/// # Errors
/// See there.
pub(crate) fn send_to(to: To<'_>, lanes: &[Vec<Body>], connections: usize) -> Result<Duration> {
    let queue: Mutex<VecDeque<(usize, usize)>> = Mutex::new((0..lanes.len()).map(|lane| (lane, 0)).collect());
    let started = Instant::now();
    thread::scope(|scope| {
        let work = || -> Result<()> {
            let mut client = Client::new(to.address);
            loop {
                // An empty queue means that each lane left is in another worker's hands, who goes on with it.
                let Some((lane, index)) = queue.lock().expect("no worker panics").pop_front() else {
                    return Ok(());
                };
                let Some(body) = lanes[lane].get(index) else { continue };
                let reply = client.send("POST", to.path, to.headers, &body.bytes)?;
                ensure!(
                    reply.status / 100 == 2,
                    "{} answered {}: {}",
                    to.path,
                    reply.status,
                    reply.excerpt()
                );
                queue.lock().expect("no worker panics").push_back((lane, index + 1));
            }
        };
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    Ok(started.elapsed())
}
