//! `/api/v2`: the API of Alertmanager, so that whoever tells alerts to one, looks at one or silences one works with this server.
//!
//! Answers have its fields and its words for states. A mistake is answered by a text, as its clients expect.

mod alerts;
mod filter;
mod maintenance;
mod post;
mod silences;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::Timestamp;
use serde_json::{Value, json};

use super::App;
use crate::alerting::Refusal;

pub(super) use post::alerts as post_alerts;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v2/status", get(status))
        .route("/api/v2/receivers", get(receivers))
        .route("/api/v2/alerts", get(alerts::list).post(post::alerts))
        .route("/api/v2/alerts/groups", get(alerts::groups))
        .route("/api/v2/silences", get(silences::list).post(silences::set))
        .route("/api/v2/silence/{id}", get(silences::one).delete(silences::expire))
        .merge(maintenance::routes())
}

/// A mistake: a text in JSON.
pub(super) struct Wrong(StatusCode, String);

impl Wrong {
    fn of(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }
}

impl From<Refusal> for Wrong {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(text) => Self(StatusCode::BAD_REQUEST, text),
            Refusal::Missing(text) => Self(StatusCode::NOT_FOUND, text),
            Refusal::Unkept(text) => Self(StatusCode::SERVICE_UNAVAILABLE, text),
        }
    }
}

impl From<super::ApiError> for Wrong {
    fn from(error: super::ApiError) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, error.text().to_owned())
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, Json(Value::from(self.1))).into_response()
    }
}

/// `GET /api/v2/status`
async fn status(State(app): State<App>) -> Result<Json<Value>, Wrong> {
    let engine = app.engine()?;
    Ok(Json(json!({
        "cluster": { "name": "", "status": "disabled", "peers": [] },
        "versionInfo": {
            "version": crate::VERSION,
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        },
        "config": { "original": &*engine.alerting.shown_config() },
        "uptime": app.started().to_rfc3339(),
    })))
}

/// `GET /api/v2/receivers`
async fn receivers(State(app): State<App>) -> Result<Json<Value>, Wrong> {
    let config = app.engine()?.alerting.config();
    Ok(Json(config.receivers.keys().map(|name| json!({ "name": name })).collect()))
}

/// A time as documents have it.
fn time(millis: i64) -> String {
    Timestamp(millis).to_rfc3339()
}

/// Runs what waits for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Wrong> + Send + 'static,
) -> Result<T, Wrong> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
