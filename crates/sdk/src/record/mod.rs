//! Records: metrics that are named when they are recorded, with any attributes.
//!
//! Instruments that are known beforehand are cheaper; a [`MetricRecord`] is for what arrives as data, and for what
//! goes over the wire. A [`Recorder`] puts records into a [`Registry`](crate::Registry).
//!
//! Names are dotted or as Prometheus spells them. The [`Measure`] of a record brings its value into base units: a
//! duration in milliseconds is stored in seconds, under a name that says so. As JSON a record is
//! `{"name", "type", "value", "unit"?, "attributes"?, "timestamp"?, "component"?, "sampling"?}`, the value a number
//! or `{"count", "sum", "min", "max", "buckets": [[bound, count], …], "zeros"?}`, the time in milliseconds.

mod json;
mod measure;
mod recorder;
mod seen;
mod stored;
mod weight;

use std::fmt;

use barograph_model::{Sketch, Timestamp};

use crate::{Error, sampling::SamplingInfo, scope::Attributes};

pub use measure::Measure;
pub use recorder::{METRICS_MAX, Recorder};
pub use stored::StoredAs;
pub use weight::{Parts, native_histogram};

/// The attribute that names the component a record is of.
pub const COMPONENT: &str = "componentId";

/// The type of a metric, as whoever records it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "MetricType")]
pub enum RecordKind {
    /// A cumulative count; the value is an increment, whole and not negative.
    Counter,
    /// A value at a point in time.
    Gauge,
    /// One of many values whose distribution is wanted.
    Histogram,
    /// A duration in milliseconds, of which the distribution is wanted. Stored in seconds.
    Timer,
    /// A number of events whose rate is wanted, whole and not negative.
    Meter,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Counter, Self::Gauge, Self::Histogram, Self::Timer, Self::Meter];

    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Timer => "timer",
            Self::Meter => "meter",
        }
    }

    /// The kind of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    /// Whether values are increments.
    pub const fn counts(self) -> bool {
        matches!(self, Self::Counter | Self::Meter)
    }

    /// Whether values are kept as a distribution.
    pub const fn distributes(self) -> bool {
        matches!(self, Self::Histogram | Self::Timer)
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "MetricValue")]
pub enum RecordValue {
    /// A number, in the unit of the record.
    Number(f64),
    /// Many values at once, of a histogram or a timer.
    Distribution(Sketch),
}

impl From<f64> for RecordValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// One record of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRecord {
    /// The name of the metric, hierarchical by dots: `flow.execution.duration`.
    #[doc(alias = "MetricName")]
    pub name: String,
    /// Its type.
    pub kind: RecordKind,
    /// What was measured.
    pub value: RecordValue,
    /// The unit of the value (`ms`, `bytes`, `count`, …; see [`Measure`]). `None`: the unit the metric has.
    #[doc(alias = "MetricUnit")]
    pub unit: Option<String>,
    /// Of whom or of what it is; `flowId`, `branchPath`, `stepId`, `serviceType`, `versionId` and any others.
    pub attributes: Attributes,
    /// When it was, UTC; `None` for now. Kept where samples are stored; a registry has no past.
    pub timestamp: Option<Timestamp>,
    /// The component that reports it.
    #[doc(alias = "ComponentId")]
    pub component: Option<String>,
    /// How it came to be kept, if not all are. Counts and sums are corrected by its weight.
    pub sampling: Option<SamplingInfo>,
}

