//! A layer that counts the calls of clients, around any service that speaks HTTP or gRPC: handlers need no code.
//!
//! - *Who calls.* The [`Client`] among the request's extensions, where whoever accepts connections has put one; else what
//!   [`SessionsLayer::identify`] tells of the request; else the header `x-client-id`. All others are [`ANONYMOUS`].
//! - *What.* `pkg.Service/Method`, or the HTTP method with the template that matched (with the feature `axum`), never the
//!   path. What nobody has a route for is one method.
//! - *How it ends.* With its answer's last byte, by HTTP status or by the gRPC status of headers or trailers; a caller that
//!   goes away before and a handler that panics count as such. An answer without an end of its own
//!   (`text/event-stream`) is over with its headers.
//! - *Bytes.* What bodies announce, and frames as they pass; nothing is buffered.
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, routing::get};
//! use barograph::session::{Sessions, SessionsLayer, Settings};
//!
//! let sessions = Sessions::new(Settings::default());
//! let app: Router = Router::new().route("/carts/{id}", get(async || "full")).layer(SessionsLayer::new(&sessions));
//! # }
//! ```

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::{StatusCode, header::CONTENT_TYPE, uri::PathAndQuery};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{ApiCall, Client, Sessions};
use crate::{
    ErrorClass, Outcome,
    errors::Classifier,
    http::{
        Head, grpc,
        layer::{content_length, method as word},
    },
    requests::UNROUTED,
};

/// The client that stands for all requests which do not say whose they are.
pub const ANONYMOUS: &str = "anonymous";

/// The header that a client names itself with.
const HEADER: &str = "x-client-id";

type Identify = dyn for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync;

/// Counts the calls of a service. See the module.
#[derive(Clone)]
#[doc(alias("execute-unified-method", "update-stats"))]
pub struct SessionsLayer {
    sessions: Sessions,
    identify: Option<Arc<Identify>>,
}

impl SessionsLayer {
    /// Counts into these.
    pub fn new(sessions: &Sessions) -> Self {
        Self { sessions: sessions.clone(), identify: None }
    }

    /// Tells from a request who calls. Ids that callers make up are bounded by [`Settings::clients_max`](super::Settings).
    #[must_use]
    pub fn identify(
        mut self,
        who: impl for<'a> Fn(Head<'a>) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    ) -> Self {
        self.identify = Some(Arc::new(who));
        self
    }

    fn client<B>(&self, request: &http::Request<B>) -> Client {
        if let Some(client) = request.extensions().get::<Client>() {
            return client.clone();
        }
        let (method, uri) = (request.method(), request.uri());
        let head = Head { method, uri, headers: request.headers(), extensions: request.extensions() };
        let told = self.identify.as_ref().and_then(|identify| identify(head));
        let header = || request.headers().get(HEADER)?.to_str().ok().map(Cow::Borrowed);
        let id = told.or_else(header).filter(|id| !id.is_empty());
        self.sessions.client(id.as_deref().unwrap_or(ANONYMOUS))
    }

    fn begin<B: Body>(&self, request: &http::Request<B>) -> Begun {
        let is_grpc = grpc::is(request.headers());
        let name = if is_grpc { UNROUTED.into() } else { route(request) };
        let mut call = self.client(request).call(&self.sessions.method(&name));
        call.received(
            request.body().size_hint().exact().or_else(|| content_length(request.headers())).unwrap_or(0),
        );
        let path = if is_grpc { request.uri().path_and_query().cloned() } else { None };
        Begun { call: Some(call), path }
    }
}

/// The method of a request that is not gRPC.
fn route<B>(request: &http::Request<B>) -> Cow<'static, str> {
    #[cfg(feature = "axum")]
    if let Some(matched) = request.extensions().get::<axum::extract::MatchedPath>() {
        return format!("{} {}", word(request.method()), matched.as_str()).into();
    }
    format!("{} {UNROUTED}", word(request.method())).into()
}

impl fmt::Debug for SessionsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsLayer").field("identifies", &self.identify.is_some()).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for SessionsLayer {
    type Service = SessionsService<S>;

    fn layer(&self, inner: S) -> SessionsService<S> {
        SessionsService { inner, layer: self.clone() }
    }
}

/// A service whose calls are counted.
#[derive(Clone, Debug)]
pub struct SessionsService<S> {
    inner: S,
    layer: SessionsLayer,
}

impl<S, In, Out> Service<http::Request<In>> for SessionsService<S>
where
    S: Service<http::Request<In>, Response = http::Response<Out>>,
    In: Body,
    Out: Body,
{
    type Response = http::Response<Counted<Out>>;
    type Error = S::Error;
    type Future = Calling<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<In>) -> Self::Future {
        let begun = self.layer.begin(&request);
        Calling { future: self.inner.call(request), begun }
    }
}

