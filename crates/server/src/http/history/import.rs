//! `POST /api/barograph/v1/import`: a body of remote write 1.0 whose samples may be of any age.
//!
//! Answers `{"sent", "stored", "complaint"}`: how many samples there were, how many of them are stored now (those that
//! were before count), and what became of the others in words, or null. The body may be sent again: a sample that is
//! there already stays as it is.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use barograph_wire::remote_write;
use serde_json::json;

use crate::{
    commits::CommitError,
    current,
    http::{
        App,
        body::Whole,
        problem::Problem,
        write::{self, supported},
    },
    telemetry::Origin,
};

pub(super) async fn import(
    State(app): State<App>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    supported(&headers, &[write::MESSAGE])
        .map_err(|why| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))?;
    let (work, limits) = (engine.clone(), app.limits());
    let turn = engine.memory.turn(remote_write::declared_len(&body)).await;
    let stored = current::blocking(move || {
        let stored = write::store(&work, Origin::History, limits, &body);
        drop(turn);
        stored
    });
    let failed = || (StatusCode::INTERNAL_SERVER_ERROR, "storing failed; the log says why".to_owned());
    let stored = stored.await.unwrap_or_else(|_| Err(failed()));
    let stored = stored.map_err(|(status, why)| Problem::new(status, why))?;
    let unsafe_yet = |error: CommitError| Problem::new(write::not_durable(&error), error.to_string());
    engine.durable(stored.ticket).await.map_err(unsafe_yet)?;
    let body = json!({"sent": stored.sent, "stored": stored.stored, "complaint": stored.complaint});
    Ok(Json(body).into_response())
}
