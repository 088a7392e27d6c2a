//! Jobs that end push what they measured, as to a push gateway: it stays, survives a restart, is replaced and deleted.

use hyper::Method;

use crate::support::{Running, start_quiet};

async fn push(running: &Running, method: Method, path: &str, body: &str) -> (u16, String) {
    let reply = running.call(method, path, &[], body.as_bytes()).await;
    (reply.status.as_u16(), reply.text)
}

/// The value of a series now, if it has one.
async fn value(running: &Running, selector: &str) -> Option<String> {
    let query: String = form_urlencoded::byte_serialize(selector.as_bytes()).collect();
    let data = running.data(&format!("/api/v1/query?query={query}")).await;
    let result = data["result"].as_array().unwrap();
    assert!(result.len() <= 1, "{selector}: {data}");
    Some(result.first()?["value"][1].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn groups_are_pushed_replaced_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let path = "/metrics/job/backup/path@base64/L3Zhcg==";
    let of = |name: &str| format!("{name}{{job=\"backup\",path=\"/var\"}}");

    let text = "# TYPE a counter\na_total{job=\"mine\"} 1\nb 2\n";
    assert_eq!(push(&running, Method::PUT, path, text).await, (200, String::new()));
    assert_eq!(value(&running, &of("a_total")).await.as_deref(), Some("1"));
    assert!(value(&running, &of("push_time_seconds")).await.is_some());
    assert_eq!(value(&running, &of("push_failure_time_seconds")).await.as_deref(), Some("0"));

    // POST replaces what has its names, PUT everything.
    assert_eq!(push(&running, Method::POST, path, "b 3\nc 4\n").await.0, 200);
    for (name, expected) in [("a_total", "1"), ("b", "3"), ("c", "4")] {
        assert_eq!(value(&running, &of(name)).await.as_deref(), Some(expected), "{name}");
    }
    assert_eq!(push(&running, Method::PUT, path, "c 5\n").await.0, 200);
    for (name, expected) in [("a_total", None), ("b", None), ("c", Some("5"))] {
        assert_eq!(value(&running, &of(name)).await.as_deref(), expected, "{name}");
    }

    // A group stands by itself, and survives a restart.
    assert_eq!(push(&running, Method::PUT, "/metrics/job/backup", "c 7\n").await.0, 200);
    running.server.stop().await;
    let running = start_quiet(dir.path()).await;
    assert_eq!(value(&running, &of("c")).await.as_deref(), Some("5"));
    assert_eq!(push(&running, Method::POST, path, "d 8\n").await.0, 200);
    assert_eq!(value(&running, &of("c")).await.as_deref(), Some("5"));
    assert_eq!(push(&running, Method::DELETE, path, "").await, (202, String::new()));
    for name in ["c", "d", "push_time_seconds"] {
        assert_eq!(value(&running, &of(name)).await, None, "{name}");
    }
    assert_eq!(value(&running, "c{job=\"backup\",path=\"\"}").await.as_deref(), Some("7"));
    assert_eq!(push(&running, Method::DELETE, path, "").await.0, 202);
    running.server.stop().await;
}

#[tokio::test]
async fn a_push_that_is_wrong_changes_nothing_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    assert_eq!(push(&running, Method::PUT, "/metrics/job/j", "a 1\n").await.0, 200);
    for (text, word) in
        [("a 2\nb{\n", "line 2"), ("a 2 17\n", "must not have a time"), ("a 2\na 3\n", "twice")]
    {
        let (status, why) = push(&running, Method::PUT, "/metrics/job/j", text).await;
        assert!(status == 400 && why.contains(word), "{text}: {status} {why}");
    }
    assert_eq!(value(&running, "a").await.as_deref(), Some("1"));
    for (path, word) in [
        ("/metrics/job/j/x", "a label has no value"),
        ("/metrics/job@base64/=", "the job has no name"),
        ("/metrics/job/j/x@base64/%21", "not base64"),
    ] {
        let (status, why) = push(&running, Method::POST, path, "a 2\n").await;
        assert!(status == 400 && why.contains(word), "{path}: {status} {why}");
    }
    assert_eq!(push(&running, Method::GET, "/metrics/job/j", "").await.0, 405);
    // The next push shows when the one before it was refused.
    assert_eq!(push(&running, Method::POST, "/metrics/job/j", "a 3\n").await.0, 200);
    let failed = value(&running, "push_failure_time_seconds").await.unwrap();
    assert!(failed.parse::<f64>().unwrap() > 1e9, "{failed}");
    running.server.stop().await;
}
