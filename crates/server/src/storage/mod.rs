//! What keeps the store safe and within bounds, seen by an operator: backups, sizes, growth.
//!
//! Functions that take paths work without a server: the commands `backup --data-dir`, `restore` and `verify` are thin
//! around them.

pub mod backup;
pub mod catalog;
mod forecast;
mod space;
pub mod stats;
mod telemetry;

pub use forecast::{Forecast, HISTORY_MIN_MS, forecast};
pub use space::{Space, space_at};
pub use telemetry::Instruments;
