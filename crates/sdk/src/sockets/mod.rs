//! WebSocket connections and what flows through them.
//!
//! A [`Socket`] is a guard: it counts a connection as open while it lives, and the messages of it. The count of
//! open connections is an estimate and never negative: a connection that is closed twice counts once, and one that
//! was silent for long ([`Sockets::sweep`]) counts as closed until it is heard of again.
//!
//! With the feature `websocket`, `InstrumentedWebSocket` does this around a socket that is a stream and a sink.
//!
//! Recording a message costs two counters; opening and closing take a lock.

#[cfg(feature = "websocket")]
mod wrapped;

#[cfg(feature = "websocket")]
pub use wrapped::{InstrumentedWebSocket, Message};

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use barograph_model::Timestamp;

use crate::{Counter, Error, Gauge, Registry, Telemetry, Unit};

/// How long a connection may be silent before [`Sockets::sweep`] takes it for gone, if nothing else is said.
pub const SILENCE_MAX: Duration = Duration::from_secs(15 * 60);

/// How many open connections are watched for silence. Those beyond are counted like all others, only never taken
/// for gone.
pub const WATCHED_MAX: usize = 65_536;

/// The instruments of all WebSocket connections. Cloning is cheap, and clones are the same.
///
/// | metric | |
/// |---|---|
/// | `websocket_connections_total` | connections opened |
/// | `websocket_open_connections_estimate` | opened and not closed, never negative |
/// | `websocket_connections_expired_total` | connections taken for gone after long silence |
/// | `websocket_messages_sent_total`, `websocket_messages_received_total` | messages |
/// | `websocket_sent_bytes_total`, `websocket_received_bytes_total` | bytes of their payload |
#[derive(Clone, Debug)]
pub struct Sockets {
    opened: Counter,
    open: Gauge,
    expired: Counter,
    sent: Flow,
    received: Flow,
    watched: Arc<Watched>,
}

/// What flows one way.
#[derive(Clone, Copy, Debug)]
struct Flow {
    messages: Counter,
    bytes: Counter,
}

/// What [`Sockets`] counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketFigures {
    /// Connections opened, those still open among them.
    pub opened: u64,
    /// Connections open now, as far as is known.
    pub open: u64,
    /// Connections taken for gone after long silence.
    pub expired: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Bytes of payload sent.
    pub bytes_sent: u64,
    /// Bytes of payload received.
    pub bytes_received: u64,
}

impl SocketFigures {
    /// Bytes per message, both ways; `None` before the first.
    pub fn average_bytes(&self) -> Option<f64> {
        let messages = self.messages_sent + self.messages_received;
        (messages > 0).then(|| (self.bytes_sent + self.bytes_received) as f64 / messages as f64)
    }
}

