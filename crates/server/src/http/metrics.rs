//! `GET /metrics`: our own metrics in the exposition format the client asks for.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph::{exposition::negotiate_form, telemetry::in_units};

use super::{App, compress::compressed};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/metrics", get(metrics)).route("/internal/metrics", get(metrics))
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let Some(engine) = app.ready() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the store is being opened\n").into_response();
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let settings = engine.collecting.telemetry.settings();
    if !settings.prometheus_enabled() {
        return (StatusCode::NOT_FOUND, "METRICS_PROMETHEUS_ENABLED is false\n").into_response();
    }
    let form = negotiate_form(accept);
    let families = engine.collecting.families(&engine.telemetry.registry);
    let page = form.page(&in_units(families, settings.exposition_units()));
    compressed(&headers, ([(header::CONTENT_TYPE, form.content_type())], page).into_response())
}
