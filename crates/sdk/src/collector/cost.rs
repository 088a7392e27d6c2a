//! What it takes to have a statistic.

use barograph_model::MetricType;

/// What it takes to have a statistic, beside the work it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cost {
    /// Nothing that can be felt: what an operation computes anyway is added to a cell, some nanoseconds.
    Zero,
    /// Simple arithmetic on that: a bucket of a distribution, a difference of two readings, a quantile when it is read. Far
    /// below a tenth of a millisecond.
    Minimal,
    /// Something is read for it that is not there otherwise, such as files of the system: up to some milliseconds.
    Higher,
}

impl Cost {
    /// Its word in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Minimal => "minimal",
            Self::Higher => "higher",
        }
    }

    /// That of an instrument, which is told of what happens: counters and gauges take nothing, distributions little.
    pub const fn of(instrument: MetricType) -> Self {
        match instrument {
            MetricType::Counter | MetricType::Gauge | MetricType::Info | MetricType::StateSet => Self::Zero,
            _ => Self::Minimal,
        }
    }
}
