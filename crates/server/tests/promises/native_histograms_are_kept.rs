//! A native histogram that was written is read as it was, and can be computed with; one that breaks a rule is named, and
//! the rest is stored.

use crate::support::{now_ms, start_quiet};
use barograph_model::{Histogram, HistogramParts, Labels, Timestamp};
use barograph_wire::remote_write::Writer;

#[tokio::test]
async fn native_histograms_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    let of = |count: f64| {
        let positive = vec![(-1, count), (3, 1.0)];
        let parts =
            HistogramParts { schema: 2, count: count + 1.0, sum: 7.5, positive, ..Default::default() };
        Histogram::new(parts).unwrap()
    };
    let labels = Labels::from_pairs([("__name__", "latency_seconds"), ("job", "api")]).unwrap();
    let write = async |samples: &[(i64, f64)]| {
        let mut writer = Writer::new();
        let histograms: Vec<_> = samples.iter().map(|&(at, count)| (Timestamp(at), of(count))).collect();
        writer.histograms(labels.as_bytes(), &histograms);
        running.write(&writer.compressed().unwrap()).await
    };
    assert_eq!(write(&[(t - 2000, 1.0), (t - 1000, 2.0)]).await.status, 204);
    let reply = write(&[(t - 1000, 2.0), (t - 1000, 9.0), (t - 7_200_000, 1.0), (t, 3.0)]).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text.starts_with("2 of 4 samples stored"), "{}", reply.text);
    assert!(reply.text.contains("native histogram: duplicate sample"), "{}", reply.text);
    assert!(reply.text.contains("native histogram: too old"), "{}", reply.text);
    assert_eq!(write(&[(t - 5000, 1.0)]).await.status, 204, "it is late, but not too late");

    let answer = running.get("/api/barograph/v1/histograms?match[]=latency_seconds").await.json();
    let series = &answer["results"][0];
    assert_eq!(series["metric"]["job"], "api");
    let found = series["histograms"].as_array().unwrap();
    let times: Vec<_> = found.iter().map(|entry| entry["timestamp"].as_i64().unwrap() - t).collect();
    assert_eq!(times, [-5000, -2000, -1000, 0]);
    assert_eq!(found[3]["histogram"]["positive"], serde_json::json!([[-1, 3.0], [3, 1.0]]));
    assert_eq!(found[3]["histogram"]["count"], 4.0);
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("barograph_ingest_late_samples_total 1\n"), "{metrics}");

    let now = format!("time={}", t as f64 / 1e3);
    let ask = async |query: &str| running.data(&format!("/api/v1/query?{now}&query={query}")).await;
    let vector = ask("latency_seconds").await;
    let found = &vector["result"][0]["histogram"][1];
    assert_eq!((&found["count"], &found["sum"]), (&serde_json::json!("4"), &serde_json::json!("7.5")));
    let buckets = found["buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 2);
    assert_eq!((&buckets[0][0], &buckets[0][3]), (&serde_json::json!(0), &serde_json::json!("3")));
    let median = ask("histogram_quantile(0.5,latency_seconds)").await;
    let median: f64 = median["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!((median - 2f64.powf(-1.0 / 3.0)).abs() < 1e-9, "{median}");
    let increase = ask("histogram_count(increase(latency_seconds[4s]))").await;
    assert!(increase["result"][0]["value"][1].as_str().unwrap().parse::<f64>().unwrap() >= 2.0);
    let range = format!("/api/v1/query_range?query=latency_seconds&start={0}&end={0}&step=1", t as f64 / 1e3);
    let matrix = running.data(&range).await;
    assert_eq!(matrix["result"][0]["histograms"][0][1]["count"], "4");
    assert_eq!(matrix["result"][0].get("values"), None);

    let names = running.data("/api/v1/label/__name__/values?match[]=latency_seconds").await;
    assert_eq!(names, serde_json::json!(["latency_seconds"]));
    assert_eq!(running.get("/api/barograph/v1/histograms?match[]={").await.status, 400);
    assert_eq!(running.get("/api/barograph/v1/histograms").await.status, 400);
    let lines = running.get("/api/barograph/v1/export?match[]=latency_seconds").await.text;
    let expected = format!(
        "{{\"name\":\"latency_seconds\",\"timestamp\":{t},\"histogram\":{{\"schema\":2,\"count\":4,\"sum\":7.5,\
         \"zeroThreshold\":0,\"zeroCount\":0,\"positive\":[[-1,3],[3,1]],\"negative\":[],\"reset\":\"unknown\"}},\
         \"labels\":{{\"job\":\"api\"}}}}"
    );
    assert_eq!((lines.lines().count(), lines.lines().last()), (4, Some(expected.as_str())));
    running.server.stop().await;
}
