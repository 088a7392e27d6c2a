//! What the catalog knows of a metric, and exemplars.

use crate::{Labels, Sample};

/// The type of a metric, in the words of the exposition formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    /// Nothing was said.
    #[default]
    Unknown,
    /// A cumulative count that only grows, until it resets.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Cumulative counts by bucket.
    Histogram,
    /// A histogram of a state, not of events.
    GaugeHistogram,
    /// Quantiles computed by the client.
    Summary,
    /// Constant facts, in labels.
    Info,
    /// One of several states.
    StateSet,
}

impl MetricType {
    /// The lowercase word of the exposition formats and of the metadata API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// The type a word of the exposition formats names; `untyped` is [`MetricType::Unknown`].
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "unknown" | "untyped" => Self::Unknown,
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            _ => return None,
        })
    }
}

/// Type, unit and help of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The type; [`MetricType::Unknown`] when nobody said.
    pub kind: MetricType,
    /// The base unit (`seconds`, `bytes`), or empty.
    pub unit: String,
    /// One line for people, or empty.
    pub help: String,
}

/// An observation kept as an example of a series, with the labels that lead to its trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The labels beside those of the series, usually `trace_id` and `span_id`.
    pub labels: Labels,
    /// What was observed and when.
    pub sample: Sample,
}
