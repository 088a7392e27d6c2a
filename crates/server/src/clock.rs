//! The one clock: what time it is, and how much time went by.

use std::time::Duration;

use barograph_model::Timestamp;

/// A source of time. Tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, never going back.
    fn monotonic(&self) -> Duration;
}
