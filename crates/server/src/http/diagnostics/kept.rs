//! `/diagnostics/…`: what the server found out about itself, listed and collected on demand.
//!
//! The same paths are below `/api/barograph/v1` and at the root. Lists have the newest first; `limit` says how many (100
//! unless told otherwise), `range=7d` or `start` from when on, `component`, `metric`, `type` and `operation` which.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, Uri},
    routing::{get, post},
};
use barograph_model::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{App, body::Whole, params::Params, problem::Problem};
use crate::{
    current,
    diagnostics::{
        ANALYSED, Page, SystemState,
        collect::{Collected, DURATION_MAX, Wanted, collect, is_traced},
        incidents::Cause,
        recorder::COMPONENTS,
    },
};

/// How much a list has unless it is asked for more.
const LISTED: usize = 100;
/// How long is looked at unless it is said.
const TRACE_MS: f64 = 1_000.0;
const ANALYSIS_MS: f64 = 5_000.0;

pub(super) fn routes() -> Router<App> {
    let at = |prefix: &str| {
        let path = |name: &str| format!("{prefix}/diagnostics{name}");
        Router::new()
            .route(&path(""), get(overview))
            .route(&path("/traces"), get(traces))
            .route(&path("/trace"), post(trace))
            .route(&path("/analysis"), get(analyses).post(analysis))
            .route(&path("/states"), get(states))
            .route(&path("/state"), get(state).post(capture))
            .route(&path("/alerts"), get(alerts))
            .route(&path("/messages"), get(messages))
            .route(&path("/collect"), post(collected))
            .route(&path("/incidents"), get(incidents).post(report))
            .route(&path("/incidents/{id}"), get(incident))
    };
    at("").merge(at("/api/barograph/v1"))
}

type Reply = Result<Json<Value>, Problem>;

fn bad(text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, text.into())
}

/// The page of a list that is asked for.
fn page(params: &Params, now: Timestamp) -> Result<Page, Problem> {
    let refuse = |error: super::super::ApiError| bad(error.text());
    let range = params.duration_ms("range").map_err(refuse)?.map(|ms| Timestamp(now.0.saturating_sub(ms)));
    let start = params.time("start").map_err(refuse)?.or(range).unwrap_or(Timestamp::MIN);
    let limit = match params.first("limit") {
        None => LISTED,
        Some(_) => params.limit("limit").map_err(refuse)?,
    };
    Ok(Page { start, limit })
}

/// How long is looked at, in milliseconds.
fn duration(given: Option<f64>, usual: f64) -> Result<Duration, Problem> {
    let ms = given.unwrap_or(usual);
    let max = DURATION_MAX.as_secs_f64() * 1e3;
    match (0.0..=max).contains(&ms) {
        true => Ok(Duration::from_secs_f64(ms / 1e3)),
        false => Err(bad(format!("duration_ms should be from 0 to {max:.0}"))),
    }
}

/// A component that can be looked at.
fn component(params: &Params, traced: bool) -> Result<&str, Problem> {
    checked_component(params.first("component").unwrap_or("server"), traced)
}

fn checked_component(name: &str, traced: bool) -> Result<&str, Problem> {
    let known = if traced { is_traced(name) } else { ANALYSED.contains(&name) };
    if known {
        return Ok(name);
    }
    let traced_names = COMPONENTS.map(|component| component.name).join(", ");
    let names = if traced { format!("server, {traced_names}") } else { ANALYSED.join(", ") };
    Err(bad(format!("there is no component {name:?}; there is {names}")))
}

async fn overview(State(app): State<App>) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(engine.diagnostics.overview()))
}

async fn traces(State(app): State<App>, params: Params) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let page = page(&params, engine.clock.now())?;
    Ok(Json(engine.diagnostics.traces(params.first("component"), page)))
}

async fn analyses(State(app): State<App>, params: Params) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let page = page(&params, engine.clock.now())?;
    Ok(Json(engine.diagnostics.analyses(params.first("component"), page)))
}

async fn states(State(app): State<App>, params: Params) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let page = page(&params, engine.clock.now())?;
    Ok(Json(engine.diagnostics.states(page)))
}

async fn alerts(State(app): State<App>, params: Params) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let page = page(&params, engine.clock.now())?;
    Ok(Json(engine.diagnostics.alerts(params.first("metric"), page)))
}

