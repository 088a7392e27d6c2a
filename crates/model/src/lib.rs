//! The words all of Barograph shares.
//!
//! In the order one needs them:
//!
//! 1. [`Timestamp`] and [`TimeRange`]: milliseconds since the Unix epoch, and half-open spans of them.
//! 2. [`Labels`]: a sorted, unique set of names and values. A *series* is one label set and its samples.
//! 3. [`Sample`]: a timestamp and a value; [`is_stale`] tells the marker that ends a series.
//! 4. [`Matcher`]: one condition on a label. A slice of them, a *selector*, names series.
//! 5. [`MetricType`], [`Metadata`]: what the catalog knows of a metric.
//! 6. [`Sketch`]: a distribution that merges without loss; [`Rollup`]: what a [`Tier`] keeps of a window of samples;
//!    [`Histogram`]: a distribution that is itself a sample.
//! 7. [`Source`]: how series are read, a batch at a time, under a [`Budget`]; [`Changes`]: what results do not hold any
//!    more.
//!
//! Regular expressions in matchers need the feature `regex`.
//!
//! This crate knows no files, no formats of the outside, no clock and no threads.
//!
//! ```
//! use barograph_model::{Labels, Matcher, MatchOp};
//!
//! let series = Labels::from_pairs([("__name__", "up"), ("job", "api")]).unwrap();
//! let matcher = Matcher::new("job", MatchOp::Regex, "a.*").unwrap();
//! assert!(matcher.matches(series.value("job").unwrap_or("")));
//! assert_eq!(series.to_string(), r#"up{job="api"}"#);
//! ```

#[cfg(feature = "regex")]
mod automaton;
mod budget;
mod changes;
mod histogram;
mod histogram_rollup;
mod labels;
mod matcher;
mod metric;
mod pattern;
mod rollup;
mod rollups;
mod sample;
mod scale;
mod sketch;
mod sketches;
mod source;
mod tier;
mod time;

pub use budget::{Budget, BudgetError, Limits, MemoryPool};
pub use changes::{Change, Changes, Extent, MetricKey, Version};
pub use histogram::{
    CUSTOM_BOUNDS, DifferentBounds, HISTOGRAM_BUCKETS_MAX, Histogram, HistogramError, HistogramParts,
    ResetHint, SCHEMAS, place_buckets,
};
pub use histogram_rollup::HistogramRollup;
pub use labels::{LabelError, Labels, LabelsBuilder, LabelsIter, METRIC_NAME, RawLabel, encode_label, quote};
pub use matcher::{MatchOp, Matcher};
pub use metric::{Exemplar, Metadata, MetricType};
pub use pattern::{MatcherError, PATTERNS_BYTES_MAX, PatternBudget};
pub use rollup::Rollup;
pub use rollups::{Moment, Parts, Rollups};
pub use sample::{STALE_BITS, Sample, is_stale, stale_marker};
pub use scale::{SCALE, index_of, place, upper_bound};
pub use sketch::{BUCKETS_MAX, Sketch};
pub use sketches::{SketchBuckets, SketchShape, Sketches};
pub use source::{
    Batch, Estimate, HistogramSeries, RollupCursor, Selection, SeriesCursor, Source, SourceError,
    last_of_each,
};
pub use tier::{Tier, TierError};
pub use time::{TimeRange, Timestamp, date_of_day};
