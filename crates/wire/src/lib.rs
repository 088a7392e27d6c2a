//! The formats of the outside, to and from the words of [`barograph_model`].
//!
//! Bytes in, values out, and back; nothing here opens a socket, reads a clock or starts a thread. Every reader
//! takes bytes that anyone may have sent: malformed ones are an error that says where, never a panic, and nothing
//! is allocated on the word of a sender alone.
//!
//! - [`exposition`]: the text formats of `/metrics` pages.
//! - [`csv`]: lines for spreadsheets, written.
//!
//! With the feature `remote-write`:
//!
//! - `remote_write`: Prometheus remote write 1.0, read in place and written.
//!
//! With the feature `history`, the formats in which history moves in and out:
//!
//! - `json_lines`: samples and roll-ups as JSON, one object a line, and the folders they lie in.
//! - `prometheus_tsdb`: the blocks of a Prometheus data directory, read.

pub mod csv;
pub mod exposition;
#[cfg(feature = "history")]
pub mod json_lines;
#[cfg(feature = "history")]
pub mod prometheus_tsdb;
#[cfg(feature = "remote-write")]
mod protobuf;
#[cfg(feature = "remote-write")]
pub mod remote_write;
