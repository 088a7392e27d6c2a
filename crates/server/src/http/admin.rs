//! `/api/barograph/v1/…`: what an operator asks of the server itself.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

use super::{App, problem::Problem};
use crate::errors::chain;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/collectors", get(collectors))
}

/// `GET …/collectors`: the built-in collectors and how they fare.
async fn collectors(State(app): State<App>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(engine.collectors.document()).into_response())
}
