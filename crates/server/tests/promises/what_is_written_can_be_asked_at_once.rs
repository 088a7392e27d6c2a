//! A sample that was acknowledged is in the next answer, and in the answers after a restart.

use crate::support::{now_ms, request, start_quiet};
use serde_json::json;

#[tokio::test]
async fn what_is_written_can_be_asked_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    let a = [("__name__", "jobs_total"), ("job", "a"), ("instance", "one")];
    let b = [("__name__", "jobs_total"), ("job", "b"), ("instance", "one")];
    let samples: Vec<(i64, f64)> = (0..60).map(|i| (t - (59 - i) * 1000, i as f64)).collect();
    let reply = running.write(&request(&[(&a, &samples), (&b, &samples[..30])])).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));

    let seconds = t / 1000;
    let instant =
        running.data(&format!("/api/v1/query?query=jobs_total%7Bjob%3D%22a%22%7D&time={seconds}")).await;
    assert_eq!(
        instant,
        json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "jobs_total", "instance": "one", "job": "a"}, "value": [seconds, "59"]}
        ]})
    );
    let range = format!(
        "/api/v1/query_range?query=max(count_over_time(jobs_total[30s]))&start={}&end={seconds}&step=1",
        seconds - 1
    );
    assert_eq!(running.data(&range).await["result"][0]["values"][1], json!([seconds, "30"]));
    assert_eq!(
        running.data("/api/v1/labels?match[]=jobs_total").await,
        json!(["__name__", "instance", "job"])
    );
    assert_eq!(running.data("/api/v1/label/job/values?match[]=jobs_total").await, json!(["a", "b"]));
    assert_eq!(running.data("/api/v1/series?match[]=jobs_total").await.as_array().unwrap().len(), 2);

    running.server.stop().await;
    let running = start_quiet(dir.path()).await;
    let again =
        running.data(&format!("/api/v1/query?query=jobs_total%7Bjob%3D%22a%22%7D&time={seconds}")).await;
    assert_eq!(again, instant);
    running.server.stop().await;
}
