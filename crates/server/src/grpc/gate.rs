//! What lies around all services: only gRPC from this machine comes in, and a call ends when its deadline is over.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::{Code, Status};

use crate::http::{At, Caller, Peer, refusal};

/// The header in which a status is told, if that is all there is to the answer.
const STATUS: &str = "grpc-status";

/// Refuses what is no gRPC, and callers that may not call; notes who calls.
pub(crate) async fn judge(State(at): State<At>, mut request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "gRPC is POST\n").into_response();
    }
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !kind.starts_with(b"application/grpc") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/grpc\n").into_response();
    }
    if let Some(why) = refusal(&request, &at) {
        return Status::permission_denied(why).into_http();
    }
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let caller = Caller::of(request.headers(), peer);
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    // The library calls a message that is too large out of range; the protocol has another code for it.
    let too_large = HeaderValue::from(Code::OutOfRange as u16);
    if let Some(status) = response.headers_mut().get_mut(STATUS).filter(|status| **status == too_large) {
        *status = HeaderValue::from(Code::ResourceExhausted as u16);
    }
    response
}

/// Ends a call and the stream of its answers when the time is up that its caller gives it.
pub(crate) async fn within_deadline(request: Request, next: Next) -> Response {
    let left = match timeout(request.headers()) {
        Ok(None) => return next.run(request).await,
        Ok(Some(left)) => left,
        Err(status) => return status.into_http(),
    };
    let up = Instant::now() + left;
    match timeout_at(up, next.run(request)).await {
        Ok(response) => {
            response.map(|body| Body::new(Timed { body: Some(body), up: Box::pin(sleep_until(up)) }))
        }
        Err(_) => late().into_http(),
    }
}

fn late() -> Status {
    Status::deadline_exceeded("the deadline of the call is over")
}

/// The `grpc-timeout` of a call: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let text = value.to_str().unwrap_or("?");
    let wrong = || Status::invalid_argument(format!("grpc-timeout {text:?} is none"));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    Ok(Some(match unit {
        'H' => Duration::from_secs(count * 3_600),
        'M' => Duration::from_secs(count * 60),
        'S' => Duration::from_secs(count),
        'm' => Duration::from_millis(count),
        'u' => Duration::from_micros(count),
        'n' => Duration::from_nanos(count),
        _ => return Err(wrong()),
    }))
}

/// A body that ends when the time is up, with a status that says so.
struct Timed {
    /// `None` once it ended.
    body: Option<Body>,
    up: Pin<Box<Sleep>>,
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if this.up.as_mut().poll(context).is_pending() {
            return Pin::new(body).poll_frame(context);
        }
        // An answer that is whole needs no excuse.
        if body.is_end_stream() {
            let frame = ready!(Pin::new(body).poll_frame(context));
            return Poll::Ready(frame);
        }
        this.body = None;
        let mut trailers = HeaderMap::new();
        let _ = late().add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_units() {
        let check = |text: &'static str, expected: Option<Duration>| {
            let headers = [("grpc-timeout".parse().unwrap(), HeaderValue::from_static(text))];
            assert_eq!(timeout(&headers.into_iter().collect()).ok().flatten(), expected, "{text}");
        };
        check("1H", Some(Duration::from_secs(3_600)));
        check("2M", Some(Duration::from_secs(120)));
        check("99999999S", Some(Duration::from_secs(99_999_999)));
        check("250m", Some(Duration::from_millis(250)));
        check("7u", Some(Duration::from_micros(7)));
        check("0n", Some(Duration::ZERO));
        for bad in ["", "S", "1", "1s", "-1S", "1.5S", "100000000S", "1 S"] {
            check(bad, None);
        }
    }
}
