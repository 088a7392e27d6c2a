//! Why a metric cannot be registered.

/// Why a metric cannot be registered. All but the last are mistakes in its definition.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name would not be a good one to expose.
    #[error("invalid metric name \"{name}\": {reason}")]
    InvalidName {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A label name would not be a good one to expose, or stands twice.
    #[error("invalid label name \"{name}\": {reason}")]
    InvalidLabel {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Bucket bounds are not finite and strictly ascending.
    #[error("bucket bounds of \"{name}\" must be finite and strictly ascending")]
    InvalidBounds {
        /// The histogram.
        name: String,
    },
    /// The name is taken by a metric of another kind.
    #[error("metric \"{name}\" is already registered with another {what}: {existing}")]
    Conflict {
        /// The exposed name.
        name: String,
        /// What differs: `type`, `unit`, `bounds` or `name`.
        what: &'static str,
        /// What it is in the metric that has the name.
        existing: String,
    },
    /// The series is given by a closure or by a handle, and was asked for as the other.
    #[error("series {series} is already registered as {existing}")]
    Taken {
        /// The series.
        series: String,
        /// How its value is had.
        existing: &'static str,
    },
    /// The process has as many series as it can hold.
    #[error("no room for another series: the process holds {max}")]
    Full {
        /// How many of this kind there can be.
        max: u32,
    },
}
