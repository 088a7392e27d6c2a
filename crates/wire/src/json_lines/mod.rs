//! JSON Lines: one JSON object a line, for samples and roll-ups, and the folders that such lines lie in.
//!
//! ```text
//! {"name":"up","timestamp":1738936800000,"value":1,"labels":{"job":"api"}}
//! {"name":"up","timestamp":1738936800000,"value":0.5,"labels":{"job":"api"},"aggregation":"avg","granularity":"1m",
//!  "count":4,"sum":2,"m2":1,"min":0,"max":1,"first":0,"last":1,"increase":2,
//!  "firstAt":1738936800000,"lastAt":1738936845000,"sketch":{…}}
//! ```
//!
//! The second is one line: a window, whose `timestamp` is its start and whose `value` is the mean. Every value comes
//! back bit for bit. What JSON has no number for is a string: `"+Inf"`, `"-Inf"`, `"NaN"`, `"stale"` for the marker that
//! ends a series, and `"NaN:7ff8000000000000"` for other bits.
//!
//! A native histogram has `histogram` in place of `value`:
//!
//! ```text
//! {"name":"latency_seconds","timestamp":1738936800000,"histogram":{"schema":2,"count":4,"sum":7.5,"zeroThreshold":0,
//!  "zeroCount":0,"positive":[[-1,3],[3,1]],"negative":[],"reset":"unknown"},"labels":{"job":"api"}}
//! ```
//!
//! A bucket is its index, as Prometheus numbers them, and its count. `bounds` are there of custom bounds, `"float":true`
//! where counts need not be whole; the marker that ends a series is `"histogram":"stale"`. In a window of a tier,
//! `histogram` is the total (of a counter its increase), beside `granularity`, `count`, `firstAt`, `lastAt`, and `first`
//! and `last`, histograms too.
//!
//! Written: [`SeriesText`] makes lines. Read: [`parse`] takes one. [`layout`] says which file a line belongs to.

mod histogram;
mod line;
mod value;

pub mod layout;

pub use line::{Head, Line, LineError, SeriesText, parse};
