//! The write-ahead log: samples that are in the head and not yet in a block.
//!
//! Appending puts a record into a buffer; [`Wal::commit`] writes and syncs what is in the buffer while new records go
//! to the next one. A request is acknowledged when the commit that holds its records is done.
//!
//! The log is a row of *segments*, each complete in itself: a series' labels are logged again in each segment
//! that has samples of it, so any segment can be read, or lost, alone. A segment is deleted whole, once blocks
//! hold all its samples; while someone follows the log and has not read it, its files are only renamed. When a file of a segment cannot be written or synced, nothing is written to it again: the
//! segment goes on in a new file, a further *part*, with everything that was not acknowledged.
//!
//! Bytes on disk: `docs/format.md`, "Write-ahead log".

mod kept;
mod payload;
mod recover;
mod segment;
mod writer;

pub(crate) use payload::{
    DEFINITIONS, Entry, HISTOGRAMS, LATE, LATE_HISTOGRAMS, METADATA, MetadataEntry, SAMPLES, Samples, decode,
    decode_metadata, encode_definitions, encode_metadata, encode_samples,
};
pub(crate) use recover::{Found, recover};
pub(crate) use segment::{DIR, HEADER_LEN, Part};
pub(crate) use writer::{OtherSegment, Wal};
