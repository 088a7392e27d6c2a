//! A metric as the exposition formats see it: a family of points under one name.

use std::sync::Arc;

use barograph_model::{Exemplar, Labels, MetricType, Sketch};

/// One metric with all its points, in the order in which they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name without the suffixes of its points: a counter exposed as `jobs_total` is the family `jobs`.
    pub name: String,
    /// One line for people, or empty.
    pub help: String,
    /// The base unit (`seconds`, `bytes`), or empty.
    pub unit: String,
    /// What the points mean.
    pub kind: MetricType,
    /// The points; those of one label set stand together, buckets ascending.
    pub points: Vec<Point>,
}

/// One exposed value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What follows the family's name: ``, `_total`, `_bucket`, `_sum`, `_count`, `_created`, `_info` and the like.
    pub suffix: &'static str,
    /// The labels, without `__name__`; buckets carry `le`, quantiles `quantile`.
    pub labels: Labels,
    /// The value; buckets are cumulative.
    pub value: f64,
    /// An observation that stands for this value. Only counters and buckets expose theirs, and only in OpenMetrics.
    pub exemplar: Option<Exemplar>,
    /// All values by bucket, beside the `_count` of a histogram that keeps them. Text has no place for it.
    pub sketch: Option<Arc<Sketch>>,
}

impl Point {
    /// A point without an exemplar.
    pub const fn new(suffix: &'static str, labels: Labels, value: f64) -> Self {
        Self { suffix, labels, value, exemplar: None, sketch: None }
    }
}
