//! `/api/barograph/v1/receivers` and `…/deliveries`: who can be told of alerts, and what became of what they were told.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, body::Whole, problem::Problem};
use crate::{
    current,
    delivery::{self, Fate, Wanted},
};

/// Deliveries that are shown where nobody says how many, and at most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/receivers", get(receivers))
        .route("/api/barograph/v1/receivers/{name}/test", post(test))
        .route("/api/barograph/v1/receivers/{name}/preview", post(preview))
        .route("/api/barograph/v1/deliveries", get(deliveries))
        .route("/api/barograph/v1/deliveries/{id}/retry", post(retry))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Filter {
    receiver: Option<String>,
    state: Option<String>,
    incident: Option<String>,
    limit: Option<String>,
}

async fn receivers(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(engine.delivery.receivers_document(engine.clock.now())))
}

async fn test(
    State(app): State<App>,
    Path(name): Path<String>,
    Whole(body): Whole,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let tried = delivery::test(&engine, &name, read(&body)?.message.as_deref()).await;
    let attempts = tried.ok_or_else(|| unknown(&name))?;
    let shown = attempts.iter().map(|tried| {
        let mut shown = delivery::attempt(&tried.attempt);
        shown["channel"] = tried.channel.into();
        shown
    });
    Ok(Json(json!({ "attempts": shown.collect::<Vec<_>>() })))
}

async fn preview(
    State(app): State<App>,
    Path(name): Path<String>,
    Whole(body): Whole,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let message = read(&body)?.message;
    let shown = current::blocking(move || delivery::preview(&engine, &name, message.as_deref()).ok_or(name));
    let shown =
        shown.await.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "making it failed"))?;
    shown.map(Json).map_err(|name| unknown(&name))
}

async fn deliveries(State(app): State<App>, Query(filter): Query<Filter>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let bad = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
    let fate = filter.state.map(|state| {
        serde_json::from_value::<Fate>(Value::from(state))
            .map_err(|_| bad("`state` is one of queued, retrying, sent, dead and coalesced".to_owned()))
    });
    let limit = filter.limit.map(|limit| {
        limit.parse::<usize>().map_err(|_| bad(format!("`limit` is a whole number, up to {LIMIT_MAX}")))
    });
    let wanted = Wanted {
        receiver: filter.receiver,
        fate: fate.transpose()?,
        incident: filter.incident,
        limit: limit.transpose()?.unwrap_or(LIMIT).min(LIMIT_MAX),
    };
    let found = current::blocking(move || engine.delivery.deliveries(&wanted)).await;
    Ok(Json(json!({ "deliveries": found.map_err(unavailable)?.map_err(unavailable)? })))
}

async fn retry(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let missing = || {
        let text = format!(
            "there is no delivery `{id}` that was given up; GET {{api}}/deliveries?state=dead lists them"
        );
        Problem::new(StatusCode::NOT_FOUND, text.replace("{api}", "/api/barograph/v1"))
    };
    let number: u64 = id.parse().map_err(|_| missing())?;
    let now = engine.clock.now();
    let revived = current::blocking(move || engine.delivery.retry(number, now)).await;
    match revived.map_err(unavailable)?.map_err(unavailable)? {
        true => Ok(Json(json!({ "id": id, "state": Fate::Queued }))),
        false => Err(missing()),
    }
}

fn read(body: &[u8]) -> Result<Asked, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Asked::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, format!("expected {{\"message\": …}}: {error}"))
    })
}

fn unknown(name: &str) -> Problem {
    let text = format!("there is no receiver `{name}`; GET /api/barograph/v1/receivers lists them");
    Problem::new(StatusCode::NOT_FOUND, text)
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the log of deliveries cannot be used: {error}"))
}
