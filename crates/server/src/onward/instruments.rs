//! What is measured of sending alerts on, by the URL of the Alertmanager, which holds no secret.

use barograph::{Counter, Error, Family, Gauge, Histogram, Registry, Unit};

use super::queue::QUEUE_MAX;

/// Instruments of all Alertmanagers.
#[derive(Debug)]
pub(super) struct Instruments {
    sent: Family<Counter, 1>,
    errors: Family<Counter, 1>,
    dropped: Family<Counter, 1>,
    waiting: Family<Gauge, 1>,
    latency: Family<Histogram, 1>,
    /// Those that are told.
    pub(super) discovered: Gauge,
    /// Those that were found and are over the limit.
    pub(super) over_limit: Counter,
    /// Looks for Alertmanagers that failed.
    pub(super) look_failures: Counter,
    /// Alerts of which it is not remembered that they were told.
    pub(super) unremembered: Counter,
}

/// Those of one.
#[derive(Debug)]
pub(super) struct Measured {
    /// Alerts that were taken.
    pub(super) sent: Counter,
    /// Alerts of requests that failed.
    pub(super) errors: Counter,
    /// Alerts that were not sent, or in vain.
    pub(super) dropped: Counter,
    /// Alerts that wait.
    pub(super) waiting: Gauge,
    /// Time of requests that were taken.
    pub(super) latency: Histogram,
}

const LABEL: [&str; 1] = ["alertmanager"];

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str| registry.counter(name).help(help).family(LABEL);
        let total = |name: &str, help: &str| registry.counter(name).help(help).register();
        let instruments = Self {
            sent: counter(
                "barograph_alertmanager_notifications_sent_total",
                "Alerts that were sent on and taken.",
            )?,
            errors: counter(
                "barograph_alertmanager_notifications_errors_total",
                "Alerts of requests that failed.",
            )?,
            dropped: counter(
                "barograph_alertmanager_notifications_dropped_total",
                "Alerts that were not sent on: the request failed, or too many waited.",
            )?,
            waiting: registry
                .gauge("barograph_alertmanager_notifications_queue_length")
                .help("Alerts that wait to be sent on.")
                .family(LABEL)?,
            latency: registry
                .histogram("barograph_alertmanager_notifications_latency")
                .unit(Unit::Seconds)
                .help("Time that a request with alerts took, if it was taken.")
                .family(LABEL)?,
            discovered: registry
                .gauge("barograph_alertmanagers_discovered")
                .help("Alertmanagers that alerts are sent on to.")
                .register()?,
            over_limit: total(
                "barograph_alertmanagers_limited_total",
                "Alertmanagers that were found and are not told, as there are too many.",
            )?,
            look_failures: total(
                "barograph_alertmanager_discovery_failures_total",
                "Looks for Alertmanagers that failed; the last good ones stay.",
            )?,
            unremembered: total(
                "barograph_alertmanager_notifications_unremembered_total",
                "Alerts that were sent on and will be with each evaluation, as too many are known.",
            )?,
        };
        let capacity = registry
            .gauge("barograph_alertmanager_notifications_queue_capacity")
            .help("Alerts that may wait for one Alertmanager.")
            .register()?;
        capacity.set(QUEUE_MAX as f64);
        Ok(instruments)
    }

    /// Those of one, which then are shown.
    pub(super) fn of(&self, url: &str) -> Measured {
        Measured {
            sent: self.sent.with([url]),
            errors: self.errors.with([url]),
            dropped: self.dropped.with([url]),
            waiting: self.waiting.with([url]),
            latency: self.latency.with([url]),
        }
    }
}
