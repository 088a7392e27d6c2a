//! `/api/barograph/v1/…`: what an operator asks of the server itself.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use barograph_tsdb::Sizes;
use serde_json::{Value, json};

use super::{App, problem::Problem};
use crate::{Engine, current, errors::chain, memory::Step};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/admin/flush", post(flush))
        .route("/api/barograph/v1/memory", get(memory))
}

/// `POST …/admin/flush`: cuts the head into blocks and tells what the store takes on disk.
async fn flush(State(app): State<App>) -> Result<Response, Problem> {
    let sizes = flushed(app.ready().ok_or_else(Problem::not_ready)?).await?;
    let body = json!({
        "raw_bytes": sizes.raw_bytes,
        "rollup_bytes": sizes.rollup_bytes,
        "index_bytes": sizes.index_bytes,
        "wal_bytes": sizes.wal_bytes,
        "state_bytes": sizes.state_bytes,
        "samples": sizes.samples,
        "windows": sizes.windows,
    });
    Ok(Json(body).into_response())
}

/// Cuts the head into blocks and tells what the store takes on disk.
pub(crate) async fn flushed(engine: Arc<Engine>) -> Result<Sizes, Problem> {
    let now = engine.clock.now();
    current::blocking(move || {
        // What is over is made whole first, tiers too.
        engine.store.maintain_all(now)?;
        let mut sizes = engine.store.flush(now)?;
        sizes.state_bytes += engine.state.bytes();
        Ok(sizes)
    })
    .await
    .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "flushing failed; the log says why"))?
    .map_err(|e: barograph_tsdb::Error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("cannot flush: {}", chain(&e)))
    })
}

/// `GET …/memory`: the budget, what draws from it, and what is given up.
async fn memory(State(app): State<App>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (memory, seen) = (&engine.memory, engine.memory.seen());
    let of_steps = |value: &dyn Fn(Step) -> Value| -> serde_json::Map<String, Value> {
        Step::ALL.into_iter().map(|step| (step.as_str().to_owned(), value(step))).collect()
    };
    let accounts: serde_json::Map<String, Value> =
        seen.accounts().into_iter().map(|(name, bytes)| (name.to_owned(), bytes.into())).collect();
    let body = json!({
        "budget_bytes": memory.budget(),
        "resident_bytes": seen.resident,
        "accounted_bytes": seen.accounted(),
        "drift": seen.drift(),
        "used": memory.used(),
        "accounts": accounts,
        "shedding": of_steps(&|step| memory.sheds(step).into()),
        "thresholds": of_steps(&|step| step.threshold().into()),
    });
    Ok(Json(body).into_response())
}
