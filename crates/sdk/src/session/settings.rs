//! What sessions are configured by, and what they know from before.

use std::time::Duration;

/// What a full queue does with one event more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The oldest event makes room.
    #[default]
    DropOldest,
    /// The new one is refused.
    DropNewest,
    /// The client is disconnected, as one that failed.
    Disconnect,
}

impl Policy {
    /// The word for it in settings and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DropOldest => "drop-oldest",
            Self::DropNewest => "drop-newest",
            Self::Disconnect => "disconnect",
        }
    }
}

/// The settings of [`Sessions`](super::Sessions).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Events that wait for one client at most; 1,024.
    pub queue_capacity: usize,
    /// What happens to one more.
    pub queue_policy: Policy,
    /// A queue that overflowed in so long is critical; a minute.
    pub critical_window: Duration,
    /// A queue that is filled to this share of its capacity is a warning; 0.8.
    pub warning_fill: f64,
    /// Clients that are connected at most; 100,000. What those beyond do counts for the server and for
    /// [`OVERFLOW_CLIENT`](super::OVERFLOW_CLIENT).
    pub clients_max: usize,
    /// Clients that were connected and can still be looked at; the last 100.
    pub finished_max: usize,
    /// Methods that are counted apart; 1,000. All others are [`OTHER`](super::OTHER).
    pub methods_max: usize,
    /// Kinds of events beside the four of every server; 64. All others are one.
    pub kinds_max: usize,
    /// Pieces that one client may be subscribed to; 1,000. More are refused.
    pub pieces_per_client: usize,
    /// Pieces that have subscribers; 100,000. More are refused.
    pub pieces_max: usize,
    /// Pieces of which it is remembered that a client touched them; 256.
    pub accessed_max: usize,
    /// Whether documents also show `piece` fields under their aliases; they do.
    pub aliases: bool,
    /// Whether clients with an open stream are told when others come and go; they are.
    pub announce: bool,
    /// How much each part weighs in the scores.
    pub weights: Weights,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_capacity: 1_024,
            queue_policy: Policy::DropOldest,
            critical_window: Duration::from_secs(60),
            warning_fill: 0.8,
            clients_max: 100_000,
            finished_max: 100,
            methods_max: 1_000,
            kinds_max: 64,
            pieces_per_client: 1_000,
            pieces_max: 100_000,
            accessed_max: 256,
            aliases: true,
            announce: true,
            weights: Weights::default(),
        }
    }
}

/// How much each part weighs in the scores. A score is 100 times the weighted mean of its parts, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// The server: calls that succeeded, events delivered, health of queues, latency, time since the last error,
    /// disconnections that were orderly.
    pub server: [f64; 6],
    /// The load: processor, memory, busy workers, filled queues.
    pub load: [f64; 4],
    /// A client: calls that succeeded, events delivered, health of its queue, time since its last error.
    pub client: [f64; 4],
}

impl Weights {
    /// What the parts of the server's score are called.
    pub const SERVER: [&str; 6] = [
        "api-success-rate-overall",
        "event-delivery-success-rate",
        "queue-health",
        "latency",
        "error-free",
        "graceful-disconnects",
    ];
    /// What the parts of the load are called.
    pub const LOAD: [&str; 4] = ["cpu", "memory", "worker-busy", "queue-fill"];
    /// What the parts of a client's score are called.
    pub const CLIENT: [&str; 4] =
        ["api-success-rate", "event-delivery-reliability", "queue-health", "error-free"];
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            server: [0.30, 0.20, 0.15, 0.15, 0.10, 0.10],
            load: [0.35, 0.25, 0.20, 0.20],
            client: [0.4, 0.3, 0.2, 0.1],
        }
    }
}

/// What outlives a process. Whoever runs the server keeps it where it keeps its data: it is handed in when sessions
/// begin, and asked for with [`Sessions::lifetime`](super::Sessions::lifetime).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// How often the server was started again over the same data: 0 on the first start.
    pub restarts: u64,
    /// What earlier processes counted; `None` where that is not kept.
    pub before: Option<Totals>,
}

/// What was counted, by the names of the counters of a server.
pub type Totals = std::collections::BTreeMap<String, u64>;

impl Lifetime {
    /// That of a server which starts over data that an earlier process left.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self { restarts: self.restarts + 1, ..self }
    }
}
