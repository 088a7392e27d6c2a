//! The layer around an axum service, asked by a client over loopback: each end of a request is recorded, once.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]
#![cfg(feature = "axum")]

use std::{convert::Infallible, io, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use barograph::{
    Registry, Requests, errors::ErrorClass, exposition::Format, http::CurrentRequest, http::RequestsLayer,
};
use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

/// A service that is measured, and what was recorded of it.
struct Measured {
    registry: Registry,
    requests: Requests,
    address: std::net::SocketAddr,
}

const LONG: Duration = Duration::from_secs(10);

async fn serve(app: Router) -> Measured {
    let registry = Registry::new();
    let requests = Requests::register(&registry).unwrap();
    let app = app.layer(RequestsLayer::of(&requests));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Measured { registry, requests, address }
}

impl Measured {
    async fn begin(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.replace('\n', "\r\n").as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, line: &str) -> String {
        self.ask_with(&format!("{line} HTTP/1.1\nhost: test\nconnection: close\n\n")).await
    }

    async fn ask_with(&self, request: &str) -> String {
        let mut answer = Vec::new();
        let mut stream = self.begin(request).await;
        // A connection that a panic ends is cut.
        let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Waits until `total` requests are over; all lines must then be exposed, and the lines are all there are of
    /// requests.
    async fn check(&self, lines: &[&str]) {
        let total: u64 =
            lines.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
        timeout(LONG, async {
            while self.requests.figures().total < total || self.requests.figures().in_flight > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{:?}", self.requests.figures()));
        let text = self.registry.expose(Format::Text004);
        let seen: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("http_requests_total")).collect();
        assert_eq!(seen, lines);
    }

    fn errors(&self, class: ErrorClass) -> u64 {
        let errors = self.requests.figures().errors;
        errors.iter().find(|(name, _)| name == class.as_str()).map_or(0, |(_, count)| *count)
    }

    fn counter(&self, line: &str) -> String {
        let text = self.registry.expose(Format::Text004);
        text.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_default().trim().to_owned()
    }
}

#[tokio::test]
async fn statuses_by_template() {
    let app = Router::new()
        .route("/model/{model_name}/health", get(async || "well"))
        .route("/refused", get(async || StatusCode::FORBIDDEN))
        .route("/broken", get(async || (StatusCode::BAD_GATEWAY, "broken")))
        .route("/echo", post(async |body: Bytes| body));
    let server = serve(app).await;
    server.ask("GET /model/a/health").await;
    server.ask("GET /model/b/health?x=1").await;
    server.ask("GET /refused").await;
    server.ask("GET /broken").await;
    server.ask("DELETE /broken").await;
    server.ask("BREW /model/c/health").await;
    let echo = "POST /echo HTTP/1.1\nhost: test\nconnection: close\ncontent-length: 5\n\nhello";
    assert!(server.ask_with(echo).await.ends_with("hello"));
    server
        .check(&[
            "{method=\"DELETE\",route=\"/broken\",status=\"405\"} 1",
            "{method=\"GET\",route=\"/broken\",status=\"502\"} 1",
            "{method=\"GET\",route=\"/model/{model_name}/health\",status=\"200\"} 2",
            "{method=\"GET\",route=\"/refused\",status=\"403\"} 1",
            "{method=\"OTHER\",route=\"/model/{model_name}/health\",status=\"405\"} 1",
            "{method=\"POST\",route=\"/echo\",status=\"200\"} 1",
        ])
        .await;
    assert_eq!((server.errors(ErrorClass::Client), server.errors(ErrorClass::Server)), (3, 1));
    for name in ["http_request_body_bytes_total", "http_response_body_bytes_total"] {
        assert_eq!(server.counter(&format!("{name}{{method=\"POST\",route=\"/echo\"}}")), "5");
    }
}

#[tokio::test]
async fn what_has_no_route_shares_one_series() {
    let server = serve(Router::new().route("/", get(async || "here"))).await;
    for path in ["/a", "/b", "/a?x=1"] {
        server.ask(&format!("GET {path}")).await;
    }
    server.check(&["{method=\"GET\",route=\"none\",status=\"404\"} 3"]).await;
    assert_eq!(server.requests.unrouted(), [("/a".to_owned(), 2), ("/b".to_owned(), 1)]);
}

#[tokio::test]
async fn answers_without_a_body_are_complete() {
    let app = Router::new()
        .route("/", get(async || "some text"))
        .route("/same", get(async || StatusCode::NOT_MODIFIED))
        .route("/nothing", get(async || StatusCode::NO_CONTENT));
    let server = serve(app).await;
    server.ask("HEAD /").await;
    server.ask("GET /same").await;
    server.ask("GET /nothing").await;
    server
        .check(&[
            "{method=\"GET\",route=\"/nothing\",status=\"204\"} 1",
            "{method=\"GET\",route=\"/same\",status=\"304\"} 1",
            "{method=\"HEAD\",route=\"/\",status=\"200\"} 1",
        ])
        .await;
}

/// A body that a test feeds.
fn fed() -> (mpsc::Sender<Result<Bytes, io::Error>>, Response) {
    let (feed, body) = mpsc::channel(4);
    let frames = stream::unfold(body, async |mut body: mpsc::Receiver<_>| Some((body.recv().await?, body)));
    (feed, Body::from_stream(frames.boxed()).into_response())
}

#[tokio::test]
async fn a_stream_counts_when_it_is_over() {
    let (feeds, mut feed) = mpsc::channel(1);
    let handler = get(async move || {
        let (feed, response) = fed();
        feeds.send(feed).await.unwrap();
        response
    });
    let server = serve(Router::new().route("/stream", handler)).await;

    let asking = server.ask("GET /stream");
    let feeding = async {
        let feed = feed.recv().await.unwrap();
        feed.send(Ok(Bytes::from_static(b"abc"))).await.unwrap();
        assert_eq!((server.requests.figures().total, server.requests.figures().in_flight), (0, 1));
        feed.send(Ok(Bytes::from_static(b"defg"))).await.unwrap();
    };
    tokio::join!(asking, feeding);
    server.check(&["{method=\"GET\",route=\"/stream\",status=\"200\"} 1"]).await;
    assert_eq!(server.counter("http_response_body_bytes_total{method=\"GET\",route=\"/stream\"}"), "7");

    let feeding = async {
        let feed = feed.recv().await.unwrap();
        feed.send(Err(io::ErrorKind::TimedOut.into())).await.unwrap();
    };
    tokio::join!(server.ask("GET /stream"), feeding);
    server
        .check(&[
            "{method=\"GET\",route=\"/stream\",status=\"200\"} 1",
            "{method=\"GET\",route=\"/stream\",status=\"timeout\"} 1",
        ])
        .await;

    let mut client = server.begin("GET /stream HTTP/1.1\nhost: test\n\n").await;
    let feed = feed.recv().await.unwrap();
    feed.send(Ok(Bytes::from_static(b"abc"))).await.unwrap();
    client.read_u8().await.unwrap();
    drop(client);
    server
        .check(&[
            "{method=\"GET\",route=\"/stream\",status=\"200\"} 1",
            "{method=\"GET\",route=\"/stream\",status=\"cancelled\"} 1",
            "{method=\"GET\",route=\"/stream\",status=\"timeout\"} 1",
        ])
        .await;
    assert!(feed.is_closed());
}

#[tokio::test]
async fn an_event_stream_is_over_with_its_headers() {
    let events = get(async || {
        let events = stream::pending::<Result<Bytes, Infallible>>();
        ([("content-type", "text/event-stream")], Body::from_stream(events))
    });
    let server = serve(Router::new().route("/events", events)).await;
    let client = server.begin("GET /events HTTP/1.1\nhost: test\n\n").await;
    server.check(&["{method=\"GET\",route=\"/events\",status=\"200\"} 1"]).await;
    drop(client);
}

#[tokio::test]
async fn panics_and_callers_that_leave_are_failures() {
    let (began, mut begun) = mpsc::channel(1);
    let slow = get(async move || {
        began.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let panics = get(async || {
        if true {
            panic!("as a handler would");
        }
    });
    let server = serve(Router::new().route("/slow", slow).route("/panics", panics)).await;
    assert_eq!(server.ask("GET /panics").await, "");
    let client = server.begin("GET /slow HTTP/1.1\nhost: test\n\n").await;
    begun.recv().await.unwrap();
    assert_eq!(server.requests.figures().in_flight, 1);
    drop(client);
    server
        .check(&[
            "{method=\"GET\",route=\"/panics\",status=\"panic\"} 1",
            "{method=\"GET\",route=\"/slow\",status=\"cancelled\"} 1",
        ])
        .await;
    assert_eq!((server.errors(ErrorClass::Panic), server.errors(ErrorClass::Cancelled)), (1, 1));
}

#[tokio::test]
async fn a_handler_has_its_say() {
    let app = Router::new()
        .route("/{*page}", get(async |request: CurrentRequest| request.route("/pages")))
        .route("/quota", get(async |request: CurrentRequest| request.failed(ErrorClass::Custom("quota"))));
    let server = serve(app).await;
    server.ask("GET /some/page").await;
    server.ask("GET /quota").await;
    server
        .check(&[
            "{method=\"GET\",route=\"/pages\",status=\"200\"} 1",
            "{method=\"GET\",route=\"/quota\",status=\"quota\"} 1",
        ])
        .await;
    assert_eq!(server.errors(ErrorClass::Custom("quota")), 1);
}

#[tokio::test]
async fn a_thousand_at_once() {
    let server = serve(Router::new().route("/", get(async || "here"))).await;
    let asked: Vec<_> = (0..1000).map(|_| server.ask("GET /")).collect();
    let answers: Vec<_> = stream::iter(asked).buffer_unordered(200).collect().await;
    assert!(answers.iter().all(|answer| answer.ends_with("here")));
    server.check(&["{method=\"GET\",route=\"/\",status=\"200\"} 1000"]).await;
}
