//! `/api/barograph/v1/export` and `/api/barograph/v1/import`: samples of any age, out and in.

mod encode;
mod export;
mod import;

use axum::{
    Router,
    routing::{get, post},
};

use super::App;
pub(crate) use export::EXPORTS_MAX;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/export", get(export::export).post(export::export))
        .route("/api/barograph/v1/import", post(import::import))
}
