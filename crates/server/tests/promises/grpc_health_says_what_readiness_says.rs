//! `grpc.health.v1.Health` on the gRPC port: SERVING once ready, and an unknown service is told as the protocol asks.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use crate::support::start_with_grpc;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[tokio::test]
async fn grpc_health_says_what_readiness_says() {
    let dir = tempfile::tempdir().unwrap();
    let server = start_with_grpc(dir.path()).await;
    let address = format!("http://{}", server.grpc_address().unwrap());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut client = HealthClient::new(channel);

    let mut watched = client.watch(request("")).await.unwrap().into_inner();
    let mut status = watched.message().await.unwrap().unwrap().status();
    while status != ServingStatus::Serving {
        status = watched.message().await.unwrap().unwrap().status();
    }
    assert_eq!(client.check(request("")).await.unwrap().into_inner().status(), ServingStatus::Serving);
    assert_eq!(client.check(request("no.such.Service")).await.unwrap_err().code(), Code::NotFound);

    let stopping = tokio::spawn(server.stop());
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    drop((watched, client));
    stopping.await.unwrap();
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}