/// A call that has no answer yet.
#[derive(Debug)]
struct Begun {
    call: Option<ApiCall>,
    /// The path of a gRPC call that is not named yet. Anyone can ask for any name: one counts as a method once the
    /// server does something else than to say at once that there is none.
    path: Option<PathAndQuery>,
}

impl Begun {
    fn name(&mut self) {
        if let (Some(path), Some(call)) = (self.path.take(), &mut self.call)
            && let Some(name) = grpc::name(path.path())
        {
            let method = call.client().sessions().method(name);
            call.rename(&method);
        }
    }

    fn answer<B: Body>(&mut self, response: http::Response<B>) -> http::Response<Counted<B>> {
        let (headers, status) = (response.headers(), response.status());
        let told = if self.path.is_some() || grpc::is(headers) { grpc::status(headers) } else { None };
        let speaks_grpc = told.is_some() || grpc::is(headers);
        if speaks_grpc && told != Some(grpc::UNIMPLEMENTED) {
            self.name();
        }
        let end = match told {
            Some(code) => Some(Outcome::Grpc(code)),
            None if speaks_grpc => None,
            None => Some(Outcome::Status(status.as_u16())),
        };
        let endless =
            headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let empty = endless
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let announced = content_length(headers);
        let call = self.call.take();
        response.map(|body| {
            let over = empty || body.is_end_stream();
            let expected = body.size_hint().exact().or(announced);
            let mut answer = Answer { call, end, expected, sent: 0 };
            if over {
                answer.finish();
            }
            Counted { body, answer }
        })
    }
}

pin_project! {
    /// The answer of a service whose calls are counted, as a future.
    #[derive(Debug)]
    pub struct Calling<F> {
        #[pin]
        future: F,
        begun: Begun,
    }
}

impl<F, B, E> Future for Calling<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    B: Body,
{
    type Output = Result<http::Response<Counted<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.future.poll(context) {
            Poll::Pending => {
                this.begun.name();
                Poll::Pending
            }
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(this.begun.answer(response))),
            Poll::Ready(Err(error)) => {
                this.begun.name();
                if let Some(call) = this.begun.call.take() {
                    call.finish(Outcome::Failed(ErrorClass::Server));
                }
                Poll::Ready(Err(error))
            }
        }
    }
}

/// An answer while its body is under way. Dropped before all of it was sent, the call was cancelled.
#[derive(Debug)]
struct Answer {
    call: Option<ApiCall>,
    /// How the call ends with the body; `None` if the trailers will tell.
    end: Option<Outcome>,
    expected: Option<u64>,
    sent: u64,
}

impl Answer {
    fn finish(&mut self) {
        let outcome = self.end.unwrap_or(Outcome::Grpc(grpc::UNKNOWN));
        self.end_with(outcome);
    }

    fn end_with(&mut self, outcome: Outcome) {
        if let Some(mut call) = self.call.take() {
            call.sent(self.sent);
            call.finish(outcome);
        }
    }

    fn frame<D: Buf>(&mut self, frame: &Frame<D>) {
        if let Some(data) = frame.data_ref() {
            self.sent += data.remaining() as u64;
        } else if let (Some(trailers), None) = (frame.trailers_ref(), self.end) {
            self.end_with(Outcome::Grpc(grpc::status(trailers).unwrap_or(grpc::UNKNOWN)));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.end.is_some() && self.expected.is_some_and(|expected| self.sent >= expected) {
            self.finish();
        } else if let Some(mut call) = self.call.take() {
            call.sent(self.sent);
        }
    }
}

pin_project! {
    /// The body of an answer: the same frames, counted as they pass.
    #[derive(Debug)]
    pub struct Counted<B> {
        #[pin]
        body: B,
        answer: Answer,
    }
}

impl<B> Body for Counted<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let mut this = self.project();
        Poll::Ready(match ready!(this.body.as_mut().poll_frame(context)) {
            Some(Ok(frame)) => {
                this.answer.frame(&frame);
                // Who reads a body may stop here without asking for what comes after the last frame.
                if this.body.is_end_stream() {
                    this.answer.finish();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                let error = error.into();
                this.answer.end_with(Outcome::Failed(Classifier::new().of_dyn(error.as_ref())));
                Some(Err(error))
            }
            None => {
                this.answer.finish();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer that was never asked for.
impl<B: Default> Default for Counted<B> {
    fn default() -> Self {
        Self { body: B::default(), answer: Answer { call: None, end: None, expected: None, sent: 0 } }
    }
}
