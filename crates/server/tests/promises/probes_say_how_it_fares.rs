//! Orchestrators, monitoring systems and people ask whether the server is well, each in their own way.

use crate::support::start_in_memory;
use hyper::Method;

#[tokio::test]
async fn probes_say_how_it_fares() {
    let running = start_in_memory().await;
    for path in ["/-/healthy", "/healthz", "/livez", "/-/ready", "/readyz"] {
        for (method, path) in [(Method::GET, path.to_owned()), (Method::HEAD, path.to_owned())] {
            let reply = running.call(method.clone(), &path, &[], b"").await;
            assert_eq!(reply.status, 200, "{method} {path}");
            assert_eq!(reply.text.is_empty(), method == Method::HEAD, "{method} {path}");
        }
    }
    assert_eq!(running.get("/readyz").await.text, "ok");
    let lines =
        "[+]serving ok\n[+]store ok\n[+]persistence_check ok\n[+]tasks ok\n[+]wal ok\nreadyz check passed\n";
    assert_eq!(running.get("/readyz?verbose").await.text, lines);
    assert_eq!(running.get("/livez?verbose=1").await.text, "[+]process ok\nlivez check passed\n");
    let excluded = running.get("/readyz?verbose&exclude=wal&exclude=nothing").await;
    assert_eq!(excluded.status, 200);
    assert!(excluded.text.contains("[+]wal excluded: ok\n"), "{}", excluded.text);
    assert!(excluded.text.contains("no matches for \"nothing\""), "{}", excluded.text);
    assert_eq!(running.get("/readyz/wal").await.text, "ok");
    assert_eq!(running.get("/readyz/none").await.status, 404);

    assert_eq!(running.get("/health").await.json()["status"], "healthy");
    let accept = [("accept", "text/html, application/health+json;q=0.9")];
    let reply = running.call(Method::GET, "/health", &accept, b"").await;
    assert_eq!(reply.headers["content-type"], "application/health+json");
    assert_eq!(reply.json()["status"], "pass");
    running.server.stop().await;
}
