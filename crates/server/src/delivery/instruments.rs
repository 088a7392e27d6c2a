//! What the server measures of its notices.

use barograph::{Counter, Error, Family, Gauge, Histogram, Registry, Unit};

/// Instruments of delivery.
#[derive(Debug)]
pub(crate) struct Instruments {
    sent: Family<Counter, 1>,
    failed: Family<Counter, 1>,
    dead: Family<Counter, 1>,
    coalesced: Counter,
    templates: Counter,
    waiting: Gauge,
    unkept: Counter,
    duration: Histogram,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let channel = ["channel"];
        Ok(Self {
            sent: registry
                .counter("barograph_notifications_sent_total")
                .help("Notices that were sent, by kind of channel.")
                .family(channel)?,
            failed: registry
                .counter("barograph_notification_attempts_failed_total")
                .help("Tries to send a notice that failed, by kind of channel.")
                .family(channel)?,
            dead: registry
                .counter("barograph_notifications_dead_total")
                .help("Notices that were given up, by kind of channel.")
                .family(channel)?,
            coalesced: registry
                .counter("barograph_notifications_coalesced_total")
                .help("Notices that went into another of their group as the queue was full.")
                .register()?,
            templates: registry
                .counter("barograph_notification_template_failures_total")
                .help("Notices that were sent in the plain form as a template failed.")
                .register()?,
            waiting: registry
                .gauge("barograph_notifications_waiting")
                .help("Notices that wait for being sent.")
                .register()?,
            unkept: registry
                .counter("barograph_notification_outcomes_unkept_total")
                .help("Outcomes of notices that could not be written down at once.")
                .register()?,
            duration: registry
                .histogram("barograph_notification_attempt_duration")
                .unit(Unit::Seconds)
                .help("Time a try to send a notice took.")
                .register()?,
        })
    }

    pub(super) fn attempted(&self, channel: &str, ok: bool, took_ms: u64) {
        if !ok {
            self.failed.with([channel]).inc();
        }
        #[expect(clippy::cast_precision_loss, reason = "a duration in milliseconds")]
        self.duration.record(took_ms as f64 / 1e3);
    }

    pub(super) fn sent(&self, channel: &str) {
        self.sent.with([channel]).inc();
    }

    pub(super) fn dead(&self, channel: &str) {
        self.dead.with([channel]).inc();
    }

    pub(super) fn coalesced(&self) {
        self.coalesced.inc();
    }

    pub(super) fn template_failed(&self) {
        self.templates.inc();
    }

    pub(super) fn unkept(&self) {
        self.unkept.inc();
    }

    pub(super) fn waiting(&self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than floats can count")]
        self.waiting.set(count as f64);
    }
}
