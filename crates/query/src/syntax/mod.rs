//! PromQL text to a typed tree, and back.
//!
//! [`parse`] knows the whole grammar of Prometheus 3.14 and reports the first mistake with its place. The tree's
//! `Display` writes the query on one line so that parsing it again gives an equal tree.

pub mod ast;
mod check;
mod describe;
mod functions;
mod length;
mod lexer;
pub(crate) mod number;
mod parser;
mod print;
mod selector;
mod series;
mod span;
mod token;

pub use functions::{Arity, Function};
pub use number::{duration_text, parse_duration, unquote};
pub use parser::{DEPTH_MAX, QUERY_BYTES_MAX, is_light, parse};
pub use series::{parse_selector, parse_selectors, selectors};
pub use span::{ParseError, Span};

pub(crate) use length::Times;
pub(crate) use print::quote_bytes;
pub(crate) use selector::parse_labels;
