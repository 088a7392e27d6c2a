//! The connections of a port: taken, served, let finish when the server stops; and how each of them ended.
//!
//! Over TLS if the web configuration says so ([`tls`]). Nobody holds a connection for nothing: keys are to be agreed on, the head
//! of a request sent, and what was sent to a client taken within a time, and one address has so many connections at most.
//!
//! A connection that became a WebSocket is served elsewhere, and counts as one until that ends, too: whoever serves it holds
//! its [`Line`].

mod certificate;
mod heads;
mod line;
mod linger;
mod places;
mod tls;

use std::{
    convert::Infallible,
    path::Path,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    extract::{Request as AnyRequest, State},
    http::{HeaderName, HeaderValue, header::CONNECTION},
    middleware::Next,
    response::Response,
};
use barograph::{Counter, Family, Registry};
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
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::Limits,
    errors::chain,
    http::{App, Peer},
    server::{DRAIN, stopped},
};
pub(crate) use certificate::ClientCertificate;
use heads::Answer;
pub(crate) use line::Line;
use line::{Pace, Watched};
use linger::Asked;
use places::Places;
pub(crate) use places::shared_part;
use tls::Speaks;
pub(crate) use tls::{Current, Web, check};

/// A client gets this long to send the head of a request,
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// and may say nothing for so long between requests of HTTP/1.
const KEPT_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that a connection of HTTP/1 holds of what came and was not yet taken; the longest head has room.
const BUFFER_BYTES_MAX: usize = 96 << 10;
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
/// A client gets this long to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection of HTTP/2 gets this long until something is asked on it.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection of HTTP/2 on which nothing new was asked for so long, or up to twice as long, takes no more. What was asked
/// before goes on to its end.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How fast a client has to read.
const PACE: Pace = Pace { bytes: 60 << 10, window: Duration::from_secs(60), head: HEAD_TIMEOUT };

/// What all ports share: TLS, and how many may be connected.
#[derive(Clone, Debug)]
pub(crate) struct Connections(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    web: Web,
    places: Places,
    /// Connections of one port that are served at once; more wait to be accepted.
    connections_max: u32,
    /// See [`IDLE_TIMEOUT`].
    idle: Duration,
    /// See [`KEPT_TIMEOUT`].
    kept: Duration,
    refused: OnceLock<Family<Counter, 1>>,
}

impl Connections {
    /// Under limits, with a web configuration if there is one.
    ///
    /// # Errors
    /// What is wrong with the web configuration.
    pub(crate) fn new(limits: &Limits, web: Option<&Path>) -> Result<Self, String> {
        let count = |limit: u64| u32::try_from(limit).unwrap_or(u32::MAX).min(CONNECTIONS_MOST);
        Ok(Self(Arc::new(Shared {
            web: Web::open(web)?,
            places: Places::new(count(limits.connections_per_address)),
            connections_max: count(limits.connections),
            idle: IDLE_TIMEOUT,
            kept: KEPT_TIMEOUT,
            refused: OnceLock::new(),
        })))
    }

    /// The web configuration, as it was when a connection was accepted last.
    pub(crate) fn web(&self) -> Arc<Current> {
        self.0.web.current()
    }

    /// The same, after a look at its files.
    async fn web_of_now(&self) -> Arc<Current> {
        if self.0.web.has_files() {
            let connections = self.clone();
            let _ = tokio::task::spawn_blocking(move || connections.0.web.look()).await;
        }
        self.web()
    }

    /// `https` if TLS is spoken, else `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.0.web.is_secure() { "https" } else { "http" }
    }

    /// From now on it is counted what is refused.
    ///
    /// # Errors
    /// The name stands twice.
    pub(crate) fn count_in(&self, registry: &Registry) -> Result<(), barograph::Error> {
        let refused = registry
            .counter("barograph_connections_refused_total")
            .help("Connections closed by the server, by why: address, handshake, silent, idle.")
            .family(["reason"])?;
        let _ = self.0.refused.set(refused);
        Ok(())
    }

    fn refused(&self, reason: &'static str) {
        if let Some(refused) = self.0.refused.get() {
            refused.with([reason]).inc();
        }
    }
}

/// No limit of connections is higher than this.
const CONNECTIONS_MOST: u32 = 1 << 20;

