//! PromQL: from the text of a question to its answer over a [`Source`](barograph_model::Source).
//!
//! In the order one needs them:
//!
//! 1. [`parse`] makes a typed tree of a text, or says what is wrong and where. The tree ([`ast`]) keeps the place
//!    of every node, and writes itself back as text.
//! 2. [`evaluate_instant`] and [`evaluate_range`] run a tree. Each selector is read once for the whole query; what
//!    comes out of it are columns, one value a step, and every operator works on columns.
//!    Values are floats, or native histograms ([`FloatHistogram`]) beside them.
//! 3. [`json`] is the other language: documents, compiled to the same tree, answered from the tier that suits.
//! 4. [`explain`] tells what a query comes down to, and what it did.
//! 5. A [`Cache`] keeps results of range queries; [`Reuse::evaluate_range`] takes from it what still holds.
//! 6. A [`QueryEngine`](engine::QueryEngine) asks by calls, for programs that have the engine in their own process.
//! 7. [`script`] runs files of the upstream script language: load series, evaluate, compare.
//!
//! The semantics are those of Prometheus 3.14, experimental parts behind the switches of [`Options`].
//!
//! ```
//! use barograph_model::{Budget, Timestamp};
//! use barograph_query::{Options, Value, evaluate_instant, parse, script::Memory};
//!
//! let store = Memory::new();
//! let expr = parse("vector(20) * 2 + 2").unwrap();
//! let answer = evaluate_instant(&store, &expr, Timestamp(0), &Options::default(), &Budget::unlimited()).unwrap();
//! let Value::Vector(series) = answer.value else { panic!("a vector was asked for") };
//! assert_eq!(series[0].1.float(), Some(42.0));
//! assert_eq!(parse("sum(1)").unwrap_err().to_string(), "1:5: parse error: expected type instant vector in aggregation expression, got scalar");
//! ```

mod cache;
pub mod engine;
mod eval;
pub mod explain;
pub mod json;
mod native;
pub mod script;
mod syntax;
mod tiers;

pub use cache::{Cache, CacheCounts, Reuse, Reused};
pub use eval::{
    Answer, Datum, Error, Options, STEPS_MAX, Steps, Track, Value, When, evaluate_instant, evaluate_range,
    go_float,
};
pub use native::{Bucket, FloatHistogram, Incompatible};
pub use syntax::{
    Arity, DEPTH_MAX, Function, ParseError, QUERY_BYTES_MAX, Span, ast, duration_text, is_light, parse,
    parse_duration, parse_selector, parse_selectors, selectors, unquote,
};
