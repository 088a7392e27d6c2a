//! `grpc.health.v1.Health` on the gRPC port: SERVING once ready, and an unknown service is told as the protocol asks.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use crate::support::start_with_grpc;
use barograph_proto::{health::HealthListRequest, v1::StatusRequest};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[tokio::test]
async fn grpc_health_says_what_readiness_says() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    // The client of another implementation.
    let mut client = HealthClient::new(channel.clone());

    let mut watched = client.watch(request("")).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(running.get("/-/ready").await.status, 200);
    for service in
        ["", "barograph.v1.Ingest", "barograph.v1.Query", "barograph.v1.Events", "grpc.health.v1.Health"]
    {
        let status = client.check(request(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service:?}");
    }
    assert_eq!(client.check(request("no.such.Service")).await.unwrap_err().code(), Code::NotFound);
    let mut unknown = client.watch(request("no.such.Service")).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
    drop(unknown);

    let mut ours = barograph_proto::health::health_client::HealthClient::new(channel.clone());
    let listed = ours.list(HealthListRequest {}).await.unwrap().into_inner().statuses;
    assert_eq!(listed.len(), 9);
    assert!(listed.values().all(|one| one.status == ServingStatus::Serving as i32), "{listed:?}");
    let mut health = barograph_proto::v1::health_client::HealthClient::new(channel);
    assert!(health.status(StatusRequest {}).await.unwrap().into_inner().serving);

    let stopping = tokio::spawn(running.server.stop());
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(watched.message().await.unwrap_err().code(), Code::Unavailable);
    stopping.await.unwrap();
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}
