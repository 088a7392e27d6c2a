//! The text formats of `/metrics` pages: Prometheus text 0.0.4 and 1.0.0, and OpenMetrics 1.0.0.
//!
//! Written: a [`Family`] is one metric with its name, type, unit, help and points; [`negotiate()`] picks the
//! [`Format`] a client asked for, [`write()`] spells families in it; [`history`] spells samples of any time. Read:
//! [`parse()`] goes through a page line by line.

mod family;
pub mod history;
pub mod json;
mod negotiate;
mod parse;
mod write;

pub use family::{Family, Point};
pub use negotiate::{Format, negotiate};
pub use parse::{
    Dialect, ExemplarText, Item, LINE_BYTES_MAX, Pairs, ParseError, Parser, Sample, SeriesText, encode_pairs,
    parse,
};
pub use write::{format_float, write};
