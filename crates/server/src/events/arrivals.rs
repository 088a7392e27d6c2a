//! Clients that come and go, as events of the topic `clients` on the bus `health`.
//!
//! The registry tells of them from wherever a client came or went, which may be amid an event that is being told; so they
//! wait in a queue, and a task tells them one by one.

use barograph::session::{Cause, EventKind};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::{Bus, CLIENTS, Events};
use crate::server::stopped;

/// So many wait to be told; more are not.
const WAITING_MAX: usize = 4_096;

/// Tells who comes and goes, until told to stop.
pub(crate) async fn announce(events: Events, mut stopping: watch::Receiver<bool>) {
    let (sender, mut waiting) = mpsc::channel::<(Box<str>, Option<Cause>)>(WAITING_MAX);
    events.sessions().announce_to(move |client, cause| {
        // Whoever is full of arrivals loses no count: statistics have all of them.
        let _ = sender.try_send((client.into(), cause));
    });
    loop {
        let (client, cause) = tokio::select! {
            () = stopped(&mut stopping) => break,
            Some(arrival) = waiting.recv() => arrival,
        };
        let (kind, name) = match cause {
            None => (EventKind::CONNECT, "client_connected"),
            Some(_) => (EventKind::DISCONNECT, "client_disconnected"),
        };
        let document = json!({"client": client, "cause": cause.map(Cause::as_str)});
        events.publish_as(kind, Bus::Health, CLIENTS, name, &document);
    }
}
