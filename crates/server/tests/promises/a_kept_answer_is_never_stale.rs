//! A range query that is asked again is answered from what is kept, and never says what is not so any more.

use crate::support::{Running, configured, now_ms, request, start, start_quiet};
use hyper::Method;
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const WRITE: [(&str, &str); 2] = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];

/// Every sample of these counts.
const X: &str = "sum(sum_over_time(x[2m]))";
const Y: &str = "sum(sum_over_time(y[2m]))";

/// The hour that is asked about, of whole buckets of five minutes and over for a while; always the same in one test.
fn hour() -> (i64, i64) {
    static END: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    let end = *END.get_or_init(|| now_ms() / (5 * MINUTE) * (5 * MINUTE) - 30 * MINUTE);
    (end - HOUR, end)
}

fn range(query: &str, (start, end): (i64, i64)) -> String {
    format!("/api/v1/query_range?query={query}&start={}&end={}&step=60", start / 1000, end / 1000)
}

/// What a query gives, and how much of it was kept; it is what evaluating it anew gives.
async fn ask(running: &Running, query: &str) -> (Value, String) {
    let path = range(query, hour());
    let reply = running.get(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let anew = running.get(&format!("{path}&nocache=1")).await;
    assert_eq!(anew.json(), reply.json(), "{query}");
    assert!(!anew.headers.contains_key("x-barograph-cache"));
    let outcome = reply.headers["x-barograph-cache"].to_str().expect("a word").to_owned();
    (reply.json()["data"]["result"].clone(), outcome)
}

/// Asks until all is kept; what the query gives.
async fn kept(running: &Running, query: &str) -> Value {
    for _ in 0..3 {
        let (result, outcome) = ask(running, query).await;
        if outcome == "hit" {
            return result;
        }
    }
    panic!("{query} is not kept");
}

/// A minute's value each, from an hour before to now.
async fn fill(running: &Running, name: &str) {
    let (start, end) = hour();
    let samples: Vec<_> = (0..=(end + 29 * MINUTE - start) / MINUTE + 60)
        .map(|i| (start - HOUR + i * MINUTE, i as f64))
        .collect();
    assert_eq!(running.write_series(&[("__name__", name), ("i", "a")], &samples).await.status, 204);
}

#[tokio::test]
async fn it_holds_until_something_changes() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    fill(&running, "x").await;
    fill(&running, "y").await;
    let (_, end) = hour();
    let first = ask(&running, X).await;
    assert_eq!(first.1, "miss");
    assert_eq!(ask(&running, X).await, (first.0.clone(), "hit".to_owned()));
    let before = kept(&running, X).await;
    let others = kept(&running, Y).await;

    // A late sample.
    let late = [(end - 10 * MINUTE - 20_000, 1e6)];
    assert_eq!(running.write_series(&[("__name__", "x"), ("i", "a")], &late).await.status, 204);
    let (after, outcome) = ask(&running, X).await;
    assert_eq!(outcome, "partial", "only what was touched is evaluated again");
    assert_ne!(after, before);
    assert_eq!(ask(&running, Y).await, (others.clone(), "hit".to_owned()), "another metric is not touched");

    // A new series, whose samples are old.
    let before = kept(&running, X).await;
    let old: Vec<_> = (0..9).map(|i| (end - 30 * MINUTE + i * MINUTE, 5e6)).collect();
    assert_eq!(running.write_series(&[("__name__", "x"), ("i", "b")], &old).await.status, 204);
    let after = kept(&running, X).await;
    assert_ne!(after, before);

    // History that is moved in.
    let old: Vec<_> = (0..9).map(|i| (end - 50 * MINUTE + i * MINUTE + 7, 7e6)).collect();
    let body = request(&[(&[("__name__", "x"), ("i", "a")], &old)]);
    let reply = running.call(Method::POST, "/api/barograph/v1/import", &WRITE, &body).await;
    assert_eq!(reply.json()["stored"], 9, "{}", reply.text);
    let moved_in = kept(&running, X).await;
    assert_ne!(moved_in, after);

    // A deletion, and blocks in place of the head.
    let path = "/api/v1/admin/tsdb/delete_series?match[]=x";
    let path = format!("{path}&start={}&end={}", (end - 20 * MINUTE) / 1000, (end - 15 * MINUTE) / 1000);
    assert_eq!(running.call(Method::POST, &path, &[], &[]).await.status, 204);
    assert_ne!(kept(&running, X).await, moved_in);
    assert_eq!(kept(&running, Y).await, others);
    running.server.stop().await;
}

#[tokio::test]
async fn documents_say_whether_they_were_kept() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    fill(&running, "x_total").await;
    let (start, end) = hour();
    let document = json!({"query": {
        "metrics": ["x_total"], "filter": {"timeRange": {"start": start, "end": end}},
        "aggregations": [{"type": "rate", "window": "5m"}],
    }});
    let ask = async |path: &str| {
        let body = document.to_string();
        let reply =
            running.call(Method::POST, path, &[("content-type", "application/json")], body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    };
    let path = "/api/barograph/v1/query";
    let first = ask(path).await;
    let second = ask(path).await;
    assert_eq!((&first["meta"]["cached"], &second["meta"]["cached"]), (&json!(false), &json!(true)));
    assert_eq!(first["results"], second["results"]);
    assert_eq!(ask(&format!("{path}?nocache=true")).await["meta"]["cached"], json!(false));
    let refused = running.call(Method::POST, &format!("{path}?nocache=maybe"), &[], b"{}").await;
    assert_eq!(refused.status, 400);

    let stats = running.get("/api/barograph/v1/stats").await.json();
    let cache = &stats["query_cache"];
    assert_eq!((&cache["hits"], &cache["misses"], &cache["hit_rate"]), (&json!(1), &json!(1), &json!(0.5)));
    assert!(cache["bytes"].as_u64().unwrap() > 0);
    running.server.stop().await;
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let quiet =
        "collectors:\n  system:\n    enabled: false\n  process:\n    enabled: false\nquery: {cache: 0}\n";
    let running = start(dir.path(), configured(quiet)).await;
    fill(&running, "x").await;
    for _ in 0..2 {
        assert_eq!(ask(&running, "x").await.1, "miss");
    }
    assert_eq!(running.get("/api/barograph/v1/stats").await.json()["query_cache"]["pieces"], 0);
    running.server.stop().await;
}
