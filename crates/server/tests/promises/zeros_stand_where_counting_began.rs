//! With `storage.start_time_zeros`, what was counted by the first sample counts: by OTLP and by remote write 2.0. Without it
//! nothing is added.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    remote_write_keeps_its_rules::{Request, V2, compressed, post},
    support::{Running, configured, now_ms, start},
};

const MINUTE: i64 = 60_000;

/// A counter and an exponential histogram, each with one point.
fn points(start: i64, at: i64, count: u32) -> String {
    let (start, at) = (format!("{start}000000"), format!("{at}000000"));
    let number = json!({"startTimeUnixNano": start, "timeUnixNano": at, "asInt": count.to_string()});
    let histogram = json!({
        "startTimeUnixNano": start, "timeUnixNano": at, "count": count.to_string(), "sum": 1, "scale": 0,
        "positive": {"offset": 0, "bucketCounts": [count.to_string()]}
    });
    let metrics = json!([
        {"name": "hits", "sum": {"isMonotonic": true, "aggregationTemporality": 2, "dataPoints": [number]}},
        {"name": "level", "sum": {"isMonotonic": false, "aggregationTemporality": 2, "dataPoints": [number]}},
        {"name": "took", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [histogram]}}
    ]);
    json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).to_string()
}

async fn samples(running: &Running, series: &str, at: i64) -> Value {
    let query: String = form_urlencoded::byte_serialize(format!("{series}[30m]").as_bytes()).collect();
    let found = running.data(&format!("/api/v1/query?query={query}&time={}", at / 1000)).await;
    let result = &found["result"][0];
    let values = |pairs: &Value, value: fn(&Value) -> &Value| -> Vec<(i64, String)> {
        let pairs = pairs.as_array().into_iter().flatten();
        #[expect(clippy::cast_possible_truncation, reason = "it is a time in seconds")]
        let pair =
            |pair: &Value| (pair[0].as_f64().unwrap() as i64, value(&pair[1]).as_str().unwrap().to_owned());
        pairs.map(pair).collect()
    };
    let floats = values(&result["values"], |value| value);
    let natives = values(&result["histograms"], |value| &value["count"]);
    json!([floats, natives].concat())
}

#[tokio::test]
async fn zeros_stand_where_counting_began() {
    for on in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let config = format!("collectors: {{built_in: false}}\nstorage: {{start_time_zeros: {on}}}\n");
        let running = start(dir.path(), configured(&config)).await;
        let t = now_ms();
        let (begin, first, second) = (t - 10 * MINUTE, t - 9 * MINUTE, t - 8 * MINUTE);
        // The same start a second time adds nothing, a later one does.
        let anew = t - 7 * MINUTE;
        for (start, at, count) in [(begin, first, 5), (begin, second, 7), (anew, t, 9)] {
            let kind = [("content-type", "application/json")];
            let body = points(start, at, count);
            let reply = running.call(Method::POST, "/v1/metrics", &kind, body.as_bytes()).await;
            assert_eq!((reply.status.as_u16(), &*reply.text), (200, "{}"));
            let request = Request::of(&["__name__", "sent_total"], &[(at, f64::from(count))]).since(start);
            let headers = [("content-type", V2), ("content-encoding", "snappy")];
            let body = compressed(&prost::Message::encode_to_vec(&request));
            assert_eq!(post(&running, &headers, &body).await.status, 204);
        }
        let of =
            |pairs: &[(i64, &str)]| json!(pairs.iter().map(|(at, v)| (at / 1000, v)).collect::<Vec<_>>());
        let plain = of(&[(first, "5"), (second, "7"), (t, "9")]);
        let zeros = of(&[(begin, "0"), (first, "5"), (second, "7"), (anew, "0"), (t, "9")]);
        for series in ["hits_total", "took", "sent_total"] {
            assert_eq!(
                samples(&running, series, t).await,
                if on { &zeros } else { &plain }.clone(),
                "{series}"
            );
        }
        assert_eq!(samples(&running, "level", t).await, plain, "what goes up and down has no beginning");
        // One that began long ago says nothing of now.
        let body = points(t - 61 * MINUTE, t, 1).replace("hits", "old");
        running
            .call(Method::POST, "/v1/metrics", &[("content-type", "application/json")], body.as_bytes())
            .await;
        assert_eq!(samples(&running, "old_total", t).await, of(&[(t, "1")]));
        running.server.stop().await;
    }
}
