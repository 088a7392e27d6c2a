//! What a request or a query may take is taken from nobody else.

use crate::support::{configured, now_ms, start};
use http_body_util::BodyExt;
use hyper::Method;

#[tokio::test]
async fn a_request_brings_no_more_samples_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("limits:\n  samples_per_request: 2\n")).await;
    let import = async |text: &[u8]| running.call(Method::POST, "/api/v1/import/prometheus", &[], text).await;
    assert_eq!(import(b"a 1\nb 2\n").await.status, 204);
    let reply = import(b"a 1\nb 2\nc 3\n").await;
    assert_eq!(reply.status, 400);
    assert!(reply.text.contains("more than 2 samples in one request"), "{}", reply.text);

    // Three samples of one series, whose encoder puts them between its labels.
    let name = [&b"\x0a\x0d\x0a\x08__name__"[..], b"\x12\x01a"].concat();
    let samples = b"\x12\x02\x10\x01\x12\x02\x10\x02\x12\x02\x10\x03";
    let series = [&name[..], samples, b"\x0a\x06\x0a\x01j\x12\x01x"].concat();
    let request = [&[0x0a, u8::try_from(series.len()).unwrap()][..], &series].concat();
    let length = u8::try_from(request.len()).unwrap();
    let reply = running.write(&[&[length, (length - 1) << 2][..], &request].concat()).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text.contains("more than 2 samples in one request"), "{}", reply.text);
    running.server.stop().await;
}

#[tokio::test]
async fn a_heavy_query_of_a_stream_spoils_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("query:\n  max_samples: 100\n")).await;
    let t = now_ms();
    let samples: Vec<_> = (0..200).map(|i| (t - i64::from(199 - i) * 100, 1.0)).collect();
    assert_eq!(running.write_series(&[("__name__", "many")], &samples).await.status, 204);
    let path = "/api/barograph/v1/live?query=count_over_time(many%5B1h%5D)&query=vector(1)";
    let mut stream = running.send(Method::GET, path, &[], b"").await.into_body();
    let mut text = String::new();
    while !text.contains("event: points") {
        let frame = stream.frame().await.unwrap().unwrap();
        text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
    }
    drop(stream);
    let event = text.rsplit("data: ").next().unwrap();
    let event: serde_json::Value = serde_json::from_str(event.trim()).unwrap();
    assert!(event["results"][0]["error"].as_str().unwrap().contains("too many samples"), "{event}");
    assert_eq!(event["results"][1][0]["value"], "1", "{event}");
    running.server.stop().await;
}
