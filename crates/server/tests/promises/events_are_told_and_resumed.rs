//! Events are streamed as they come; who comes back gets what it missed, or is told how much that was; who reads slowly holds
//! up nobody, and whoever went is counted by the way it went.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use crate::support::{Running, start_quiet};
use http_body_util::BodyExt;
use hyper::{Method, body::Incoming};
use serde_json::{Value, json};

const LIVE: &str = "/api/barograph/v1/live";
const EVENTS: &str = "/api/barograph/v1/events";
/// Generous: it is waited for what must come.
const BOUND: Duration = Duration::from_secs(60);

/// A stream of events, taken apart.
pub(crate) struct Stream {
    body: Incoming,
    text: String,
}

/// One of them: name, id, data.
pub(crate) type Told = (String, Option<u64>, Value);

impl Stream {
    pub(crate) async fn open(running: &Running, query: &str, headers: &[(&str, &str)]) -> Self {
        let response = running.send(Method::GET, &format!("{LIVE}?{query}"), headers, b"").await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { body: response.into_body(), text: String::new() };
        assert_eq!(stream.next().await.0, "hello");
        stream
    }

    pub(crate) async fn next(&mut self) -> Told {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let told = field("event: ").map(|name| {
                    let id = field("id: ").map(|id| id.parse().unwrap());
                    (name.to_owned(), id, serde_json::from_str(field("data: ").unwrap()).unwrap())
                });
                self.text = rest.to_owned();
                match told {
                    Some(told) => return told,
                    None => continue,
                }
            }
            let frame = tokio::time::timeout(BOUND, self.body.frame()).await.expect("an event comes");
            self.text.push_str(std::str::from_utf8(frame.unwrap().unwrap().data_ref().unwrap()).unwrap());
        }
    }
}

