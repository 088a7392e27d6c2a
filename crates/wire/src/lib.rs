//! The formats of the outside, to and from the words of [`barograph_model`].
//!
//! Bytes in, values out, and back; nothing here opens a socket, reads a clock or starts a thread. Every reader
//! takes bytes that anyone may have sent: malformed ones are an error that says where, never a panic, and nothing
//! is allocated on the word of a sender alone.
//!
//! - [`exposition`]: the formats of `/metrics` pages.
//! - [`otlp`]: metrics of OpenTelemetry, written; with the feature `ingest` read, too.
//! - [`csv`]: lines for spreadsheets, written.
//!
//! With the feature `remote-write`:
//!
//! - `remote_write`: Prometheus remote write 1.0 and 2.0, read in place and written.
//!
//! With the feature `history`, the formats in which history moves in and out:
//!
//! - `json_lines`: samples and roll-ups as JSON, one object a line, and the folders they lie in.
//! - `prometheus_tsdb`: the blocks of a Prometheus data directory, read.
//! - `remote_read`: Prometheus remote read, requests read and answers written; with both features.
//!
//! With the feature `ingest`, what a server takes besides:
//!
//! - `otlp::trace`, `zipkin`: spans.
//! - `influx`, `statsd`: metrics as lines.

mod buckets;
pub mod csv;
pub mod exposition;
#[cfg(feature = "ingest")]
pub mod influx;
#[cfg(feature = "history")]
pub mod json_lines;
pub mod otlp;
#[cfg(feature = "history")]
pub mod prometheus_tsdb;
#[cfg_attr(not(feature = "remote-write"), expect(dead_code, reason = "remote write alone is read"))]
mod protobuf;
#[cfg(all(feature = "history", feature = "remote-write"))]
pub mod remote_read;
#[cfg(feature = "remote-write")]
pub mod remote_write;
#[cfg(feature = "ingest")]
pub mod statsd;
#[cfg(feature = "ingest")]
pub mod zipkin;
