//! The server looks at itself: states, traces, analyses, thresholds, and what was around an incident.
//!
//! A task (`run.rs`) reads the [figures](FIGURES) of the server every few seconds, compares them with the configured
//! thresholds, and now and then makes documents of them ([`documents`]), which are kept, published on the bus and listed by
//! `http/diagnostics`. The same are made on demand (`collect.rs`). Everything here looks only: nothing fails because it does.

mod analysis;
mod archive;
pub(crate) mod collect;
pub mod documents;
mod evidence;
pub(crate) mod incidents;
mod observed;
pub(crate) mod recorder;
mod ring;
mod run;
mod state;
mod thresholds;
mod trend;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_model::Timestamp;
use barograph_state::State;
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use analysis::COMPONENTS as ANALYSED;
pub use documents::{DebugTrace, MetricAlert, PerformanceAnalysis, Severity, Side, SystemState};
pub use observed::FIGURES;
pub(crate) use run::run;

use crate::{Engine, config, errors::chain, events::Bus, performance::Performance};
use incidents::{Cause, Incidents};
use observed::Observed;
use recorder::Recorder;
use ring::Ring;
use thresholds::Watched;
use trend::History;

/// Traces, analyses and alerts that are kept.
const TRACES_MAX: usize = 256;
const ANALYSES_MAX: usize = 256;
const ALERTS_MAX: usize = 1_000;
/// States that are kept: those of the last hour, and one in ten minutes of a week. The latter outlive the process.
const STATES_MAX: usize = 1_300;
const STATES_APART_MS: i64 = 600_000;
/// Readings with all messages of performance that are kept, [`run::PERFORMANCE_EVERY`] apart.
const PERFORMANCE_MAX: usize = 40;
/// Readings of figures that are kept: three minutes of them, a second apart.
const READINGS_MAX: usize = 180;

/// What the server knows of itself.
#[derive(Debug)]
pub(crate) struct Diagnostics {
    interval: Duration,
    pub(crate) recorder: Recorder,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    traces: Ring<DebugTrace>,
    analyses: Ring<PerformanceAnalysis>,
    states: Ring<Value>,
    alerts: Ring<MetricAlert>,
    performance: Ring<Performance>,
    readings: Ring<Observed>,
    history: History,
    watched: Vec<Watched>,
    incidents: Incidents,
}

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// From when on.
    pub(crate) start: Timestamp,
    /// How many at most.
    pub(crate) limit: usize,
}

impl Diagnostics {
    pub(crate) fn new(config: &config::Diagnostics) -> Self {
        let kept = Kept {
            traces: Ring::new(TRACES_MAX),
            analyses: Ring::new(ANALYSES_MAX),
            states: Ring::thinning(STATES_MAX, STATES_APART_MS),
            alerts: Ring::new(ALERTS_MAX),
            performance: Ring::new(PERFORMANCE_MAX),
            readings: Ring::new(READINGS_MAX),
            history: History::default(),
            watched: config.thresholds.iter().cloned().map(Watched::new).collect(),
            incidents: Incidents::default(),
        };
        Self { interval: config.interval, recorder: Recorder::default(), kept: Mutex::new(kept) }
    }

    /// Compares with other thresholds from now on; of those that stay it is known how they stand.
    pub(crate) fn watch(&self, thresholds: &[config::Threshold]) {
        let mut kept = self.kept();
        let mut before = std::mem::take(&mut kept.watched);
        let watched = thresholds.iter().map(|threshold| {
            let known = before.iter().position(|watched| watched.threshold() == threshold);
            known.map_or_else(|| Watched::new(threshold.clone()), |index| before.swap_remove(index))
        });
        kept.watched = watched.collect();
    }

    /// Takes up the states of earlier runs. Blocks on the disk.
    pub(crate) fn load(&self, database: &State, node: &str, now: Timestamp) {
        match archive::read(database, node, now) {
            Ok(states) => states.into_iter().for_each(|(at, state)| drop(self.kept().states.push(at, state))),
            Err(error) => {
                tracing::warn!(error = chain(&error), "states of earlier runs cannot be read");
            }
        }
    }

    /// Something went wrong that is worth keeping what was around it; the number of the incident.
    pub(crate) fn report(&self, engine: &Engine, cause: Cause) -> u64 {
        let now = engine.clock.now();
        tracing::warn!(cause = cause.text, "an incident: what is around it is kept");
        let mut kept = self.kept();
        // Taken out so that it can ask for what is kept beside it.
        let mut incidents = std::mem::take(&mut kept.incidents);
        let start = Timestamp(now.0 - incidents::AROUND_MS);
        let id = incidents.report(cause, now, || kept.evidence(engine, start));
        kept.incidents = incidents;
        id
    }

