//! The connections of a port: taken, served, let finish when the server stops; and how each of them ended.
//!
//! A connection that became a WebSocket is served elsewhere, and counts as one until that ends, too: whoever serves it holds
//! its [`Line`].

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{
            AtomicU8,
            Ordering::{AcqRel, Acquire},
        },
    },
    task::{Context, Poll},
    time::Duration,
};

use barograph::session::Cause;
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

use crate::{
    errors::chain,
    http::Peer,
    server::{DRAIN, stopped},
};

/// A client gets this long to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes nothing of what was sent to it for so long is gone.
#[cfg(target_os = "linux")]
const SILENT_TIMEOUT: Duration = Duration::from_secs(300);
/// A connection of HTTP/2 that says nothing is asked for a sign of life this often, and has so long to give one.
const KEEP_ALIVE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(10)];
/// Calls and streams of one such connection at a time.
const STREAMS_MAX: u32 = 1_024;
/// Bytes of the headers of one such call.
const HEADER_BYTES_MAX: u32 = 16 << 10;
/// Bytes that may be under way to us, of such a call and of its connection.
const WINDOWS: [u32; 2] = [1 << 20, 4 << 20];
/// So many connections are served at once; more wait to be accepted.
const CONNECTIONS_MAX: u32 = 12_000;

/// What is spoken on a port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    /// HTTP/1.1, which may become something else.
    Http,
    /// HTTP/2 alone, as gRPC takes it.
    Grpc,
}

/// Accepts connections until told to stop, then lets those in flight finish.
pub(crate) async fn accept(
    listener: TcpListener,
    router: axum::Router,
    protocol: Protocol,
    mut stopping: watch::Receiver<bool>,
) {
    let stopping_too = stopping.clone();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await;
            listener.accept().await.map(|(stream, peer)| (stream, peer, permit))
        };
        let (stream, peer, permit) = tokio::select! {
            () = stopped(&mut stopping) => break,
            accepted = next => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, usually: others finish and give some back.
                    tracing::warn!(error = chain(&error), "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let line = Line(Arc::new(State { end: AtomicU8::new(OPEN), _permit: permit.ok() }));
        let router = TowerToHyperService::new(router.clone());
        let service = Connected { router, peer: Peer(peer), line };
        tokio::spawn(serve(stream, service, protocol, stopping_too.clone()));
    }
    drop(listener);
    // Who has all permits is alone.
    if tokio::time::timeout(DRAIN, room.acquire_many(CONNECTIONS_MAX)).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// Serves one connection. A client that breaks off is its own business.
async fn serve(stream: TcpStream, service: Connected, protocol: Protocol, stopping: watch::Receiver<bool>) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(
        &stream,
        u32::try_from(SILENT_TIMEOUT.as_millis()).unwrap_or(u32::MAX),
    );
    let stream = TokioIo::new(Watched { stream, line: service.line.clone() });
    match protocol {
        Protocol::Http => {
            let builder =
                http1::Builder::new().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).clone();
            let connection = builder.serve_connection(stream, service).with_upgrades();
            drive(connection, |connection| connection.graceful_shutdown(), stopping).await;
        }
        Protocol::Grpc => {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(KEEP_ALIVE[0])
                .keep_alive_timeout(KEEP_ALIVE[1])
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEADER_BYTES_MAX)
                .initial_stream_window_size(WINDOWS[0])
                .initial_connection_window_size(WINDOWS[1])
                .serve_connection(stream, service);
            drive(connection, |connection| connection.graceful_shutdown(), stopping).await;
        }
    }
}

/// Sees a connection to its end, which it is asked for when the server stops.
async fn drive<C: Future>(
    connection: C,
    finish: impl FnOnce(Pin<&mut C>),
    mut stopping: watch::Receiver<bool>,
) {
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(&mut stopping) => finish(connection.as_mut()),
    }
    connection.await;
}

/// The routes, told who is at the other end.
struct Connected {
    router: TowerToHyperService<axum::Router>,
    peer: Peer,
    line: Line,
}

impl Service<Request<Incoming>> for Connected {
    type Response = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.line.clone());
        self.router.call(request)
    }
}

/// A connection, as those know it who answer on it: how it ended. As long as one is held, the connection counts.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<State>);

#[derive(Debug)]
struct State {
    end: AtomicU8,
    _permit: Option<OwnedSemaphorePermit>,
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const SILENT: u8 = 2;
const BROKEN: u8 = 3;

impl Line {
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

/// A stream whose end is noted.
struct Watched {
    stream: TcpStream,
    line: Line,
}

impl Watched {
    fn note<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &outcome {
            self.line.failed(error);
        }
        outcome
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if matches!(outcome, Poll::Ready(Ok(()))) && buffer.filled().len() == before && buffer.remaining() > 0
        {
            self.line.end(CLOSED);
        }
        self.note(outcome)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.note(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
