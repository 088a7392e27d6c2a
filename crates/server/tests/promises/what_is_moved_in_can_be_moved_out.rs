//! Samples that are imported come out of an export as they were, in each of its forms.

use crate::support::{now_ms, request, start_quiet};
use barograph_model::stale_marker;
use hyper::Method;

const WRITE: [(&str, &str); 2] = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
const IMPORT: &str = "/api/barograph/v1/import";

#[tokio::test]
async fn in_and_out() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let now = now_ms();
    let up: &[(&str, &str)] = &[("__name__", "up"), ("job", "a,b")];
    let odd: &[(&str, &str)] = &[("__name__", "größe.m")];
    let body = request(&[
        (up, &[(now - 2000, 1.0), (now - 1000, f64::INFINITY), (now, stale_marker())]),
        (odd, &[(now, -0.0)]),
    ]);
    for _ in 0..2 {
        let reply = running.call(Method::POST, IMPORT, &WRITE, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json(), serde_json::json!({"sent": 4, "stored": 4, "complaint": null}));
    }
    let export = "/api/barograph/v1/export?match[]=%7B__name__=~%22up|g.*%22%7D";
    let reply = running.get(export).await;
    let expected = format!(
        "{{\"name\":\"größe.m\",\"timestamp\":{now},\"value\":-0,\"labels\":{{}}}}\n\
         {{\"name\":\"up\",\"timestamp\":{},\"value\":1,\"labels\":{{\"job\":\"a,b\"}}}}\n\
         {{\"name\":\"up\",\"timestamp\":{},\"value\":\"+Inf\",\"labels\":{{\"job\":\"a,b\"}}}}\n\
         {{\"name\":\"up\",\"timestamp\":{now},\"value\":\"stale\",\"labels\":{{\"job\":\"a,b\"}}}}\n",
        now - 2000,
        now - 1000
    );
    assert_eq!(reply.text, expected);
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    let second = now / 1000;
    let reply = running.get(&format!("{export}&format=text&end={second}&start={}", second - 1)).await;
    let expected =
        format!("{{\"größe.m\"}} -0 {second}.000\nup{{job=\"a,b\"}} +Inf {}.000\n# EOF\n", second - 1);
    assert_eq!(reply.text, expected);
    let reply = running.get(&format!("{export}&format=csv")).await;
    let lines: Vec<_> = reply.text.lines().collect();
    assert_eq!(lines[..2], ["time,value,__name__,job", &format!("{second},-0,größe.m,")]);
    assert_eq!(lines[2], format!("{},1,up,\"a,b\"", second - 2));
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    for (path, said) in [
        ("?format=xml", "one of jsonl, text, csv"),
        ("?tier=2m", "unknown tier"),
        ("?tier=1h&format=text", "no place for roll-ups"),
        ("?match[]=up&match[]=down", "one match[]"),
        ("?match[]=up%7B", "match[]"),
        ("?start=2&end=1", "before the start"),
    ] {
        let reply = running.get(&format!("/api/barograph/v1/export{path}")).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.text.contains(said), "{path}: {}", reply.text);
    }
    let far = request(&[(&[("__name__", "up")], &[(now_ms() + 86_400_000, 1.0), (now_ms(), 1.0)])]);
    let reply = running.call(Method::POST, IMPORT, &WRITE, &far).await;
    let complaint = reply.json()["complaint"].as_str().unwrap().to_owned();
    assert!(complaint.contains("1 of 2") && complaint.contains("too far in the future"), "{complaint}");
    let reply = running.call(Method::POST, IMPORT, &[("content-type", "text/plain")], b"up 1").await;
    assert_eq!(reply.status, 415, "{}", reply.text);
}

#[tokio::test]
async fn a_long_stream_is_whole_and_two_run_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let now = now_ms();
    let samples: Vec<_> = (0..20_000).map(|n| (now - 20_000 + n, n as f64)).collect();
    let names: Vec<_> = (0..10).map(|n| format!("m{n}")).collect();
    for name in &names {
        let body = request(&[(&[("__name__", name.as_str())], &samples)]);
        assert_eq!(running.call(Method::POST, IMPORT, &WRITE, &body).await.status, 200);
    }
    let path = "/api/barograph/v1/export?match[]=%7B__name__=~%22m.%22%7D";
    // Two clients that take nothing hold both turns.
    let held =
        (running.send(Method::GET, path, &[], b"").await, running.send(Method::GET, path, &[], b"").await);
    let reply = running.get(path).await;
    assert_eq!(reply.status, 429, "{}", reply.text);
    drop(held);
    // They end when they notice.
    let reply = loop {
        let reply = running.get(path).await;
        if reply.status == 200 {
            break reply;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(reply.text.lines().count(), 200_000);
    assert!(reply.text.ends_with("\"labels\":{}}\n"));
}
