//! Without authentication, a foreign host name or a page of another origin gets nowhere.

use crate::support::start_quiet;
use hyper::Method;

#[tokio::test]
async fn only_this_machine_may_call() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let rebound = running.call(Method::GET, "/api/v1/labels", &[("host", "evil.example")], b"").await;
    assert_eq!(rebound.status, 403);
    let page = running.call(Method::POST, "/api/v1/write", &[("origin", "https://evil.example")], b"").await;
    assert_eq!(page.status, 403);
    let own = format!("http://{}", running.server.address().unwrap());
    let own = running.call(Method::GET, "/api/v1/labels", &[("origin", &own)], b"").await;
    assert_eq!(own.status, 200);

    let taken = crate::support::start_settings(dir.path(), "127.0.0.1:0").await.err().unwrap();
    let taken = std::error::Error::source(&taken).unwrap().to_string();
    assert!(taken.contains("in use by another server"), "{taken}");
    let other = tempfile::tempdir().unwrap();
    let open = crate::support::start_settings(other.path(), "0.0.0.0:0").await.err().unwrap().to_string();
    assert!(open.contains("loopback"), "{open}");
    running.server.stop().await;
}
