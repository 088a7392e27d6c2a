//! What the server measures of incidents.

use barograph::{Counter, Error, Family, Gauge, Registry};
use barograph_alert::incident::{Book, Change, State};

/// Instruments of incidents.
#[derive(Debug)]
pub(crate) struct Instruments {
    incidents: Family<Gauge, 1>,
    rows: Family<Counter, 1>,
    pub(super) refused: Counter,
    pub(super) not_stored: Counter,
    pub(super) links: Family<Counter, 1>,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            incidents: registry
                .gauge("barograph_alert_incidents")
                .help("Incidents that are kept, by state.")
                .family(["state"])?,
            rows: registry
                .counter("barograph_alert_incident_events_total")
                .help("What happened to incidents, by kind of the row in their timelines.")
                .family(["kind"])?,
            refused: registry
                .counter("barograph_alert_incidents_refused_total")
                .help("Groups that fire without an incident, as there are too many; nobody is asked twice for them.")
                .register()?,
            not_stored: registry
                .counter("barograph_alert_incident_store_failures_total")
                .help("Escalations that could not be stored when they were due, and were tried again.")
                .register()?,
            links: registry
                .counter("barograph_alert_ack_links_total")
                .help("Links to acknowledge that were used, by what came of it.")
                .family(["outcome"])?,
        })
    }

    pub(super) fn changed(&self, changes: &[Change]) {
        for row in changes.iter().flat_map(|change| &change.rows) {
            self.rows.with([row.kind.as_str()]).inc();
        }
    }

    pub(super) fn observe(&self, book: &Book) {
        for state in State::ALL {
            let number = book.iter().filter(|incident| incident.state == state).count();
            self.incidents.with([state.as_str()]).set(number as f64);
        }
    }
}
