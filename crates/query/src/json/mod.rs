//! The JSON query language: what PromQL says in text, for programs that would rather send a document.
//!
//! 1. [`Query::parse`] reads a document. Whatever is wrong with it is said with the path to it ([`Invalid`]); [`SCHEMA`]
//!    says the same to editors and clients. A program makes a [`Query`] by hand instead, and [`Query::to_json`] writes it.
//! 2. [`answer`] looks names up in the store (`resolve`), chooses buckets and tiers (`plan`), makes of each part the very
//!    tree that PromQL is parsed to (`compile`) and has it evaluated as PromQL is. Trends, correlations and patterns
//!    look at what comes of that.
//! 3. [`Reply::to_json`] writes the answer.

mod answer;
mod builder;
mod compile;
mod document;
mod expression;
mod metric;
mod order;
mod pattern;
mod plan;
mod read;
mod resolve;
mod run;
mod thin;
mod time;

pub use answer::{Finding, Meta, Reply, Series};
pub use barograph_analyze::{Correlation, Direction, Trend};
pub use document::{
    AGGREGATIONS_MAX, Aggregation, Calculation, Condition, DIMENSIONS_MAX, DOCUMENT_BYTES_MAX, GROUP_BY_MAX,
    GroupBy, LIMIT_MAX, METRICS_MAX, Moment, Query, SPAN_MS, Sort, VALUES_MAX, Window,
};
pub use expression::{EXPRESSION_BYTES_MAX, Expression, Function, Mistake};
pub use metric::{Names, Pattern as NamePattern};
pub use pattern::{CONDITIONS_MAX, Pattern, STEPS_MAX, Step};
pub use read::Invalid;
pub(crate) use run::answer_traced;
pub use run::{Error, answer, answer_reusing};
pub use thin::thin_out;
pub use time::parse_moment;

/// The JSON Schema (draft 2020-12) of documents.
pub const SCHEMA: &str = include_str!("schema.json");
