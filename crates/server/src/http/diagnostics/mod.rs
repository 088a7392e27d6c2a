//! `/health/extended` and `/diagnostics/…`: how requests fare, in the documents of the SDK's `Telemetry`. And
//! `PATCH /api/barograph/v1/config`, which changes the settings of that while the server runs.
//!
//! A server that has an application around it shows that application's requests, else its own.

mod kept;
mod missing;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, patch},
};
use barograph::telemetry::{SettingError, Snapshot};
use serde_json::{Map, Value, json};

use super::{
    App,
    body::Whole,
    health::{Health, availability, joined},
    problem::Problem,
};
use crate::Engine;
pub(super) use missing::missing;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/health/extended", get(extended))
        .route("/api/barograph/v1/health/extended", get(extended))
        .route("/diagnostics/metrics", get(metrics))
        .route("/api/barograph/v1/diagnostics/metrics", get(metrics))
        .route("/diagnostics/performance", get(performance))
        .route("/api/barograph/v1/diagnostics/performance", get(performance))
        .merge(kept::routes())
        .route("/api/barograph/v1/config", patch(change))
}

/// How requests fare now.
pub(super) fn snapshot(engine: &Engine) -> Snapshot {
    engine.collecting.telemetry.snapshot(engine.clock.now())
}

async fn extended(State(app): State<App>) -> Response {
    let engine = app.ready();
    let health = Health::of(engine.as_deref());
    let (status, word, reason) = health.words();
    let ours = json!({
        "missing": missing(engine.as_deref()),
        "availability": availability(engine.as_deref()),
    });
    let document = match engine {
        Some(engine) => snapshot(&engine).extended(word),
        None => json!({"status": word, "reason": reason}).to_string(),
    };
    (status, document_of(joined(&document, &ours.to_string()))).into_response()
}

async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(document_of(snapshot(&engine).metrics()).into_response())
}

async fn performance(State(app): State<App>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(document_of(snapshot(&engine).performance()).into_response())
}

fn document_of(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text)
}

/// `PATCH …/config` with `{"metrics": {"METRICS_WINDOW_SIZE_SECONDS": 60}}`: each in turn, up to the first that is refused.
async fn change(State(app): State<App>, Whole(body): Whole) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let refuse = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let wanted: Value =
        serde_json::from_slice(&body).map_err(|error| refuse(format!("not JSON: {error}")))?;
    let sections = wanted.as_object().filter(|sections| sections.keys().all(|name| name == "metrics"));
    let changes = sections.and_then(|sections| sections.get("metrics")).and_then(Value::as_object);
    let changes =
        changes.ok_or_else(|| refuse("only the section \"metrics\" can change while running".into()))?;
    for (name, value) in changes {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        engine.collecting.telemetry.update(name, &text).map_err(|error| {
            let status = match error {
                SettingError::Fixed { .. } => StatusCode::CONFLICT,
                _ => StatusCode::BAD_REQUEST,
            };
            Problem::new(status, error.to_string()).at(format!("metrics.{name}"))
        })?;
        engine.collecting.obey_settings();
    }
    Ok(Json(json!({"metrics": settings(&engine)})))
}

/// The settings of measuring itself: value, origin, and why one cannot change while running.
pub(super) fn settings(engine: &Engine) -> Map<String, Value> {
    let entries = engine.collecting.telemetry.settings().entries();
    let document = |entry: barograph::telemetry::Entry| {
        let changeable = entry.fixed.is_none();
        json!({
            "value": entry.value,
            "origin": entry.origin.as_str(),
            "changeable": changeable,
            "reason": entry.fixed,
        })
    };
    entries.into_iter().map(|entry| (entry.name.to_owned(), document(entry))).collect()
}
