//! What is still on its way of a request that was refused before it was read.
//!
//! Whoever refuses a request, by whatever layer or handler, leaves its body unread ([`around`] sees that). A little of it is
//! then read and thrown away, so that the client comes to read the answer and can use its connection again. Where more would
//! come, the connection is closed after the answer, which says so: a client that kept it would find out by its next request.
//! Who waits to be told to go on with the body (`Expect`) is not told so.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderValue, Version,
        header::{CONNECTION, EXPECT},
    },
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// So much is read at most.
const BYTES_MAX: usize = 1 << 20;
/// For so long at most.
const WAIT: Duration = Duration::from_millis(500);

/// Lets a request by, and takes care of what is left of its body once it is refused.
pub(crate) async fn around(request: Request, next: Next) -> Response {
    if http_body::Body::is_end_stream(request.body()) {
        return next.run(request).await;
    }
    let (version, expects) = (request.version(), request.headers().contains_key(EXPECT));
    let left = Left::default();
    let lent = |body| Body::new(Lent { body: Some(body), begun: !expects, left: left.clone() });
    let mut response = next.run(request.map(lent)).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let rest = left.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match rest {
            Some(Rest::Begun(body)) => settle(body, version, &mut response).await,
            Some(Rest::Awaited) => close(version, &mut response),
            None => {}
        }
    }
    response
}

async fn settle(body: Body, version: Version, response: &mut Response) {
    let whole = tokio::time::timeout(WAIT, is_little(body)).await.unwrap_or(false);
    if !whole {
        close(version, response);
    }
}

fn close(version: Version, response: &mut Response) {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Reads on; whether that was all.
async fn is_little(mut body: Body) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, |data| data.len());
        if read > BYTES_MAX {
            return false;
        }
    }
    true
}

/// Where a body goes that nobody wants any more.
#[derive(Clone, Default)]
struct Left(Arc<Mutex<Option<Rest>>>);

enum Rest {
    /// It comes.
    Begun(Body),
    /// The client waits to be told to send it.
    Awaited,
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    /// `None` once it ended.
    body: Option<Body>,
    begun: bool,
    left: Left,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !http_body::Body::is_end_stream(body)) else {
            return;
        };
        let rest = if self.begun { Rest::Begun(body) } else { Rest::Awaited };
        *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        http::StatusCode,
        middleware,
        routing::{get, post},
    };
    use tower_service::Service;

    use super::*;

    /// Bytes of a body whose length is not known, whether its client waits to send it, and what is asked; whether the
    /// connection is closed then.
    async fn check(path: &str, bytes: usize, expects: bool, version: Version, closed: bool) {
        let refuse = async |_: Request| StatusCode::FORBIDDEN;
        let take = async |body: Bytes| body.len().to_string();
        let mut router = Router::new()
            .route("/refuse", post(refuse))
            .route("/take", post(take))
            .route("/get", get(|| async {}))
            .layer(middleware::from_fn(around));
        let pieces = (0..bytes.div_ceil(4096)).map(move |place| (bytes - place * 4096).min(4096));
        let pieces = pieces.map(|len| Ok::<_, std::convert::Infallible>(Bytes::from(vec![0; len])));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let mut request = Request::post(path).version(version);
        if expects {
            request = request.header(EXPECT, "100-continue");
        }
        let response = router.call(request.body(body).unwrap()).await.unwrap();
        assert_eq!(
            response.headers().contains_key(CONNECTION),
            closed,
            "{path} {bytes} {expects} {version:?}"
        );
    }

    #[tokio::test]
    async fn a_connection_stays_where_little_comes() {
        for path in ["/refuse", "/get", "/nowhere"] {
            check(path, 0, false, Version::HTTP_11, false).await;
            check(path, BYTES_MAX, false, Version::HTTP_11, false).await;
            check(path, BYTES_MAX + 1, false, Version::HTTP_11, true).await;
            check(path, BYTES_MAX + 1, false, Version::HTTP_2, false).await;
            check(path, 10, true, Version::HTTP_11, true).await;
        }
        check("/take", 10_000, false, Version::HTTP_11, false).await;
        check("/take", 10_000, true, Version::HTTP_11, false).await;
    }
}
