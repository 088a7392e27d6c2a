//! A client as the code around it holds it: the handle, the guard of its connection, the stream of its events.

use std::{
    future::poll_fn,
    ops::Deref,
    sync::{
        Arc,
        atomic::Ordering::{AcqRel, Relaxed},
    },
    task::{Context, Poll},
    thread,
};

use super::{
    ApiCall, Category, Cause, Event, Method, Published, Sessions, Value, entry::Entry, queue::Taken, stats,
    time::Moment,
};

/// A client. Cloning is cheap, and clones are the same. What is recorded counts for it and for its server at once.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) sessions: Sessions,
    pub(super) entry: Arc<Entry>,
}

impl Client {
    /// Its id.
    #[doc(alias = "client-id")]
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// The sessions it belongs to.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Begins a call. One reading of the clock and a handful of atomics; no lock, no allocation.
    #[doc(alias("update-client-api-stats", "update-server-api-stats"))]
    pub fn call(&self, method: &Method) -> ApiCall {
        ApiCall::new(self.clone(), method.clone())
    }

    /// Counts an error that no call ends with: a transport that broke, bytes that are no message.
    pub fn error(&self, category: Category, message: &str) {
        self.note_error(category, None, message, self.sessions.now());
    }

    /// Subscribes to a piece: anything that clients share. `false` if a limit was reached or the client is gone; again
    /// to the same piece changes nothing. Takes a lock.
    #[doc(alias("subscribe-resource", "piece-subscriptions"))]
    pub fn subscribe(&self, piece: &str) -> bool {
        self.sessions.subscribe(&self.entry, piece)
    }

    /// Takes a subscription back; whether there was one. Takes a lock.
    pub fn unsubscribe(&self, piece: &str) -> bool {
        self.sessions.unsubscribe(&self.entry, piece)
    }

    pub(super) fn accessed(&self, piece: &str) {
        if !self.entry.accessed(piece, self.sessions.settings().accessed_max) {
            self.sessions.0.refused_accesses.fetch_add(1, Relaxed);
        }
    }

    /// Tells this client alone an event.
    #[doc(alias("update-client-event-stats", "update-server-event-stats"))]
    pub fn send(&self, event: &Event) -> Published {
        self.sessions.0.cells.published.add(1);
        self.sessions.tell(event, std::slice::from_ref(&self.entry))
    }

    /// Opens the stream of its events, which reach it from now on. `None` if one is open already, or the client is gone.
    #[doc(alias("observer", "stream-observer-ref", "event-queue"))]
    pub fn observe(&self) -> Option<Observer> {
        if self.entry.is_overflow() || !self.entry.queue.open() {
            return None;
        }
        self.sessions.0.streams.fetch_add(1, AcqRel);
        Some(Observer { client: self.clone() })
    }

    /// The client goes. Only the first cause counts.
    #[doc(alias = "update-server-connection-stats")]
    pub fn disconnect(&self, cause: Cause) {
        self.sessions.leave(&self.entry, cause);
    }

    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        self.entry.gone.get().is_none()
    }

    /// One statistic of it by name, as [`Sessions::client_stat`].
    pub fn stat(&self, name: &str) -> Value {
        stats::client(&self.sessions, &self.entry).value(name)
    }
}

/// A connection: the client it is of is connected as long as this lives. Dropped without a word it counts as broken.
#[derive(Debug)]
#[must_use = "the client counts as disconnected when the guard is dropped"]
pub struct Connection {
    client: Client,
    detached: bool,
}

impl Connection {
    pub(super) const fn new(client: Client) -> Self {
        Self { client, detached: false }
    }

    /// The client stays connected until somebody says otherwise ([`Client::disconnect`]).
    pub fn detach(mut self) -> Client {
        self.detached = true;
        self.client.clone()
    }

    /// The client goes, and why.
    pub fn close(self, cause: Cause) {
        self.client.disconnect(cause);
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.detached {
            self.client.disconnect(Cause::Error);
        }
    }
}

/// The stream of a client's events. One at a time is open; when it is dropped, events no longer reach the client, and
/// what waits goes on waiting for the next.
#[derive(Debug)]
pub struct Observer {
    client: Client,
}

impl Observer {
    /// The next event; `None` once the client is gone.
    pub async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for whoever writes a stream.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let entry = &self.client.entry;
        entry.queue.poll(&entry.cells.queue, context).map(|taken| Some(self.delivery(taken?)))
    }

    /// An event that waits, if there is any.
    pub fn try_next(&mut self) -> Option<Delivery> {
        let entry = &self.client.entry;
        entry.queue.take(&entry.cells.queue).map(|taken| self.delivery(taken))
    }

    /// Whose stream it is.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn delivery(&self, Taken { event, queued, missed }: Taken) -> Delivery {
        self.client.sessions.0.cells.lanes[self.client.entry.lane()].attempts.add(1);
        Delivery { client: self.client.clone(), event, queued, missed, over: false }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if self.client.entry.queue.close() {
            self.client.sessions.0.streams.fetch_sub(1, AcqRel);
        }
    }
}

/// An event that is being written to its client. Dropped without a word, the write failed.
#[derive(Debug)]
#[must_use = "a delivery that is dropped counts as failed"]
pub struct Delivery {
    client: Client,
    event: Event,
    queued: Moment,
    missed: u64,
    over: bool,
}

impl Delivery {
    /// What is to be written.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Events that this client did not get, since its queue was full, between the one before and this one.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// It was written.
    pub fn delivered(mut self) {
        self.over = true;
        let (sessions, entry) = (&self.client.sessions.0, &self.client.entry);
        let now = sessions.clock.now();
        let (bytes, kind) = (self.event.bytes(), self.event.kind());
        let lane = &sessions.cells.lanes[entry.lane()];
        lane.bytes_events.add(bytes);
        lane.successes.add_after(1);
        let cells = &entry.cells;
        cells.received[kind.class()].add(1);
        cells.bytes_events.add(bytes);
        cells.last_event_kind.store(u64::from(kind.0) + 1, Relaxed);
        cells.last_event.set(now);
        cells.last_activity.set(now);
        cells.lag_micros.store(now.0.saturating_sub(self.queued.0), Relaxed);
    }

    /// It could not be written.
    pub fn failed(mut self, why: &str) {
        self.fail(why);
    }

    fn fail(&mut self, why: &str) {
        if !std::mem::replace(&mut self.over, true) {
            self.client.entry.cells.failed_writes.add(1);
            self.client.error(Category::Network, why);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let why =
            if thread::panicking() { "panicked" } else { "the stream ended while an event was written" };
        self.fail(why);
    }
}