    /// Closes the incident that goes on if it is time.
    fn close_incident(&self, engine: &Engine, now: Timestamp) {
        let mut kept = self.kept();
        let Some(start) = kept.incidents.due(now) else { return };
        let after = kept.evidence(engine, start);
        let closed = kept.incidents.close(now, after);
        drop(kept);
        if let Some(document) = closed {
            let id = document["id"].as_u64();
            engine.events.publish(Bus::Diagnostics, "incidents", "incident", &document);
            tracing::info!(id, "an incident is kept: /api/barograph/v1/diagnostics/incidents");
        }
    }

    /// What there is, in numbers, with the newest of what is short.
    pub(crate) fn overview(&self) -> Value {
        let kept = self.kept();
        let of =
            |len: usize, max: usize, dropped: u64| json!({"kept": len, "kept_max": max, "dropped": dropped});
        let crossed = kept.watched.iter().filter(|watched| watched.is_crossed());
        let reading = kept.readings.newest();
        json!({
            "traces": of(kept.traces.len(), kept.traces.max(), kept.traces.dropped()),
            "analysis": of(kept.analyses.len(), kept.analyses.max(), kept.analyses.dropped()),
            "states": of(kept.states.len(), kept.states.max(), kept.states.dropped()),
            "alerts": of(kept.alerts.len(), kept.alerts.max(), kept.alerts.dropped()),
            "messages": of(kept.performance.len(), kept.performance.max(), kept.performance.dropped()),
            "figures": reading.map(|reading| reading.figures().collect::<BTreeMap<_, _>>()),
            "thresholds_crossed": crossed.map(|watched| json!({
                "metric": watched.threshold().metric,
                "severity": watched.threshold().severity,
                "value": watched.threshold().value,
            })).collect::<Vec<_>>(),
            "newest_state": kept.states.newest().map(|state| &**state),
            "newest_analysis": kept.analyses.newest().map(|analysis| &**analysis),
        })
    }

    /// Traces of a component, or of all.
    pub(crate) fn traces(&self, component: Option<&str>, page: Page) -> Value {
        let wanted = |trace: &DebugTrace| component.is_none_or(|component| trace.component == component);
        listed("traces", &self.kept().traces, page, wanted)
    }

    /// Analyses of a component, or of all.
    pub(crate) fn analyses(&self, component: Option<&str>, page: Page) -> Value {
        let wanted = |one: &PerformanceAnalysis| component.is_none_or(|component| one.component == component);
        listed("analysis", &self.kept().analyses, page, wanted)
    }

    /// States.
    pub(crate) fn states(&self, page: Page) -> Value {
        listed("states", &self.kept().states, page, |_| true)
    }

    /// Alerts of a metric, or of all.
    pub(crate) fn alerts(&self, metric: Option<&str>, page: Page) -> Value {
        let wanted = |alert: &MetricAlert| metric.is_none_or(|metric| alert.metric_name == metric);
        listed("alerts", &self.kept().alerts, page, wanted)
    }

    /// Messages of performance of one type (`ThroughputMetric`, `LatencyMetric`, `ResourceUsage`), or of all three, and of
    /// one operation or resource, or of all.
    pub(crate) fn messages(&self, kind: Option<&str>, of: Option<&str>, page: Page) -> Value {
        let kept = self.kept();
        let all = kept.performance.since(page.start).flat_map(|(_, one)| one.messages());
        let wanted = |message: &Value| {
            let about = message.get("operation").or_else(|| message.get("resource_type"));
            kind.is_none_or(|kind| message["type"] == kind)
                && of.is_none_or(|of| about.is_some_and(|about| about == of))
        };
        let messages: Vec<_> = all.filter(wanted).take(page.limit).collect();
        json!({"messages": messages, "readings": kept.performance.len(), "readings_max": kept.performance.max()})
    }

    /// Incidents, without what they hold.
    pub(crate) fn incidents(&self) -> Value {
        self.kept().incidents.list()
    }

    /// One incident.
    pub(crate) fn incident(&self, id: u64) -> Option<Value> {
        self.kept().incidents.find(id)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listed<T: Serialize>(name: &str, ring: &Ring<T>, page: Page, wanted: impl Fn(&T) -> bool) -> Value {
    let found = ring.since(page.start).map(|(_, document)| document).filter(|document| wanted(document));
    let found: Vec<&T> = found.map(|document| &**document).take(page.limit).collect();
    json!({name: found, "kept": ring.len(), "kept_max": ring.max(), "dropped": ring.dropped()})
}
