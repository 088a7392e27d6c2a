//! Why a metric cannot be registered.

use std::fmt;

/// Why a metric cannot be registered. All but the last are mistakes in its definition.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The name would not be a good one to expose.
    InvalidName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A label name would not be a good one to expose, or stands twice.
    InvalidLabel {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Bucket bounds are not finite and strictly ascending.
    InvalidBounds {
        /// The histogram.
        name: String,
    },
    /// The name is taken by a metric of another kind.
    Conflict {
        /// The exposed name.
        name: String,
        /// What differs: `type`, `unit`, `bounds` or `name`.
        what: &'static str,
        /// What it is in the metric that has the name.
        existing: String,
    },
    /// The series is given by a closure or by a handle, and was asked for as the other.
    Taken {
        /// The series.
        series: String,
        /// How its value is had.
        existing: &'static str,
    },
    /// The process has as many series as it can hold.
    Full {
        /// How many of this kind there can be.
        max: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { name, reason } => write!(f, "invalid metric name \"{name}\": {reason}"),
            Self::InvalidLabel { name, reason } => write!(f, "invalid label name \"{name}\": {reason}"),
            Self::InvalidBounds { name } => {
                write!(f, "bucket bounds of \"{name}\" must be finite and strictly ascending")
            }
            Self::Conflict { name, what, existing } => {
                write!(f, "metric \"{name}\" is already registered with another {what}: {existing}")
            }
            Self::Taken { series, existing } => {
                write!(f, "series {series} is already registered as {existing}")
            }
            Self::Full { max } => write!(f, "no room for another series: the process holds {max}"),
        }
    }
}

impl std::error::Error for Error {}
