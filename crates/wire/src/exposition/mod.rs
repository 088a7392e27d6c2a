//! The formats of `/metrics` pages: Prometheus text 0.0.4 and 1.0.0, OpenMetrics 1.0.0, and delimited protobuf.
//!
//! Written: a [`Family`] is one metric with its name, type, unit, help and points; [`negotiate_form`] picks the
//! [`Form`] a client asked for, [`Form::page`] spells families in it, [`write()`] in text, [`json`] as a document;
//! [`history`] spells samples of any time, [`federate`] those of now. Read: [`parse()`] goes through a page line by line,
//! [`families`] through one of protobuf.

mod family;
pub mod federate;
pub mod history;
pub mod json;
mod negotiate;
mod parse;
mod protobuf;
mod read_histogram;
mod read_protobuf;
mod write;

pub use family::{Family, Point};
pub use negotiate::{Form, Format, negotiate, negotiate_form};
pub use parse::{
    Dialect, ExemplarText, Item, LINE_BYTES_MAX, Pairs, ParseError, Parser, Sample, SeriesText, encode_pairs,
    parse,
};
pub use read_protobuf::{
    Families, LABELS_MAX, Metrics, ReadBucket, ReadExemplar, ReadFamily, ReadHistogram, ReadMetric,
    ReadValue, families,
};
pub use write::{format_float, write};

pub use crate::protobuf::Malformed;
