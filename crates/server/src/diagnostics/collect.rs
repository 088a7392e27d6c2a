//! Diagnostics on demand: traces of requests, an analysis and a state of some seconds from now.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{
    DebugTrace, Observed, PerformanceAnalysis, SystemState,
    documents::TraceData,
    recorder::{COMPONENTS, Component, Seen},
    run::{keep_analysis, keep_state},
};
use crate::{Engine, events::Bus};

/// The longest that is looked at.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(60);

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Traces of the requests meanwhile, of one component or of all.
    pub(crate) traces: bool,
    /// An analysis of what happened meanwhile.
    pub(crate) analysis: bool,
    /// The state at the end.
    pub(crate) state: bool,
    /// Of which component; all of them if that is `server`.
    pub(crate) component: &'a str,
    /// How long it is looked.
    pub(crate) duration: Duration,
}

/// What came of it. It is kept with what is collected unasked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected {
    /// One for each component.
    pub(crate) traces: Vec<Arc<DebugTrace>>,
    pub(crate) analysis: Option<Arc<PerformanceAnalysis>>,
    pub(crate) state: Option<Arc<Value>>,
}

impl Collected {
    /// As documents.
    pub(crate) fn to_json(&self) -> Value {
        let traces: Vec<_> = self.traces.iter().map(|trace| &**trace).collect();
        json!({"traces": traces, "analysis": self.analysis.as_deref(), "state": self.state.as_deref()})
    }
}

/// Too many collect already.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowded;

/// Collects what is wanted.
///
/// # Errors
/// As many recordings as there may be go on.
pub(crate) async fn collect(engine: &Arc<Engine>, wanted: Wanted<'_>) -> Result<Collected, Crowded> {
    let diagnostics = &engine.diagnostics;
    let recording = match wanted.traces {
        true => Some(diagnostics.recorder.begin().ok_or(Crowded)?),
        false => None,
    };
    let before = Observed::read(engine, engine.clock.now());
    let began = engine.clock.monotonic();
    if wanted.traces || wanted.analysis {
        tokio::time::sleep(wanted.duration.min(DURATION_MAX)).await;
    }
    let duration_ms = engine.clock.monotonic().saturating_sub(began).as_secs_f64() * 1e3;
    let now = engine.clock.now();
    let mut observed = Observed::read(engine, now);
    observed.error_rate = diagnostics.kept().readings.newest().and_then(|newest| newest.error_rate);

    let mut collected = Collected::default();
    if let Some(recording) = recording {
        let trace = |(component, seen): (&Component, &Seen)| {
            let wanted = wanted.component == "server" || wanted.component == component.name;
            wanted.then(|| DebugTrace {
                component: component.name.to_owned(),
                trace_type: "request_stages",
                data: data(component.name, seen, &before, &observed, duration_ms, engine),
                node: engine.health.node().to_owned(),
                timestamp: now.to_rfc3339(),
            })
        };
        for trace in recording.each(trace).into_iter().flatten() {
            let trace = diagnostics.kept().traces.push(now, trace);
            engine.events.publish(Bus::Diagnostics, "debug_trace", "debug_trace", &*trace);
            collected.traces.push(trace);
        }
    }
    if wanted.analysis {
        let analysis = keep_analysis(engine, wanted.component, duration_ms, Some(&before), &observed);
        collected.analysis = Some(analysis);
    }
    if wanted.state {
        let (work, runtime) = (engine.clone(), Handle::current());
        let state = tokio::task::spawn_blocking(move || {
            keep_state(&work, &SystemState::read(&work, &runtime, now), now)
        });
        // One that cannot be looked at is missing.
        collected.state = state.await.ok();
    }
    Ok(collected)
}

/// Whether there is a component of that name to trace.
pub(crate) fn is_traced(name: &str) -> bool {
    name == "server" || COMPONENTS.iter().any(|component| component.name == name)
}

fn data(
    component: &str,
    seen: &Seen,
    before: &Observed,
    now: &Observed,
    duration_ms: f64,
    engine: &Engine,
) -> TraceData {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let results = engine.results.counts();
    let swept = |of: fn(&Observed) -> u64| of(now).saturating_sub(of(before));
    let in_flight = engine.collecting.requests.figures().in_flight.max(0).unsigned_abs();
    let (sweeps, queue, unit) = match component {
        "query" => (results.evicted + results.changed, count(now.waiting), "queries"),
        "ingest" => (swept(|o| o.stats.blocks_cut), count(now.stats.wal_pending_bytes), "bytes"),
        "persistence_worker" => {
            let blocks = |o: &Observed| o.stats.blocks_cut + o.stats.blocks_merged + o.stats.blocks_deleted;
            (swept(blocks), count(now.stats.wal_pending_bytes), "bytes")
        }
        _ => (0, in_flight, "requests"),
    };
    let requests = seen.slowest();
    TraceData {
        function_calls: seen.calls(),
        memory_allocations: None,
        gc_collections: sweeps,
        message_queue_length: queue,
        message_queue_unit: unit,
        duration_ms,
        stages: seen.stages(),
        requests_left_out: seen.requests - count(requests.len()).min(seen.requests),
        requests,
    }
}
