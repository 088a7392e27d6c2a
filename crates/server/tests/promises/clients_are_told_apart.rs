//! `/health/server` and the paths beside it tell who calls, and how the server fares.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use crate::support::start_quiet;
use hyper::Method;

#[tokio::test]
async fn clients_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let ask =
        async |path: &str, headers: &[(&str, &str)]| running.call(Method::GET, path, headers, b"").await;
    for client in ["alice", "alice", "bob"] {
        let reply = ask("/api/v1/query?query=1", &[("x-client-id", client)]).await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(ask("/api/v1/query?query=(", &[("x-client-id", "bob")]).await.status, 400);

    let server = ask("/health/server", &[]).await.json();
    let server = &server["server"];
    assert_eq!(server["raw"].as_object().unwrap().len(), 53);
    assert_eq!(server["derived"].as_object().unwrap().len(), 20);
    // The question itself is not over yet.
    assert_eq!(
        (&server["raw"]["api-calls-total"], &server["raw"]["api-calls-failure"]),
        (&4.into(), &1.into())
    );
    assert_eq!(server["raw"]["api-concurrent-calls-current"], 1);
    assert_eq!(server["clients-connected"], 3);
    assert!(
        server["derived"]["memory-usage-peak-bytes"].as_u64() > Some(0) || cfg!(not(target_os = "linux"))
    );

    let clients = ask("/health/clients?sort=calls&limit=2", &[]).await.json();
    assert_eq!((clients["clients"].as_array().unwrap().len(), &clients["total"]), (2, &3.into()));
    let alice = ask("/health/clients/alice", &[]).await.json();
    assert_eq!(alice["raw"].as_object().unwrap().len(), 43);
    assert_eq!(alice["derived"].as_object().unwrap().len(), 12);
    assert_eq!(alice["raw"]["last-api-method"], "GET /api/v1/query");
    assert_eq!((&alice["api-calls"], &alice["derived"]["api-success-rate"]), (&2.into(), &1.into()));
    assert_eq!(ask("/health/clients/nobody", &[]).await.status, 404);
    assert_eq!(ask("/health/clients?sort=fame", &[]).await.status, 400);

    let performance = ask("/health/performance", &[]).await.json();
    assert_eq!(performance["methods"]["GET /api/v1/query"]["calls"], 4);
    assert!(performance["api"]["p95-ms"].as_f64() > Some(0.0), "{performance}");
    let errors = ask("/health/errors?group-by=category,method", &[]).await.json();
    assert_eq!(errors["groups"][0]["method"], "GET /api/v1/query");
    assert_eq!(errors["recent"].as_array().unwrap().last().unwrap()["client-id"], "bob");
    assert!(ask("/health/resources", &[]).await.json()["queues"].is_object());

    let text = ask("/health/server", &[("accept", "text/plain;version=0.0.4")]).await;
    assert!(text.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert!(text.text.contains("\nserver_api_calls_total "), "{}", text.text);
    let text = ask("/health/clients/bob?format=prometheus", &[]).await.text;
    assert!(text.contains("client_api_calls_failure_total{client_id=\"bob\"} 1\n"), "{text}");
    running.server.stop().await;
    let again = start_quiet(dir.path()).await;
    let server = again.call(Method::GET, "/health/server", &[], b"").await.json();
    assert_eq!(server["server"]["raw"]["server-restart-count"], 1);
    assert_eq!(server["server"]["raw"]["api-calls-total"], 0);
    again.server.stop().await;
}
