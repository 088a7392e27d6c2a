//! `POST /api/barograph/v1/record`: metrics by name, one record or an array of up to 10,000.
//!
//! The form of a record is that of `barograph::record`. What is good is stored, durably, when this answers; the
//! answer is `{"accepted", "rejected", "errors": [{"index", "reason", "message"}]}`, 400 if nothing was accepted. With
//! an `Idempotency-Key` a request that is sent again counts once.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph::record::MetricRecord;
use serde_json::{Value, json};

use super::{
    App,
    body::Whole,
    problem::Problem,
    write::{NO_MEMORY, not_durable, not_stored},
};
use crate::{
    Engine, current,
    memory::Step,
    records::{KEY_BYTES_MAX, Outcome, RECORDS_MAX, Unreadable, read},
};

/// A body takes about so many times its size while its records are stored.
const RECORDS_COST: usize = 12;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/record", post(record))
}

async fn record(State(app): State<App>, headers: HeaderMap, Whole(body): Whole) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let outcome = recorded(&engine, key, body.len(), move || read_all(&body)).await?;
    Ok(answer(&outcome))
}

/// Stores the records of a request of so many bytes, and waits until they are durable.
pub(crate) async fn recorded(
    engine: &Arc<Engine>,
    key: Option<String>,
    bytes: usize,
    records: impl FnOnce() -> Result<Vec<Result<MetricRecord, Unreadable>>, Problem> + Send + 'static,
) -> Result<Arc<Outcome>, Problem> {
    if engine.memory.sheds(Step::Ingest) {
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, NO_MEMORY));
    }
    if key.as_ref().is_some_and(|key| key.len() > KEY_BYTES_MAX) {
        let why = format!("the Idempotency-Key is longer than {KEY_BYTES_MAX} bytes");
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    let turn = engine.memory.turn(bytes.saturating_mul(RECORDS_COST)).await;
    let work = engine.clone();
    let stored = current::blocking(move || {
        let stored = records().and_then(|records| {
            let stored = work.records.store(&work, key.as_deref(), records);
            stored.map_err(|error| {
                let (status, why) = not_stored(&error);
                Problem::new(status, why)
            })
        });
        drop(turn);
        stored
    });
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "storing failed; the log says why");
    let outcome = stored.await.map_err(failed)??;
    engine
        .durable(outcome.ticket)
        .await
        .map_err(|error| Problem::new(not_durable(&error), error.to_string()))?;
    Ok(outcome)
}

/// Reads each record of a body.
fn read_all(body: &[u8]) -> Result<Vec<Result<MetricRecord, Unreadable>>, Problem> {
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
    let document: Value =
        serde_json::from_slice(body).map_err(|e| bad(format!("the body is not JSON: {e}")))?;
    let documents = match &document {
        Value::Array(records) => records.as_slice(),
        one => std::slice::from_ref(one),
    };
    check_records(documents.len())?;
    Ok(documents.iter().map(read).collect())
}

/// Refuses a request of more records than one may bring.
pub(crate) fn check_records(count: usize) -> Result<(), Problem> {
    if count > RECORDS_MAX {
        let why = format!("more than {RECORDS_MAX} records; send them in several requests");
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    Ok(())
}

fn answer(outcome: &Outcome) -> Response {
    let error = |(index, refusal): &(usize, crate::records::Refusal)| json!({"index": index, "reason": refusal.reason(), "message": refusal.to_string()});
    let errors: Vec<_> = outcome.rejected.iter().map(error).collect();
    let status = match outcome.accepted {
        0 if !errors.is_empty() => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let body = json!({"accepted": outcome.accepted, "rejected": errors.len(), "errors": errors});
    (status, Json(body)).into_response()
}
