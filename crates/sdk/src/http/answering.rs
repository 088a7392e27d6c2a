//! A request from its beginning until the headers of its answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use http::{StatusCode, header::CONTENT_TYPE, uri::PathAndQuery};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    CurrentRequest, Measured,
    body::{Answer, End},
    class_of,
    current::Place,
    grpc,
    layer::content_length,
};
use crate::{Outcome, Request};

/// What matters of a request for judging its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kind {
    pub(super) is_grpc: bool,
    /// The answer has no body, whatever it announces.
    pub(super) headers_only: bool,
    /// It is we who ask.
    pub(super) client: bool,
}

/// A request that has no answer yet. Dropped it was cancelled, or it panicked.
#[derive(Debug)]
pub(super) struct Begun {
    /// Until it has an answer.
    request: Option<Request>,
    kind: Kind,
    /// The path of a gRPC call that is not named yet. Anyone can ask for any name; so a server takes it for a
    /// method of its own only when that does something other than saying at once that there is no such method.
    path: Option<Box<PathAndQuery>>,
}

impl Begun {
    pub(super) fn new(request: Request, kind: Kind, path: Option<Box<PathAndQuery>>) -> Self {
        let mut begun = Self { request: Some(request), kind, path };
        if kind.client {
            begun.name();
        }
        begun
    }

    fn name(&mut self) {
        if let (Some(path), Some(request)) = (self.path.take(), &mut self.request)
            && let Some(name) = grpc::name(path.path())
        {
            request.rename(grpc::METHOD, name);
        }
    }

    fn fail<E: 'static>(&mut self, error: &E) {
        self.name();
        if let Some(request) = self.request.take() {
            let class = class_of(request.requests(), error);
            request.finish(Outcome::Failed(class));
        }
    }

    /// The answer, whose body goes on measuring.
    fn answer<B: Body>(
        &mut self,
        response: http::Response<B>,
        current: Option<CurrentRequest>,
    ) -> http::Response<Measured<B>> {
        let headers = response.headers();
        let told = if self.kind.is_grpc { grpc::status(headers) } else { None };
        let speaks_grpc = self.kind.is_grpc && (told.is_some() || grpc::is(headers));
        match (&self.path, &self.request) {
            (Some(path), Some(request)) if !speaks_grpc || told == Some(grpc::UNIMPLEMENTED) => {
                request.requests().note_unrouted(path.path());
            }
            _ => self.name(),
        }
        let end = match told {
            Some(code) => End::Known(Outcome::Grpc(code)),
            None if speaks_grpc => End::InTrailers,
            None => End::Known(Outcome::Status(response.status().as_u16())),
        };
        let (kind, status, body) = (self.kind, response.status(), response.body());
        let no_body = kind.headers_only
            || status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let exact = body.size_hint().exact();
        let endless = || {
            let kind = headers.get(CONTENT_TYPE);
            kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
        };
        let has_trailers = matches!(end, End::InTrailers);
        let may_be_endless = exact.is_none() && !kind.client && !has_trailers;
        let over = no_body || body.is_end_stream() || (may_be_endless && endless());
        let expected = match exact {
            // Clients often look at no more than the status of an answer.
            _ if kind.client && !has_trailers => Some(0),
            None if !has_trailers => content_length(headers),
            exact => exact,
        };
        let mut answer = Answer::new(self.request.take(), end, current, expected);
        if over {
            answer.end();
        }
        response.map(|body| Measured::new(body, answer))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if thread::panicking() {
            self.name();
        }
    }
}

pin_project! {
    /// The answer of a measured service, as a future.
    #[derive(Debug)]
    pub struct Answering<F> {
        #[pin]
        future: F,
        begun: Begun,
        current: Option<CurrentRequest>,
    }
}

impl<F> Answering<F> {
    pub(super) fn new(future: F, begun: Begun, current: Option<CurrentRequest>) -> Self {
        Self { future, begun, current }
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<http::Response<Measured<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = {
            let _place = Place::enter(this.current);
            this.future.poll(context)
        };
        match polled {
            Poll::Pending => {
                this.begun.name();
                Poll::Pending
            }
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(this.begun.answer(response, this.current.take()))),
            Poll::Ready(Err(error)) => {
                this.begun.fail(&error);
                Poll::Ready(Err(error))
            }
        }
    }
}
