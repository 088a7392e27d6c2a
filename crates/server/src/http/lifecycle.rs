//! `/-/reload` and `/-/quit`, where `--enable-lifecycle` lets them be asked, and what runs: `…/config/running`, `…/config/reload`.

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{App, problem::Problem};
use crate::reload::{self, ReloadError};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/-/reload", post(reload).put(reload))
        .route("/-/quit", post(quit).put(quit))
        .route("/api/v1/status/config", get(status_config))
        .route("/api/barograph/v1/config/running", get(running))
        .route("/api/barograph/v1/config/reload", get(last))
}

fn check(app: &App) -> Result<(), Problem> {
    match app.configured().current().reloading.lifecycle {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this is switched off; start the server with --enable-lifecycle to allow it",
        )),
    }
}

/// `POST|PUT /-/reload`: 200 with what changed and what waits for a restart, or 500 with what is wrong.
async fn reload(State(app): State<App>) -> Result<Json<Value>, Problem> {
    check(&app)?;
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    // Goes on to its end if the caller does not wait for it.
    let reloaded = tokio::spawn(async move { reload::reload(&engine).await }).await;
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reloading failed; the log says why");
    match reloaded.map_err(failed)? {
        Ok(reloaded) => {
            Ok(Json(json!({"changed": reloaded.changed, "needs_restart": reloaded.needs_restart})))
        }
        Err(error @ ReloadError::NoSources) => Err(Problem::new(StatusCode::CONFLICT, error.to_string())),
        Err(error) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the configuration cannot be used, and the one before runs on: {error}"),
        )),
    }
}

/// `POST|PUT /-/quit`: ends the server as a signal does.
async fn quit(State(app): State<App>) -> Result<&'static str, Problem> {
    check(&app)?;
    app.quits().send_replace(true);
    Ok("Barograph is stopping.\n")
}

/// `GET /api/v1/status/config`: the same as Prometheus answers it.
async fn status_config(State(app): State<App>) -> Json<Value> {
    Json(json!({"status": "success", "data": {"yaml": app.configured().current().document.masked()}}))
}

/// `GET …/config/running`: the configuration that runs, as YAML, with secrets masked.
async fn running(State(app): State<App>) -> Response {
    let text = app.configured().current().document.masked();
    ([(header::CONTENT_TYPE, "application/yaml"), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// `GET …/config/reload`: how the last reload went, and what waits for a restart.
async fn last(State(app): State<App>) -> Json<Value> {
    let last = app.configured().last();
    let (failed_at, error) = last.failed.unzip();
    Json(json!({
        "successful": error.is_none(),
        "running_since": last.succeeded.map(|at| at.to_rfc3339()),
        "failed_at": failed_at.map(|at| at.to_rfc3339()),
        "error": error,
        "needs_restart": last.waiting,
    }))
}
