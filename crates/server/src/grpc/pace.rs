//! Messages of a call have to come: one that began gets [`GRACE`] and then as long as it comes with [`RATE_MIN`] on average.
//! Between messages a stream may be silent as long as it likes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// A message may take this long, however little of it comes.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes a second that a message must bring once its grace is over.
const RATE_MIN: u64 = 1024;
/// Bytes before a message: whether it is compressed, and its length.
const HEAD_BYTES: usize = 5;

/// Ends the body of a call whose client holds it up.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(Paced::new(body, GRACE)))).await
}

/// Where in a message a body is.
#[derive(Debug, Default)]
struct Framing {
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that are there.
    known: usize,
    /// Bytes of the message that are to come.
    left: usize,
}

impl Framing {
    /// Goes over bytes; whether a message began and is not whole.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            let taken = (HEAD_BYTES - self.known).min(bytes.len());
            self.head[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            bytes = &bytes[taken..];
            if self.known == HEAD_BYTES {
                let [_, length @ ..] = self.head;
                self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.known = 0;
            }
        }
        self.left > 0 || self.known > 0
    }
}

/// A body that is held to its pace.
struct Paced {
    body: Body,
    grace: Duration,
    framing: Framing,
    /// The message that is coming: when it is late, when it began, and what came of it.
    coming: Option<(Pin<Box<Sleep>>, Instant, u64)>,
}

impl Paced {
    fn new(body: Body, grace: Duration) -> Self {
        Self { body, grace, framing: Framing::default(), coming: None }
    }

    fn note(&mut self, bytes: &[u8]) {
        if !self.framing.pass(bytes) {
            self.coming = None;
            return;
        }
        let now = Instant::now();
        let (late, began, came) =
            self.coming.get_or_insert_with(|| (Box::pin(sleep_until(now + self.grace)), now, 0));
        *came += bytes.len() as u64;
        let by = *began + self.grace + Duration::from_secs(*came / RATE_MIN);
        late.as_mut().reset(by);
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            if let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                let data = data.clone();
                self.note(&data);
            }
            return Poll::Ready(frame);
        }
        let Some((late, ..)) = &mut self.coming else { return Poll::Pending };
        ready!(late.as_mut().poll(context));
        self.coming = None;
        let error = format!("the message comes at less than {RATE_MIN} bytes a second");
        Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(error)))))
    }

    fn is_end_stream(&self) -> bool {
        http_body::Body::is_end_stream(&self.body)
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let mut framing = Framing::default();
        assert!(framing.pass(&[0, 0, 0]));
        assert!(framing.pass(&[0, 3, 1]));
        assert!(framing.pass(&[2]));
        assert!(!framing.pass(&[3]));
        assert!(!framing.pass(&[0, 0, 0, 0, 0]));
        assert!(!framing.pass(&[0, 0, 0, 0, 1, 9, 1, 0, 0, 0, 0]));
        assert!(framing.pass(&[0, 0, 0, 0, 1, 9, 1]));
    }

    async fn outcome(bytes: &'static [u8]) -> Option<bool> {
        let frames = stream::iter([Ok::<_, Infallible>(Bytes::from_static(bytes))]).chain(stream::pending());
        let mut body = Paced::new(Body::from_stream(frames), Duration::from_millis(10));
        assert!(body.frame().await.unwrap().is_ok());
        let next = tokio::time::timeout(Duration::from_millis(200), body.frame()).await;
        next.ok().map(|frame| frame.unwrap().is_err())
    }

    #[tokio::test]
    async fn only_a_message_that_began_has_to_come() {
        assert_eq!(outcome(&[0, 0, 0, 0, 2, 1]).await, Some(true));
        assert_eq!(outcome(&[0, 0, 0, 0, 2, 1, 1]).await, None);
    }
}
