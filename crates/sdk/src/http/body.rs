//! The body of an answer, which ends the request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{CurrentRequest, class_of, grpc};
use crate::{Outcome, Request};

/// How a request ends if its body does.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The headers told.
    Known(Outcome),
    /// The trailers will tell.
    InTrailers,
}

/// The answer to a request while its body is under way. Dropped before all of it was sent the request was cancelled,
/// or something panicked.
#[derive(Debug)]
pub(super) struct Answer {
    /// Until the answer is over.
    request: Option<Request>,
    end: End,
    current: Option<CurrentRequest>,
    /// How many bytes are all of it, if that is known: then nobody needs to ask for the end.
    expected: Option<u64>,
    sent: u64,
}

impl Answer {
    pub(super) fn new(
        request: Option<Request>,
        end: End,
        current: Option<CurrentRequest>,
        expected: Option<u64>,
    ) -> Self {
        Self { request, end, current, expected, sent: 0 }
    }

    /// All was sent.
    pub(super) fn end(&mut self) {
        let outcome = match self.end {
            End::Known(outcome) => outcome,
            End::InTrailers => Outcome::Grpc(grpc::UNKNOWN),
        };
        if let Some(request) = self.take() {
            request.finish(outcome.unless(self.current.as_ref().and_then(|current| current.what().class)));
        }
    }

    fn frame<D: Buf>(&mut self, frame: &Frame<D>) {
        if let Some(data) = frame.data_ref() {
            self.sent += data.remaining() as u64;
        } else if let (Some(trailers), End::InTrailers) = (frame.trailers_ref(), self.end) {
            self.end = End::Known(Outcome::Grpc(grpc::status(trailers).unwrap_or(grpc::UNKNOWN)));
            self.end();
        }
    }

    fn fail<E: 'static>(&mut self, error: &E) {
        if let Some(request) = self.take() {
            let class = class_of(request.requests(), error);
            request.finish(Outcome::Failed(class));
        }
    }

    /// The request, with all that is to be recorded but its end.
    fn take(&mut self) -> Option<Request> {
        let mut request = self.request.take()?;
        request.sent(self.sent);
        if let Some(route) = self.current.as_ref().and_then(|current| current.what().route) {
            request.reroute(route);
        }
        Some(request)
    }
}

impl Outcome {
    /// This, unless the handler called it a failure.
    fn unless(self, class: Option<crate::errors::ErrorClass>) -> Self {
        class.map_or(self, Outcome::Failed)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.expected.is_some_and(|expected| self.sent >= expected) {
            self.end();
        } else {
            drop(self.take());
        }
    }
}

pin_project! {
    /// The body of a measured answer: the same frames, counted as they pass.
    #[derive(Debug)]
    pub struct Measured<B> {
        #[pin]
        body: B,
        answer: Answer,
    }
}

impl<B> Measured<B> {
    pub(super) fn new(body: B, answer: Answer) -> Self {
        Self { body, answer }
    }
}

impl<B> Body for Measured<B>
where
    B: Body,
    B::Error: 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                this.answer.frame(frame);
                // Who reads a body may stop here without asking for what comes after the last frame.
                if this.body.is_end_stream() {
                    this.answer.end();
                }
            }
            Some(Err(error)) => this.answer.fail(error),
            None => this.answer.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer that was never asked for.
impl<B: Default> Default for Measured<B> {
    fn default() -> Self {
        Self::new(B::default(), Answer::new(None, End::Known(Outcome::Status(0)), None, None))
    }
}
