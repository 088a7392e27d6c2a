//! Deleting through the Prometheus API.

use crate::support::{now_ms, start_quiet};
use hyper::Method;

#[tokio::test]
async fn series_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    for name in ["a", "b"] {
        let samples = [(t - 60_000, 1.0), (t, 2.0)];
        assert_eq!(running.write_series(&[("__name__", name)], &samples).await.status, 204);
    }
    let delete = "/api/v1/admin/tsdb/delete_series";
    let call = |path: String| {
        let running = &running;
        async move { running.call(Method::POST, &path, &[], &[]).await }
    };
    assert_eq!(call(delete.to_owned()).await.status, 400);
    assert_eq!(call(format!("{delete}?match[]=%7B")).await.status, 400);
    let reply = call(format!("{delete}?match[]=a&end={}", (t - 30_000) / 1000)).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));
    let count =
        |name: &str| format!("/api/v1/query?query=count_over_time({name}[10m])&time={}", t / 1000 + 1);
    assert_eq!(running.data(&count("a")).await["result"][0]["value"][1], "1");
    assert_eq!(running.data(&count("b")).await["result"][0]["value"][1], "2");
    assert_eq!(call(format!("{delete}?match[]=b")).await.status, 204);
    assert_eq!(call("/api/v1/admin/tsdb/clean_tombstones".to_owned()).await.status, 204);
    assert_eq!(running.data("/api/v1/label/__name__/values?match[]=b").await, serde_json::json!([]));
    assert_eq!(running.data(&count("a")).await["result"][0]["value"][1], "1");
    running.server.stop().await;
}
