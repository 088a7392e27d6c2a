//! `admin/tsdb/delete_series` and `admin/tsdb/clean_tombstones`: deleting, where the server was started to allow it.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use barograph_tsdb::Error;

use super::{error::ApiError, labels::Selections};
use crate::{
    Engine,
    errors::chain,
    http::{App, params::Params},
};

/// `POST|PUT /api/v1/admin/tsdb/delete_series`: 204 when nobody sees the samples any more.
pub(crate) async fn series(State(app): State<App>, params: Params) -> Result<StatusCode, ApiError> {
    let engine = allowed(&app)?;
    let selections = Selections::new(&params)?;
    if selections.selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let now = engine.clock.now();
    off_loop(move || {
        selections
            .each()
            .try_for_each(|selection| engine.store.delete(selection.matchers, selection.range, now).map(drop))
    })
    .await
}

/// `POST|PUT /api/v1/admin/tsdb/clean_tombstones`: 204 when what was deleted is off the disk.
pub(crate) async fn clean(State(app): State<App>) -> Result<StatusCode, ApiError> {
    let engine = allowed(&app)?;
    off_loop(move || engine.store.clean_deletes().map(drop)).await
}

fn allowed(app: &App) -> Result<Arc<Engine>, ApiError> {
    let engine = app.engine()?;
    match engine.admin_api {
        true => Ok(engine),
        false => Err(ApiError::unavailable("admin APIs disabled; start the server with --enable-admin-api")),
    }
}

async fn off_loop(work: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<StatusCode, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| ApiError::internal("deleting failed; the log says why"))?;
    done.map_err(|e| ApiError::internal(format!("cannot delete: {}", chain(&e))))?;
    Ok(StatusCode::NO_CONTENT)
}
