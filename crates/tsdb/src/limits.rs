//! How many series there may be and what they may be called: limits that may change while a store is open.
//!
//! A limit that is lowered takes nothing away: series that are there stay until they leave by themselves, and new ones find
//! no room until then.

use crate::{Options, Store};

/// Limits of series; see the fields of the same meaning of [`Options`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Series in the head.
    pub series: usize,
    /// Series of one metric in the head.
    pub series_per_metric: usize,
    /// Values of one label in the series of one metric in the head.
    pub values_per_label: usize,
    /// Labels of a series.
    pub labels: usize,
    /// Bytes of a label name.
    pub label_name_bytes: usize,
    /// Bytes of a label value, and of what is said of a metric.
    pub label_value_bytes: usize,
}

impl SeriesLimits {
    /// Those that options say.
    pub fn of(options: &Options) -> Self {
        Self {
            series: options.series_max,
            series_per_metric: options.metric_series_max,
            values_per_label: options.label_values_max,
            labels: options.labels_max,
            label_name_bytes: options.label_name_bytes_max,
            label_value_bytes: options.label_value_bytes_max,
        }
    }
}

impl Store {
    /// Holds what is appended from now on to these limits.
    pub fn limit_series(&self, limits: SeriesLimits) {
        self.head.guard.limit(limits);
    }

    /// The limits that hold now.
    pub fn series_limits(&self) -> SeriesLimits {
        self.head.guard.limits()
    }
}
