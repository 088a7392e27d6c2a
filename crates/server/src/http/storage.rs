//! Storage under `/api/barograph/v1`: figures, catalog, backups; and the snapshot of the Prometheus API.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use barograph_tsdb::{
    MetricInfo,
    backup::{Listed, Written},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    body::Whole,
    params::Params,
    problem::Problem,
    prom::{ApiError, success},
};
use crate::{
    Engine, current,
    errors::chain,
    storage::{
        backup::{self, Refused},
        catalog, stats,
    },
};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/backup", get(backups).post(back_up))
        .route("/api/barograph/v1/storage/stats", get(stats))
        .route("/api/barograph/v1/catalog", get(catalog))
        .route("/api/barograph/v1/catalog/{name}", get(metric))
        .route("/api/barograph/v1/catalog/{name}/relations", get(relations))
        .route("/api/v1/admin/tsdb/snapshot", post(snapshot).put(snapshot))
}

/// What a backup is asked to be.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Order {
    /// Where below the directory set for backups.
    target: String,
    /// There is one kind; it may be named.
    r#type: Option<Kind>,
    /// How many backups stay in the target.
    keep: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Full,
}

/// `POST …/backup`: backs up the running store; 201 with what was made.
async fn back_up(State(app): State<App>, Whole(body): Whole) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let bad = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
    let order: Order = match body.is_empty() {
        true => Order::default(),
        false => serde_json::from_slice(&body).map_err(|e| bad(format!("cannot read the order: {e}")))?,
    };
    let (Some(Kind::Full) | None) = order.r#type;
    if order.keep == Some(0) {
        return Err(bad("keep must be 1 or more".to_owned()));
    }
    let written = backed_up(engine, &order.target, order.keep).await?;
    Ok((StatusCode::CREATED, Json(backup::written_document(&written))).into_response())
}

/// Backs up the running store into a target; `keep` of the backups there stay.
pub(crate) async fn backed_up(
    engine: Arc<Engine>,
    target: &str,
    keep: Option<usize>,
) -> Result<Written, Problem> {
    let place = engine.backups.place(target)?;
    let written = off_loop(move || backup::of_running(&engine, &place, keep)).await??;
    for (path, reason) in &written.damaged {
        tracing::warn!(path, reason, "a damaged block was backed up as it is");
    }
    Ok(written)
}

/// `GET …/backup`: the backups of a target, newest first.
async fn backups(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let listed = backups_of(&engine, params.first("target").unwrap_or_default()).await?;
    Ok(Json(backup::listed_document(&listed)).into_response())
}

/// The backups of a target.
pub(crate) async fn backups_of(engine: &Engine, target: &str) -> Result<Listed, Problem> {
    let place = engine.backups.place(target)?;
    Ok(match off_loop(move || backup::list(&place)).await? {
        // No backup was made yet.
        Err(Refused::Missing(_)) => Listed::default(),
        listed => listed?,
    })
}

/// `POST /api/v1/admin/tsdb/snapshot`: a backup under the name Prometheus has for it.
async fn snapshot(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    if !engine.admin_api {
        return Err(ApiError::unavailable("admin APIs disabled; start the server with --enable-admin-api"));
    }
    let made = async {
        let place = engine.backups.place("")?;
        Ok::<_, Problem>(off_loop(move || backup::of_running(&engine, &place, None)).await??)
    };
    let written = made.await.map_err(|problem| ApiError::internal(problem.detail()))?;
    let data = json!({"name": format!("{:08}", written.backup.id)});
    Ok(success(&headers, &data.to_string(), &[], &[]))
}

/// `GET …/storage/stats`: the store by tier, its log, its growth, and what is left of the disk.
async fn stats(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(stats_of(app.ready().ok_or_else(Problem::not_ready)?).await?).into_response())
}

/// The document of storage.
pub(crate) async fn stats_of(engine: Arc<Engine>) -> Result<Value, Problem> {
    off_loop(move || stats::document(&engine)).await
}

/// `GET …/catalog`: what is known of every metric, by name.
async fn catalog(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    let limit = params.limit("limit").map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e.text()))?;
    let metrics = metrics(&app).await?;
    let shown: Vec<_> = metrics.iter().take(limit).map(catalog::document).collect();
    Ok(Json(json!({"count": metrics.len(), "metrics": shown})).into_response())
}

/// `GET …/catalog/NAME`: what is known of one metric.
async fn metric(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let metrics = metrics(&app).await?;
    Ok(Json(catalog::document(find(&metrics, &name)?)).into_response())
}

/// `GET …/catalog/NAME/relations`: which metrics belong to it.
async fn relations(State(app): State<App>, Path(name): Path<String>) -> Result<Response, Problem> {
    let metrics = metrics(&app).await?;
    Ok(Json(catalog::relations(&metrics, find(&metrics, &name)?)).into_response())
}

async fn metrics(app: &App) -> Result<Vec<MetricInfo>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let failed =
        |e| Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("cannot read the catalog: {}", chain(&e)));
    off_loop(move || engine.store.metrics()).await?.map_err(failed)
}

fn find<'m>(metrics: &'m [MetricInfo], name: &str) -> Result<&'m MetricInfo, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no metric {name:?}"));
    metrics.iter().find(|metric| metric.name == name).ok_or_else(missing)
}

/// Runs what may take long on a thread that may block.
async fn off_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "that failed; the log says why");
    current::blocking(work).await.map_err(failed)
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Unset => StatusCode::FORBIDDEN,
            Refused::Target(_) => StatusCode::BAD_REQUEST,
            Refused::Missing(_) | Refused::Empty(_) => StatusCode::NOT_FOUND,
            Refused::Busy => StatusCode::CONFLICT,
            refused if refused.is_full() => StatusCode::INSUFFICIENT_STORAGE,
            Refused::Backup(_) | Refused::State(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, chain(&refused))
    }
}
