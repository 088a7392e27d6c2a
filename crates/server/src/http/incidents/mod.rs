//! `/api/barograph/v1/incidents…`, `…/oncall…`, `…/escalation-policies` and `…/ack-links/…`: who takes what fires, who is on
//! call, and links by which somebody acknowledges without logging in.
//!
//! Times are RFC 3339, UTC. What is done is durable when it is answered, and is noted in the audit log.

pub(super) mod acts;
mod links;
mod oncall;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use barograph_alert::incident::{State as Standing, document};
use serde_json::{Value, json};

use super::{App, Params, problem::Problem};
use crate::{current, errors::chain};

/// Incidents of one answer, unless it is asked for fewer.
const LISTED_MAX: usize = 1_000;
/// Rows of a timeline in one answer.
const ROWS_MAX: usize = 2_000;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/incidents", get(list))
        .route("/api/barograph/v1/incidents/{id}", get(one))
        .route("/api/barograph/v1/incidents/{id}/{action}", post(acts::on_incident))
        .route("/api/barograph/v1/oncall", get(oncall::list))
        .route("/api/barograph/v1/oncall/{schedule}/overrides", post(oncall::add))
        .route("/api/barograph/v1/oncall/{schedule}/overrides/{id}", delete(oncall::remove))
        .route("/api/barograph/v1/escalation-policies", get(oncall::policies))
        .route("/api/barograph/v1/ack-links", post(links::of_chat))
        .route("/api/barograph/v1/ack-links/{link}", get(links::show).post(links::act))
}

/// Does something that waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "this failed; the log says why");
    current::blocking(work).await.map_err(failed)
}

pub(super) fn bad(text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, text)
}

async fn list(State(app): State<App>, params: Params) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let mut wanted = Vec::new();
    for word in params.all("state").flat_map(|words| words.split(',')).filter(|word| !word.is_empty()) {
        let state = Standing::ALL.into_iter().find(|state| state.as_str() == word);
        wanted.push(
            state.ok_or_else(|| {
                bad(format!("state: expected open, acknowledged or resolved, found {word:?}"))
            })?,
        );
    }
    let limit = params.limit("limit").map_err(|error| bad(error.text()))?.min(LISTED_MAX);
    let looked = engine.incidents.look(move |book| {
        let mut found: Vec<_> =
            book.iter().filter(|incident| wanted.is_empty() || wanted.contains(&incident.state)).collect();
        // The newest first.
        found.sort_by(|a, b| b.opened_at.cmp(&a.opened_at).then_with(|| a.id.cmp(&b.id)));
        let total = found.len();
        (found.into_iter().take(limit).map(document::incident).collect::<Vec<_>>(), total)
    });
    let (documents, total) = looked.await;
    Ok(Json(json!({"incidents": documents, "total": total})))
}

async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    document_of(&app, &id).await.map(Json)
}

/// An incident with its timeline.
async fn document_of(app: &App, id: &str) -> Result<Value, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let wanted = id.to_owned();
    let found = engine.incidents.look(move |book| book.get(&wanted).map(document::incident)).await;
    let mut found =
        found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no incident {id:?}")))?;
    let (incidents, id) = (engine.incidents.clone(), id.to_owned());
    let rows = blocking(move || incidents.timeline(&id, ROWS_MAX)).await?;
    let rows = rows.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, chain(&error)))?;
    found["timeline"] = rows.iter().map(document::row).collect();
    Ok(found)
}
