//! Documents of the JSON query language over HTTP, metrics by name, and what is refused.

use crate::support::{Running, now_ms, start_quiet};
use http::Method;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;
const PATH: &str = "/api/barograph/v1/query";

async fn post(running: &Running, document: &Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let reply = running.call(Method::POST, PATH, &headers, document.to_string().as_bytes()).await;
    (reply.status.as_u16(), reply.json())
}

/// An hour of two versions, a sample every half minute; and when it began.
async fn filled(running: &Running) -> i64 {
    let start = (now_ms() / HOUR - 1) * HOUR;
    for (version, base) in [("1.0", 10.0), ("2.0", 5.0)] {
        let samples: Vec<(i64, f64)> =
            (0..120).map(|i| (start + i * 30_000, base + i as f64 / 120.0)).collect();
        for name in ["flow_execution_duration_seconds", "flow_data_volume"] {
            let labels = [("__name__", name), ("flow_id", "f"), ("versionId", version)];
            assert!(running.write_series(&labels, &samples).await.status.is_success());
        }
    }
    start
}

#[tokio::test]
async fn a_document_is_answered_with_where_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let start = filled(&running).await;
    let (status, answer) = post(
        &running,
        &json!({"query": {
            "metrics": ["flow.execution.duration"],
            "filter": {"timeRange": {"start": start, "end": start + HOUR}, "dimensions": {"flowId": "f"}},
            "groupBy": ["versionId"],
            "aggregations": [{"type": "AVG", "window": "30m"}, {"type": "PERCENTILE", "percentile": 95}],
            "calculations": [{"name": "efficiency", "expression": "flow.execution.duration / flow.data.volume"}],
            "sort": {"field": "flow.execution.duration", "order": "DESC"},
            "limit": 1
        }}),
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(|result| result["labels"] == json!({"versionId": "1.0"})));
    assert_eq!(results[0]["dataPoints"][1]["timestamp"], start + HOUR / 2);
    assert_eq!((&results[0]["aggregation"], &results[0]["window"]), (&json!("avg"), &json!("30m")));
    assert_eq!(
        (&results[2]["name"], &results[2]["dataPoints"][0]["value"]),
        (&json!("efficiency"), &json!(1.0))
    );
    let meta = &answer["meta"];
    assert_eq!((&meta["tier"], &meta["reason"]), (&json!("raw"), &json!("the span is 1h")));
    assert_eq!((&meta["error"], &meta["groups"], &meta["cached"]), (&json!(0.0), &json!(2), &json!(false)));
    assert!(meta["points_read"].as_u64() > Some(0) && meta["took_ms"].as_f64() > Some(0.0), "{meta}");

    let schema = running.get("/api/barograph/v1/query/schema").await;
    assert_eq!(schema.headers["content-type"], "application/schema+json");
    assert_eq!(schema.json()["title"], "A query of metrics");
    running.server.stop().await;
}

#[tokio::test]
async fn what_is_refused_names_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let start = filled(&running).await;
    for (query, path) in [
        (json!({"metrics": ["m"], "fliter": {}}), "query.fliter"),
        (
            json!({"metrics": ["m"], "aggregations": [{"type": "AVG", "window": "x"}]}),
            "query.aggregations[0].window",
        ),
        (
            json!({
                "metrics": ["flow.*"], "aggregations": [{"type": "AVG", "window": "1ms"}],
                "filter": {"timeRange": {"start": start, "end": "now"}},
            }),
            "query.aggregations[0].window",
        ),
    ] {
        let headers = [("content-type", "application/json")];
        let body = json!({"query": query}).to_string();
        let reply = running.call(Method::POST, PATH, &headers, body.as_bytes()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.headers["content-type"]),
            (400, &"application/problem+json".parse().unwrap())
        );
        assert_eq!(reply.json()["path"], path, "{}", reply.text);
        assert!(reply.json()["detail"].as_str().unwrap().starts_with(path), "{}", reply.text);
    }
    let (status, answer) = post(&running, &json!({"names": ["m"], "form": 1})).await;
    assert!(status == 400 && answer["detail"].as_str().unwrap().starts_with("form: unknown key"), "{answer}");
    let long = json!({"query": {"metrics": ["m"], "filter": {"dimensions": {"a": "x".repeat(300_000)}}}});
    assert_eq!(post(&running, &long).await.0, 413);
    running.server.stop().await;
}

