//! What is done again and again: figures read, thresholds looked at, documents made, kept and told.

use std::{sync::Arc, time::Duration};

use barograph_model::{Budget, Labels, Limits, Timestamp};
use barograph_query::{Datum, Value};
use serde_json::json;
use tokio::{runtime::Handle, sync::watch};

use super::{
    Observed, PerformanceAnalysis, Side, SystemState,
    analysis::{Readings, analyse},
    archive,
    incidents::Cause,
    observed::Errors,
    thresholds::Change,
};
use crate::{
    Engine, config::Threshold, errors::chain, events::Bus, http::Health, logging::messages,
    performance::Performance, server::stopped,
};

/// How often a state is kept, and an analysis of the whole server is made.
const STATE_EVERY: Duration = Duration::from_secs(60);
/// How often messages of performance are kept.
pub(super) const PERFORMANCE_EVERY: Duration = Duration::from_secs(15);
/// How often it is logged how much was stored.
const LOG_EVERY: Duration = Duration::from_secs(300);
/// What the expression of a threshold may read.
const SAMPLES_MAX: u64 = 1_000_000;

/// When what was done last.
#[derive(Debug, Default)]
struct Done {
    state: Option<Duration>,
    archived: Option<Duration>,
    performance: Option<Duration>,
    logged: Option<Duration>,
}

/// What a look remembers for the next.
#[derive(Debug, Default)]
struct Memory {
    done: Done,
    errors: Errors,
    failing: bool,
}

/// Looks at the server until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let runtime = Handle::current();
    let mut memory = Memory::default();
    let work = engine.clone();
    let loading = move || work.diagnostics.load(&work.state, work.health.node(), work.clock.now());
    let _ = tokio::task::spawn_blocking(loading).await;
    loop {
        let (work, runtime) = (engine.clone(), runtime.clone());
        let looked = tokio::task::spawn_blocking(move || {
            look(&work, &runtime, &mut memory);
            memory
        });
        // A look that panics is told by its thread, and the next begins anew.
        memory = looked.await.unwrap_or_default();
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = tokio::time::sleep(engine.diagnostics.interval) => {}
        }
    }
}

/// Whether something that is done every `every` is to be done now.
fn due(last: &mut Option<Duration>, now: Duration, every: Duration) -> bool {
    let due = last.is_none_or(|last| now.saturating_sub(last) >= every);
    if due {
        *last = Some(now);
    }
    due
}

fn look(engine: &Engine, runtime: &Handle, memory: &mut Memory) {
    let (now, monotonic) = (engine.clock.now(), engine.clock.monotonic());
    let diagnostics = &engine.diagnostics;
    let mut observed = Observed::read(engine, now);
    observed.error_rate = memory.errors.rate(monotonic, observed.answered, observed.failed);
    let done = &mut memory.done;
    if due(&mut done.performance, monotonic, PERFORMANCE_EVERY) {
        let performance = Performance::of(engine, now);
        diagnostics.kept().performance.push(now, performance);
    }
    if due(&mut done.state, monotonic, STATE_EVERY) {
        let state = keep_state(engine, &SystemState::read(engine, runtime, now), now);
        if due(&mut done.archived, monotonic, archive::EVERY) {
            archived(engine, &state, now);
        }
        diagnostics.kept().history.push(&observed);
        let window = observed.requests.seconds * 1e3;
        keep_analysis(engine, "server", window, None, &observed);
    }
    // The first time there is nothing to tell yet.
    if done.logged.is_none() {
        done.logged = Some(monotonic);
    } else if due(&mut done.logged, monotonic, LOG_EVERY) {
        let store = engine.data_dir.display().to_string();
        messages::metrics_collected(&store, observed.stored.per_second);
        let components = engine.health.components();
        let healthy =
            components.iter().filter(|component| component.status == crate::health::Status::Healthy).count();
        messages::health_summary(&store, healthy, components.len());
    }
    // Kept first, so that what a threshold opens has it.
    let observed = diagnostics.kept().readings.push(now, observed);
    thresholds(engine, &observed, monotonic);
    let health = Health::of(Some(engine));
    let (_, word, reason) = health.words();
    let failing = word == "unhealthy";
    if failing && !memory.failing {
        let text = format!("the server is {word}: {}", reason.unwrap_or("it does not say why"));
        let details = json!({"status": word, "reason": reason});
        diagnostics.report(engine, Cause { kind: "check", text, details });
    }
    memory.failing = failing;
    diagnostics.close_incident(engine, now);
}

