//! Calls and streams of gRPC count for the clients that make them, whatever way they end, without code in any handler.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use crate::support::{Running, connected, framed, from_client, sent, start_with_grpc};
use barograph_proto::v1::{
    ChecksRequest, ClientRequest, ClusterRequest, ComponentsRequest, ErrorsRequest, InstantRequest,
    ListClientsRequest, PerformanceRequest, ResourcesRequest, ServerRequest, SubscribeRequest,
    events_client::EventsClient, health_client::HealthClient, query_client::QueryClient,
};
use serde_json::Value;
use tonic::Code;

/// Longest wait for what is counted to be so.
const LONG: Duration = Duration::from_secs(60);

async fn client(running: &Running, id: &str) -> Value {
    running.get(&format!("/health/clients/{id}")).await.json()
}

/// Waits until a field of a client has a value.
async fn until(running: &Running, id: &str, field: &str, value: u64) {
    let reached = async {
        while client(running, id).await["raw"][field] != value {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(LONG, reached).await.is_err() {
        panic!("{field} of {id} is not {value}: {}", client(running, id).await);
    }
}

fn instant(query: &str) -> InstantRequest {
    InstantRequest { query: query.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn grpc_clients_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    let mut query = QueryClient::new(channel.clone());
    for _ in 0..3 {
        query.instant(from_client("alice", instant("1"))).await.unwrap();
    }
    assert_eq!(
        query.instant(from_client("alice", instant("("))).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let late = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "0n"),
        ("x-client-id", "alice"),
    ];
    let outcome = sent(&running.server, "/barograph.v1.Query/Instant", &late, framed(&instant("1"))).await;
    assert_eq!(outcome, (200, Some(Code::DeadlineExceeded as i32)));
    let alice = client(&running, "alice").await;
    let raw = |field: &str| alice["raw"][field].as_u64().unwrap();
    assert_eq!((raw("api-calls-total"), raw("api-calls-success"), raw("api-calls-failure")), (5, 3, 2));
    assert_eq!(raw("concurrent-api-calls-current"), 0);
    assert!(alice["raw"]["last-api-method"] == "barograph.v1.Query/Instant", "{alice}");
    let server = running.get("/health/server").await.json();
    let errors = &server["server"]["derived"]["grpc-error-breakdown-by-status"];
    assert_eq!(
        (&errors["INVALID_ARGUMENT"], &errors["DEADLINE_EXCEEDED"]),
        (&1.into(), &1.into()),
        "{errors}"
    );
    assert!(server["server"]["raw"]["bytes-transferred-total"].as_u64() > Some(0), "{server}");

    // Streams: one that is cancelled, and one whose client dies.
    let wanted = || SubscribeRequest { topics: vec!["user".into()], after_id: None };
    let mut events = EventsClient::new(channel.clone());
    let stream = events.subscribe(from_client("bob", wanted())).await.unwrap();
    until(&running, "bob", "concurrent-api-calls-current", 1).await;
    drop(stream);
    until(&running, "bob", "concurrent-api-calls-current", 0).await;
    let mut dying = EventsClient::new(connected(&running.server).await);
    let stream = dying.subscribe(from_client("carol", wanted())).await.unwrap();
    until(&running, "carol", "concurrent-api-calls-current", 1).await;
    drop((dying, stream));
    until(&running, "carol", "concurrent-api-calls-current", 0).await;
    for id in ["bob", "carol"] {
        let it = client(&running, id).await;
        assert_eq!(it["raw"]["api-calls-total"], 1, "{it}");
        assert_eq!(it["raw"]["api-calls-failure"], 1, "{it}");
    }
    let raw = running.get("/health/server").await.json()["server"]["raw"].clone();
    let field = |name: &str| raw[name].as_u64().unwrap();
    assert_eq!(field("api-calls-total"), field("api-calls-success") + field("api-calls-failure"), "{raw}");
    // The question itself.
    assert_eq!(field("api-concurrent-calls-current"), 1, "{raw}");

    // The same by gRPC.
    let mut health = HealthClient::new(channel);
    let alice = health.client(ClientRequest { id: "alice".into() }).await.unwrap().into_inner();
    assert_eq!((alice.api_calls_total, alice.api_calls_failure, alice.connected), (5, 2, true));
    let document: Value = serde_json::from_str(&alice.document.unwrap().json).unwrap();
    assert_eq!(document["raw"].as_object().unwrap().len(), 43);
    let nobody = health.client(ClientRequest { id: "nobody".into() }).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    let server = health.server(ServerRequest {}).await.unwrap().into_inner();
    assert!(server.api_calls_total >= 7 && server.api_calls_failure >= 4, "{server:?}");
    let listed =
        health.list_clients(ListClientsRequest { order: "calls".into(), limit: 1, ..Default::default() });
    let listed: Value =
        serde_json::from_str(&listed.await.unwrap().into_inner().document.unwrap().json).unwrap();
    assert_eq!(listed["clients"].as_array().unwrap().len(), 1);
    let wrong = health.list_clients(ListClientsRequest { order: "fame".into(), ..Default::default() }).await;
    assert_eq!(wrong.unwrap_err().code(), Code::InvalidArgument);
    let parts = health.components(ComponentsRequest {}).await.unwrap().into_inner();
    assert!(!parts.statuses.is_empty());
    for document in [
        health.cluster(ClusterRequest {}).await.unwrap(),
        health.checks(ChecksRequest {}).await.unwrap(),
        health.performance(PerformanceRequest {}).await.unwrap(),
        health.errors(ErrorsRequest { by_method: true, by_category: true }).await.unwrap(),
        health.resources(ResourcesRequest {}).await.unwrap(),
    ] {
        assert!(serde_json::from_str::<Value>(&document.into_inner().json).unwrap().is_object());
    }
    running.server.stop().await;
}
