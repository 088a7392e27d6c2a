//! What a query comes down to can be asked, in either language, before and after it is run.

use crate::support::{Running, now_ms, start_quiet};
use hyper::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/barograph/v1/query/explain";

async fn filled(running: &Running) -> i64 {
    let t = now_ms();
    for host in ["a", "b", "c"] {
        let samples: Vec<_> = (0..60).map(|i| (t - i64::from(59 - i) * 1_000, f64::from(i))).collect();
        let labels = [("__name__", "requests_total"), ("host", host), ("job", "api")];
        assert_eq!(running.write_series(&labels, &samples).await.status, 204);
    }
    t
}

#[tokio::test]
async fn an_expression_is_explained_and_analyzed() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = filled(&running).await;
    let seconds = t / 1_000;
    let query = "query=sum%20by%20(job)%20(rate(requests_total%5B30s%5D))";
    let range = format!("{query}&start={}&end={seconds}&step=10", seconds - 30);
    let plan = running.get(&format!("{PATH}?{range}")).await.json();
    assert_eq!(plan["expression"], "sum by (job) (rate(requests_total[30s]))");
    assert_eq!((plan["language"].as_str(), plan["steps"].as_u64()), (Some("promql"), Some(4)));
    assert_eq!((plan["analyzed"].as_bool(), plan["step"].as_u64()), (Some(false), Some(10_000)));
    let matrix = &plan["plan"]["children"][0]["children"][0];
    assert_eq!(matrix["operation"], "matrix");
    assert_eq!((&matrix["from"], &matrix["to"]), (&json!(19), &json!(38)));
    assert_eq!((&matrix["tier"], &matrix["actual"]), (&json!("raw"), &Value::Null));
    // A sample a second of three series in a minute, and four points of each.
    assert_eq!(matrix["estimate"], json!({"series": 3, "samples": 3 * (60 + 4)}));
    assert_eq!(matrix["range"]["end"], t);
    assert_eq!(plan["json"]["query"]["aggregations"][0]["type"], "RATE");

    let analyzed = running.get(&format!("{PATH}?{range}&analyze=true")).await.json();
    let matrix = &analyzed["plan"]["children"][0]["children"][0];
    assert_eq!((&matrix["actual"]["series"], &matrix["actual"]["samples"]), (&json!(3), &json!(3 * 64)));
    assert_eq!(analyzed["plan"]["actual"]["series"], 1);
    assert_eq!(analyzed["total"]["series"], 1);
    assert!(
        analyzed["total"]["took_ms"].as_f64().unwrap() > 0.0 && analyzed["total"]["bytes"].as_u64() > Some(0)
    );
    assert!(analyzed.get("results").is_none());
    running.server.stop().await;
}

#[tokio::test]
async fn a_document_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    filled(&running).await;
    let document = br#"{"query": {"metrics": ["requests_total"], "groupBy": ["job"],
        "aggregations": [{"type": "RATE", "window": "1m"}]}}"#;
    let headers = [("content-type", "application/json")];
    for (path, analyzed) in [(PATH.to_owned(), false), (format!("{PATH}?analyze=true"), true)] {
        let reply = running.call(Method::POST, &path, &headers, document).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let plan = reply.json();
        assert_eq!((&plan["language"], &plan["analyzed"]), (&json!("json"), &json!(analyzed)));
        assert_eq!(plan["plan"]["operation"], "document");
        assert_eq!(plan["plan"]["children"][0]["actual"].is_null(), !analyzed);
        assert!(plan["expression"].as_str().unwrap().starts_with("sum by (job) (rate(requests_total["));
    }
    running.server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_cannot_be_explained() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    for (question, part) in [
        ("query=sum(1)", "1:5: parse error"),
        ("query=up&start=0&end=1000000&step=1", "11,000 points"),
        ("query=up&analyze=perhaps", "neither true nor false"),
        ("query=up%5B5m%5D&start=0&end=100&step=1", "range vector"),
    ] {
        let reply = running.get(&format!("{PATH}?{question}")).await;
        assert!(reply.status.is_client_error() && reply.text.contains(part), "{}", reply.text);
    }
    let headers = [("content-type", "application/json")];
    let reply = running.call(Method::POST, PATH, &headers, br#"{"query": {"metrics": 1}}"#).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["path"]), (400, &json!("query.metrics")));
    running.server.stop().await;
}
