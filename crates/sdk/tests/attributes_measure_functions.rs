//! `#[instrument]` and `#[instrument_route]`: functions as they are written, sync and async, and what is counted.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]
#![cfg(all(feature = "derive", feature = "axum"))]

use std::{
    future::pending,
    pin::pin,
    task::{Context, Waker},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Path,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use barograph::{Registry, Requests, exposition::Format, http::RequestsLayer, instrument, instrument_route};
use http_body_util::BodyExt;
use tower::ServiceExt;

type Answer<T> = Result<T, String>;

#[instrument(name = "test.parse")]
fn parse(text: &str) -> Answer<u32> {
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    let number = text.parse::<u32>().map_err(|error| error.to_string())?;
    Ok(number)
}

struct Words(Vec<String>);

impl Words {
    #[instrument(name = "test.first")]
    fn first_mut(&mut self) -> Option<&mut String> {
        self.0.first_mut()
    }

    #[instrument(name = "test.words")]
    fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    #[instrument(name = "test.load")]
    async fn load<T: Clone + Send>(&self, value: &T) -> Result<T, std::num::ParseIntError> {
        let _: u32 = self.0[0].parse()?;
        Ok(value.clone())
    }
}

#[instrument(name = "test.wait")]
async fn wait() {
    pending::<()>().await;
}

#[instrument]
fn unnamed() {}

#[instrument(name = "test.panic")]
fn panics() -> u8 {
    panic!("as a function would")
}

fn calls(function: &str) -> [u64; 4] {
    let text = Registry::global().expose(Format::Text004);
    ["ok", "error", "panicked", "cancelled"].map(|outcome| {
        let line = format!("function_calls_total{{function=\"{function}\",outcome=\"{outcome}\"}} ");
        text.lines().find_map(|l| l.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    })
}

#[tokio::test]
async fn functions() {
    assert_eq!((parse("7"), parse("").is_err(), parse("x").is_err()), (Ok(7), true, true));
    assert_eq!(calls("test.parse"), [1, 2, 0, 0]);

    let mut words = Words(vec!["1".to_owned()]);
    assert_eq!(words.load(&'a').await, Ok('a'));
    words.first_mut().unwrap().push('x');
    assert_eq!(words.all().collect::<Vec<_>>(), ["1x"]);
    assert!(words.load(&'a').await.is_err());
    assert_eq!(
        (calls("test.first"), calls("test.words"), calls("test.load")),
        ([1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0])
    );

    assert!(pin!(wait()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(calls("test.wait"), [0, 0, 0, 1]);
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(calls("test.panic"), [0, 0, 1, 0]);
    unnamed();
    assert_eq!(calls("attributes_measure_functions::unnamed"), [1, 0, 0, 0]);
}

#[instrument_route("/alone/{name}")]
async fn alone(Path(name): Path<String>) -> Result<String, StatusCode> {
    if name == "nobody" {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(name)
}

#[instrument_route("/echo", method = "POST")]
async fn echo(body: Bytes) -> impl IntoResponse {
    body
}

#[instrument_route("/sync")]
fn sync() -> &'static str {
    "sync"
}

async fn ask(app: &Router, method: &str, path: &str) -> (StatusCode, Bytes) {
    let request = http::Request::builder().method(method).uri(path).body(Body::from("body")).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    (response.status(), response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn handlers_with_and_without_the_layer() {
    let app = Router::new()
        .route("/alone/{name}", get(alone))
        .route("/echo", post(echo))
        .route("/sync", get(async || sync()));
    assert_eq!(ask(&app, "GET", "/alone/ada").await, (StatusCode::OK, "ada".into()));
    assert_eq!(ask(&app, "GET", "/alone/nobody").await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&app, "POST", "/echo").await.1, "body");
    assert_eq!(ask(&app, "GET", "/sync").await.1, "sync");
    let check = |registry: &Registry| {
        let text = registry.expose(Format::Text004);
        for line in [
            "http_requests_total{method=\"GET\",route=\"/alone/{name}\",status=\"200\"} 1\n",
            "http_requests_total{method=\"GET\",route=\"/alone/{name}\",status=\"404\"} 1\n",
            "http_requests_total{method=\"POST\",route=\"/echo\",status=\"200\"} 1\n",
            "http_requests_total{method=\"GET\",route=\"/sync\",status=\"200\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert_eq!(text.matches("\nhttp_requests_total{").count(), 4);
    };
    check(Registry::global());

    let registry = Registry::new();
    let app = app.layer(RequestsLayer::of(&Requests::register(&registry).unwrap()));
    for (method, path) in
        [("GET", "/alone/ada"), ("GET", "/alone/nobody"), ("POST", "/echo"), ("GET", "/sync")]
    {
        ask(&app, method, path).await;
    }
    check(&registry);
    check(Registry::global());
}
