//! The end of a connection whose last request was answered before all of it had come.
//!
//! Who closes while bytes of the other end lie unread resets the connection, and an answer that was not read yet is lost with
//! it. So only our side is closed first, and what still comes is thrown away, until the client closes, [`BYTES_MAX`] came,
//! or [`TIME`] passed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Bytes;
use hyper::{
    Request,
    body::{Body, Frame, Incoming, SizeHint},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep},
};

use super::Line;

/// So much is thrown away at most: as much as a body may have.
const BYTES_MAX: usize = 32 << 20;
/// For so long at most.
const TIME: Duration = Duration::from_secs(5);
/// At a time.
const STEP: usize = 16 << 10;

/// Throws away what comes.
pub(super) struct Lingering {
    left: usize,
    over: Pin<Box<Sleep>>,
}

impl Lingering {
    pub(super) fn new() -> Self {
        Self::within(TIME)
    }

    fn within(time: Duration) -> Self {
        Self { left: BYTES_MAX, over: Box::pin(sleep(time)) }
    }

    /// Ready when the connection may be dropped.
    pub(super) fn poll(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if self.over.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let mut bytes = [0; STEP];
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read: io::Result<()> = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
            match buffer.filled().len() {
                read_bytes if read.is_ok() && read_bytes > 0 => {
                    self.left = self.left.saturating_sub(read_bytes);
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

/// The body of a request, which notes on its connection if it was not read to its end.
pub(super) struct Asked {
    body: Incoming,
    line: Line,
    is_read: bool,
}

impl Asked {
    /// Of a request on a connection.
    pub(super) fn of(request: Request<Incoming>, line: &Line) -> Request<Self> {
        let line = line.clone();
        request.map(|body| Self { is_read: body.is_end_stream(), body, line })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_read {
            self.line.note_unread();
        }
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.is_read |= frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    async fn linger(stream: &mut (impl AsyncRead + Unpin), time: Duration) {
        let mut lingering = Lingering::within(time);
        std::future::poll_fn(|context| lingering.poll(stream, context)).await;
    }

    #[tokio::test]
    async fn what_still_comes_is_taken_until_the_client_closes() {
        let (mut ours, mut theirs) = duplex(64);
        let sending = tokio::spawn(async move { theirs.write_all(&[7; 100_000]).await });
        linger(&mut ours, LONG).await;
        sending.await.unwrap().unwrap();
        assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn no_more_is_taken_than_a_body_may_have() {
        let mut endless = tokio::io::repeat(7);
        linger(&mut endless, LONG).await;
    }

    #[tokio::test]
    async fn who_says_nothing_is_not_waited_for_long() {
        let (mut ours, theirs) = duplex(64);
        linger(&mut ours, Duration::from_millis(10)).await;
        drop(theirs);
    }
}
