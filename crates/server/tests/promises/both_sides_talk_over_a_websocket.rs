//! Over a WebSocket a client subscribes, publishes and is told; what is wrong is answered or ends the connection with the code
//! that the protocol has for it, and whoever went is counted by the way it went.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{net::TcpStream, time::Duration};

use crate::support::{Running, start_quiet};
use hyper::Method;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, protocol::CloseFrame};

/// Generous: it is waited for what must come.
const BOUND: Duration = Duration::from_secs(60);

/// A client that blocks the thread of the test, which the server does not run on.
struct Client(WebSocket<TcpStream>);

impl Client {
    fn open(running: &Running, query: &str) -> Self {
        let address = running.server.address().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let url = format!("ws://{address}/api/barograph/v1/live/ws?{query}");
        Self(tungstenite::client(url, stream).unwrap().0)
    }

    fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).unwrap();
    }

    fn hear(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code that the server ends the connection with.
    fn end(mut self) -> u16 {
        loop {
            match self.0.read() {
                Ok(Message::Close(Some(CloseFrame { code, .. }))) => return code.into(),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn until(running: &Running, name: &str, expected: u64) {
    let raw = async || running.get("/health/server").await.json()["server"]["raw"][name].as_u64().unwrap();
    let wait = async {
        while raw().await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, wait).await.unwrap_or_else(|_| panic!("{name} becomes {expected}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_talk_over_a_websocket() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let mut ann = Client::open(&running, "client=ann&topics=user/board");
    let hello = ann.hear();
    assert_eq!((&hello["type"], &hello["client"]), (&json!("hello"), &json!("ann")));
    assert_eq!(hello["topics"], json!(["user/board"]));
    let mut ben = Client::open(&running, "client=ben");
    assert_eq!(ben.hear()["topics"], json!([]));

    ben.say(r#"{"id": 7, "publish": {"topic": "board", "event": "drawn", "data": {"x": 1.0}}}"#);
    let done = ben.hear();
    assert_eq!((&done["type"], &done["id"], &done["topics"]), (&json!("done"), &json!(7), &json!([])));
    let told = ann.hear();
    let at = told["at"].clone();
    let event = json!({"type": "event", "id": done["published"], "bus": "user", "topic": "board", "event": "drawn",
                       "at": at, "data": {"x": 1.0}});
    assert_eq!(told, event);
    let first = done["published"].as_u64().unwrap();

    // A late subscription with what was there before it.
    ben.say(&json!({"subscribe": ["user/board", "health/system"], "after": first - 1}).to_string());
    assert_eq!(ben.hear()["topics"], json!(["health/system", "user/board"]));
    assert_eq!(ben.hear()["event"], "drawn");
    ben.say(r#"{"unsubscribe": ["user/board"]}"#);
    assert_eq!(ben.hear()["topics"], json!(["health/system"]));
    running.call(Method::POST, "/api/barograph/v1/events/board", &[], b"2").await;
    assert_eq!(ann.hear()["data"], 2);

    // What cannot be is said, and harms nothing.
    for (text, words, at) in [
        ("{\"subscribe\":\n[user]}", "expected value", Some((2, 2))),
        ("{\"listen\": []}", "unknown field `listen`", Some((1, 9))),
        ("{\"subscribe\": [\"user/a\", \"alarms/b\"]}", "there is no bus \"alarms\"", None),
        ("{\"publish\": {\"topic\": \"a/b\", \"data\": 1}}", "a topic has a name", None),
    ] {
        ben.say(text);
        let error = ben.hear();
        assert!(error["type"] == "error" && error["error"].as_str().unwrap().contains(words), "{error}");
        assert_eq!((&error["line"], &error["column"]), (&json!(at.unzip().0), &json!(at.unzip().1)));
    }
    ben.say("{}");
    assert_eq!(ben.hear()["topics"], json!(["health/system"]));
    let stats = running.get("/health/clients/ben").await.json();
    assert_eq!(
        (&stats["raw"]["api-calls-success"], &stats["raw"]["api-calls-failure"]),
        (&json!(4), &json!(4))
    );

    // How they go.
    ann.0.close(None).unwrap();
    assert!(matches!(ann.0.read(), Ok(Message::Close(_))));
    until(&running, "clients-disconnected-graceful", 1).await;
    drop(ben);
    until(&running, "clients-disconnected-error", 1).await;
    let mut large = Client::open(&running, "client=large");
    large.say(&"x".repeat(100_000));
    assert_eq!(large.end(), 1009);
    let mut binary = Client::open(&running, "client=binary");
    binary.0.send(Message::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(binary.end(), 1003);
    until(&running, "clients-disconnected-error", 3).await;
    assert_eq!(running.get("/health/server").await.json()["server"]["raw"]["clients-connected-current"], 1);
    assert_eq!(running.get("/api/barograph/v1/live/ws").await.status, 400, "no WebSocket");

    let last = Client::open(&running, "bus=health");
    let (stopped, code) = tokio::join!(running.server.stop(), tokio::task::spawn_blocking(|| last.end()));
    assert_eq!((stopped, code.unwrap()), ((), 1001));
}
