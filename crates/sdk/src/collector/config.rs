//! How a collector runs: its name, how often, and whether at all.

use std::time::Duration;

/// The shortest interval a collector can have.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// How a collector runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricCollectorConfig {
    /// A short name, unlike that of any other collector of the program.
    pub name: String,
    /// Time from one run to the next; no less than [`INTERVAL_MIN`].
    pub interval: Duration,
    /// Whether it runs at all.
    pub enabled: bool,
}

impl MetricCollectorConfig {
    /// A collector that runs every second.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), interval: Duration::from_secs(1), enabled: true }
    }

    /// The same at another interval.
    #[must_use]
    pub fn every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }
}

/// A change of how a collector runs; what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigChange {
    /// The new interval, raised to [`INTERVAL_MIN`]. The next run is due at once.
    pub interval: Option<Duration>,
    /// Whether it runs from now on.
    pub enabled: Option<bool>,
}
