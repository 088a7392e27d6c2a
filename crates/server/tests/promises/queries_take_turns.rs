//! No caller keeps another from its turn; who goes away gives theirs back; what runs can be seen and stopped.

use std::{sync::Arc, time::Duration};

use crate::support::{Reply, Running, configured, start};
use hyper::Method;
use serde_json::Value;
use tokio::time::{sleep, timeout};

const QUERIES: &str = "/api/barograph/v1/queries";
/// What waits longer than this in a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that goes on for minutes, on one thread, without reading anything: each step goes through all points.
fn heavy(from: &str) -> String {
    let query = "mad_over_time(vector(1)%5B10h:100ms%5D)";
    format!("/api/v1/query_range?query={query}&start=1700000{from}&end=1700009000&step=1")
}

async fn ask(running: &Running, caller: &str, path: &str) -> Reply {
    timeout(PATIENCE, running.call(Method::GET, path, &[("x-barograph-caller", caller)], b""))
        .await
        .expect("an answer in time")
}

/// The queries that wait or run, once `seen` is content with them.
async fn running(running: &Running, seen: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let look = async {
        loop {
            let list = running.get(QUERIES).await.json()["running"].as_array().expect("a list").clone();
            if seen(&list) {
                return list;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, look).await.expect("it is seen in time")
}

fn one_at_a_time(more: &str) -> barograph_server::config::Config {
    let collectors = "collectors: {built_in: false}\n";
    configured(&format!("{collectors}query: {{max_concurrency: 1, experimental: true, {more}}}\n"))
}

#[tokio::test]
async fn a_flood_of_one_caller_delays_another_by_one_turn() {
    let dir = tempfile::tempdir().unwrap();
    let server = Arc::new(start(dir.path(), one_at_a_time("max_queued: 20")).await);
    let floods: Vec<_> = (0..15)
        .map(|i| {
            let server = server.clone();
            tokio::spawn(async move { ask(&server, "flood", &heavy(&format!("{i:03}"))).await })
        })
        .collect();
    let list = running(&server, |list| list.len() == 15).await;
    let light = tokio::spawn({
        let server = server.clone();
        async move { ask(&server, "light", "/api/v1/query?query=vector(1)").await }
    });
    let waits = |list: &[Value]| list.len() == 16;
    running(&server, waits).await;
    // The one that runs is stopped; the next turn is not the flood's.
    let first = list.iter().find(|query| query["state"] == "running").unwrap();
    let stop = |id: &Value| format!("{QUERIES}/{id}");
    assert_eq!(server.call(Method::DELETE, &stop(&first["id"]), &[], b"").await.status, 204);
    let reply = timeout(PATIENCE, light).await.unwrap().unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    let left = running(&server, |list| list.iter().filter(|q| q["state"] != "stopping").count() == 14).await;
    for query in &left {
        server.call(Method::DELETE, &stop(&query["id"]), &[], b"").await;
    }
    for flood in floods {
        let reply = timeout(PATIENCE, flood).await.unwrap().unwrap();
        assert_eq!(reply.json()["errorType"], "canceled", "{}", reply.text);
    }
    running(&server, |list| list.is_empty()).await;
}

#[tokio::test]
async fn who_goes_away_frees_the_turn_and_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let server = Arc::new(start(dir.path(), one_at_a_time("max_queued: 1")).await);
    let gone = [1, 2].map(|i| {
        let server = server.clone();
        tokio::spawn(async move { ask(&server, "gone", &heavy(&format!("00{i}"))).await })
    });
    running(&server, |list| list.len() == 2).await;
    let crowded = ask(&server, "gone", "/api/v1/query?query=1").await;
    assert_eq!((crowded.status.as_u16(), crowded.headers["retry-after"].as_bytes()), (429, &b"1"[..]));
    assert!(crowded.text.contains("limit 1; the setting is query.max_queued"), "{}", crowded.text);
    gone.iter().for_each(tokio::task::JoinHandle::abort);
    running(&server, |list| list.is_empty()).await;
    let reply = ask(&server, "next", "/api/v1/query?query=1").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let own = server.get("/metrics").await.text;
    assert!(own.contains("barograph_queries_total{outcome=\"gone\"} 2"), "{own}");
    assert!(own.contains("barograph_query_limits_total{limit=\"queue\"} 1"), "{own}");
}

#[tokio::test]
async fn what_runs_is_told_and_stopped_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Arc::new(start(dir.path(), one_at_a_time("slow: 10ms")).await);
    let asking = tokio::spawn({
        let server = server.clone();
        async move {
            let headers = [("x-scope-orgid", "team"), ("x-dashboard-uid", "d1"), ("x-panel-id", "7")];
            server.call(Method::GET, &heavy("000"), &headers, b"").await
        }
    });
    let list = running(&server, |list| list.first().is_some_and(|query| query["state"] == "running")).await;
    let query = &list[0];
    assert_eq!(query["expression"], "mad_over_time(vector(1)[10h:100ms])");
    assert_eq!((&query["caller"], &query["panel"]), (&"team".into(), &"7".into()));
    assert!(query["since_ms"].as_f64() > Some(0.0));
    let id = query["id"].as_u64().unwrap();
    let stop =
        async |id: &str| server.call(Method::DELETE, &format!("{QUERIES}/{id}"), &[], b"").await.status;
    assert_eq!(stop(&id.to_string()).await, 204);
    assert!([404, 409].contains(&stop(&id.to_string()).await.as_u16()), "twice is once");
    assert_eq!((stop("999").await.as_u16(), stop("x").await.as_u16()), (404, 404));
    let reply = timeout(PATIENCE, asking).await.unwrap().unwrap();
    assert_eq!((reply.status.as_u16(), &reply.json()["errorType"]), (503, &"canceled".into()));
    // It took long, and is kept with its plan.
    running(&server, |list| list.is_empty()).await;
    let slow = server.get(QUERIES).await.json()["slow"][0].clone();
    assert_eq!(
        (&slow["id"], &slow["outcome"], &slow["dashboard"]),
        (&id.into(), &"stopped".into(), &"d1".into())
    );
    assert_eq!((&slow["step"], &slow["plan"]["operation"]), (&1_000.into(), &"call".into()));
    assert!(slow["took_ms"].as_f64() >= Some(10.0));
    let own = server.get("/metrics").await.text;
    assert!(own.contains("barograph_query_slow_total 1"), "{own}");
    assert!(own.contains("barograph_queries_total{outcome=\"stopped\"} 1"), "{own}");
}
