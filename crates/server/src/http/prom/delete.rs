//! `admin/tsdb/delete_series` and `admin/tsdb/clean_tombstones`: deleting, where the server was started to allow it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use barograph_tsdb::Error;

use super::{error::ApiError, labels::Selections, success};
use crate::{
    Engine, current,
    errors::chain,
    http::{App, params::Params},
};

/// `POST|PUT /api/v1/admin/tsdb/delete_series`: 204 when nobody sees the samples any more.
///
/// Where windows of a tier still tell of some of them, because what is left of these windows is not known any more, it is
/// 200 and says so among the infos.
pub(crate) async fn series(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = allowed(&app)?;
    let selections = Selections::new(&params).await?;
    if selections.selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let now = engine.clock.now();
    let cut = off_loop(move || {
        selections.each().try_fold(0, |cut, selection| {
            let deleted = engine.store.delete(selection.matchers, selection.range, now)?;
            Ok(cut + deleted.cut_windows)
        })
    })
    .await?;
    if cut == 0 {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let info = format!(
        "{cut} windows of tiers at the edges of the range still tell of deleted samples: the raw samples are gone of \
         which the rest of them could be made again; give times that are multiples of 1h to delete them whole"
    );
    Ok(success(&headers, "null", &[], &[info]))
}

/// `POST|PUT /api/v1/admin/tsdb/clean_tombstones`: 204 when what was deleted is off the disk.
pub(crate) async fn clean(State(app): State<App>) -> Result<StatusCode, ApiError> {
    let engine = allowed(&app)?;
    off_loop(move || engine.store.clean_deletes()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn allowed(app: &App) -> Result<Arc<Engine>, ApiError> {
    let engine = app.engine()?;
    match engine.admin_api {
        true => Ok(engine),
        false => Err(ApiError::unavailable("admin APIs disabled; start the server with --enable-admin-api")),
    }
}

async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, ApiError> {
    let done = current::blocking(work).await;
    let done = done.map_err(|_| ApiError::internal("deleting failed; the log says why"))?;
    done.map_err(|e| ApiError::internal(format!("cannot delete: {}", chain(&e))))
}