impl Sockets {
    /// Registers the instruments.
    ///
    /// # Errors
    /// A metric of the same name that is another.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name, help| registry.counter(name).help(help).single();
        let flow = |messages, messages_help, bytes, bytes_help| {
            let bytes = registry.counter(bytes).unit(Unit::Bytes).help(bytes_help).single()?;
            Ok(Flow { messages: counter(messages, messages_help)?, bytes })
        };
        Ok(Self {
            opened: counter("websocket_connections_total", "WebSocket connections opened.")?,
            open: registry
                .gauge("websocket_open_connections_estimate")
                .help("WebSocket connections opened and not closed.")
                .single()?,
            expired: counter(
                "websocket_connections_expired_total",
                "WebSocket connections taken for gone after long silence.",
            )?,
            sent: flow(
                "websocket_messages_sent_total",
                "WebSocket messages sent.",
                "websocket_sent_bytes_total",
                "Payload of WebSocket messages sent.",
            )?,
            received: flow(
                "websocket_messages_received_total",
                "WebSocket messages received.",
                "websocket_received_bytes_total",
                "Payload of WebSocket messages received.",
            )?,
            watched: Arc::default(),
        })
    }

    /// Those of [`Telemetry::global`], which also sweeps them.
    pub fn global() -> &'static Self {
        Telemetry::global().sockets()
    }

    /// Counts a connection as open until the guard is dropped.
    #[must_use = "the connection counts as closed when the guard is dropped"]
    pub fn opened(&self) -> Socket {
        self.connected();
        let state = Arc::new(AtomicU8::new(HEARD));
        let id = self.watched.add(&state);
        Socket { sockets: self.clone(), state, id }
    }

    /// Counts a connection as open, without a guard; [`Sockets::disconnected`] takes it away.
    pub fn connected(&self) {
        self.opened.inc();
        self.open.add(1.0);
    }

    /// Takes an open connection away, if there is any.
    pub fn disconnected(&self) {
        self.open.lower();
    }

    /// Counts a message sent, with the bytes of its payload.
    #[inline]
    pub fn message_sent(&self, bytes: u64) {
        self.sent.record(bytes);
    }

    /// Counts a message received, with the bytes of its payload.
    #[inline]
    pub fn message_received(&self, bytes: u64) {
        self.received.record(bytes);
    }

    /// Takes connections for gone that have not been heard of for `silence` ([`SILENCE_MAX`] is usual), as far as
    /// earlier calls tell, and returns how many. To be called now and then; takes a lock.
    pub fn sweep(&self, now: Timestamp, silence: Duration) -> u64 {
        let gone = self.watched.sweep(now, silence);
        for _ in 0..gone {
            self.open.lower();
        }
        self.expired.add(gone);
        gone
    }

    /// What was counted.
    pub fn figures(&self) -> SocketFigures {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of connections, which is never lowered below 0"
        )]
        let open = self.open.value() as u64;
        SocketFigures {
            opened: self.opened.value(),
            open,
            expired: self.expired.value(),
            messages_sent: self.sent.messages.value(),
            messages_received: self.received.messages.value(),
            bytes_sent: self.sent.bytes.value(),
            bytes_received: self.received.bytes.value(),
        }
    }
}

impl Flow {
    #[inline]
    fn record(self, bytes: u64) {
        self.messages.inc();
        self.bytes.add(bytes);
    }
}

/// A connection that is open while this lives, whichever thread and path ends it.
#[derive(Debug)]
pub struct Socket {
    sockets: Sockets,
    state: Arc<AtomicU8>,
    id: u64,
}

/// Heard of since the last sweep.
const HEARD: u8 = 0;
/// Silent since.
const SILENT: u8 = 1;
/// Silent for so long that it counts as closed.
const EXPIRED: u8 = 2;
/// Closed.
const CLOSED: u8 = 3;

impl Socket {
    /// Counts a message sent, with the bytes of its payload.
    #[inline]
    pub fn message_sent(&self, bytes: u64) {
        self.sockets.message_sent(bytes);
        self.heard();
    }

    /// Counts a message received, with the bytes of its payload.
    #[inline]
    pub fn message_received(&self, bytes: u64) {
        self.sockets.message_received(bytes);
        self.heard();
    }

    /// Notes that the connection lives, without counting anything, as for a ping.
    #[inline]
    pub fn heard(&self) {
        if self.state.load(Relaxed) != HEARD {
            self.heard_again();
        }
    }

    #[cold]
    fn heard_again(&self) {
        if self.state.swap(HEARD, AcqRel) == EXPIRED {
            self.sockets.open.add(1.0);
            self.sockets.watched.put(self.id, &self.state);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.sockets.watched.remove(self.id);
        if self.state.swap(CLOSED, AcqRel) != EXPIRED {
            self.sockets.disconnected();
        }
    }
}

/// The connections that are watched for silence.
#[derive(Debug, Default)]
struct Watched {
    ids: AtomicU64,
    sockets: Mutex<BTreeMap<u64, Seen>>,
}

#[derive(Debug)]
struct Seen {
    state: Arc<AtomicU8>,
    /// The sweep that first found it silent.
    silent_since: Option<Timestamp>,
}

impl Watched {
    fn add(&self, state: &Arc<AtomicU8>) -> u64 {
        let id = self.ids.fetch_add(1, Relaxed);
        self.put(id, state);
        id
    }

