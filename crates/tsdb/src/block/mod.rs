//! Blocks: immutable files, each a range of time with all series that have samples in it.
//!
//! A block is one file: chunks of columns, then an index, then a checksummed footer ([`Meta`]). The index knows the
//! symbols, the series in label order, the postings of each label pair, and for each page of samples where it lies,
//! how long it is and its checksum; so a series is read with one read of the index (kept in the cache) and one of its
//! pages. Series that were scraped together have the same timestamps: a column of timestamps is stored once a block.
//!
//! Bytes on disk: `docs/format.md`, "Block".

mod cache;
mod check;
mod deletes;
mod index;
mod meta;
mod metrics;
mod postings;
mod reader;
mod symbols;
mod windows;
mod writer;

pub(crate) use cache::{Cache, Entry, Key};
pub(crate) use check::check;
pub(crate) use deletes::{Deletes, deletes_path_of, seq_of_deletes};
pub(crate) use index::{Index, Span};
pub(crate) use meta::{Meta, path_of, seq_of_name};
pub(crate) use metrics::{BlockMetrics, VERSIONS_MAX, component_of, version_of};
pub(crate) use reader::{Block, IndexError, Pages};
pub(crate) use windows::{WindowPage, WindowPages};
pub(crate) use writer::{Cover, Writer};

/// The folder of the blocks.
pub(crate) const DIR: &str = "blocks";

/// The most samples of a page.
pub(crate) const PAGE_SAMPLES_MAX: usize = 8192;

pub(crate) const KIND: barograph_disk::file::Kind =
    barograph_disk::file::Kind { magic: *b"BAROBLK\0", version: 3 };
