//! The text formats of `/metrics` pages: Prometheus text 0.0.4 and 1.0.0, and OpenMetrics 1.0.0.

mod parse;

pub use parse::{
    Dialect, ExemplarText, Item, LINE_BYTES_MAX, Pairs, ParseError, Parser, Sample, SeriesText, encode_pairs,
    parse,
};
