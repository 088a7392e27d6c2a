//! What keeps the store safe and within bounds, seen by an operator: backups, sizes, growth.
//!
//! Functions that take paths work without a server: the commands `backup --data-dir`, `restore` and `verify` are thin
//! around them.

pub mod backup;
mod telemetry;

pub use telemetry::Instruments;
