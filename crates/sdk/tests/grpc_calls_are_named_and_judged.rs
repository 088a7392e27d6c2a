//! The layer around a service of tonic and around its client, over loopback: names of methods, and the status that
//! comes in trailers or in headers.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]
#![cfg(feature = "tower")]

use std::{net::SocketAddr, time::Duration};

use barograph::{Registry, Requests, errors::ErrorClass, exposition::Format, http::RequestsLayer};
use http::{HeaderMap, HeaderValue, uri::PathAndQuery};
use http_body_util::{BodyExt, StreamBody};
use tokio::{net::TcpListener, time::timeout};
use tonic::{
    Code,
    body::Body,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use tower::{Layer, ServiceExt};

const LONG: Duration = Duration::from_secs(10);

fn requests() -> (Registry, Requests) {
    let registry = Registry::new();
    let requests = Requests::register(&registry).unwrap();
    (registry, requests)
}

fn check(registry: &Registry, prefix: &str, expected: &[&str]) {
    let text = registry.expose(Format::Text004);
    let seen: Vec<_> = text.lines().filter_map(|line| line.strip_prefix(prefix)).collect();
    assert_eq!(seen, expected);
}

async fn until(requests: &Requests, total: u64) {
    let over = async {
        while requests.figures().total < total || requests.figures().in_flight > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, over).await.unwrap_or_else(|_| panic!("{:?}", requests.figures()));
}

async fn serve(requests: &Requests) -> SocketAddr {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("known", ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().layer(RequestsLayer::of(requests)).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

#[tokio::test]
async fn a_service_and_its_client() {
    let (registry, served) = requests();
    let client_registry = Registry::new();
    let asked = Requests::register_client(&client_registry).unwrap();
    let address = serve(&served).await;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let channel = RequestsLayer::client_of(&asked).layer(channel);
    let mut client = HealthClient::new(channel.clone());
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };

    client.check(of("known")).await.unwrap();
    client.check(of("known")).await.unwrap();
    assert_eq!(client.check(of("unknown")).await.unwrap_err().code(), Code::NotFound);
    let mut watch = client.watch(of("known")).await.unwrap().into_inner();
    watch.message().await.unwrap();
    drop(watch);

    let mut raw = tonic::client::Grpc::new(channel);
    raw.ready().await.unwrap();
    let path = PathAndQuery::from_static("/no.such.Service/Method");
    let codec = tonic_health_codec();
    let refused = raw.unary(tonic::Request::new(of("")), path, codec).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);

    until(&served, 5).await;
    check(
        &registry,
        "http_requests_total",
        &[
            "{method=\"GRPC\",route=\"grpc.health.v1.Health/Check\",status=\"NOT_FOUND\"} 1",
            "{method=\"GRPC\",route=\"grpc.health.v1.Health/Check\",status=\"OK\"} 2",
            "{method=\"GRPC\",route=\"grpc.health.v1.Health/Watch\",status=\"cancelled\"} 1",
            "{method=\"GRPC\",route=\"none\",status=\"UNIMPLEMENTED\"} 1",
        ],
    );
    assert_eq!(served.unrouted(), [("/no.such.Service/Method".to_owned(), 1)]);
    until(&asked, 5).await;
    check(
        &client_registry,
        "http_client_requests_total",
        &[
            "{method=\"GRPC\",route=\"grpc.health.v1.Health/Check\",status=\"NOT_FOUND\"} 1",
            "{method=\"GRPC\",route=\"grpc.health.v1.Health/Check\",status=\"OK\"} 2",
            "{method=\"GRPC\",route=\"grpc.health.v1.Health/Watch\",status=\"cancelled\"} 1",
            "{method=\"GRPC\",route=\"no.such.Service/Method\",status=\"UNIMPLEMENTED\"} 1",
        ],
    );
}

fn tonic_health_codec() -> impl tonic::codec::Codec<Encode = HealthCheckRequest, Decode = HealthCheckRequest>
{
    tonic_prost::ProstCodec::default()
}

/// Any service of gRPC, answered with these trailers.
async fn answered(requests: &Requests, path: &str, trailers: Option<HeaderMap>) {
    let answer = async move |trailers: Option<HeaderMap>| {
        let data = Ok::<_, tonic::Status>(http_body::Frame::data(bytes::Bytes::from_static(b"12345")));
        let trailers = trailers.map(|trailers| Ok(http_body::Frame::trailers(trailers)));
        let frames = futures_util::stream::iter([data].into_iter().chain(trailers));
        let response = http::Response::new(StreamBody::new(frames));
        let (mut parts, body) = response.into_parts();
        parts.headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        Ok::<_, std::convert::Infallible>(http::Response::from_parts(parts, body))
    };
    let service = tower::service_fn(move |_: http::Request<Body>| answer(trailers.clone()));
    let request = http::Request::builder()
        .method("POST")
        .uri(path)
        .header("content-type", "application/grpc+proto")
        .body(Body::empty())
        .unwrap();
    let response = RequestsLayer::of(requests).layer(service).oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn the_trailers_tell() {
    let (registry, requests) = requests();
    let status = |code| {
        Some(HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static(code),
        )]))
    };
    answered(&requests, "/a.B/C", status("0")).await;
    answered(&requests, "/a.B/C", status("4")).await;
    answered(&requests, "/a.B/C", None).await;
    answered(&requests, "/no-name", status("0")).await;
    check(
        &registry,
        "http_requests_total",
        &[
            "{method=\"GRPC\",route=\"a.B/C\",status=\"DEADLINE_EXCEEDED\"} 1",
            "{method=\"GRPC\",route=\"a.B/C\",status=\"OK\"} 1",
            "{method=\"GRPC\",route=\"a.B/C\",status=\"UNKNOWN\"} 1",
            "{method=\"GRPC\",route=\"none\",status=\"OK\"} 1",
        ],
    );
    let errors = requests.figures().errors;
    let timeouts = errors.iter().find(|(class, _)| class == ErrorClass::Timeout.as_str()).unwrap().1;
    assert_eq!(timeouts, 1);
}