    fn put(&self, id: u64, state: &Arc<AtomicU8>) {
        let mut sockets = self.sockets();
        if sockets.len() < WATCHED_MAX {
            sockets.insert(id, Seen { state: Arc::clone(state), silent_since: None });
        }
    }

    fn remove(&self, id: u64) {
        self.sockets().remove(&id);
    }

    fn sweep(&self, now: Timestamp, silence: Duration) -> u64 {
        let mut gone = 0;
        self.sockets().retain(|_, seen| {
            if seen.state.compare_exchange(HEARD, SILENT, AcqRel, Acquire).is_ok() {
                seen.silent_since = Some(now);
                return true;
            }
            let silent_for = seen.silent_since.map_or(0, |since| now.millis().saturating_sub(since.millis()));
            let long = u128::try_from(silent_for).is_ok_and(|silent_for| silent_for >= silence.as_millis());
            let expires = long && seen.state.compare_exchange(SILENT, EXPIRED, AcqRel, Acquire).is_ok();
            gone += u64::from(expires);
            !expires
        });
        gone
    }

    fn sockets(&self) -> MutexGuard<'_, BTreeMap<u64, Seen>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use barograph_wire::exposition::Format;

    use super::*;

    fn sockets() -> Sockets {
        Sockets::register(&Registry::new()).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn connections_and_messages_are_counted() {
        let registry = Registry::new();
        let sockets = Sockets::register(&registry).unwrap();
        let first = sockets.opened();
        let second = Sockets::register(&registry).unwrap().opened();
        first.message_sent(10);
        second.message_received(20);
        second.message_received(30);
        drop(first);
        let figures = sockets.figures();
        let expected = SocketFigures {
            opened: 2,
            open: 1,
            messages_sent: 1,
            messages_received: 2,
            bytes_sent: 10,
            bytes_received: 50,
            expired: 0,
        };
        assert_eq!(figures, expected);
        assert_eq!(figures.average_bytes(), Some(20.0));
        let text = registry.expose(Format::Text004);
        assert!(text.contains("\nwebsocket_open_connections_estimate 1\n"), "{text}");
        assert!(text.contains("\nwebsocket_received_bytes_total 50\n"), "{text}");
    }

    #[test]
    fn open_connections_are_never_fewer_than_none() {
        let sockets = sockets();
        let socket = sockets.opened();
        sockets.disconnected();
        sockets.disconnected();
        drop(socket);
        assert_eq!(sockets.figures().open, 0);
        sockets.connected();
        assert_eq!(sockets.figures().open, 1);
    }

    #[test]
    fn a_connection_that_panics_is_closed() {
        let sockets = sockets();
        let socket = sockets.opened();
        let panicked = std::thread::spawn(move || {
            let _open = socket;
            panic!("as a handler would");
        });
        assert!(panicked.join().is_err());
        assert_eq!(sockets.figures().open, 0);
    }

    #[test]
    fn a_silent_connection_is_taken_for_gone_until_it_is_heard_again() {
        let sockets = sockets();
        let silence = Duration::from_secs(60);
        let (talks, leaked) = (sockets.opened(), sockets.opened());
        let check = |now: i64, gone: u64, open: u64| {
            assert_eq!((sockets.sweep(at(now), silence), sockets.figures().open), (gone, open), "at {now}");
        };
        check(0, 0, 2);
        talks.message_received(1);
        check(30, 0, 2);
        check(60, 1, 1);
        check(90, 1, 0);
        talks.heard();
        check(100, 0, 1);
        drop(leaked);
        drop(talks);
        check(1000, 0, 0);
        assert_eq!(sockets.figures().expired, 2);
    }
}
