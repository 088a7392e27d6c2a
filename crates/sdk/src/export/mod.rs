//! Exporters: what carries metrics out of the program.
//!
//! | | |
//! |---|---|
//! | pages for scrapers | [`Registry::page`](crate::Registry::page): text, OpenMetrics, protobuf with native histograms |
//! | a document | [`Registry::json`](crate::Registry::json) |
//! | [`Exporter::otlp`] | pushes to a receiver of OpenTelemetry, by HTTP and protobuf, set up by [`OtlpSettings`] |
//! | [`Exporter::push`] | pushes to a server, by remote write, with native histograms |
//!
//! Pushing happens on a thread of its own, at an interval and once more on shutdown. What is pushed is how all metrics stand,
//! so that a push that fails costs nothing but time, and what was recorded before there was an exporter is there. Nothing
//! that an exporter does can block or fail the program.
//!
//! ```no_run
//! use barograph::{Registry, export::{Exporter, OtlpSettings}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `OTEL_EXPORTER_OTLP_ENDPOINT` and its neighbours say where to; `OTEL_SDK_DISABLED` says not at all.
//! let exporter = OtlpSettings::from_env()?.map(|settings| Exporter::otlp(Registry::global(), settings));
//! // ... and when the program ends:
//! if let Some(exporter) = exporter {
//!     exporter.shutdown(std::time::Duration::from_secs(5));
//! }
//! # Ok(()) }
//! ```

mod exporter;
mod http;
mod otel;
mod retry;
mod wake;

use crate::{Counter, Static, StaticFamily};

#[cfg(feature = "remote")]
pub(crate) use http::send as send_once;
#[cfg(feature = "remote")]
pub(crate) use {
    http::Request,
    retry::{Sent, random, send},
    wake::{Wake, Worker},
};

pub use exporter::{Exporter, PushSettings};
pub use http::{Address, AddressError};
pub use otel::{OtlpSettings, SettingsError};

pub(crate) static PUSHES: StaticFamily<Counter, 2> = StaticFamily::counter(
    "barograph_sdk_pushes_total",
    "Pushes of all metrics, by receiver and outcome: taken, refused or failed.",
    ["to", "outcome"],
);
pub(crate) static RETRIES: Static<Counter> =
    Static::counter("barograph_sdk_push_retries_total", "Requests that were sent once more.");
