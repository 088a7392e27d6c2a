//! What the server measures of its events.

use barograph::{Counter, Error, Family, Gauge, Registry, Unit};

use super::{Bus, Events};
use crate::telemetry::raise;

/// Events in numbers, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Events by bus.
    pub(crate) published: [u64; Bus::ALL.len()],
    /// Events that were told but not kept, for want of room for their topics.
    pub(crate) unkept: u64,
    /// Events that were not told, since their documents could not be written.
    pub(crate) failed: u64,
    /// Events of users that were not told, since a limit was reached.
    pub(crate) refused: u64,
    /// Bytes that are kept now.
    pub(crate) kept_bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Instruments {
    published: Family<Counter, 1>,
    lost: Family<Counter, 1>,
    kept: Gauge,
}

impl Instruments {
    /// Registers them.
    ///
    /// # Errors
    /// A name is not valid or stands twice, which a test would have found.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            published: registry
                .counter("barograph_events_published_total")
                .help("Events that were told, by bus.")
                .family(["bus"])?,
            lost: registry
                .counter("barograph_events_lost_total")
                .help("Events that were not kept, written or taken, by reason.")
                .family(["reason"])?,
            kept: registry
                .gauge("barograph_events_kept")
                .unit(Unit::Bytes)
                .help("Bytes of events that are kept for who comes back.")
                .register()?,
        })
    }

    /// Takes over the figures of the bus.
    pub(crate) fn observe(&self, events: &Events) {
        let counts = events.counts();
        for bus in Bus::ALL {
            raise(self.published.with([bus.name()]), counts.published[bus.index()]);
        }
        raise(self.lost.with(["unkept"]), counts.unkept);
        raise(self.lost.with(["unwritten"]), counts.failed);
        raise(self.lost.with(["refused"]), counts.refused);
        self.kept.set(counts.kept_bytes as f64);
    }
}
