//! Events by gRPC: told as they happen, resumed by id, in both directions at once, and ended in order.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use crate::support::{from_client, start_with_grpc};
use barograph_proto::v1::{
    ClientMessage, Event, PublishRequest, SubscribeRequest, Told, UnsubscribeRequest, client_message,
    events_client::EventsClient, server_message, told,
};
use tokio::sync::mpsc;
use tonic::{Code, Status, Streaming};

fn subscribe(topics: &[&str], after_id: Option<u64>) -> SubscribeRequest {
    SubscribeRequest { topics: topics.iter().map(|&topic| topic.to_owned()).collect(), after_id }
}

fn publish(topic: &str, document: &str) -> PublishRequest {
    PublishRequest { topic: topic.into(), name: String::new(), document_json: document.into() }
}

fn event(told: Result<Option<Told>, Status>) -> Event {
    match told.unwrap().unwrap().told.unwrap() {
        told::Told::Event(event) => event,
        told::Told::Missed(missed) => panic!("{missed:?}"),
    }
}

#[tokio::test]
async fn events_are_told_and_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    let mut events = EventsClient::new(channel);
    let mut told = events
        .subscribe(from_client("listener", subscribe(&["user/build"], None)))
        .await
        .unwrap()
        .into_inner();
    let mut ids = Vec::new();
    for n in 0..3 {
        let document = format!("{{\"n\": {n}}}");
        ids.push(events.publish(publish("build", &document)).await.unwrap().into_inner().id);
    }
    events.publish(publish("user/other", "1")).await.unwrap();
    for (n, id) in ids.iter().enumerate() {
        let event = event(told.message().await);
        assert_eq!((event.id, event.bus.as_str(), event.topic.as_str()), (*id, "user", "build"));
        assert_eq!((event.name.as_str(), event.document_json), ("message", format!("{{\"n\":{n}}}")));
    }
    drop(told);
    let mut told =
        events.subscribe(subscribe(&["user/build", "user/other"], Some(ids[1]))).await.unwrap().into_inner();
    assert_eq!(event(told.message().await).id, ids[2]);
    assert_eq!(event(told.message().await).topic, "other");

    for (request, code) in [
        (publish("alerts/x", "1"), Code::PermissionDenied),
        (publish("user/a/b", "1"), Code::InvalidArgument),
        (publish("", "1"), Code::InvalidArgument),
        (publish("a", "{"), Code::InvalidArgument),
        (publish("a", &format!("\"{}\"", "x".repeat(70_000))), Code::ResourceExhausted),
        (PublishRequest { name: "a\nb".into(), ..publish("a", "1") }, Code::InvalidArgument),
    ] {
        assert_eq!(events.publish(request.clone()).await.unwrap_err().code(), code, "{request:?}");
    }
    for topics in [&[][..], &["alarms"], &["user/"]] {
        let refused = events.subscribe(subscribe(topics, None)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{topics:?}");
    }
    let stopping = tokio::spawn(running.server.stop());
    let last = loop {
        match told.message().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(last.unwrap_err().code(), Code::Unavailable);
    stopping.await.unwrap();
}

/// The next thing that is said, and which request it answers.
async fn said(
    stream: &mut Streaming<barograph_proto::v1::ServerMessage>,
) -> (String, server_message::Message) {
    let message = stream.message().await.unwrap().unwrap();
    (message.request_id, message.message.unwrap())
}

#[tokio::test]
async fn both_sides_talk() {
    use client_message::Message as Ask;
    use server_message::Message as Say;
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc(dir.path()).await;
    let mut events = EventsClient::new(channel);
    let (sender, mut asked) = mpsc::channel(8);
    let asked = futures_util::stream::poll_fn(move |context| asked.poll_recv(context));
    let mut stream = events.exchange(from_client("talker", asked)).await.unwrap().into_inner();
    let ask = async |id: &str, message: Ask| {
        sender.send(ClientMessage { request_id: id.into(), message: Some(message) }).await.unwrap();
    };
    ask("1", Ask::Subscribe(subscribe(&["user/a"], None))).await;
    assert!(matches!(said(&mut stream).await, (id, Say::Subscribed(_)) if id == "1"));
    ask("2", Ask::Publish(publish("a", "7"))).await;
    let (mut told, mut published) = (None, None);
    for _ in 0..2 {
        match said(&mut stream).await {
            (id, Say::Published(it)) if id == "2" => published = Some(it.id),
            (id, Say::Event(event)) if id.is_empty() => told = Some(event.id),
            other => panic!("{other:?}"),
        }
    }
    assert!(told.is_some() && told == published);
    ask("3", Ask::Publish(publish("health/a", "7"))).await;
    let (id, Say::Refused(refused)) = said(&mut stream).await else { panic!("it is refused") };
    assert_eq!((id.as_str(), refused.code), ("3", Code::PermissionDenied as i32));
    ask("4", Ask::Unsubscribe(UnsubscribeRequest { topics: vec!["user/a".into()] })).await;
    assert!(matches!(said(&mut stream).await, (id, Say::Unsubscribed(_)) if id == "4"));
    ask("5", Ask::Publish(publish("a", "8"))).await;
    assert!(matches!(said(&mut stream).await, (id, Say::Published(_)) if id == "5"));
    drop(sender);
    assert!(stream.message().await.unwrap().is_none());
    running.server.stop().await;
}
