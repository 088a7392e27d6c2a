//! What the server measures of reloads.

use barograph::{Counter, Error, Gauge, Registry, Unit};
use barograph_model::Timestamp;

/// Instruments of reloads.
#[derive(Debug)]
pub struct Instruments {
    successful: Gauge,
    at: Gauge,
    failures: Counter,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let instruments = Self {
            successful: registry
                .gauge("barograph_config_last_reload_successful")
                .help("Whether the configuration that was read last is the one that runs: 1, else 0.")
                .register()?,
            at: registry
                .gauge("barograph_config_last_reload_success_timestamp")
                .unit(Unit::Seconds)
                .help("When the configuration that runs was read, in Unix seconds.")
                .register()?,
            failures: registry
                .counter("barograph_config_reload_failures_total")
                .help("Configurations that were read again and cannot be used.")
                .register()?,
        };
        instruments.successful.set(1.0);
        Ok(instruments)
    }

    pub(crate) fn succeeded(&self, now: Timestamp) {
        self.successful.set(1.0);
        self.at.set(now.seconds());
    }

    pub(super) fn failed(&self) {
        self.successful.set(0.0);
        self.failures.inc();
    }
}
