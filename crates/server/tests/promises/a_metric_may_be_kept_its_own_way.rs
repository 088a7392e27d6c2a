//! Retention and aggregation of one metric are set over HTTP, hold over restarts, and are told back.

use crate::support::{configured, start, start_quiet};
use hyper::Method;
use serde_json::json;

const METRICS: &str = "/api/barograph/v1/metrics";

#[tokio::test]
async fn a_metric_may_be_kept_its_own_way() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let retention = format!("{METRICS}/disk_used/retention");
    let aggregation = format!("{METRICS}/disk_used/aggregation");
    let usual = running.get(&retention).await.json();
    assert_eq!(
        usual,
        json!({"metric": "disk_used", "raw": null, "1m": null, "5m": null, "1h": null, "importance": "normal"})
    );
    let put = async |path: &str, body: &str| running.call(Method::PUT, path, &[], body.as_bytes()).await;
    let kept = put(&retention, r#"{"raw": "7d", "1h": "0s", "importance": "high"}"#).await;
    assert_eq!(kept.status, 200, "{}", kept.text);
    let expected =
        json!({"metric": "disk_used", "raw": "1w", "1m": null, "5m": null, "1h": "0s", "importance": "high"});
    assert_eq!(kept.json(), expected);
    let made = put(&aggregation, r#"{"windows": ["1h", "1m"], "functions": ["MAX", "avg"]}"#).await;
    assert_eq!(
        made.json(),
        json!({"metric": "disk_used", "windows": ["1m", "1h"], "functions": ["avg", "max"]})
    );
    for (path, body, words) in [
        (&retention, r#"{"raw": "soon"}"#, "raw: expected a duration"),
        (&retention, r#"{"importance": "vital"}"#, "low, normal or high"),
        (&retention, r#"{"2m": "1d"}"#, "unknown field"),
        (&aggregation, r#"{"windows": []}"#, "at least one"),
        (&aggregation, r#"{"windows": ["raw"]}"#, "1m, 5m and 1h"),
        (&aggregation, r#"{"functions": ["median"]}"#, "found `median`"),
    ] {
        let refused = put(path, body).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.text.contains(words), "{}", refused.text);
    }
    running.server.stop().await;

    let config = "\
storage: {aggregation_interval: 1s}
retention: {by_type: {histogram: {raw: 3d}}, rules: [{match: up, 1m: 1d}]}
collectors: {built_in: false}
";
    let running = start(dir.path(), configured(config)).await;
    assert_eq!(running.get(&retention).await.json(), expected);
    let told = running.get("/api/barograph/v1/config").await.json();
    assert_eq!(told["storage"]["aggregation_interval"], "1s");
    assert_eq!(told["retention"]["raw"], "1d");
    assert_eq!(told["retention"]["by_type"]["histogram"]["raw"], "3d");
    assert_eq!(told["retention"]["rules"][0]["match"], "{__name__=\"up\"}");
    let stats = running.get("/api/barograph/v1/stats").await.json();
    assert_eq!(stats["aggregation"]["interval_seconds"], 1.0);
    assert_eq!(stats["policies"], 1);
    for path in [&retention, &aggregation] {
        assert_eq!(running.call(Method::DELETE, path, &[], b"").await.status, 204);
    }
    assert_eq!(running.get(&retention).await.json(), usual);
    assert_eq!(running.get("/api/barograph/v1/stats").await.json()["policies"], 0);
    running.server.stop().await;
}
