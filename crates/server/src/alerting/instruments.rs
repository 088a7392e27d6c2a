//! What the server measures of alerts and whom they are told.

use barograph::{Counter, Error, Family, Gauge, Histogram, Registry, Unit};

/// Instruments of alerting.
#[derive(Debug)]
pub(crate) struct Instruments {
    received: Family<Counter, 1>,
    /// Alerts that were told and could not be used.
    pub(super) invalid: Counter,
    /// Alerts that were not taken as there are too many.
    pub(super) refused: Counter,
    /// Alerts that began or ended and are not in the counts of their rule, as there are too many rules.
    pub(super) uncounted: Counter,
    /// Alerts that found no group as there are too many of these.
    pub(super) groups_refused: Counter,
    /// Entries of the notification log that went as there were too many.
    pub(super) log_limited: Counter,
    alerts: Family<Gauge, 1>,
    silences: Family<Gauge, 1>,
    /// Groups.
    pub(super) groups: Gauge,
    /// Entries of the state database that could not be written.
    pub(super) unkept: Counter,
    flushes: Counter,
    suppressed: Family<Counter, 1>,
    /// How long a look at the groups that are due took.
    pub(super) duration: Histogram,
    usable: Gauge,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &'static str, help: &'static str| registry.counter(name).help(help);
        Ok(Self {
            received: counter("barograph_alerts_received_total", "Alerts that were told, by status.")
                .family(["status"])?,
            invalid: counter("barograph_alerts_invalid_total", "Alerts that could not be used.")
                .register()?,
            refused: counter(
                "barograph_alerts_limited_total",
                "Alerts that were not taken: there are too many.",
            )
            .register()?,
            uncounted: counter(
                "barograph_alert_firings_uncounted_total",
                "Alerts that began or ended and are in no count of their rule: there are too many rules.",
            )
            .register()?,
            groups_refused: counter(
                "barograph_alert_groups_limited_total",
                "Alerts that found no group: there are too many.",
            )
            .register()?,
            log_limited: counter(
                "barograph_notification_log_limited_total",
                "Entries of the notification log that were forgotten early: there are too many.",
            )
            .register()?,
            alerts: registry
                .gauge("barograph_alerts")
                .help("Alerts that fire, by whether they are muted.")
                .family(["state"])?,
            silences: registry.gauge("barograph_silences").help("Silences, by state.").family(["state"])?,
            groups: registry.gauge("barograph_alert_groups").help("Groups of alerts.").register()?,
            unkept: counter(
                "barograph_alert_state_failures_total",
                "Changes of alerting that could not be written to the state database at once.",
            )
            .register()?,
            flushes: counter("barograph_alert_group_flushes_total", "Looks at groups of alerts.")
                .register()?,
            suppressed: counter(
                "barograph_notifications_suppressed_total",
                "Alerts that were not told at a look at their group, by reason.",
            )
            .family(["reason"])?,
            duration: registry
                .histogram("barograph_alert_dispatch_duration")
                .unit(Unit::Seconds)
                .help("Time it took to decide what is told of the groups that were due, and to keep it.")
                .register()?,
            usable: registry
                .gauge("barograph_alertmanager_config_usable")
                .help("0 while alertmanager.yml cannot be used and the one before runs on.")
                .register()?,
        })
    }

    pub(super) fn received(&self, over: bool) {
        self.received.with([if over { "resolved" } else { "firing" }]).inc();
    }

    pub(super) fn file(&self, usable: bool) {
        self.usable.set(f64::from(u8::from(usable)));
    }

    pub(super) fn flushed(&self, flush: &barograph_alert::routing::Flush) {
        use barograph_alert::routing::MuteKind;
        self.flushes.inc();
        for told in &flush.alerts {
            if let Some(strongest) = told.muted_by.iter().map(|by| by.kind).min() {
                let reason = match strongest {
                    MuteKind::Silence => "silence",
                    MuteKind::Maintenance => "maintenance",
                    MuteKind::Inhibition => "inhibition",
                    MuteKind::Interval => "interval",
                };
                self.suppressed.with([reason]).inc();
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "there are fewer than that")]
    pub(super) fn standing(&self, active: usize, muted: usize, silences: [usize; 3], groups: usize) {
        self.alerts.with(["active"]).set(active as f64);
        self.alerts.with(["suppressed"]).set(muted as f64);
        for (state, count) in ["active", "pending", "expired"].into_iter().zip(silences) {
            self.silences.with([state]).set(count as f64);
        }
        self.groups.set(groups as f64);
    }
}
