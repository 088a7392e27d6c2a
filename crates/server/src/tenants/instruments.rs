//! What the server measures of its tenants; of as many as there may be.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use barograph::{Counter, Error, Family, Gauge, Registry};

use super::Tenants;
use crate::telemetry::raise;

/// See the module.
pub(super) struct Instruments {
    series: Family<Gauge, 1>,
    queries: Family<Gauge, 1>,
    samples: Family<Counter, 1>,
    asked: Family<Counter, 1>,
    refused: Family<Counter, 2>,
    dropped: Family<Counter, 1>,
    unknown: Counter,
}

impl Tenants {
    /// From now on they are measured, if there are any.
    ///
    /// # Errors
    /// A name stands twice.
    pub(crate) fn measure_in(&self, registry: &Registry) -> Result<(), Error> {
        if !self.is_on() {
            return Ok(());
        }
        let instruments = Instruments {
            series: registry
                .gauge("barograph_tenant_series")
                .help("Series in memory, by tenant.")
                .family(["tenant"])?,
            queries: registry
                .gauge("barograph_tenant_queries_open")
                .help("Queries that run or wait, by tenant.")
                .family(["tenant"])?,
            samples: registry
                .counter("barograph_tenant_samples_total")
                .help("Samples that were stored, by tenant.")
                .family(["tenant"])?,
            asked: registry
                .counter("barograph_tenant_queries_total")
                .help("Queries that were asked, by tenant.")
                .family(["tenant"])?,
            refused: registry
                .counter("barograph_tenant_refused_total")
                .help("Samples and queries that were refused, by tenant and limit.")
                .family(["tenant", "limit"])?,
            dropped: registry
                .counter("barograph_tenant_labels_dropped_total")
                .help("Label sets that came with the label of a tenant, which was taken away, by tenant.")
                .family(["tenant"])?,
            unknown: registry
                .counter("barograph_tenants_refused_total")
                .help("Requests refused because there were as many tenants as tenancy.max says.")
                .register()?,
        };
        let _ = self.0.instruments.set(instruments);
        Ok(())
    }

    /// Takes over what became of them; `series` is how many the store has of each.
    pub(crate) fn observe(&self, series: impl FnOnce() -> Vec<(String, usize)>) {
        let Some(instruments) = self.0.instruments.get() else { return };
        let series = series();
        raise(instruments.unknown, self.refused());
        for known in self.all() {
            let name = &*known.name;
            let label = known.tenant.name().map_or("", |name| name);
            let held = series.iter().find(|(owner, _)| owner == label).map_or(0, |(_, series)| *series);
            instruments.series.with([name]).set(held as f64);
            instruments.queries.with([name]).set(known.queries() as f64);
            let count = |counter: &AtomicU64| counter.load(Relaxed);
            let figures = &known.figures;
            raise(instruments.samples.with([name]), count(&figures.samples));
            raise(instruments.asked.with([name]), count(&figures.asked));
            raise(instruments.dropped.with([name]), count(&figures.labels_dropped));
            for (limit, refused) in [
                ("samples_per_second", &figures.rate_refused),
                ("queries", &figures.queries_refused),
                ("share", &figures.share_refused),
            ] {
                raise(instruments.refused.with([name, limit]), count(refused));
            }
        }
    }
}
