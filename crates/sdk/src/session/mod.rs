//! The clients of a server: who is connected, what each does, and how the server fares with all of them.
//!
//! [`Sessions`] is the registry of any server that answers calls and tells events, by gRPC, HTTP or WebSocket. It keeps
//! statistics on two levels, which one call of the instrumented code updates: [`ServerStats`], 53 fields since the
//! start, and [`ClientStats`], 43 fields of each client as long as it is connected and a little longer. What follows
//! from them ([`ServerAnalytics`], [`ClientAnalytics`]) is computed when somebody asks, from one reading.
//!
//! ```
//! use barograph::{Outcome, session::{Cause, Event, EventKind, Sessions, Settings}};
//!
//! let sessions = Sessions::new(Settings::default());
//! let connection = sessions.connect(Some("alice"));
//!
//! // A call: begun, finished, counted for the client and for the server.
//! let mut call = connection.call(&sessions.method("shop.Cart/Add"));
//! call.received(120);
//! call.finish(Outcome::Grpc(0));
//!
//! // Events wait in the client's queue until its stream has written them.
//! let mut events = connection.observe().expect("nobody else listens");
//! sessions.publish(&Event::new(EventKind::SERVER, *b"maintenance at noon"));
//! events.try_next().expect("one waits").delivered();
//!
//! // What a test asks for, by name.
//! assert_eq!(sessions.server_stat("server-events-sent"), 1);
//! assert_eq!(sessions.client_stat("alice", "server-events-received"), 1);
//! assert_eq!(sessions.client_stat("alice", "queue-overflow-count"), 0);
//! connection.close(Cause::Graceful);
//! assert_eq!(sessions.server_stat("clients-disconnected-graceful"), 1);
//! ```
//!
//! - *Guards.* A [`Connection`], an [`ApiCall`] and a [`Delivery`] count their end once, however they end: said, dropped,
//!   unwound. What is current returns to 0.
//! - *Events.* Each client has a bounded queue. Publishing never waits: a queue that is full follows the [`Policy`], and
//!   each event that is lost is counted. Events reach the clients whose stream is open ([`Client::observe`]).
//! - *Pieces.* Clients subscribe to pieces: documents, rooms, topics. An event of a piece goes to its subscribers. Names
//!   with `piece` have an alias with `resource`.
//! - *Cost.* A call writes some forty atomics and reads the clock twice, an event some twenty; nothing takes a lock but
//!   queues, subscriptions, coming and going, and errors. An idle client takes about a kibibyte.
//! - *Layers.* With the feature `tower`, `SessionsLayer` goes around a service of axum or tonic and counts the calls of its
//!   clients without code in the handlers.
//! - *Documents.* [`Report`] writes a reading as JSON, with the names of the statistics as keys, or as metrics.
//! - *Limits.* Whatever grows has one in [`Settings`], and is counted in [`ServerSnapshot::limits`] when it is hit.

mod analytics;
mod call;
mod cells;
mod client;
mod documents;
mod entry;
mod expression;
mod failure;
mod field;
#[cfg(feature = "tower")]
mod layer;
mod method;
mod queue;
mod raw;
mod sessions;
mod settings;
mod stats;
mod time;
mod topics;

pub use analytics::{
    ClientAnalytics, Direction, EXTRAS_MAX, Part, Pattern, ServerAnalytics, Surroundings, Trend, Trends,
    composite_health, compute_client_analytics, compute_server_analytics,
};
pub use call::ApiCall;
pub use client::{Client, Connection, Delivery, Observer};
pub use documents::{Listing, Order, Report, Spelling};
pub use entry::{CLIENT_ID_BYTES_MAX, Cause, OVERFLOW_CLIENT};
pub use expression::{EXPRESSION_BYTES_MAX, Expression, ExpressionError};
pub use failure::{Category, ERROR_MESSAGE_BYTES_MAX, RECENT_ERRORS_MAX, RecentError};
pub use field::{Cost, Field, FieldKind, UNMEASURED, Value};
#[cfg(feature = "tower")]
pub use layer::{ANONYMOUS, Calling, Counted, SessionsLayer, SessionsService};
pub use method::{METHODS_PER_CLIENT, Method, OTHER};
pub use queue::{Event, EventKind, Payload};
pub use raw::{ClientStats, ServerStats};
pub use sessions::{Published, Sessions};
pub use settings::{Lifetime, Policy, Settings, Totals, Weights};
pub use stats::{ClientDetails, ClientSnapshot, MethodSnapshot, QueueClass, ServerSnapshot};
pub use time::Clock;
pub use topics::Collaboration;
