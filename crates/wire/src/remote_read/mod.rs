//! Prometheus remote read: a snappy block holding one protobuf `prometheus.ReadRequest`, answered with samples or with
//! chunks.
//!
//! ```text
//! ReadRequest          1 Query…              2 accepted types (0 samples, 1 streamed chunks)
//! Query                1 start (ms)          2 end (ms, inclusive)   3 LabelMatcher…   4 hints (passed over)
//! LabelMatcher         1 type (= != =~ !~)   2 name                  3 value
//! ReadResponse         1 QueryResult…
//! QueryResult          1 TimeSeries… as in remote write 1.0
//! ChunkedReadResponse  1 ChunkedSeries…      2 index of the query
//! ChunkedSeries        1 Label…              2 Chunk…
//! Chunk                1 first (ms)          2 last (ms)             3 encoding        4 data
//! ```
//!
//! A stream is a row of frames: length (varint), CRC-32C (four bytes, the highest first), one `ChunkedReadResponse`.
//!
//! Specification: <https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/>.

mod answer;
mod request;

pub use answer::{FRAME_BYTES, Samples, frames};
pub use request::{Accepted, MATCHERS_MAX, QUERIES_MAX, Query, Request, TEXT_BYTES_MAX};
