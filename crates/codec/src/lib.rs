//! Columns of timestamps and values to bytes and back.
//!
//! In the order one needs them:
//!
//! 1. [`Encoder`] and [`Decoder`] ([`mod@stream`]): the light code of the head, a sample at a time, byte-aligned.
//! 2. [`encode_timestamps`], [`encode_values`] and [`ColumnChunk`] ([`mod@column`]): the codes of blocks, a light one and
//!    a dense one: a chunk of up to 65,536 numbers in pages, each page readable alone.
//! 3. [`rollups`]: the windows of tiers, many columns at once.
//! 4. [`HistogramEncoder`] and [`HistogramDecoder`] ([`mod@histogram`]): native histograms, a sample at a time.
//! 5. [`varint`]: small integers in few bytes, for logs and indexes.
//!
//! Every bit pattern of a value comes back, NaN payloads included. Decoders take any bytes: they answer
//! [`Malformed`] and never panic or allocate more than they are told to expect.
//!
//! This crate knows no files and no threads. Bytes: `docs/format.md`, "Columns", "Windows" and "Stream".
//!
//! ```
//! use barograph_codec::{Decoder, Encoder};
//!
//! let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
//! for (at, value) in [(1_000, 0.25), (2_000, 0.5)] {
//!     bytes.extend_from_slice(encoder.push(at, value).expect("a new chunk takes it").as_slice());
//! }
//! let samples: Vec<_> = Decoder::new(&bytes, encoder.count()).collect();
//! assert_eq!(samples, [(1_000, 0.25), (2_000, 0.5)]);
//! ```

pub mod column;
pub mod histogram;
pub mod histogram_rollup;
mod integers;
mod packed;
pub mod rollups;
pub mod stream;
pub mod varint;

pub use column::{Code, ColumnChunk, Layout, NUMBERS_MAX, Number, encode_timestamps, encode_values};
pub use histogram::{HistogramDecoder, HistogramEncoder};
pub use histogram_rollup::{decode_histogram_rollups, encode_histogram_rollups};
pub use stream::{Decoder, Encoder};

/// Bytes that no encoder of this crate wrote. Retrying won't help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}")]
pub struct Malformed {
    /// Which part.
    pub what: &'static str,
}