#[tokio::test]
async fn parameters_are_a_short_form() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let start = filled(&running).await;
    let form = json!({
        "names": ["flow.data.volume"], "startTime": start, "endTime": start + HOUR - 1,
        "granularity": "1m", "aggregation": "avg",
    });
    let (status, answer) = post(&running, &form).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        (&answer["results"][0]["name"], &answer["meta"]["tier"]),
        (&json!("flow.data.volume"), &json!("1m"))
    );
    assert_eq!(answer["results"][0]["dataPoints"].as_array().unwrap().len(), 60);
    let points = async |rest: &str| {
        let path = format!(
            "{PATH}?names=flow.data.volume&labels=versionId:2.0&startTime={start}&endTime={}&{rest}",
            start + HOUR - 1
        );
        let reply = running.get(&path).await;
        assert_eq!(reply.status, 200, "{rest}: {}", reply.text);
        let answer = reply.json();
        assert_eq!(answer["results"].as_array().unwrap().len(), 1, "{answer}");
        answer["results"][0]["dataPoints"].as_array().unwrap().clone()
    };
    assert_eq!(points("").await.len(), 120);
    assert_eq!(points("targetPoints=50&aggregation=max").await.len(), 50);
    let drawn = points("targetPoints=50&downsample=lttb").await;
    assert_eq!((drawn.len(), &drawn[0]["timestamp"]), (50, &json!(start)));
    // As many as lie in the hour, counted from the epoch.
    assert!((9..=10).contains(&points("step=7m&aggregation=p95").await.len()));
    running.server.stop().await;
}

#[tokio::test]
async fn metrics_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let start = filled(&running).await;
    let labels = [("__name__", "flow_data_volume"), ("flow_id", "f"), ("versionId", "2.0")];
    running.write_series(&labels, &[(now_ms() - 1_000, 42.0)]).await;
    let api = "/api/barograph/v1/metrics";
    let list = running.get(&format!("{api}?prefix=flow.")).await.json();
    assert_eq!((&list["count"], &list["metrics"][0]["name"]), (&json!(2), &json!("flow_data_volume")));
    assert_eq!(list["metrics"][0]["attributes"], json!(["flow_id", "versionId"]));
    let one = running.get(&format!("{api}/flow.data.volume")).await.json();
    assert_eq!((&one["active_series"], &one["component"]), (&json!(2), &Value::Null), "{one}");
    assert_eq!(one["aggregates"]["max"], 42.0, "{one}");
    assert_eq!(one["aggregation"], json!({"windows": ["1m", "5m", "1h"], "functions": null}));
    assert!(["raw", "1m", "5m", "1h"].iter().all(|tier| one["retention"][tier].is_string()), "{one}");
    let labels = [("__name__", "import_rows_total"), ("componentId", "importer"), ("job", "shop")];
    running.write_series(&labels, &[(now_ms() - 1_000, 7.0)]).await;
    let groups = running.get(&format!("{api}?group-by=componentId")).await.json();
    let importer = json!({"componentId": "importer", "count": 1, "metrics": ["import_rows_total"]});
    assert!(groups["groups"].as_array().unwrap().contains(&importer), "{groups}");
    assert_eq!(running.get(&format!("{api}?group-by=colour")).await.status, 400);
    let latest = running.get(&format!("{api}/flow.data.volume/latest?labels.versionId=2.0")).await.json();
    assert_eq!(latest["points"].as_array().unwrap().len(), 1, "{latest}");
    assert_eq!(latest["points"][0]["value"], 42.0);
    let range = format!("start={}&end={}", start, start + HOUR - 1);
    let stats = running
        .get(&format!("{api}/flow.execution.duration/stats?{range}&labels.versionId=1.0"))
        .await
        .json();
    let figures = &stats["stats"];
    assert_eq!(
        (&figures["count"], &figures["min"], &figures["first"]),
        (&json!(120.0), &json!(10.0), &json!(10.0))
    );
    let near = |name: &str, expected: f64| {
        let value = figures[name].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-9, "{name}: {value}");
    };
    for (name, expected) in [
        ("sum", 1259.5),
        ("avg", 1259.5 / 120.0),
        ("max", 10.0 + 119.0 / 120.0),
        ("last", 10.0 + 119.0 / 120.0),
        ("p50", 10.0 + 59.5 / 120.0),
        ("p95", 10.0 + 113.05 / 120.0),
        ("p99", 10.0 + 117.81 / 120.0),
        ("stddev", ((120.0 * 120.0 - 1.0) / 12.0_f64).sqrt() / 120.0),
    ] {
        near(name, expected);
    }
    assert_eq!(stats["meta"]["tier"], "raw");
    let groups =
        running.get(&format!("{api}/flow.execution.duration/stats?{range}&by=versionId")).await.json();
    assert_eq!(groups["groups"].as_array().unwrap().len(), 2);
    assert_eq!(groups["groups"][1]["labels"], json!({"versionId": "2.0"}));
    for path in ["nothing", "nothing/latest", "nothing/stats"] {
        assert_eq!(running.get(&format!("{api}/{path}")).await.status, 404, "{path}");
    }
    running.server.stop().await;
}
