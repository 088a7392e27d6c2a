//! A connection as those know it who answer on it, and the stream under it.
//!
//! The stream notes how it ends. What is sent over it has to be taken: a client that reads so slowly that less than
//! [`Pace::bytes`] go out while [`Pace::window`] passes is gone, and so is one whose head of a request does not come
//! ([`heads`](super::heads)).

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use barograph::session::Cause;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep},
};

use super::{
    heads::{Deadline, Stage},
    linger::Lingering,
    places::Place,
};

/// How fast a client has to read what was sent to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// So many bytes have to go out,
    pub(super) bytes: usize,
    /// while so much time passes in which there is more than can be sent.
    pub(super) window: Duration,
    /// So long the head of a request may take to come.
    pub(super) head: Duration,
}

/// A connection, as those know it who answer on it: how it ended. As long as one is held, the connection counts.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<State>);

#[derive(Debug)]
struct State {
    end: AtomicU8,
    /// How often something was asked.
    asked: AtomicU64,
    stage: Stage,
    /// Whether some of the last request was not read.
    unread: AtomicBool,
    _held: (Option<OwnedSemaphorePermit>, Option<Place>),
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const SILENT: u8 = 2;
const BROKEN: u8 = 3;

impl Line {
    /// A connection that is open; what it holds is free when it is gone.
    pub(super) fn new(permit: Option<OwnedSemaphorePermit>, place: Option<Place>) -> Self {
        Self(Arc::new(State {
            end: AtomicU8::new(OPEN),
            asked: AtomicU64::new(0),
            stage: Stage::default(),
            unread: AtomicBool::new(false),
            _held: (permit, place),
        }))
    }

    /// Something was asked.
    pub(super) fn note_request(&self) {
        self.0.asked.fetch_add(1, Release);
        self.0.stage.asked();
        self.0.unread.store(false, Release);
    }

    /// What was asked is answered without all of it having been read.
    pub(super) fn note_unread(&self) {
        self.0.unread.store(self.0.stage.is_watched(), Release);
    }

    /// Whether it is so.
    pub(super) fn is_left_unread(&self) -> bool {
        self.0.unread.load(Acquire)
    }

    /// Where it is between requests.
    pub(super) fn stage(&self) -> &Stage {
        &self.0.stage
    }

    /// How often something was asked.
    pub(super) fn asked(&self) -> u64 {
        self.0.asked.load(Acquire)
    }

    /// How the other end went, if it went: by closing, by falling silent, or otherwise.
    pub(crate) fn ended(&self) -> Option<Cause> {
        match self.0.end.load(Acquire) {
            OPEN => None,
            CLOSED => Some(Cause::Graceful),
            SILENT => Some(Cause::Timeout),
            _ => Some(Cause::Error),
        }
    }

    /// Only the first counts.
    fn end(&self, how: u8) {
        let _ = self.0.end.compare_exchange(OPEN, how, AcqRel, Acquire);
    }

    fn failed(&self, error: &io::Error) {
        self.end(if error.kind() == io::ErrorKind::TimedOut { SILENT } else { BROKEN });
    }
}

/// A stream whose end is noted, and that has to be read from.
pub(super) struct Watched<S> {
    stream: S,
    line: Line,
    pace: Pace,
    stall: Option<Stall>,
    head: Deadline,
    lingering: Option<Lingering>,
}

/// There was more to send than could be.
struct Stall {
    over: Pin<Box<Sleep>>,
    /// Bytes that went out since.
    sent: usize,
    /// Whether nothing could be sent when it was last tried.
    stuck: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, line: Line, pace: Pace) -> Self {
        Self { stream, line, pace, stall: None, head: Deadline::new(pace.head), lingering: None }
    }

    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome {
            self.line.failed(error);
        }
        outcome
    }

    /// Whether the other end took too little for too long.
    fn is_too_slow(&mut self, context: &mut Context<'_>) -> bool {
        let Some(stall) = &mut self.stall else { return false };
        if stall.over.as_mut().poll(context).is_pending() {
            return false;
        }
        let slow = stall.stuck && stall.sent < self.pace.bytes;
        self.stall = None;
        slow
    }

    fn sending(
        &mut self,
        context: &mut Context<'_>,
        send: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.is_too_slow(context) {
            return self.note(Poll::Ready(Err(io::ErrorKind::TimedOut.into())));
        }
        let outcome = send(&mut self.stream, context);
        match (&outcome, &mut self.stall) {
            (Poll::Ready(Ok(sent)), Some(stall)) => {
                stall.sent += sent;
                stall.stuck = false;
            }
            (Poll::Pending, Some(stall)) => stall.stuck = true,
            (Poll::Pending, None) => {
                let mut over = Box::pin(sleep(self.pace.window));
                // It wakes whoever wants to send.
                let _ = over.as_mut().poll(context);
                self.stall = Some(Stall { over, sent: 0, stuck: true });
            }
            _ => {}
        }
        self.note(outcome)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let mut outcome = Pin::new(&mut this.stream).poll_read(context, buffer);
        match outcome {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => this.head.came(this.line.stage()),
            Poll::Ready(Ok(())) if buffer.remaining() > 0 => this.line.end(CLOSED),
            Poll::Pending if this.head.is_over(this.line.stage(), context) => {
                outcome = Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        self.note(outcome)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sending(context, |stream, context| Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.sending(context, |stream, context| Pin::new(stream).poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            if !this.line.is_left_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        this.lingering.get_or_insert_with(Lingering::new).poll(&mut this.stream, context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn watched(pace: Pace) -> (Watched<tokio::io::DuplexStream>, tokio::io::DuplexStream, Line) {
        let (ours, theirs) = duplex(8);
        let line = Line::new(None, None);
        (Watched::new(ours, line.clone(), pace), theirs, line)
    }

    #[tokio::test]
    async fn who_takes_nothing_is_gone() {
        let (mut ours, theirs, line) =
            watched(Pace { bytes: 1, window: Duration::from_millis(20), head: Duration::MAX });
        let error = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(matches!(line.ended(), Some(Cause::Timeout)));
        drop(theirs);
    }

    #[tokio::test]
    async fn who_reads_gets_all() {
        let (mut ours, mut theirs, line) =
            watched(Pace { bytes: 1, window: Duration::from_secs(60), head: Duration::MAX });
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            all.len()
        });
        ours.write_all(&[0; 1000]).await.unwrap();
        assert_eq!(line.ended(), None);
        drop(ours);
        assert_eq!(reading.await.unwrap(), 1000);
    }
}
