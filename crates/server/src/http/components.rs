//! `/health/components`, `…/cluster`, `…/checks`, `…/system`, `…/processes`, `…/heartbeats`, `…/history` and `…/recoveries`, also under
//! `/api/barograph/v1`: what the checks say, part by part, and what they said.
//!
//! With `Accept: application/health+json` the same in the words of that format.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use barograph_model::Timestamp;
use serde_json::{Value, json};

use super::{
    App, diagnostics,
    health::{Health, asks_standard, standard_document},
    params::Params,
    problem::Problem,
    prom::ApiError,
};
use crate::{
    Engine,
    health::{ComponentHealth, HISTORY_MAX, Part, Quorum, Score},
    snapshot::SystemMetricsSnapshot,
    surroundings,
};

/// The 95th percentile of what requests take should be within this many seconds.
const OBJECTIVE: f64 = 0.5;
/// Events of history without a limit in the request.
const HISTORY_USUAL: usize = 1_000;

pub(crate) fn routes() -> Router<App> {
    let both = |router: Router<App>, path: &str, method: MethodRouter<App>| {
        router.route(path, method.clone()).route(&format!("/api/barograph/v1{path}"), method)
    };
    let routes: [(&str, MethodRouter<App>); 10] = [
        ("/health/components", get(components)),
        ("/health/components/{name}", get(component)),
        ("/health/cluster", get(cluster)),
        ("/health/checks", get(checks)),
        ("/health/checks/{name}", get(check)),
        ("/health/system", get(system)),
        ("/health/processes", get(processes)),
        ("/health/heartbeats", get(heartbeats)),
        ("/health/history", get(history)),
        ("/health/recoveries", get(recoveries)),
    ];
    routes.into_iter().fold(Router::new(), |router, (path, method)| both(router, path, method))
}

fn missing(what: &str, name: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no {what} {name:?}"))
}

async fn components(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    if asks_standard(&headers) {
        return Ok(standard_document(Some(&engine), &Health::of(Some(&engine)), None));
    }
    Ok(Json(json!({"components": engine.health.components()})).into_response())
}

async fn component(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let component: ComponentHealth =
        engine.health.component(&name).ok_or_else(|| missing("component", &name))?;
    if asks_standard(&headers) {
        return Ok(standard_document(Some(&engine), &Health::of_component(&component), Some(&name)));
    }
    Ok(Json(component).into_response())
}

async fn cluster(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    if asks_standard(&headers) {
        return Ok(standard_document(Some(&engine), &Health::of(Some(&engine)), None));
    }
    Ok(Json(engine.health.cluster()).into_response())
}

async fn checks(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    if asks_standard(&headers) {
        return Ok(standard_document(Some(&engine), &Health::of(Some(&engine)), None));
    }
    Ok(Json(json!({"checks": engine.health.checks()})).into_response())
}

async fn check(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let check = engine.health.checks().into_iter().find(|check| check.check_name == name);
    Ok(Json(check.ok_or_else(|| missing("check", &name))?).into_response())
}

/// How the server is, with the score of it and all that goes into that.
async fn system(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let health = Health::of(Some(&engine));
    if asks_standard(&headers) {
        return Ok(standard_document(Some(&engine), &health, None));
    }
    let (status, word, reason) = health.words();
    let now = engine.clock.now();
    let document = json!({
        "node": engine.health.node(),
        "status": word,
        "reason": reason,
        "score": score(&engine),
        "version": crate::VERSION,
        "uptime_seconds": (now.0 - app.started().0) as f64 / 1e3,
        "components": engine.health.components().iter().map(|it| (it.component.clone(), json!(it.status))).collect::<serde_json::Map<_, _>>(),
        "cluster": engine.health.cluster(),
        "state_bytes": engine.health.state_bytes(),
        "timestamp": now.to_rfc3339(),
    });
    Ok((status, Json(document)).into_response())
}

/// The score of the server: errors, latency, saturation, lost events, lag of the runtime.
pub(super) fn score(engine: &Engine) -> Score {
    let snapshot = diagnostics::snapshot(engine);
    let some = |known: bool, value: f64| known.then_some(value);
    let requests = &snapshot.requests;
    let cpu =
        SystemMetricsSnapshot::latest(&engine.collecting.collectors).cpu_usage.map(|percent| percent / 100.0);
    let saturation = cpu.map_or(engine.memory.used(), |cpu| cpu.max(engine.memory.used()));
    let sessions = engine.events.sessions().snapshot().raw;
    let sent = sessions.server_events_sent as f64;
    let dropped = sessions.events_dropped_total as f64;
    let lag = &snapshot.event_loop;
    let score = Score::of(vec![
        Part::new("error_rate", some(requests.window.count > 0, requests.error_rate), [0.001, 0.05], 3.0)
            .critical(),
        Part::new("p95_of_objective", requests.window.p95.map(|p95| p95 / OBJECTIVE), [1.0, 3.0], 2.0),
        Part::new("saturation", Some(saturation), [0.7, 0.95], 2.0).critical(),
        Part::new("queue_drops", Some(if sent > 0.0 { dropped / sent } else { 0.0 }), [0.0, 0.01], 2.0),
        Part::new("event_loop_lag_p95_ms", some(lag.monitoring_active, lag.p95_lag_ms), [10.0, 200.0], 1.0),
    ]);
    match engine.health.cluster().quorum_status {
        Quorum::Available => score,
        Quorum::Lost => score.gated_to_zero("quorum is lost"),
    }
}

