//! OTLP: metrics and spans of OpenTelemetry, over HTTP and gRPC.
//!
//! `receive` takes a request, whatever it came by: it is read whole before anything of it is stored, and answered when what
//! was stored is durable. Metrics become series as `barograph_wire::otlp::metrics` says; spans go to [`crate::spans`]. The
//! main ports take all of it, and so do those that OTLP has by convention (`ports`). Logs are refused by name.

mod body;
mod ports;
mod receive;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use barograph::{Counter, Error, Gauge, Registry, Unit};
use barograph_tenancy::Tenant;
use barograph_wire::otlp::metrics::{DeltaLimits, Deltas, Settings, Translated};

pub(crate) use body::Coding;
pub(crate) use ports::open;
pub use ports::{OtlpPort, OtlpPorts};
pub(crate) use receive::{NO_LOGS, metrics, retryable, traces};

use crate::{config, telemetry::raise, tenants::scope};

/// What is known from one request to the next.
#[derive(Debug)]
pub(crate) struct Otlp {
    settings: Settings,
    limit: DeltaLimits,
    /// By tenant: series of the same labels are others. Those who have some share the room evenly.
    deltas: Mutex<HashMap<Tenant, Deltas>>,
    instruments: Instruments,
}

/// What the server counts of it.
#[derive(Debug)]
struct Instruments {
    points_refused: Counter,
    delta_series: Gauge,
    delta_bytes: Gauge,
    delta_refused: Counter,
}

impl Otlp {
    /// # Errors
    /// A name of a metric is not valid or stands twice, which a test would have found.
    pub(crate) fn new(config: &config::Otlp, registry: &Registry) -> Result<Self, Error> {
        let instruments = Instruments {
            points_refused: registry
                .counter("barograph_otlp_points_refused_total")
                .help("Points of OTLP metrics that were refused.")
                .register()?,
            delta_series: registry
                .gauge("barograph_otlp_delta_series")
                .help("Series of delta temporality whose total is kept.")
                .register()?,
            delta_bytes: registry
                .gauge("barograph_otlp_delta")
                .unit(Unit::Bytes)
                .help("Memory that the totals of series of delta temporality take.")
                .register()?,
            delta_refused: registry
                .counter("barograph_otlp_delta_refused_total")
                .help("Samples of delta temporality refused because otlp.delta_bytes were in use.")
                .register()?,
        };
        let (settings, limit) = (config.settings.clone(), config.deltas());
        Ok(Self { settings, limit, deltas: Mutex::default(), instruments })
    }

    /// Makes totals of what is of delta temporality.
    fn accumulate(&self, translated: &mut Translated, now: i64) {
        if !translated.has_deltas() {
            return;
        }
        let mut all = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
        all.values_mut().for_each(|deltas| deltas.expire(now));
        let tenant = scope::tenant();
        let others = all.iter().filter(|(other, deltas)| **other != tenant && !deltas.is_empty()).count();
        let deltas = all.entry(tenant).or_insert_with(|| Deltas::new(self.limit));
        deltas.limit(self.limit.bytes / (others + 1));
        translated.accumulate(deltas, now);
        self.instruments.delta_series.set(all.values().map(Deltas::len).sum::<usize>() as f64);
        self.instruments.delta_bytes.set(all.values().map(Deltas::bytes).sum::<usize>() as f64);
        raise(self.instruments.delta_refused, all.values().map(Deltas::full).sum());
    }
}