/// Puts the headers of the web configuration into an answer.
pub(crate) async fn headers(State(app): State<App>, request: AnyRequest, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in &app.connections().web().config.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    /// HTTP/1.1, which may become something else; over TLS HTTP/2 too.
    Http,
    /// HTTP/2 alone, as gRPC takes it.
    Grpc,
}

/// Accepts connections until told to stop, then lets those in flight finish.
pub(crate) async fn accept(
    listener: TcpListener,
    router: axum::Router,
    protocol: Protocol,
    connections: Connections,
    mut stopping: watch::Receiver<bool>,
) {
    let stopping_too = stopping.clone();
    let room = Arc::new(Semaphore::new(connections.0.connections_max as usize));
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
        let Ok(place) = connections.0.places.take(peer.ip()) else {
            connections.refused("address");
            continue;
        };
        let line = Line::new(permit.ok(), place);
        let router = TowerToHyperService::new(router.clone());
        let service = Connected { router, peer: Peer(peer), line, certificate: None };
        tokio::spawn(serve(stream, service, protocol, connections.clone(), stopping_too.clone()));
    }
    drop(listener);
    // Who has all permits is alone.
    let all = room.acquire_many(connections.0.connections_max);
    if tokio::time::timeout(DRAIN, all).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// Serves one connection. A client that breaks off is its own business.
async fn serve(
    stream: TcpStream,
    mut service: Connected,
    protocol: Protocol,
    connections: Connections,
    mut stopping: watch::Receiver<bool>,
) {
    // Small answers go out at once.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(
        &stream,
        u32::try_from(SILENT_TIMEOUT.as_millis()).unwrap_or(u32::MAX),
    );
    let stream = Watched::new(stream, service.line.clone(), PACE);
    let web = connections.web_of_now().await;
    let speaks = if matches!(protocol, Protocol::Http) { Speaks::Both } else { Speaks::Http2 };
    let Some(tls) = web.tls(speaks) else {
        return speak(stream, service, protocol, &connections, stopping).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(tls).accept(stream));
    let agreed = tokio::select! {
        agreed = handshake => agreed,
        () = stopped(&mut stopping) => return,
    };
    let stream = match agreed {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            connections.refused("handshake");
            tracing::debug!(peer = %service.peer.0, error = chain(&error), "no TLS with a client");
            return;
        }
        Err(_) => return connections.refused("handshake"),
    };
    let session = stream.get_ref().1;
    if web.verifies_clients() {
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        service.certificate = certificate.and_then(|shown| ClientCertificate::read(shown));
    }
    let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Grpc } else { protocol };
    speak(stream, service, protocol, &connections, stopping).await;
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    service: Connected,
    protocol: Protocol,
    connections: &Connections,
    stopping: watch::Receiver<bool>,
) {
    let stream = TokioIo::new(stream);
    match protocol {
        Protocol::Http => {
            let line = service.line.clone();
            line.stage().watch();
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(connections.0.kept);
            builder.max_buf_size(BUFFER_BYTES_MAX);
            let connection = builder.serve_connection(stream, service).with_upgrades();
            let never = std::future::pending();
            let ended = drive(connection, |connection| connection.graceful_shutdown(), stopping, never).await;
            if ended.is_err_and(|error| error.is_timeout()) {
                connections.refused("idle");
            } else if line.stage().awaits_head() && line.ended() == Some(barograph::session::Cause::Timeout) {
                connections.refused("silent");
            }
        }
        Protocol::Grpc => {
            let line = service.line.clone();
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(KEEP_ALIVE[0])
                .keep_alive_timeout(KEEP_ALIVE[1])
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEADER_BYTES_MAX)
                .initial_stream_window_size(WINDOWS[0])
                .initial_connection_window_size(WINDOWS[1])
                .serve_connection(stream, service);
            let silence = async {
                tokio::time::sleep(FIRST_REQUEST_TIMEOUT).await;
                if line.asked() > 0 {
                    std::future::pending::<()>().await;
                }
            };
            let idle = async {
                idle(&line, connections.0.idle).await;
                connections.refused("idle");
            };
            tokio::select! {
                _ = drive(connection, |connection| connection.graceful_shutdown(), stopping, idle) => {}
                () = silence => connections.refused("silent"),
            }
        }
    }
}

/// Waits until nothing new was asked for a while.
async fn idle(line: &Line, time: Duration) {
    let mut seen = None;
    while seen != Some(line.asked()) {
        seen = Some(line.asked());
        tokio::time::sleep(time).await;
    }
}