/// This process.
async fn processes(State(app): State<App>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let surroundings = surroundings::read(Some(&engine), app.peaks());
    let (_, word, _) = Health::of(Some(&engine)).words();
    let now = engine.clock.now();
    let runtime = tokio::runtime::Handle::current().metrics();
    let process = json!({
        "name": "barograph",
        "pid": std::process::id(),
        "node": engine.health.node(),
        "status": word,
        "uptime_seconds": (now.0 - app.started().0) as f64 / 1e3,
        "memory_bytes": surroundings.memory_bytes,
        "memory_peak_bytes": surroundings.memory_peak_bytes,
        "runtime_busy": surroundings.busy,
        "threads_active": surroundings.threads_active,
        "workers": runtime.num_workers(),
        "tasks": runtime.num_alive_tasks(),
        "queued_tasks": runtime.global_queue_depth(),
        "memory": engine.memory.seen().accounts().into_iter().map(|(name, bytes)| (name.to_owned(), json!(bytes))).collect::<serde_json::Map<_, _>>(),
        "timestamp": now.to_rfc3339(),
    });
    Ok(Json(json!({"processes": [process]})).into_response())
}

async fn heartbeats(State(app): State<App>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let at = |millis: Option<i64>| millis.map(|millis| Timestamp(millis).to_rfc3339());
    let mut list = Vec::new();
    for (config, beat) in engine.health.heartbeats().all() {
        let status = engine.health.component(&config.name).map(|component| component.status);
        list.push(json!({
            "key": config.key,
            "name": config.name,
            "status": status,
            "period_seconds": config.period.as_secs_f64(),
            "grace_seconds": config.grace.as_secs_f64(),
            "last_success": at(beat.succeeded),
            "last_failure": at(beat.failed),
            "running_since": at(beat.started),
            "took_ms": beat.took_ms,
            "signals": beat.signals,
            "text": beat.text,
        }));
    }
    Ok(Json(json!({"heartbeats": list})).into_response())
}

/// What was done so that parts of the server work again.
async fn recoveries(State(app): State<App>) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let read = tokio::task::spawn_blocking(move || engine.health.recoveries()).await;
    let events = read.map_err(|_| ApiError::internal("reading failed"))?;
    let events = events.map_err(|error| ApiError::unavailable(crate::errors::chain(&error)))?;
    let list = events
        .into_iter()
        .map(|event| json!({"time": Timestamp(event.at).to_rfc3339(), "recovery": event.value}));
    Ok(Json(json!({"recoveries": list.collect::<Vec<_>>()})).into_response())
}

/// Transitions of `component=`, `check=` or the cluster, signals of `heartbeat=`, from `from` to `to`, the last `limit`.
async fn history(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let from = params.time("from")?.map_or(i64::MIN, |at| at.0);
    let to = params.time("to")?.map_or(i64::MAX, |at| at.0);
    let limit = Some(params.limit("limit")?).filter(|&limit| limit < HISTORY_MAX).unwrap_or(HISTORY_USUAL);
    let subject = match (params.first("component"), params.first("check")) {
        (Some(name), None) => format!("component/{name}"),
        (None, Some(name)) => format!("check/{name}"),
        (None, None) => "cluster".to_owned(),
        (Some(_), Some(_)) => return Err(ApiError::bad_data("give a component or a check".to_owned())),
    };
    let job = params.first("heartbeat").map(str::to_owned);
    let read = move || -> Result<Vec<Value>, barograph_state::Error> {
        let time = |at: i64| Timestamp(at).to_rfc3339();
        if let Some(key) = job {
            let pings = engine.health.pings(&key, limit)?;
            return Ok(pings
                .into_iter()
                .map(|ping| json!({"time": time(ping.at), "ping": ping.value}))
                .collect());
        }
        let events = engine.health.history(&subject, from..to, limit)?;
        Ok(events.into_iter().map(|event| json!({"time": time(event.at), "document": event.value})).collect())
    };
    let events = tokio::task::spawn_blocking(read).await.map_err(|_| ApiError::internal("reading failed"))?;
    let events = events.map_err(|error| ApiError::unavailable(crate::errors::chain(&error)))?;
    Ok(Json(json!({"history": events})).into_response())
}
