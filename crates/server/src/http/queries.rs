//! `GET /api/barograph/v1/queries`: what runs now, and what was slow; `DELETE …/queries/ID` stops one.
//!
//! `{"running": [{"id", "expression", "caller", "dashboard", "panel", "since_ms", "samples", "state"}],
//!   "slow": [{…, "at", "start", "end", "step", "took_ms", "samples", "tier", "outcome", "plan"}]}`
//!
//! The oldest of those that run come first, and the newest of those that were slow. `plan` is as `…/query/explain` has it.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get},
};
use barograph_query::When;
use serde_json::{Value, json};

use super::{App, problem::Problem};
use crate::queries::{Asked, Slow, Stop};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/queries", get(list))
        .route("/api/barograph/v1/queries/{id}", delete(stop))
}

async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let now = engine.clock.monotonic();
    let running = engine.queries.running();
    let running = running.iter().map(|entry| {
        let mut document = described(&entry.asked);
        document["since_ms"] = json!(now.saturating_sub(entry.asked.began).as_secs_f64() * 1e3);
        document["samples"] = json!(entry.samples());
        document["state"] = json!(entry.state().as_str());
        document
    });
    let slow = engine.queries.slow();
    Ok(Json(json!({
        "running": running.collect::<Vec<_>>(),
        "slow": slow.iter().map(|slow| told(slow)).collect::<Vec<_>>(),
    })))
}

fn described(asked: &Asked) -> Value {
    let caller = &asked.caller;
    json!({
        "id": asked.id,
        "expression": asked.expression,
        "caller": &*caller.name,
        "dashboard": caller.dashboard,
        "panel": caller.panel,
    })
}

fn told(slow: &Slow) -> Value {
    let mut document = described(&slow.asked);
    let (start, end, step) = match slow.when {
        None => (None, None, None),
        Some(When::Instant(at)) => (Some(at.0), Some(at.0), Some(0)),
        Some(When::Range(steps)) => (Some(steps.start.0), Some(steps.end.0), Some(steps.step_ms)),
    };
    document["at"] = json!(slow.asked.at.0);
    document["start"] = json!(start);
    document["end"] = json!(end);
    document["step"] = json!(step);
    document["took_ms"] = json!(slow.took.as_secs_f64() * 1e3);
    document["samples"] = json!(slow.samples);
    document["tier"] = json!(slow.tier());
    document["outcome"] = json!(slow.outcome);
    document["plan"] = json!(slow.plan.as_ref().map(|plan| plan.to_json()));
    document
}

async fn stop(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let unknown =
        || Problem::new(StatusCode::NOT_FOUND, format!("no query of the number {id} waits or runs"));
    match engine.queries.stop(id.parse().map_err(|_| unknown())?) {
        Stop::Stopping => Ok(StatusCode::NO_CONTENT),
        Stop::Already => {
            Err(Problem::new(StatusCode::CONFLICT, format!("the query {id} is being stopped already")))
        }
        Stop::Unknown => Err(unknown()),
    }
}
