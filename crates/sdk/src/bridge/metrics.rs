//! A recorder for the crate `metrics`.
//!
//! Counters, gauges and histograms that its macros name are registered when they are first used, and record into the
//! cells of this crate. A description counts if it comes before the first use. What a registry refuses records
//! nothing, and [`Registry::problems`] tells.
//!
//! ```
//! use barograph::{Registry, bridge::Recorder, exposition::Format};
//!
//! let registry = Registry::new();
//! metrics::with_local_recorder(&Recorder::new(&registry), || {
//!     metrics::counter!("jobs_total", "queue" => "mail").increment(3);
//! });
//! assert!(registry.expose(Format::Text004).contains("jobs_total{queue=\"mail\"} 3\n"));
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use metrics::{CounterFn, GaugeFn, HistogramFn, Key, KeyName, Metadata, SharedString};

use super::plain;
use crate::{Counter, Gauge, Histogram, Registry, instrument::Instrument, registry::Builder};

/// How many metrics with their labels are remembered, and how many descriptions. What is beyond is looked up each time.
pub const KEYS_MAX: usize = 65_536;

/// Records what the macros of `metrics` are told. Install it with `metrics::set_global_recorder` or
/// [`Recorder::install`].
///
/// A macro costs a look-up in a map behind a lock that readers share; keep its handle where that counts.
#[derive(Debug)]
pub struct Recorder {
    registry: Registry,
    help: Mutex<HashMap<KeyName, SharedString>>,
    counters: Known<CounterCell>,
    gauges: Known<GaugeCell>,
    histograms: Known<HistogramCell>,
}

impl Recorder {
    /// One that registers in `registry`.
    pub fn new(registry: &Registry) -> Self {
        let (registry, help) = (registry.clone(), Mutex::default());
        Self { registry, help, counters: Known::new(), gauges: Known::new(), histograms: Known::new() }
    }

    /// Makes one the recorder of the process, for the global registry; `false` says that there was one already.
    pub fn install() -> bool {
        metrics::set_global_recorder(Self::new(Registry::global())).is_ok()
    }

    fn describe(&self, name: KeyName, description: SharedString) {
        let mut help = self.help();
        if help.len() < KEYS_MAX || help.contains_key(&name) {
            help.insert(name, description);
        }
    }

    /// The instrument for a key, registered if it is new.
    fn register<H: Instrument>(&self, key: &Key, builder: Builder<'_, H>) -> Option<H> {
        let help = self.help().get(key.name()).cloned().unwrap_or_default();
        let mut builder = builder.help(&help);
        for label in key.labels() {
            builder = builder.label(&plain(label.key()), label.value());
        }
        builder.register().map_err(|problem| self.registry.note_problem(problem)).ok()
    }

    fn help(&self) -> MutexGuard<'_, HashMap<KeyName, SharedString>> {
        self.help.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, _: Option<metrics::Unit>, description: SharedString) {
        self.describe(name, description);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<metrics::Unit>, description: SharedString) {
        self.describe(name, description);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<metrics::Unit>, description: SharedString) {
        self.describe(name, description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        let new = || self.register(key, self.registry.counter(&plain(key.name())));
        let cell = self
            .counters
            .get(key, || new().map(|counter| CounterCell { counter, raising: Mutex::default() }));
        cell.map_or_else(metrics::Counter::noop, metrics::Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        let new = || self.register(key, self.registry.gauge(&plain(key.name())));
        let cell = self.gauges.get(key, || new().map(GaugeCell));
        cell.map_or_else(metrics::Gauge::noop, metrics::Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        let new = || self.register(key, self.registry.histogram(&plain(key.name())));
        let cell = self.histograms.get(key, || new().map(HistogramCell));
        cell.map_or_else(metrics::Histogram::noop, metrics::Histogram::from_arc)
    }
}

/// The keys that were used, and what they record into; `None` for those that were refused.
#[derive(Debug)]
struct Known<C>(RwLock<HashMap<Key, Option<Arc<C>>>>);

impl<C> Known<C> {
    fn new() -> Self {
        Self(RwLock::default())
    }

    fn get(&self, key: &Key, new: impl FnOnce() -> Option<C>) -> Option<Arc<C>> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return known.clone();
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(key) {
            return known.clone();
        }
        let cell = new().map(Arc::new);
        if known.len() < KEYS_MAX {
            known.insert(key.clone(), cell.clone());
        }
        cell
    }
}

#[derive(Debug)]
struct CounterCell {
    counter: Counter,
    /// Held while the counter is raised to a value, which takes reading it.
    raising: Mutex<()>,
}

#[derive(Debug)]
struct GaugeCell(Gauge);

#[derive(Debug)]
struct HistogramCell(Histogram);

impl CounterFn for CounterCell {
    fn increment(&self, n: u64) {
        self.counter.add(n);
    }

    fn absolute(&self, value: u64) {
        let _raising = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        self.counter.add(value.saturating_sub(self.counter.value()));
    }
}

impl GaugeFn for GaugeCell {
    fn increment(&self, difference: f64) {
        self.0.add(difference);
    }

    fn decrement(&self, difference: f64) {
        self.0.add(-difference);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

impl HistogramFn for HistogramCell {
    fn record(&self, value: f64) {
        self.0.record(value);
    }
}