/// Keeps and tells a state.
pub(super) fn keep_state(engine: &Engine, state: &SystemState, now: Timestamp) -> Arc<serde_json::Value> {
    let state = engine.diagnostics.kept().states.push(now, json!(state));
    engine.events.publish(Bus::Diagnostics, "system_state", "system_state", &*state);
    state
}

/// Writes a state where it outlives the process. One that cannot be written is told of, and the next is tried.
fn archived(engine: &Engine, state: &serde_json::Value, now: Timestamp) {
    if let Err(error) = archive::keep(&engine.state, engine.health.node(), now, state) {
        tracing::warn!(error = chain(&error), "a state of the system is not written; it is kept in memory");
    }
}

/// Makes, keeps and tells an analysis of `component`, of what was between two readings.
pub(super) fn keep_analysis(
    engine: &Engine,
    component: &str,
    duration_ms: f64,
    before: Option<&Observed>,
    observed: &Observed,
) -> Arc<PerformanceAnalysis> {
    let mut kept = engine.diagnostics.kept();
    let readings =
        Readings { before, now: observed, seconds: if before.is_some() { duration_ms / 1e3 } else { 0.0 } };
    let analysis = PerformanceAnalysis {
        component: component.to_owned(),
        analysis_type: "bottleneck_detection",
        duration_ms,
        results: analyse(component, &readings, &kept.history),
        node: engine.health.node().to_owned(),
        timestamp: observed.at.to_rfc3339(),
    };
    let analysis = kept.analyses.push(observed.at, analysis);
    drop(kept);
    engine.events.publish(Bus::Diagnostics, "performance_analysis", "performance_analysis", &*analysis);
    analysis
}

/// Compares figures with thresholds; tells and keeps what changed.
fn thresholds(engine: &Engine, observed: &Observed, monotonic: Duration) {
    let timestamp = observed.at.to_rfc3339();
    let watched: Vec<_> = {
        let kept = engine.diagnostics.kept();
        kept.watched.iter().map(|watched| watched.threshold().clone()).collect()
    };
    // Expressions are evaluated without the lock.
    let values: Vec<_> = watched.iter().map(|threshold| value(engine, observed, threshold)).collect();
    let changes: Vec<_> = {
        let mut kept = engine.diagnostics.kept();
        let node = engine.health.node();
        let pairs = kept.watched.iter_mut().zip(values);
        pairs.filter_map(|(watched, value)| watched.look(value, monotonic, node, &timestamp)).collect()
    };
    for change in changes {
        match change {
            Change::Crossed(alert) => {
                let text = format!(
                    "{} is {:.3}, past its {} of {}",
                    alert.metric_name,
                    alert.current_value,
                    if alert.threshold_type == Side::Max { "maximum" } else { "minimum" },
                    alert.threshold_value
                );
                let severity = alert.severity.as_str();
                tracing::warn!(category = "health", severity, "threshold crossed: {text}");
                engine.events.publish(Bus::Alerts, "metric_alert", "metric_alert", &alert);
                let details = json!(alert);
                engine.diagnostics.kept().alerts.push(observed.at, alert);
                engine.diagnostics.report(engine, Cause { kind: "threshold", text, details });
            }
            Change::Back { metric, value, threshold } => {
                tracing::info!(category = "health", value, threshold, "{metric} is back from its threshold");
            }
        }
    }
}

/// What is compared with a threshold: a figure, or the worst series of an expression.
fn value(engine: &Engine, observed: &Observed, threshold: &Threshold) -> Option<f64> {
    if super::FIGURES.iter().any(|(name, _)| *name == threshold.metric) {
        return observed.figure(&threshold.metric);
    }
    let expr = barograph_query::parse(&threshold.metric).ok()?;
    let budget =
        Budget::of(Limits { samples: SAMPLES_MAX, ..Limits::NONE }, Some(engine.memory.queries.clone()));
    let answer = barograph_query::evaluate_instant(
        &*engine.store,
        &expr,
        observed.at,
        &engine.query_options(),
        &budget,
    );
    let values: Vec<f64> = match answer.ok()?.value {
        Value::Scalar(sample) => vec![sample.value],
        Value::Vector(series) => {
            let float = |(_, datum): &(Labels, Datum)| match datum {
                Datum::Float(sample) => Some(sample.value),
                Datum::Histogram(..) => None,
            };
            series.iter().filter_map(float).collect()
        }
        _ => return None,
    };
    let worst = match threshold.side {
        Side::Max => f64::max,
        Side::Min => f64::min,
    };
    values.into_iter().reduce(worst)
}
