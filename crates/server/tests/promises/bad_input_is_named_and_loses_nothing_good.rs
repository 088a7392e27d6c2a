//! What is wrong with a request is said, with the status the protocols ask for; what is good in it is kept.

use crate::support::{now_ms, request, start_quiet};
use hyper::Method;

#[tokio::test]
async fn bad_input_is_named_and_loses_nothing_good() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();

    let protobuf = ("content-type", "application/x-protobuf");
    let snappy = ("content-encoding", "snappy");
    let good = request(&[(&[("__name__", "up")], &[(t, 1.0)])]);
    let v2 = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let v3 = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request");
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Headers<'_>, &[u8], u16, &str); 7] = [
        (
            "wrong media type",
            &[("content-type", "application/json"), snappy],
            &good,
            415,
            "application/x-protobuf",
        ),
        ("other message", &[v3, snappy], &good, 415, "prometheus.WriteRequest"),
        ("one message in place of another", &[v2, snappy], &good, 400, "remote write 1.0"),
        ("wrong encoding", &[protobuf, ("content-encoding", "gzip")], &good, 415, "snappy"),
        ("no snappy", &[protobuf, snappy], b"not snappy at all", 400, "snappy"),
        ("framed snappy", &[protobuf, snappy], b"\xff\x06\x00\x00sNaPpY", 400, "framed"),
        ("declares 4 GiB", &[protobuf, snappy], b"\xff\xff\xff\xff\x0fabc", 400, "limit"),
    ];
    for (name, headers, body, status, word) in cases {
        let reply = running.call(Method::POST, "/api/v1/write", headers, body).await;
        assert_eq!(reply.status.as_u16(), status, "{name}: {}", reply.text);
        assert!(reply.text.contains(word), "{name}: {}", reply.text);
    }
    assert_eq!(running.get("/api/v1/write").await.status, 405);

    // One series without a name and one sample too old, between good ones.
    let first = running.write_series(&[("__name__", "a")], &[(t - 1000, 1.0)]).await;
    assert_eq!(first.status, 204);
    let mixed = request(&[
        (&[("__name__", "a")], &[(t - 3 * 3_600_000, 7.0), (t, 2.0)]),
        (&[("job", "nameless")], &[(t, 1.0)]),
        (&[("__name__", "b")], &[(t, 3.0)]),
    ]);
    let reply = running.write(&mixed).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text.starts_with("2 of 4 samples stored"), "{}", reply.text);
    assert!(reply.text.contains("too old"), "{}", reply.text);
    for (name, value) in [("a", "2"), ("b", "3")] {
        let data = running.data(&format!("/api/v1/query?query={name}&time={}", t / 1000)).await;
        assert_eq!(data["result"][0]["value"][1], value);
    }

    // The same request again is a harmless replay.
    assert_eq!(running.write_series(&[("__name__", "b")], &[(t, 3.0)]).await.status, 204);
    // Another value at the same time is not; the first one stays.
    let reply = running.write_series(&[("__name__", "b")], &[(t, 4.0)]).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text.contains("duplicate sample for timestamp"), "{}", reply.text);

    // Queries: status, type and position.
    let reply = running.get("/api/v1/query?query=sum(").await;
    assert_eq!(reply.status, 400);
    let document = reply.json();
    assert_eq!(document["errorType"], "bad_data");
    let text = document["error"].as_str().unwrap();
    assert!(text.starts_with("invalid parameter \"query\": 1:5: parse error: "), "{text}");
    assert_eq!(running.get("/api/v1/query_range?query=up&start=0&end=99999999&step=1").await.status, 400);
    assert_eq!(running.get("/api/v1/series").await.status, 400);
    assert_eq!(running.get("/api/v1/nothing").await.status, 404);
    running.server.stop().await;
}
