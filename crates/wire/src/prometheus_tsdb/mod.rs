//! The blocks of a Prometheus data directory, read; its chunks also written.
//!
//! A block is a folder named by a ULID that holds two hours or more of samples:
//!
//! - `meta.json`: times and counts ([`Meta`]).
//! - `index`: all label sets, and where the chunks of each are ([`Index`]).
//! - `chunks/000001` and so on: runs of samples of one series ([`Chunk`]).
//! - `tombstones`: what was deleted and is still in the chunks ([`Tombstones`]).
//!
//! Everything takes bytes and the name of the file they are of, which goes into errors together with the offset.
//! Checksums are checked wherever the format has them. Of the index only symbols and series are read, in the order in
//! which they lie; the parts that serve look-ups are passed over. Versions 1 and 2 of the index, 1 of the rest.
//!
//! Formats: `tsdb/docs/format/` of Prometheus (index, chunks, tombstones).

use std::fmt;

mod bits;
mod chunk;
mod cursor;
mod encode;
mod histogram;
mod index;
mod meta;
mod tombstones;
mod xor;

pub use chunk::{Chunk, Encoding, Frame, SEGMENT_HEADER_LEN, check_segment, frame};
pub use encode::{CHUNK_SAMPLES, EncodedChunk, float_chunks, histogram_chunk};
pub use index::{ChunkPlace, Index, IndexedSeries, SeriesIter};
pub use meta::{Meta, Stats};
pub use tombstones::Tombstones;

/// Bytes that are not what Prometheus writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The file, as the caller named it.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, what } = self;
        write!(f, "{file} at byte {offset}: {what}")
    }
}

impl std::error::Error for Malformed {}

impl Malformed {
    fn new(file: &str, offset: u64, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), offset, what: what.into() }
    }
}
