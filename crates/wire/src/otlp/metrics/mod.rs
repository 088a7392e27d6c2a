//! Metrics of OpenTelemetry, read: an `ExportMetricsServiceRequest` becomes rows of series.
//!
//! [`translate`] walks the request where it lies and writes the labels of each series into one run of bytes; nothing is
//! allocated for a point. What cannot be translated is refused by point, with a reason, and the rest goes on; an error is
//! only what is no such request, or too much of one. Points of delta temporality are marked, and become cumulative in
//! [`Translated::accumulate`], once all of the request was read.
//!
//! Numbers of the fields: `opentelemetry-proto`, `metrics.proto`, 1.x. Names: [`super::Strategy`].

mod delta;
mod exemplars;
mod points;
mod resource;
mod rows;
mod settings;
mod walk;

pub use delta::{DeltaLimits, Deltas};
pub use rows::{HistogramOf, SampleOf, Translated};
pub use settings::{Limits, Promote, Settings};
pub use walk::{Error, translate};

#[cfg(test)]
mod tests;
