//! Within a second of being ready, a server with no configuration streams its host's and its own figures.

use std::time::Duration;

use crate::support::start;
use barograph_server::config::Config;
use http_body_util::BodyExt;
use hyper::Method;

#[tokio::test]
async fn a_first_visit_shows_live_data() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), Config::default()).await;
    let path = "/api/barograph/v1/live?step=1s&query=process_memory_rss&query=sum(&query=system_memory_total";
    let mut stream = running.send(Method::GET, path, &[], b"").await.into_body();
    let mut text = String::new();
    let streamed = tokio::time::timeout(Duration::from_secs(5), async {
        while text.matches("event: points").count() < 3 {
            let frame = stream.frame().await.expect("the stream goes on").unwrap();
            text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    });
    streamed.await.expect("three events within five seconds");
    assert!(text.starts_with("event: hello\ndata: {"), "{text}");
    let data = text.split("event: points").nth(2).unwrap().split("data: ").nth(1).unwrap();
    let event: serde_json::Value = serde_json::from_str(data.trim()).unwrap();
    assert_eq!(event["results"][0][0]["metric"]["job"], "barograph", "{event}");
    assert!(event["results"][0][0]["value"].as_str().unwrap().parse::<f64>().unwrap() > 1e6);
    assert!(
        event["results"][1]["error"].as_str().unwrap().contains("parse error"),
        "one bad query spoils no other"
    );
    drop(stream);
    let snapshot = running.get("/api/barograph/v1/snapshot").await.json();
    assert!(
        snapshot["timestamp"].as_i64() > Some(0) && snapshot["system"]["memoryPercentage"].is_f64(),
        "{snapshot}"
    );
    assert!(snapshot["process"]["memoryRss"].as_f64() > Some(1e6), "{snapshot}");
    let stats = running.get("/api/barograph/v1/stats").await.json();
    let own = stats["ingest"]["by_source"]["self"].as_u64();
    assert!(own > Some(0) && own <= stats["ingest"]["samples"].as_u64(), "{stats}");
    assert!(
        stats["process"]["queries"].is_u64() && stats["expose"]["requests"].as_u64() > Some(0),
        "{stats}"
    );
    assert_eq!((&stats["totalCollectors"], &stats["collectionErrors"]), (&6.into(), &0.into()), "{stats}");
    assert!(stats["totalMetricsCollected"].as_u64() > Some(0), "{stats}");

    // A client that comes back gets what it missed, once, in order.
    let last: i64 = text.rsplit("id: ").next().unwrap().lines().next().unwrap().parse().unwrap();
    let id = (last - 2_000).to_string();
    let mut stream = running.send(Method::GET, path, &[("last-event-id", &id)], b"").await.into_body();
    let mut text = String::new();
    let resumed = tokio::time::timeout(Duration::from_secs(5), async {
        while !text.contains(&format!("id: {last}\n")) {
            let frame = stream.frame().await.expect("the stream goes on").unwrap();
            text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
    });
    resumed.await.expect("missed events come at once");
    let first: i64 = text.split("id: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert_eq!(first, last - 1_000);
    drop(stream);
    running.server.stop().await;
}