async fn messages(State(app): State<App>, params: Params) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let page = page(&params, engine.clock.now())?;
    let of = params.first("operation").or_else(|| params.first("resource"));
    Ok(Json(engine.diagnostics.messages(params.first("type"), of, page)))
}

/// `GET …/state`: the state now, which is not kept.
async fn state(State(app): State<App>) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let runtime = tokio::runtime::Handle::current();
    let read = current::blocking(move || json!(SystemState::read(&engine, &runtime, engine.clock.now())));
    let failed =
        |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the state cannot be read; the log says why");
    Ok(Json(read.await.map_err(failed)?))
}

/// What is wanted of all that can be collected.
async fn gather(app: &App, wanted: Wanted<'_>) -> Result<Collected, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let crowded = |_| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "as many collections as there may be go on; try again later",
        )
    };
    collect(&engine, wanted).await.map_err(crowded)
}

/// `POST …/trace?component=query&duration_ms=1000`
async fn trace(State(app): State<App>, params: Params) -> Reply {
    let given = params.number("duration_ms").map_err(|error| bad(error.text()))?;
    let (component, duration) = (component(&params, true)?, duration(given, TRACE_MS)?);
    let wanted = Wanted { traces: true, analysis: false, state: false, component, duration };
    let collected = gather(&app, wanted).await?;
    Ok(Json(json!({"traces": collected.to_json()["traces"]})))
}

/// `POST …/analysis?component=server&duration_ms=5000`
async fn analysis(State(app): State<App>, params: Params) -> Reply {
    let given = params.number("duration_ms").map_err(|error| bad(error.text()))?;
    let (component, duration) = (component(&params, false)?, duration(given, ANALYSIS_MS)?);
    let wanted = Wanted { traces: false, analysis: true, state: false, component, duration };
    let collected = gather(&app, wanted).await?;
    Ok(Json(json!(collected.analysis.as_deref())))
}

/// `POST …/state`: the state now, which is kept.
async fn capture(State(app): State<App>) -> Reply {
    let wanted =
        Wanted { traces: false, analysis: false, state: true, component: "server", duration: Duration::ZERO };
    let collected = gather(&app, wanted).await?;
    Ok(Json(json!(collected.state.as_deref())))
}

/// The body of `POST …/collect`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Order {
    /// Of `traces`, `analysis` and `state`; all of them if none is named.
    collect: Vec<Kind>,
    component: Option<String>,
    duration_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Traces,
    Analysis,
    State,
}

/// `POST …/collect`: with a body, with parameters of the same names, or with neither.
async fn collected(State(app): State<App>, uri: Uri, Whole(body): Whole) -> Reply {
    let mut order = Order::default();
    if !body.is_empty() {
        order = serde_json::from_slice(&body)
            .map_err(|error| bad(format!("cannot read what to collect: {error}")))?;
    }
    let params = Params::new(uri.query().unwrap_or_default(), &[]);
    for word in params.all("collect").flat_map(|words| words.split(',')) {
        let kind = serde_json::from_value(word.into());
        order.collect.push(kind.map_err(|_| bad(format!("{word:?} is none of traces, analysis, state")))?);
    }
    let number = params.number("duration_ms").map_err(|error| bad(error.text()))?;
    let duration = duration(number.or(order.duration_ms), ANALYSIS_MS)?;
    let named = params.first("component").or(order.component.as_deref()).unwrap_or("server");
    let wants = |kind| order.collect.is_empty() || order.collect.contains(&kind);
    let (traces, analysis) = (wants(Kind::Traces), wants(Kind::Analysis));
    // One that only one of both knows is for that one.
    let component = checked_component(named, traces && !analysis)
        .or_else(|error| if traces && is_traced(named) { Ok(named) } else { Err(error) })?;
    let wanted = Wanted { traces, analysis, state: wants(Kind::State), component, duration };
    Ok(Json(gather(&app, wanted).await?.to_json()))
}

async fn incidents(State(app): State<App>) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(engine.diagnostics.incidents()))
}

/// `POST …/incidents`: somebody saw something; what is around it is kept.
async fn report(State(app): State<App>, params: Params) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let text = params.first("reason").unwrap_or("somebody asked for it").chars().take(1_000).collect();
    let id = engine.diagnostics.report(&engine, Cause { kind: "request", text, details: Value::Null });
    Ok(Json(json!({"id": id})))
}

async fn incident(State(app): State<App>, Path(id): Path<String>) -> Reply {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let found = id.parse().ok().and_then(|id| engine.diagnostics.incident(id));
    found.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no incident {id:?}")))
}
