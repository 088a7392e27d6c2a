//! Ten days of history, sent to a server that is at work: tiers hold all of it, raw the last day, queries are right over
//! all of it, now and after a restart.

use crate::support::{Running, now_ms, request, start_quiet};
use http::Method;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WRITE: [(&str, &str); 2] = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];

/// A sample every five minutes, never on the edge of a window: it counts up by one each.
fn history(from: i64, to: i64) -> Vec<(i64, f64)> {
    (0..(to - from) / (5 * MINUTE)).map(|n| (from + n * 5 * MINUTE + 30_000, n as f64)).collect()
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_str().expect("numbers come as text").parse().expect("it is a number")
}

async fn flush(running: &Running) {
    let reply = running.call(Method::POST, "/api/barograph/v1/admin/flush", &[], b"").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

/// The values of a range query at each hour.
async fn hourly(running: &Running, query: &str, from: i64, to: i64) -> Vec<(i64, f64)> {
    let (from, to) = (from / 1000, to / 1000);
    let reply =
        running.get(&format!("/api/v1/query_range?query={query}&start={from}&end={to}&step=3600")).await;
    let body = reply.json();
    assert_eq!(body["data"]["result"].as_array().map(Vec::len), Some(1), "{query}: {}", reply.text);
    let values = body["data"]["result"][0]["values"].as_array().expect("a matrix has values");
    values.iter().map(|pair| (pair[0].as_i64().expect("a time"), number(&pair[1]))).collect()
}

async fn check(running: &Running, name: &str, start: i64, end: i64) {
    for (function, expected) in [("count_over_time", 12.0), ("max_over_time", f64::NAN)] {
        let found = hourly(running, &format!("{function}({name}[1h])"), start + HOUR, end).await;
        let expected: Vec<_> = (1..=(end - start) / HOUR)
            .map(|hour| {
                let last = (12 * hour - 1) as f64;
                ((start + hour * HOUR) / 1000, if expected.is_nan() { last } else { expected })
            })
            .collect();
        assert_eq!(found, expected, "{function} of {name}");
    }
    let increase = hourly(running, &format!("increase({name}[2h])"), start + 3 * HOUR, end - HOUR).await;
    assert_eq!(i64::try_from(increase.len()), Ok((end - start) / HOUR - 3));
    assert!(increase.iter().all(|(_, value)| (value - 24.0).abs() < 1.2), "{name}: {increase:?}");
    let path = format!("/api/v1/query?query=count_over_time({name}[11d])&time={}&tier=raw", end / 1000);
    let raw = running.get(&path).await.json();
    let count = number(&raw["data"]["result"][0]["value"][1]);
    assert!((288.0 - 12.0..=2.0 * 288.0).contains(&count), "about a day of raw is left: {count}");
}

#[tokio::test]
async fn in_order_and_right() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let end = now_ms() / HOUR * HOUR;
    let start = end - 10 * DAY;
    let samples = history(start, end);
    // Others are alive, and were cut.
    let own: Vec<_> = (0..60).map(|hour| (end - hour * HOUR, 1.0)).rev().collect();
    running.write_series(&[("__name__", "up")], &own).await;
    running.write_series(&[("__name__", "alive")], &[(now_ms(), 0.0)]).await;
    flush(&running).await;
    // Not whole hours, so that cuts lie within them.
    for (number, part) in samples.chunks(250).enumerate() {
        running.write_series(&[("__name__", "sent")], part).await;
        let body = request(&[(&[("__name__", "alive")], part), (&[("__name__", "imported")], part)]);
        let reply = running.call(Method::POST, "/api/barograph/v1/import", &WRITE, &body).await;
        assert_eq!(reply.json()["stored"], 2 * part.len(), "{}", reply.text);
        if number % 3 == 1 {
            flush(&running).await;
        }
    }
    flush(&running).await;
    for name in ["sent", "imported", "alive"] {
        check(&running, name, start, end).await;
    }
    running.server.stop().await;
    let running = start_quiet(dir.path()).await;
    for name in ["sent", "imported", "alive"] {
        check(&running, name, start, end).await;
    }
    flush(&running).await;
    check(&running, "sent", start, end).await;
}
