//! The head of a request over HTTP/1: it has so long from its first byte on, and on a new connection from the beginning.
//!
//! Between requests a client may say nothing for longer, so that whoever comes once in a while keeps its connection: who
//! closes just then answers nothing, and few clients send samples again by themselves. A request lasts until the body of its
//! answer is sent or given up ([`Answer`]). Connections of HTTP/2, and those that became something else, are not looked at.

use std::{
    pin::Pin,
    sync::atomic::{
        AtomicU8,
        Ordering::{AcqRel, Acquire, Release},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::{
    Response, StatusCode,
    body::{Frame, SizeHint},
};
use tokio::time::{Sleep, sleep};

use super::Line;

/// Where a connection is.
#[derive(Debug, Default)]
pub(super) struct Stage(AtomicU8);

/// Nobody looks.
const UNWATCHED: u8 = 0;
/// A head is to come, or is coming.
const HEAD: u8 = 1;
/// Something is asked and not yet answered.
const ASKED: u8 = 2;
/// All that was asked is answered.
const IDLE: u8 = 3;

impl Stage {
    /// A head is to come from now on.
    pub(super) fn watch(&self) {
        self.0.store(HEAD, Release);
    }

    /// It is no connection of HTTP any more.
    fn leave(&self) {
        self.0.store(UNWATCHED, Release);
    }

    pub(super) fn asked(&self) {
        let _ = self.0.fetch_update(AcqRel, Acquire, |now| (now != UNWATCHED).then_some(ASKED));
    }

    fn answered(&self) {
        let _ = self.0.compare_exchange(ASKED, IDLE, AcqRel, Acquire);
    }

    /// Bytes came; whether a head begins with them.
    fn came(&self) -> bool {
        self.0.compare_exchange(IDLE, HEAD, AcqRel, Acquire).is_ok()
    }

    /// Whether it is a connection of HTTP/1.
    pub(super) fn is_watched(&self) -> bool {
        self.0.load(Acquire) != UNWATCHED
    }

    pub(super) fn awaits_head(&self) -> bool {
        self.0.load(Acquire) == HEAD
    }
}

/// How long the head that is coming has.
pub(super) struct Deadline {
    time: Duration,
    over: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(super) fn new(time: Duration) -> Self {
        Self { time, over: None }
    }

    /// Bytes came.
    pub(super) fn came(&mut self, stage: &Stage) {
        if stage.came() {
            self.over = None;
        }
    }

    /// Nothing comes for now; whether a head is late. Else whoever reads is woken when it will be.
    pub(super) fn is_over(&mut self, stage: &Stage, context: &mut Context<'_>) -> bool {
        if !stage.awaits_head() {
            self.over = None;
            return false;
        }
        self.over.get_or_insert_with(|| Box::pin(sleep(self.time))).as_mut().poll(context).is_ready()
    }
}

/// The body of an answer; when it is gone, the connection is free for the next request.
pub(super) struct Answer {
    body: Body,
    line: Line,
}

impl Answer {
    /// Of a response on a connection.
    pub(super) fn of(response: Response<Body>, line: Line) -> Response<Self> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            line.stage().leave();
        }
        response.map(|body| Self { body, line })
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.line.stage().answered();
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
