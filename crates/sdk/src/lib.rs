//! What an application links to measure itself.
//!
//! # Concepts
//!
//! 1. An *instrument* records: a [`Counter`] counts what happened, an [`UpDownCounter`] what is there, a [`Gauge`]
//!    holds a value that is set, a [`Histogram`] keeps the distribution of values, a [`Timer`] of durations, a
//!    [`Meter`] tells how often something happens, a [`Summary`] quantiles of the last minutes. Each is a small
//!    `Copy` index; recording takes no lock and no atomic read-modify-write, since each thread writes cells of its
//!    own.
//! 2. A *metric* has a name, a [`Unit`], a line of help, and *series*: one for each set of label values. Where the
//!    values are known beforehand they are fixed labels; where they come with each recording, the metric is a
//!    [`Family`]. A metric has at most 2,000 series unless it says otherwise; what is over goes to the series
//!    `__overflow__`, counted. Series of a family that nobody recorded into for an hour are left out until they are
//!    recorded again ([`Registry::set_idle`]).
//! 3. A [`Registry`] holds metrics by name. [`Static`] and [`StaticFamily`] define metrics of the global registry
//!    where they are used; libraries and tests may have registries of their own.
//! 4. *Collecting* sums what all threads recorded into [`exposition::Family`]s, which [`exposition::write`] spells
//!    in the text formats that scrapers read.
//! 5. A *[window]* holds what was recorded in the last five minutes. It moves as the registry is told the time
//!    ([`Registry::tick`]).
//! 6. A *[collector]* reads what nobody tells: the host, the process, a queue.
//!
//! ```
//! use barograph::{Counter, Histogram, Registry, Static, StaticFamily, Unit, exposition::Format};
//!
//! static REPLIES: StaticFamily<Counter, 2> =
//!     StaticFamily::counter("http_replies_total", "Replies sent.", ["method", "status"]);
//! static DURATION: Static<Histogram> =
//!     Static::histogram("http.server.request.duration", "Time to answer a request.").unit(Unit::Seconds);
//!
//! REPLIES.with(["GET", "200"]).inc();
//! DURATION.record(0.0123);
//!
//! let text = Registry::global().expose(Format::Text004);
//! assert!(text.contains("http_replies_total{method=\"GET\",status=\"200\"} 1\n"));
//! assert!(text.contains("http_server_request_duration_seconds_bucket{le=\"0.025\"} 1\n"));
//! ```
//!
//! # What recording promises
//!
//! Nothing recorded is lost, whichever threads come and go, and nothing is counted twice. Classic buckets are exact;
//! the [`Sketch`] beside them answers any quantile within 1.09 %. Recording never fails and never panics, also when a
//! definition was wrong: [`Registry::problems`] tells. A reading while others record is a moment's picture: each
//! number is right and never goes back, though two of them may be some nanoseconds apart.
//!
//! # What it costs
//!
//! A thread has eight bytes for each counter (a page of 1,024 at a time) and about 1.5 KB for each histogram it has
//! recorded into. Series live as long as the process, which holds at most 262,144 of counters, as many of gauges,
//! and 65,536 of histograms.
//!
//! # Modules
//!
//! | | |
//! |---|---|
//! | `handle`, `statics`, `family`, `label`, `exemplar` | instruments as one holds them |
//! | `registry`, `metric`, `idle`, `name`, `error` | metrics by name, their series, what is refused |
//! | [`window`], `meter`, `timer` | the last five minutes, and the instruments that show them |
//! | [`telemetry`] | all of a program's telemetry as one thing: settings, the time, documents of health |
//! | [`requests`], [`errors`] | requests a program answers, and the classes of their failures |
//! | `shard`, `slab`, `distribution`, `sizes`, `sync` | where threads record, and how it is summed |
//! | `http` | layers that measure requests (feature `tower`) |
//! | [`calls`], [`transactions`] | calls of functions, transactions |
//! | [`caches`], [`pools`] | caches, pools of connections |
//! | [`event_loop`], `runtime` | how promptly a runtime works (feature `tokio`) |
//! | [`sockets`] | WebSocket connections and messages |
//! | [`session`] | the clients of a server, and statistics of each and of all |
//! | [`record`] | metrics that are named when they are recorded |
//! | [`statistics`] | who records, who asks, who frames: three traits |
//! | [`scope`] | attributes that what is recorded inside inherits |
//! | [`collector`] | what reads the outside at an interval |
//! | [`bridge`] | what is instrumented with other crates |
//! | [`flow`] | executions that fork into branches and go on in steps |
//! | [`span`] | timed operations that share a trace, and the headers they travel in |
//! | [`sampling`] | keeping some of many, with estimates that stay true |

#![forbid(unsafe_code)]

pub mod bridge;
pub mod caches;
pub mod calls;
mod clock;
pub mod collector;
mod distribution;
mod error;
pub mod errors;
pub mod event_loop;
mod exemplar;
#[cfg(feature = "export")]
pub mod export;
mod family;
pub mod flow;
mod global;
mod handle;
#[cfg(feature = "tower")]
pub mod http;
mod idle;
mod instrument;
mod label;
mod meter;
mod metric;
mod name;
pub mod pools;
pub mod record;
mod registry;
pub mod requests;
#[cfg(feature = "tokio")]
pub mod runtime;
pub mod sampling;
pub mod scope;
pub mod session;
mod shard;
mod sizes;
mod slab;
pub mod sockets;
pub mod span;
mod statics;
pub mod statistics;
mod sync;
pub mod telemetry;
mod timer;
pub mod transactions;
pub mod window;

pub use barograph_model::{BUCKETS_MAX, Labels, Metadata, MetricType, SCALE, Sketch, Timestamp, upper_bound};
pub use barograph_wire::exposition;

pub use distribution::{Distribution, SECONDS_BOUNDS};
pub use error::Error;
pub use errors::ErrorClass;
pub use exemplar::{EXEMPLAR_INTERVAL, Trace};
pub use family::Family;
pub use handle::{Counter, FloatCounter, Gauge, Held, Histogram, UpDownCounter};
pub use idle::IDLE;
pub use instrument::{Bucketed, Instrument, Observed};
pub use label::{COMBINATIONS_MAX, EnumFamily, Label, LabelSet};
pub use meter::Meter;
pub use metric::{OVERFLOW, SERIES_MAX, VALUE_BYTES_MAX};
pub use name::{NAME_BYTES_MAX, Unit};
pub use registry::{Builder, Described, Registry};
pub use requests::{Outcome, Request, RequestFigures, Requests};
pub use sockets::{Socket, SocketFigures, Sockets};
pub use statics::{Static, StaticEnumFamily, StaticFamily};
pub use telemetry::Telemetry;
pub use timer::{Running, Summary, Timer};

#[cfg(feature = "derive")]
pub use barograph_macros::{Label, LabelSet, instrument, instrument_route};

/// The blocks of `docs/sdk.md`, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/sdk.md")]
mod page {}
