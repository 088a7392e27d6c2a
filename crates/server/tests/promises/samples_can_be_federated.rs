//! Another server scrapes the newest samples of what it selects, in the form that it asks for.

use barograph_model::{Histogram, HistogramParts, Labels, Timestamp, stale_marker};
use barograph_wire::remote_write::Writer;
use hyper::Method;

use crate::support::{configured, now_ms, start};

#[tokio::test]
async fn samples_can_be_federated() {
    let dir = tempfile::tempdir().unwrap();
    let config = configured("collectors: {built_in: false}\nglobal: {external_labels: {region: north}}\n");
    let running = start(dir.path(), config).await;
    let t = now_ms() - 10_000;
    let write = async |labels: &[(&str, &str)], samples: &[(i64, f64)]| {
        assert_eq!(running.write_series(labels, samples).await.status, 204);
    };
    write(&[("__name__", "up"), ("instance", "x"), ("job", "a")], &[(t - 5000, 0.0), (t, 1.0)]).await;
    write(&[("__name__", "up"), ("job", "b")], &[(t - 1000, 1.0)]).await;
    write(&[("__name__", "up"), ("job", "gone")], &[(t - 5000, 1.0), (t, stale_marker())]).await;
    write(&[("__name__", "up"), ("job", "old")], &[(t - 600_000, 1.0)]).await;
    write(&[("__name__", "other"), ("region", "own")], &[(t, 2.5)]).await;
    let parts = HistogramParts { positive: vec![(1, 2.0)], count: 2.0, sum: 3.0, ..Default::default() };
    let labels = Labels::from_pairs([("__name__", "native")]).unwrap();
    let mut writer = Writer::new();
    writer.histograms(labels.as_bytes(), &[(Timestamp(t), Histogram::new(parts).unwrap())]);
    assert_eq!(running.write(&writer.compressed().unwrap()).await.status, 204);

    let reply = running.get("/federate?match[]=up&match[]=up&match[]=other&match[]=native").await;
    assert_eq!(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let earlier = t - 1000;
    let expected = format!(
        "# TYPE other untyped\nother{{region=\"own\",instance=\"\"}} 2.5 {t}\n# TYPE up untyped\n\
         up{{instance=\"x\",job=\"a\",region=\"north\"}} 1 {t}\n\
         up{{job=\"b\",region=\"north\",instance=\"\"}} 1 {earlier}\n"
    );
    assert_eq!(reply.text, expected);

    let openmetrics = [("accept", "application/openmetrics-text;version=1.0.0")];
    let reply = running.call(Method::GET, "/federate?match[]=other", &openmetrics, b"").await;
    let expected =
        format!("# TYPE other unknown\nother{{region=\"own\",instance=\"\"}} 2.5 {}\n# EOF\n", Timestamp(t));
    assert_eq!(reply.text, expected);

    let protobuf =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let reply = running.call(Method::GET, "/federate?match[]=native", &[("accept", protobuf)], b"").await;
    assert!(reply.headers["content-type"].to_str().unwrap().starts_with("application/vnd.google.protobuf"));
    assert!(reply.text.contains("native") && reply.text.contains("region"), "{:?}", reply.text);

    assert_eq!(running.get("/federate").await.text, "");
    assert_eq!(running.get("/federate?match[]=%7B").await.status, 400);
    running.server.stop().await;
}
