//! `/ping/{key}`: a job says that it lives.
//!
//! `GET`, `HEAD` or `POST`; the beginning of a body is kept. `/ping/{key}` says that it ended well, `…/start` that it begins,
//! `…/fail` that it failed, `…/log` that it has something to say, and a number is the exit status of a command.

use axum::{
    Router,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{App, body::Beginning, problem::Problem};
use crate::health::{PING_BYTES_MAX, Signal};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/ping/{key}", get(success).post(success))
        .route("/ping/{key}/{signal}", get(signal).post(signal))
}

async fn success(
    State(app): State<App>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    take(&app, &key, Signal::Success, request).await
}

async fn signal(
    State(app): State<App>,
    Path((key, word)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let signal = match word.as_str() {
        "start" => Signal::Start,
        "success" | "0" => Signal::Success,
        "fail" => Signal::Fail,
        "log" => Signal::Log,
        word if word.parse::<u8>().is_ok() => Signal::Fail,
        word => {
            let text = format!("{word:?} is none of start, success, fail, log and no exit status");
            return Err(Problem::new(StatusCode::NOT_FOUND, text));
        }
    };
    take(&app, &key, signal, request).await
}

async fn take(app: &App, key: &str, signal: Signal, request: Request) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    // Anybody may come here, so what is not kept takes no memory.
    let body = Beginning::of(request, app, PING_BYTES_MAX + 4).await;
    let Beginning(body) = body.map_err(|error| Problem::new(error.status(), error.to_string()))?;
    let text = String::from_utf8_lossy(&body).into_owned();
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("there is no heartbeat {key:?}"));
    engine.health.ping(key, signal, text).ok_or_else(unknown)?;
    Ok("OK\n".into_response())
}
