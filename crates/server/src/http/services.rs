//! `/api/barograph/v1/services`: services register, say where they stand, and are told how they fare.
//!
//! `POST` takes `{"id", "type", "version", "lifecycle", "baselines": {EXPRESSION: {"expected", "tolerance"}}}`, and takes the
//! place of what the service said before. `PATCH …/services/ID` with `{"lifecycle", "version"}` says what changed.

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{App, body::Whole, problem::Problem};
use crate::{
    Engine,
    errors::chain,
    health::{Service, Stage},
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/services", get(list).post(register))
        .route("/api/barograph/v1/services/{id}", get(one).patch(change).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    lifecycle: Option<Stage>,
    version: Option<String>,
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))
}

fn missing(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no service {id:?}"))
}

async fn list(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let all = engine.health.services().all();
    let list: Vec<_> =
        all.iter().map(|(service, metrics)| document(&engine, service, json!(metrics))).collect();
    Ok(Json(json!({"services": list})))
}

async fn register(State(app): State<App>, Whole(body): Whole) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let service: Service = read(&body)?;
    let known = engine.health.services().all().iter().any(|(known, _)| known.id == service.id);
    let refused =
        |error: crate::health::ServiceRefused| Problem::new(StatusCode::BAD_REQUEST, error.to_string());
    let shown = document(&engine, &service, json!({}));
    engine.health.register(service, &engine).map_err(refused)?;
    let status = if known { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(shown)).into_response())
}

async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Whole(body): Whole,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let change: Change = read(&body)?;
    let (mut service, metrics) = found(&engine, &id)?;
    service.lifecycle = change.lifecycle.unwrap_or(service.lifecycle);
    service.version = change.version.unwrap_or(service.version);
    let shown = document(&engine, &service, metrics);
    let refused =
        |error: crate::health::ServiceRefused| Problem::new(StatusCode::BAD_REQUEST, error.to_string());
    engine.health.register(service, &engine).map_err(refused)?;
    Ok(Json(shown))
}

async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    engine.health.unregister(&id).then_some(StatusCode::NO_CONTENT).ok_or_else(|| missing(&id))
}

/// One service with its life.
async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (service, metrics) = found(&engine, &id)?;
    let mut shown = document(&engine, &service, metrics);
    let life = tokio::task::spawn_blocking(move || engine.health.life(&id)).await;
    let unread = |text: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, text);
    let life = life.map_err(|error| unread(error.to_string()))?.map_err(|error| unread(chain(&error)))?;
    let step = |event: &barograph_state::Event<_>| {
        let mut step = json!(event.value);
        step["time"] = Timestamp(event.at).to_rfc3339().into();
        step
    };
    shown["history"] = life.iter().map(step).collect();
    Ok(Json(shown))
}

fn found(engine: &Engine, id: &str) -> Result<(Service, Value), Problem> {
    let all = engine.health.services().all().into_iter();
    let mut found = all.filter(|(service, _)| service.id == id);
    found.next().map(|(service, metrics)| (service, json!(metrics))).ok_or_else(|| missing(id))
}

fn document(engine: &Engine, service: &Service, metrics: Value) -> Value {
    let component = engine.health.component(&format!("service:{}", service.id));
    let mut document = json!(service);
    document["status"] = json!(component.as_ref().map(|component| component.status));
    document["reason"] = json!(component.as_ref().and_then(|component| component.details.get("message")));
    document["metrics"] = metrics;
    document
}