/// Sees a connection to its end, which it is asked for when the server stops, or when it is idle.
async fn drive<C: Future>(
    connection: C,
    finish: impl FnOnce(Pin<&mut C>),
    mut stopping: watch::Receiver<bool>,
    idle: impl Future<Output = ()>,
) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stopped(&mut stopping) => {}
        () = idle => {}
    }
    finish(connection.as_mut());
    connection.await
}

/// The routes, told who is at the other end.
struct Connected {
    router: TowerToHyperService<axum::Router>,
    peer: Peer,
    line: Line,
    /// Who the client is, if TLS tells.
    certificate: Option<ClientCertificate>,
}

impl Service<Request<Incoming>> for Connected {
    type Response = hyper::Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(self.line.clone());
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        self.line.note_request();
        let (answering, line) = (self.router.call(Asked::of(request, &self.line)), self.line.clone());
        Box::pin(async move {
            let mut response = answering.await?;
            if line.is_left_unread() {
                // Nobody should ask again on a connection that ends.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(Answer::of(response, line))
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use bytes::Bytes;
    use http_body_util::{BodyExt, Empty};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        task::JoinHandle,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(10);

    fn connections(change: impl FnOnce(&mut Shared)) -> Connections {
        let mut shared = Arc::into_inner(Connections::new(&Limits::default(), None).unwrap().0).unwrap();
        change(&mut shared);
        Connections(Arc::new(shared))
    }

    /// A client that sent `first` before its connection was looked at, where a head may take so long.
    async fn served(
        protocol: Protocol,
        first: &[u8],
        head: Duration,
        change: impl FnOnce(&mut Shared),
    ) -> (DuplexStream, JoinHandle<()>) {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        theirs.write_all(first).await.unwrap();
        let router = axum::Router::new().route("/", get(|| async { "answer" }));
        let service = Connected {
            router: TowerToHyperService::new(router),
            peer: Peer("127.0.0.1:1".parse().unwrap()),
            line: Line::new(None, None),
            certificate: None,
        };
        let connections = connections(change);
        let serving = tokio::spawn(async move {
            let (_stop, stopping) = watch::channel(false);
            let stream = Watched::new(ours, service.line.clone(), Pace { head, ..PACE });
            speak(stream, service, protocol, &connections, stopping).await;
        });
        (theirs, serving)
    }

    async fn answer(client: &mut DuplexStream) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"answer") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "the connection is closed");
        }
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_is_asked_ends() {
        let (theirs, serving) = served(Protocol::Grpc, b"", SHORT, |shared| shared.idle = SHORT).await;
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(theirs)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "answer");
        // The client would keep it.
        serving.await.unwrap();
        drop(client);
    }

    #[tokio::test]
    async fn between_requests_a_client_may_say_nothing() {
        let (mut client, serving) = served(Protocol::Http, REQUEST, SHORT, |shared| shared.kept = LONG).await;
        for _ in 0..3 {
            answer(&mut client).await;
            // Far longer than a head may take.
            tokio::time::sleep(10 * SHORT).await;
            client.write_all(REQUEST).await.unwrap();
        }
        answer(&mut client).await;
        drop(client);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_head_ends_in_time_and_so_does_silence() {
        for (head, kept, then) in
            [(SHORT, LONG, &b"GET / HTTP/1.1\r\nhost: lo"[..]), (SHORT, LONG, b"\r"), (LONG, SHORT, b"")]
        {
            let (mut client, serving) =
                served(Protocol::Http, REQUEST, head, |shared| shared.kept = kept).await;
            answer(&mut client).await;
            let _ = client.write_all(then).await;
            serving.await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_early_answer_reaches_who_is_still_sending() {
        const BODY_BYTES: usize = 8 << 20;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().route("/", post(|| async { "answer" }));
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(accept(listener, router, Protocol::Http, connections(|_| {}), stopping));
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        // The answer is there before the body begins.
        client.readable().await.unwrap();
        client.write_all(&vec![0; BODY_BYTES]).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("answer"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        drop(client);
        stop.send_replace(true);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_from_the_beginning_is_closed() {
        for first in [&b""[..], b"GET"] {
            let (client, serving) = served(Protocol::Http, first, SHORT, |shared| shared.kept = LONG).await;
            serving.await.unwrap();
            drop(client);
        }
    }
}
