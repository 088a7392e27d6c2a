//! What sampling a stored metric would cost and bring.

use crate::support::{Running, now_ms, start_quiet};
use serde_json::Value;

/// Values from 1 to 2,000 of a metric in the last half hour.
async fn filled(running: &Running) {
    let start = now_ms() - 1_900_000;
    let samples: Vec<(i64, f64)> =
        (0..1_800).map(|i| (start + i * 1_000, 1.0 + (i * 7 % 1_800) as f64)).collect();
    let labels = [("__name__", "queue_wait_seconds"), ("job", "worker")];
    assert!(running.write_series(&labels, &samples).await.status.is_success());
}

async fn asked(running: &Running, path: &str) -> (u16, Value) {
    let reply = running.get(&format!("/api/barograph/v1/sampling/{path}")).await;
    (reply.status.as_u16(), reply.json())
}

#[tokio::test]
async fn an_estimate_stands_beside_the_truth() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    filled(&running).await;
    let (status, impact) = asked(&running, "impact?metric=queue.wait&rate=0.2&seed=7").await;
    assert_eq!(status, 200, "{impact}");
    assert_eq!(impact["population"], 1_800);
    let kept = impact["n"].as_f64().unwrap();
    assert!((250.0..470.0).contains(&kept), "{kept}");
    let figures = impact["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 7);
    let of = |name: &str| figures.iter().find(|figure| figure["figure"] == name).unwrap();
    assert_eq!((of("count")["exact"].as_f64(), of("avg")["exact"].as_f64()), (Some(1_800.0), Some(900.5)));
    assert!(figures.iter().all(|figure| figure["relativeError"].as_f64().unwrap().abs() < 0.2), "{impact}");
    assert!((impact["missed"][1]["probability"].as_f64().unwrap() - 0.8_f64.powi(10)).abs() < 1e-12);
    let (_, again) = asked(&running, "impact?metric=queue_wait_seconds&rate=0.2&seed=7").await;
    assert_eq!(again["figures"], impact["figures"]);
    let (_, all) = asked(&running, "impact?metric=queue.wait&rate=1").await;
    assert!(all["figures"].as_array().unwrap().iter().all(|figure| figure["relativeError"] == 0.0), "{all}");
}

#[tokio::test]
async fn the_ideal_rate_is_that_of_the_closed_formula() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    filled(&running).await;
    let (status, optimal) = asked(&running, "optimal?metric=queue.wait&error=0.05").await;
    assert_eq!(status, 200, "{optimal}");
    // The values are 1 to 1,800, each once.
    let variation = ((1_800.0_f64.powi(2) - 1.0) / 12.0).sqrt() / 900.5;
    let endless = (1.959_963_984_540_054 * variation / 0.05).powi(2).ceil();
    let size = (endless / (1.0 + (endless - 1.0) / 1_800.0)).ceil();
    assert!((optimal["variation"].as_f64().unwrap() - variation).abs() < 1e-3, "{optimal}");
    assert!((optimal["size"].as_f64().unwrap() - size).abs() <= 1.0, "{optimal} {size}");

    let (status, table) = asked(&running, "cost-benefit?metric=queue.wait").await;
    assert_eq!(status, 200, "{table}");
    let rates = table["rates"].as_array().unwrap();
    assert_eq!(
        (rates.len(), rates[12]["rate"].as_f64(), rates[12]["error"].as_f64()),
        (13, Some(1.0), Some(0.0))
    );
    let best = table["recommended"]["price"].as_f64().unwrap();
    assert!(rates.iter().all(|row| row["price"].as_f64().unwrap() >= best - 1e-9), "{table}");
}

#[tokio::test]
async fn what_cannot_be_weighed_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    filled(&running).await;
    for (path, status, said) in [
        ("impact", 400, "give the parameter metric"),
        ("impact?metric=queue.wait&rate=0", 400, "rate is above 0 and at most 1"),
        ("optimal?metric=queue.wait&error=2", 400, "error is above 0"),
        ("optimal?metric=nowhere", 404, "nowhere"),
        ("impact?metric=queue_wait_seconds&start=1000&end=2000", 422, "insufficient data"),
        ("cost-benefit?metric=queue.wait&cpu=-1", 400, "zero or more"),
    ] {
        let (found, problem) = asked(&running, path).await;
        assert_eq!(found, status, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{path}: {problem}");
    }
}