impl MetricRecord {
    /// A record with nothing but what must be there.
    pub fn new(kind: RecordKind, name: &str, value: impl Into<RecordValue>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            value: value.into(),
            unit: None,
            attributes: Attributes::new(),
            timestamp: None,
            component: None,
            sampling: None,
        }
    }

    /// The same in a unit.
    #[must_use = "the record is returned"]
    pub fn unit(self, unit: &str) -> Self {
        Self { unit: Some(unit.to_owned()), ..self }
    }

    /// The same with attributes.
    #[must_use = "the record is returned"]
    pub fn attributes(self, attributes: impl Into<Attributes>) -> Self {
        Self { attributes: attributes.into(), ..self }
    }

    /// The same at a time.
    #[must_use = "the record is returned"]
    pub fn at(self, timestamp: Timestamp) -> Self {
        Self { timestamp: Some(timestamp), ..self }
    }

    /// The same of a component.
    #[must_use = "the record is returned"]
    pub fn component(self, component: &str) -> Self {
        Self { component: Some(component.to_owned()), ..self }
    }

    /// The same, kept as `sampling` says.
    #[must_use = "the record is returned"]
    pub fn sampled(self, sampling: SamplingInfo) -> Self {
        Self { sampling: Some(sampling), ..self }
    }

    /// What the value is measured in; `None` is whatever the metric is measured in.
    pub fn measure(&self) -> Option<Measure<'_>> {
        Measure::of(self.kind, self.unit.as_deref())
    }

    /// Whether the value is one that a metric of this kind can take.
    ///
    /// # Errors
    /// [`RecordError`]: what is wrong with it.
    pub fn check(&self) -> Result<(), RecordError> {
        match &self.value {
            RecordValue::Number(number) => check_number(self.kind, *number),
            RecordValue::Distribution(_) if self.kind.distributes() => Ok(()),
            RecordValue::Distribution(_) => Err(RecordError::NoDistribution { kind: self.kind }),
        }
    }

    /// Whether both are of one series, measured in one unit.
    fn is_of_the_series_of(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.name == other.name
            && self.unit == other.unit
            && self.component == other.component
            && self.attributes == other.attributes
    }

    /// The attributes with the component.
    pub fn full_attributes(&self) -> Attributes {
        match &self.component {
            Some(component) => self.attributes.clone().with(COMPONENT, component),
            None => self.attributes.clone(),
        }
    }
}

fn check_number(kind: RecordKind, number: f64) -> Result<(), RecordError> {
    if !number.is_finite() {
        return Err(RecordError::NotFinite);
    }
    if kind.counts() && number < 0.0 {
        return Err(RecordError::Negative { kind, value: number });
    }
    if kind.counts() && (number.fract() != 0.0 || number > COUNT_MAX) {
        return Err(RecordError::NotWhole { kind, value: number });
    }
    Ok(())
}

/// The largest increment: all whole numbers up to it are exact.
const COUNT_MAX: f64 = (1u64 << 53) as f64;

/// Why a record was not taken.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RecordError {
    /// A counter or meter only increases.
    Negative {
        /// The kind of metric.
        kind: RecordKind,
        /// The increment.
        value: f64,
    },
    /// A counter or meter counts by whole numbers up to 2^53.
    NotWhole {
        /// The kind of metric.
        kind: RecordKind,
        /// The increment.
        value: f64,
    },
    /// An infinite value, or NaN.
    NotFinite,
    /// A distribution for a metric that has single values.
    NoDistribution {
        /// The kind of metric.
        kind: RecordKind,
    },
    /// The metric cannot be registered, or is another one.
    Definition(Error),
    /// As many metrics are recorded by name as can be.
    TooManyMetrics,
    /// The queue to the server is full.
    QueueFull,
    /// Nothing is taken any more.
    ShutDown,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative { kind, value } => write!(f, "a {kind} only increases; {value} is negative"),
            Self::NotWhole { kind, value } => {
                write!(f, "a {kind} counts by whole numbers up to 2^53; {value} is none")
            }
            Self::NotFinite => f.write_str("the value is not a finite number"),
            Self::NoDistribution { kind } => write!(f, "a {kind} takes numbers, not distributions"),
            Self::Definition(cause) => cause.fmt(f),
            Self::TooManyMetrics => write!(f, "more than {METRICS_MAX} metrics are recorded by name"),
            Self::QueueFull => f.write_str("the queue to the server is full"),
            Self::ShutDown => f.write_str("the recorder was shut down"),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Definition(cause) => std::error::Error::source(cause),
            _ => None,
        }
    }
}

impl From<Error> for RecordError {
    fn from(cause: Error) -> Self {
        Self::Definition(cause)
    }
}

impl RecordError {
    /// One word for it, as the label `reason` has it.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Negative { .. } => "negative",
            Self::NotWhole { .. } => "not_whole",
            Self::NotFinite => "not_finite",
            Self::NoDistribution { .. } => "no_distribution",
            Self::Definition(_) => "definition",
            Self::TooManyMetrics => "too_many_metrics",
            Self::QueueFull => "queue_full",
            Self::ShutDown => "shut_down",
        }
    }
}
