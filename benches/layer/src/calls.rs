//! Services called without a socket, as hyper calls them: what a layer costs without the noise of a network.

use std::{
    convert::Infallible,
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use axum::body::Body;
use barograph::http::RequestsLayer;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Subject,
    rounds::{Contender, NONE, OURS},
    service::{self, Around},
};

pub fn subjects() -> [Subject; 2] {
    let axum =
        |name, around| Contender::new(name, rounds(service::app(around), || request("GET", service::PATH)));
    let call = || {
        let mut request = request("POST", "/shop.Orders/Get");
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        request
    };
    let identity = "identity layer";
    [
        Subject {
            name: "axum, without a socket",
            contenders: vec![
                axum(NONE, Around::Nothing),
                axum(identity, Around::Identity),
                axum(OURS, Around::Ours),
            ],
        },
        Subject {
            name: "gRPC, without a socket",
            contenders: vec![
                Contender::new(NONE, rounds(Grpc, call)),
                Contender::new(OURS, rounds(RequestsLayer::of(&service::requests()).layer(Grpc), call)),
            ],
        },
    ]
}

fn request(method: &str, path: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in service::HEADERS {
        request = request.header(name, value);
    }
    request.body(Body::empty()).expect("it is well formed")
}

/// Calls and takes all of the answer.
fn rounds<S, B>(service: S, request: impl Fn() -> Request<Body> + 'static) -> impl Fn(u32) + 'static
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + 'static,
    B: http_body::Body,
{
    move |calls| {
        let mut context = Context::from_waker(Waker::noop());
        let mut service = service.clone();
        for _ in 0..calls {
            let mut answering = pin!(service.call(request()));
            let answer = loop {
                if let Poll::Ready(answer) = answering.as_mut().poll(&mut context) {
                    break answer.unwrap_or_else(|never| match never {});
                }
            };
            assert_eq!(answer.status(), StatusCode::OK);
            let mut body = pin!(answer.into_body());
            black_box(body.size_hint());
            while !body.is_end_stream() {
                let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) else { break };
                let _ = black_box(frame.is_ok());
            }
        }
    }
}

/// Answers as a service of tonic does, with one message and trailers.
#[derive(Clone)]
struct Grpc;

impl Service<Request<Body>> for Grpc {
    type Response = Response<Message>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Message>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let message = Bytes::from_static(b"\0\0\0\0\x0ba message of");
        let mut answer = Response::new(Message { message: Some(message), over: false });
        answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        std::future::ready(Ok(answer))
    }
}

struct Message {
    message: Option<Bytes>,
    over: bool,
}

impl http_body::Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if self.over {
            return Poll::Ready(None);
        }
        self.over = true;
        let status = ("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::from_iter([status])))))
    }
}
