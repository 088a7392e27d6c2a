//! `POST /api/v2/spans`: spans as Zipkin's clients send them, in JSON, version 2.
//!
//! What can be read is kept; what cannot is told by its place, with 400.

use std::fmt::Write as _;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph_wire::zipkin;

use super::{App, body::Whole, import::decoded, not_durable, write::refused};
use crate::intake;

/// A text takes about so many times its size while its spans are kept.
const SPANS_COST: usize = 4;

/// So many faults are told one by one.
const FAULTS_MAX: usize = 20;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/v2/spans", post(spans))
}

async fn spans(State(app): State<App>, headers: HeaderMap, Whole(body): Whole) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    if kind.is_some_and(|kind| !kind.trim_start().to_ascii_lowercase().starts_with("application/json")) {
        let why = "spans are read as JSON, version 2; send application/json";
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    let cost = body.len().saturating_mul(SPANS_COST);
    let kept = intake::admitted(&app, cost, move |engine, limits| {
        let json = decoded(&headers, &body, limits.decoded_bytes)?;
        let converted = zipkin::convert(&json).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
        let accepted = engine.spans.accept(&converted.request)?;
        // The store has nothing to make durable.
        Ok((0, (accepted, converted.faults)))
    });
    let (engine, (accepted, faults)) = match kept.await {
        Ok(kept) => kept,
        Err((status, why)) => return refused(status, &why),
    };
    if let Err(error) = engine.spans.durable(accepted.ticket).await {
        return refused(not_durable(&error), &error.to_string());
    }
    if faults.is_empty() && accepted.why.is_none() {
        return StatusCode::ACCEPTED.into_response();
    }
    let mut text = format!("{} spans kept, {} faults\n", accepted.spans, faults.len() + accepted.rejected);
    for (place, why) in faults.iter().take(FAULTS_MAX) {
        let _ = writeln!(text, "span {place}: {why}");
    }
    if let Some(why) = accepted.why {
        let _ = writeln!(text, "{why}");
    }
    (StatusCode::BAD_REQUEST, text).into_response()
}
