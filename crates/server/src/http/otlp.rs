//! `POST /v1/metrics`, `/v1/traces`, `/v1/logs` and `/api/v1/otlp/v1/metrics`: OTLP over HTTP.
//!
//! Bodies are protobuf or JSON, plain or compressed with gzip or zstd. Answers, refusals too, are in the encoding of the
//! request: what is wrong for good is 400, and what may be sent again 429 or 503 with the time after which.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use barograph_wire::otlp::reply::{self, Encoding, Signal};
use tonic::Code;

use super::{App, Problem, body::Whole, layered, write::refused};
use crate::{
    intake::Refused,
    otlp::{Coding, NO_LOGS, metrics, retryable, traces},
};

/// Where OTLP is taken.
const PATHS: [&str; 4] = ["/v1/metrics", "/api/v1/otlp/v1/metrics", "/v1/traces", "/v1/logs"];

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/metrics", post(take_metrics))
        .route("/api/v1/otlp/v1/metrics", post(take_metrics))
        .route("/v1/traces", post(take_traces))
        .route("/v1/logs", post(refuse_logs))
}

/// The routes of a port that takes OTLP alone.
pub(crate) fn router(app: App, address: SocketAddr) -> Router {
    layered(routes().fallback(elsewhere), app, address)
}

async fn elsewhere(uri: Uri) -> Problem {
    let text =
        format!("there is nothing at {}; this port takes OTLP: POST /v1/metrics, /v1/traces", uri.path());
    Problem::new(StatusCode::NOT_FOUND, text)
}

async fn take_metrics(State(app): State<App>, headers: HeaderMap, request: Request) -> Response {
    take(&app, &headers, request, Signal::Metrics).await
}

async fn take_traces(State(app): State<App>, headers: HeaderMap, request: Request) -> Response {
    take(&app, &headers, request, Signal::Traces).await
}

async fn refuse_logs(headers: HeaderMap) -> Response {
    match encoding(&headers) {
        Ok(encoding) => in_encoding(encoding, (StatusCode::NOT_IMPLEMENTED, NO_LOGS.to_owned())),
        Err(why) => refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why),
    }
}

async fn take(app: &App, headers: &HeaderMap, request: Request, signal: Signal) -> Response {
    let encoding = match encoding(headers) {
        Ok(encoding) => encoding,
        Err(why) => return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why),
    };
    let coding = match coding(headers) {
        Ok(coding) => coding,
        Err(why) => return in_encoding(encoding, (StatusCode::UNSUPPORTED_MEDIA_TYPE, why)),
    };
    let body = match Whole::from_request(request, app).await {
        Ok(Whole(body)) => body,
        Err(error) => return in_encoding(encoding, (error.status(), error.to_string())),
    };
    let taken = match signal {
        Signal::Metrics => metrics(app, body, encoding, coding).await,
        Signal::Traces => traces(app, body, encoding, coding).await,
    };
    match taken {
        Ok(partial) => {
            let content = [(header::CONTENT_TYPE, encoding.as_str())];
            (content, reply::response(encoding, signal, &partial)).into_response()
        }
        Err(refused) => in_encoding(encoding, retryable(refused)),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, String> {
    let media = headers.get(header::CONTENT_TYPE).map_or("nothing", |value| value.to_str().unwrap_or("?"));
    let what = || {
        format!("content type {media:?} is not supported; send application/x-protobuf or application/json")
    };
    Encoding::of(media).ok_or_else(what)
}

fn coding(headers: &HeaderMap) -> Result<Coding, String> {
    let coding = headers.get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
    let what = || format!("content encoding {coding:?} is not supported; send gzip, zstd or none");
    Coding::of(coding).ok_or_else(what)
}

/// A refusal of what is told elsewhere than here, in the form of OTLP, if it is OTLP that came.
pub(crate) fn refusal(path: &str, headers: &HeaderMap, status: StatusCode, why: &str) -> Option<Response> {
    let encoding = PATHS.contains(&path).then(|| encoding(headers).ok())??;
    Some(in_encoding(encoding, (status, why.to_owned())))
}

/// A refusal as a status of gRPC in the encoding of the request; one that passes by itself says when to come again.
fn in_encoding(encoding: Encoding, (status, why): Refused) -> Response {
    let code = match status {
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        status if status.is_server_error() => Code::Internal,
        _ => Code::InvalidArgument,
    };
    let content = [(header::CONTENT_TYPE, encoding.as_str())];
    let mut response = (status, content, reply::status(encoding, code as u8, &why)).into_response();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