async fn publish(running: &Running, topic: &str, data: &str) -> u64 {
    let reply = running.call(Method::POST, &format!("{EVENTS}/{topic}"), &[], data.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["id"].as_u64().unwrap()
}

async fn raw(running: &Running, name: &str) -> u64 {
    running.get("/health/server").await.json()["server"]["raw"][name].as_u64().unwrap()
}

async fn until(running: &Running, name: &str, expected: u64) {
    let wait = async {
        while raw(running, name).await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, wait).await.unwrap_or_else(|_| panic!("{name} becomes {expected}"));
}

#[tokio::test]
async fn events_are_told_and_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let mut stream = Stream::open(&running, "bus=user&topics=deploys", &[("x-client-id", "alice")]).await;
    let path = format!("{EVENTS}/deploys?event=rollout");
    let reply = running.call(Method::POST, &path, &[], b"{\n \"of\": \"a  b\",\n \"n\": 1.50\n}").await;
    let id = reply.json()["id"].as_u64().unwrap();
    assert_eq!((reply.status.as_u16(), &reply.json()["subscribers"]), (200, &json!(1)));
    assert_eq!(stream.next().await, ("rollout".into(), Some(id), json!({"of": "a  b", "n": 1.5})));
    let unseen = publish(&running, "others", "0").await;
    let second = publish(&running, "deploys", "2").await;
    assert_eq!(stream.next().await, ("message".into(), Some(second), json!(2)));
    assert!(unseen > id && second > unseen);

    let list = running.get(&format!("{EVENTS}?bus=user")).await.json();
    let kept =
        json!({"events": 2, "oldest": id, "newest": second, "bytes": list["topics"][0]["kept"]["bytes"]});
    let deploys = json!({"bus": "user", "topic": "deploys", "published": 2, "subscribers": 1, "kept": kept});
    assert_eq!(list["topics"][0], deploys);
    assert_eq!(list["topics"].as_array().unwrap().len(), 2);
    let alice = running.get("/health/clients/alice").await.json();
    assert_eq!((&alice["raw"]["events-sent"], &alice["raw"]["events-dropped"]), (&json!(2), &json!(0)));
    assert_eq!(alice["derived"]["active-subscription-count"], 1);

    // She goes, and comes back.
    drop(stream);
    until(&running, "clients-disconnected-total", 1).await;
    let third = publish(&running, "deploys", "3").await;
    let again = [("x-client-id", "alice"), ("last-event-id", &*id.to_string())];
    let mut stream = Stream::open(&running, "topics=user/deploys", &again).await;
    assert_eq!(stream.next().await, ("message".into(), Some(second), json!(2)));
    assert_eq!(stream.next().await, ("message".into(), Some(third), json!(3)));
    drop(stream);
    for n in 0..1_025 {
        publish(&running, "deploys", &n.to_string()).await;
    }
    let mut stream = Stream::open(&running, &format!("bus=user&last_event_id={second}"), &[]).await;
    let missed = json!({"count": 2, "exact": true, "reason": "forgotten"});
    assert_eq!(stream.next().await, ("missed".into(), None, missed));
    assert_eq!(stream.next().await.2, json!(1));

    // What the server tells of itself, by the bus's other name.
    let mut health = Stream::open(&running, "bus=ex_esdb_health&topics=system&last_event_id=0", &[]).await;
    assert_eq!(health.next().await.0, "server_started");
    assert_eq!(health.next().await.0, "store_ready");
    let mut clients = Stream::open(&running, "topics=clients", &[]).await;
    let _newcomer = Stream::open(&running, "bus=alerts&client=bob", &[]).await;
    // Those who came just before may be told, too.
    while clients.next().await.2 != json!({"client": "bob", "cause": null}) {}
    let mut metrics = Stream::open(&running, "bus=metrics&topics=up_and_down", &[]).await;
    // Later than the subscription, for sure.
    let at = crate::support::now_ms() + 1_000;
    running.write_series(&[("__name__", "up_and_down"), ("job", "a")], &[(at, 4.5)]).await;
    let (name, _, data) = metrics.next().await;
    let updates = json!([{"labels": {"job": "a"}, "timestamp": at, "value": "4.5"}]);
    assert_eq!((&*name, data), ("metric_updated", json!({"metric": "up_and_down", "updates": updates})));

    running.server.stop().await;
    let stopping = health.next().await;
    assert_eq!(stopping.0, "server_stopping");
    assert!(health.body.frame().await.is_none(), "a stream ends in order");

    // Ids of another life of the server are known as such.
    let running = start_quiet(dir.path()).await;
    let fourth = publish(&running, "deploys", "4").await;
    assert!(fourth > third);
    let mut stream = Stream::open(&running, &format!("bus=user&last_event_id={third}"), &[]).await;
    let missed = json!({"count": 0, "exact": false, "reason": "restarted"});
    assert_eq!(stream.next().await, ("missed".into(), None, missed));
    assert_eq!(stream.next().await.1, Some(fourth));
    running.server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let refused = async |query: &str, status: u16, words: &str| {
        let reply = running.get(&format!("{LIVE}?{query}")).await;
        assert!(reply.status == status && reply.text.contains(words), "{query}: {}", reply.text);
    };
    refused("bus=alarms", 400, "there are metrics, health, alerts, diagnostics").await;
    refused("topics=alarms", 400, "there is performance").await;
    refused("bus=alerts,health&topics=x", 400, "with their bus before").await;
    refused("bus=alerts&topics=a,,b", 400, "a topic has a name").await;
    refused("bus=alerts&last_event_id=soon", 400, "not the id of an event").await;
    let many = (0..65).map(|i| format!("metrics/m{i}")).collect::<Vec<_>>().join(",");
    refused(&format!("topics={many}"), 429, "metrics/m64 was refused").await;
    let post = async |path: &str, body: &[u8], status: u16, words: &str| {
        let reply = running.call(Method::POST, &format!("{EVENTS}/{path}"), &[], body).await;
        assert!(reply.status == status && reply.text.contains(words), "{path}: {}", reply.text);
        assert_eq!(reply.headers["content-type"], "application/problem+json");
    };
    post("a", b"{\"a\":\n nonsense}", 400, "line 2 column 3").await;
    post("a?event=missed", b"1", 400, "none of hello, missed, error").await;
    post("a%2Cb", b"1", 400, "a topic has a name").await;
    post("a", &[b'1'; 70_000], 413, "65536 bytes").await;
    assert_eq!(running.call(Method::PUT, &format!("{EVENTS}/a"), &[], b"1").await.status, 405);
    assert_eq!(running.get(&format!("{EVENTS}?bus=alarms")).await.status, 400);
    assert_eq!(raw(&running, "clients-connected-current").await, 1, "who was refused is no client");
    running.server.stop().await;
}

#[tokio::test]
async fn a_slow_reader_slows_nobody() {
    const COUNT: u64 = 1_300;
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let mut slow = Stream::open(&running, "bus=user&topics=bulk&client=slow", &[]).await;
    let mut quick = Stream::open(&running, "bus=user&topics=bulk&client=quick", &[]).await;
    let filling = "x".repeat(60_000);
    for n in 0..COUNT {
        publish(&running, "bulk", &format!("[{n},\"{filling}\"]")).await;
        assert_eq!(quick.next().await.2[0], n);
    }
    let of = async |client: &str, name: &str| {
        running.get(&format!("/health/clients/{client}")).await.json()["raw"][name].as_u64().unwrap()
    };
    assert_eq!((of("quick", "events-sent").await, of("quick", "events-dropped").await), (COUNT, 0));
    let dropped = of("slow", "events-dropped").await;
    assert!(dropped > 0 && of("slow", "events-sent").await == COUNT, "{dropped}");
    assert_eq!(of("slow", "queue-overflow-count").await, dropped);
    // It reads on: what is missing is marked where it is missing, and nothing else is.
    let (mut next, mut missed) = (0, 0);
    while next < COUNT {
        let (name, _, data) = slow.next().await;
        match &*name {
            "missed" => {
                missed += data["count"].as_u64().unwrap();
                next += data["count"].as_u64().unwrap();
            }
            _ => {
                assert_eq!(data[0], next);
                next += 1;
            }
        }
    }
    assert_eq!(missed, dropped);
    drop((slow, quick));
    until(&running, "clients-disconnected-total", 2).await;
    assert_eq!(raw(&running, "clients-connected-current").await, 1, "only who asks is here");
    running.server.stop().await;
}
