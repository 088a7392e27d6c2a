//! Prometheus remote write: a snappy block holding one protobuf `prometheus.WriteRequest` (1.0), or an
//! `io.prometheus.write.v2.Request` ([`v2`]).
//!
//! The receiving side is [`decompress`], then [`entries`], which walks the message where it lies: the labels of a
//! series come out as the bytes the sender wrote, since those bytes are what the store looks series up by. The
//! sending side is [`Writer`].
//!
//! ```
//! use barograph_model::{Labels, Sample, Timestamp};
//! use barograph_wire::remote_write::{DECODED_BYTES_MAX, Entry, Writer, decompress, entries};
//!
//! let up = Labels::from_pairs([("__name__", "up"), ("job", "api")]).unwrap();
//! let mut writer = Writer::new();
//! writer.series(up.as_bytes(), &[Sample { at: Timestamp(1_000), value: 1.0 }]);
//! let request = writer.compressed().unwrap();
//!
//! let mut scratch = Vec::new();
//! let body = decompress(&request, &mut scratch, DECODED_BYTES_MAX).unwrap();
//! let Some(Ok(Entry::Sample { labels, sample })) = entries(body).next() else { panic!("one sample was sent") };
//! assert_eq!((labels, sample.value), (up.as_bytes(), 1.0));
//! ```
//!
//! Specifications: <https://prometheus.io/docs/specs/prw/remote_write_spec/> and `remote_write_spec_2_0` beside it.

mod early;
mod histogram;
mod histogram_writer;
mod snappy;
mod unpacker;
pub mod v2;
mod v2_writer;
mod walk;
mod writer;

pub use early::{Bounds, Cut, LABEL_BYTES_MAX, LARGE, Unpacked, Unreadable, unpack, unpack_v2};
pub use histogram::HistogramEntry;
pub use snappy::{DECODED_BYTES_MAX, SnappyError, declared_len, decompress};
pub use v2_writer::{SeriesV2, WriterV2};
pub use walk::{
    Entries, Entry, ExemplarEntry, Exemplars, Histograms, MetadataEntry, Samples, Series, entries,
    parse_labels,
};
pub use writer::Writer;
#[cfg(feature = "history")]
pub(crate) use writer::compress;

pub use crate::protobuf::Malformed;
