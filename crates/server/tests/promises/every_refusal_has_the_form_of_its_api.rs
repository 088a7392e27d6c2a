//! A status above 399 comes in the form the client of that path can read, whoever refuses.

use crate::support::{configured, start};
use hyper::Method;

#[tokio::test]
async fn every_refusal_has_the_form_of_its_api() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("limits:\n  body: 1KiB\n")).await;
    let large = vec![b'a'; 2048];

    let envelope = "application/json";
    let problem = "application/problem+json";
    let text = "text/plain; charset=utf-8";
    type Case<'a> = (Method, &'a str, &'a [u8], u16, &'a str, &'a str);
    let cases: [Case<'_>; 11] = [
        (Method::PUT, "/api/v1/query", b"", 405, envelope, "does not take PUT"),
        (Method::GET, "/api/v1/write", b"", 405, envelope, "does not take GET"),
        (Method::DELETE, "/api/v1/nothing", b"", 404, envelope, "no such path"),
        (Method::POST, "/api/v1/query", &large, 413, envelope, "larger than 1024 bytes"),
        (Method::GET, "/api/v1/label/%ff/values", b"", 400, envelope, "not UTF-8"),
        (Method::GET, "/api/v1/query?query=1&time=soon", b"", 400, envelope, "soon"),
        (Method::GET, "/api/barograph/v1/admin/flush", b"", 405, problem, "does not take GET"),
        (Method::GET, "/api/barograph/v1/nothing", b"", 404, problem, "nothing at"),
        (Method::POST, "/-/healthy", b"", 405, problem, "does not take POST"),
        (Method::POST, "/api/v1/write", &large, 413, text, "larger than 1024 bytes"),
        (Method::POST, "/api/v1/import/prometheus", &large, 413, text, "larger than 1024 bytes"),
    ];
    for (method, path, body, status, form, words) in cases {
        let name = format!("{method} {path}");
        let reply = running.call(method, path, &[], body).await;
        assert_eq!(reply.status.as_u16(), status, "{name}");
        assert_eq!(reply.headers["content-type"], form, "{name}");
        assert!(reply.text.contains(words), "{name}: {}", reply.text);
        assert_eq!(reply.headers.contains_key("allow"), status == 405, "{name}");
        if form == envelope {
            assert!(reply.text.starts_with(r#"{"status":"error","errorType":""#), "{name}: {}", reply.text);
        }
    }
    running.server.stop().await;
}
