//! `/-/healthy`, `/-/ready`, `/health` and their aliases: is the process alive, can it be used?

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;

use super::App;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/-/healthy", get(healthy))
        .route("/livez", get(healthy))
        .route("/healthz", get(healthy))
        .route("/-/ready", get(ready))
        .route("/readyz", get(ready))
        .route("/health", get(health))
}

async fn healthy() -> &'static str {
    "Barograph is healthy.\n"
}

async fn ready(State(app): State<App>) -> Response {
    match (app.ready(), *app.stopping().borrow()) {
        (Some(_), false) => "Barograph is ready.\n".into_response(),
        (_, true) => (StatusCode::SERVICE_UNAVAILABLE, "Barograph is stopping.\n").into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "Barograph is opening its store.\n").into_response(),
    }
}

/// One word first, then what a person would ask next.
async fn health(State(app): State<App>) -> Response {
    let Some(engine) = app.ready() else {
        let body = json!({"status": "unhealthy", "reason": "the store is being opened"});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    };
    let stats = engine.store.stats();
    let read_only = stats.read_only.then_some("the store is read-only after its disk failed");
    let corrupt = (stats.set_aside > 0).then_some("corrupt files were set aside; the log names them");
    let (status, word) = match (read_only, corrupt) {
        (Some(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        (None, Some(_)) => (StatusCode::OK, "degraded"),
        (None, None) => (StatusCode::OK, "healthy"),
    };
    let body = json!({
        "status": word,
        "reason": read_only.or(corrupt),
        "version": crate::VERSION,
        "uptime_seconds": (engine.clock.now().0 - app.started().0) as f64 / 1e3,
        "series": stats.series,
    });
    (status, Json(body)).into_response()
}

/// Counts the request by path class and status, and keeps the number in flight.
pub(crate) async fn count_requests(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(engine) = app.ready() else {
        return next.run(request).await;
    };
    let route = request.extensions().get::<axum::extract::MatchedPath>().map(|path| path.as_str().to_owned());
    let _in_flight = (engine.telemetry.in_flight.hold(), engine.collectors.probe.begin());
    let began = engine.clock.monotonic();
    let response = next.run(request).await;
    let took = engine.clock.monotonic() - began;
    engine.telemetry.answered(route.as_deref().unwrap_or("none"), response.status().as_u16(), took);
    response
}
