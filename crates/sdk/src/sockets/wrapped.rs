//! A WebSocket that counts what flows through it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use futures_sink::Sink;
use pin_project_lite::pin_project;

use super::{Socket, Sockets};

/// A message of which it is known how large it is.
pub trait Message {
    /// Bytes of the payload, as they are at hand; `None` for what is no message but keeps the connection: a ping, a
    /// pong, a close.
    fn payload_bytes(&self) -> Option<u64>;
}

impl Message for String {
    fn payload_bytes(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

impl Message for Vec<u8> {
    fn payload_bytes(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

#[cfg(feature = "axum-websocket")]
impl Message for axum::extract::ws::Message {
    fn payload_bytes(&self) -> Option<u64> {
        match self {
            Self::Text(text) => Some(text.len() as u64),
            Self::Binary(bytes) => Some(bytes.len() as u64),
            Self::Ping(_) | Self::Pong(_) | Self::Close(_) => None,
        }
    }
}

#[cfg(feature = "tungstenite")]
impl Message for tungstenite::Message {
    fn payload_bytes(&self) -> Option<u64> {
        match self {
            Self::Text(text) => Some(text.len() as u64),
            Self::Binary(bytes) => Some(bytes.len() as u64),
            Self::Ping(_) | Self::Pong(_) | Self::Close(_) | Self::Frame(_) => None,
        }
    }
}

pin_project! {
    /// A socket of axum, of tungstenite, or any other stream and sink of messages, measured. It counts as open while
    /// it lives; a message received counts as it comes, one sent when the socket took it.
    ///
    /// ```
    /// # #[cfg(feature = "axum-websocket")] {
    /// use axum::extract::ws::WebSocket;
    /// use barograph::sockets::InstrumentedWebSocket;
    /// use futures_util::{SinkExt, StreamExt};
    ///
    /// async fn echo(socket: WebSocket) {
    ///     let mut socket = InstrumentedWebSocket::new(socket);
    ///     while let Some(Ok(message)) = socket.next().await {
    ///         if socket.send(message).await.is_err() {
    ///             return;
    ///         }
    ///     }
    /// }
    /// # }
    /// ```
    #[derive(Debug)]
    pub struct InstrumentedWebSocket<S> {
        #[pin]
        inner: S,
        socket: Socket,
    }
}

impl<S> InstrumentedWebSocket<S> {
    /// Records into [`Sockets::global`].
    pub fn new(inner: S) -> Self {
        Self::of(Sockets::global(), inner)
    }

    /// Records into these.
    pub fn of(sockets: &Sockets, inner: S) -> Self {
        Self { inner, socket: sockets.opened() }
    }

    /// What is measured, for what only it can do; its messages are not counted.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, M, E> Stream for InstrumentedWebSocket<S>
where
    S: Stream<Item = Result<M, E>>,
    M: Message,
{
    type Item = Result<M, E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let item = ready!(this.inner.poll_next(context));
        if let Some(Ok(message)) = &item {
            match message.payload_bytes() {
                Some(bytes) => this.socket.message_received(bytes),
                None => this.socket.heard(),
            }
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<S, M> Sink<M> for InstrumentedWebSocket<S>
where
    S: Sink<M>,
    M: Message,
{
    type Error = S::Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().inner.poll_ready(context)
    }

    fn start_send(self: Pin<&mut Self>, message: M) -> Result<(), S::Error> {
        let this = self.project();
        let bytes = message.payload_bytes();
        this.inner.start_send(message)?;
        match bytes {
            Some(bytes) => this.socket.message_sent(bytes),
            None => this.socket.heard(),
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().inner.poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.project().inner.poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt, sink, stream};

    use super::*;
    use crate::{Registry, SocketFigures};

    #[tokio::test]
    async fn messages_count_when_they_pass() {
        let sockets = Sockets::register(&Registry::new()).unwrap();
        let messages = [Ok("four".to_owned()), Err("broken"), Ok("more".to_owned())];
        let mut incoming = InstrumentedWebSocket::of(&sockets, stream::iter(messages));
        while incoming.next().await.is_some() {}

        let refuse = sink::unfold((), async |(), text: String| if text == "no" { Err(()) } else { Ok(()) });
        let mut outgoing = InstrumentedWebSocket::of(&sockets, Box::pin(refuse));
        assert_eq!(outgoing.send("yes".to_owned()).await, Ok(()));
        let _ = outgoing.send("no".to_owned()).await;

        let mut expected = SocketFigures { opened: 2, open: 2, ..SocketFigures::default() };
        (expected.messages_received, expected.bytes_received) = (2, 8);
        (expected.messages_sent, expected.bytes_sent) = (2, 5);
        assert_eq!(sockets.figures(), expected);
        drop((incoming, outgoing));
        assert_eq!(sockets.figures().open, 0);
    }
}
