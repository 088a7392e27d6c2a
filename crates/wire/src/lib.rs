//! The formats of the outside, to and from the words of [`barograph_model`].
//!
//! Bytes in, values out, and back; nothing here opens a socket, reads a clock or starts a thread. Every reader
//! takes bytes that anyone may have sent: malformed ones are an error that says where, never a panic, and nothing
//! is allocated on the word of a sender alone.
//!
//! - [`remote_write`]: Prometheus remote write 1.0, read in place and written.
//! - [`exposition`]: the text formats of `/metrics` pages.

pub mod exposition;
mod protobuf;
pub mod remote_write;
