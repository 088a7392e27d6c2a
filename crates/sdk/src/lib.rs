//! What an application links to measure itself.

mod clock;
pub mod collector;
mod distribution;
mod error;
mod family;
mod handle;
mod instrument;
mod metric;
mod name;
mod registry;
mod scale;
mod shard;
mod sketch;
mod slab;
mod statics;

pub use barograph_model::{Labels, Metadata, MetricType, Timestamp};
pub use barograph_wire::exposition;

pub use distribution::{Distribution, SECONDS_BOUNDS};
pub use error::Error;
pub use family::Family;
pub use handle::{Counter, FloatCounter, Gauge, Held, Histogram, UpDownCounter};
pub use instrument::{Instrument, Observed};
pub use metric::{OVERFLOW, SERIES_MAX, VALUE_BYTES_MAX};
pub use name::{NAME_BYTES_MAX, Unit};
pub use registry::{Builder, Described, Registry};
pub use scale::{SCALE, upper_bound};
pub use sketch::{BUCKETS_MAX, Sketch};
pub use statics::{Static, StaticFamily};
