//! Series over a limit cost their sender no error, and can be found by whoever looks after the server.

use crate::support::{configured, now_ms, start};

#[tokio::test]
async fn by_the_api_and_by_own_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let text = "collectors: {built_in: false}\nlimits: {values_per_label: 3}\n";
    let running = start(dir.path(), configured(text)).await;
    let t = now_ms();
    for user in 0..5 {
        let labels = [("__name__", "logins"), ("user", &*format!("u{user}"))];
        let reply = running.write_series(&labels, &[(t, f64::from(user))]).await;
        assert_eq!(reply.status, 204, "{}", reply.text);
    }
    let found = running.data("/api/v1/query?query=logins").await;
    assert_eq!(found["result"].as_array().unwrap().len(), 3, "{found}");

    let report = running.get("/api/barograph/v1/cardinality?metric=logins").await.json();
    assert_eq!(report["series"]["matched"], 3, "{report}");
    assert_eq!(report["metrics"][0]["labels"][0], serde_json::json!({"label": "user", "values": 3}));
    let offender = &report["overflow"]["offenders"][0];
    assert_eq!((&offender["label"], &offender["limit"]), (&"user".into(), &"values_per_label".into()));
    assert_eq!((&offender["samples"], &offender["merged"]), (&3.into(), &2.into()), "{report}");
    assert_eq!(offender["example"], "u2");
    assert_eq!(running.get("/api/barograph/v1/cardinality?limit=x").await.status, 400);
    assert_eq!(running.get("/api/barograph/v1/cardinality?match[]=%7B").await.status, 400);

    let status = running.data("/api/v1/status/tsdb?limit=1000").await;
    let of_metric = status["seriesCountByMetricName"].as_array().unwrap();
    assert!(of_metric.contains(&serde_json::json!({"name": "logins", "value": 3})), "{status}");

    // Each time what the server tells of itself may be more.
    let mut counts = Vec::new();
    for _ in 0..100 {
        let status = running.data("/api/v1/status/tsdb?limit=1").await["headStats"]["numSeries"].clone();
        let report = running.get("/api/barograph/v1/cardinality").await.json()["series"]["active"].clone();
        counts.push((status, report));
        if counts.last().is_some_and(|(status, report)| status == report) {
            break;
        }
    }
    assert!(counts.last().is_some_and(|(status, report)| status == report), "{counts:?}");

    let metric = r#"barograph_overflow_samples_total{label="user",metric="logins"} 3"#;
    for _ in 0..600 {
        if running.get("/metrics").await.text.contains(metric) {
            running.server.stop().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{}", running.get("/metrics").await.text);
}
