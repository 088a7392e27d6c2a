//! Without authentication, a foreign host name or a page of another origin gets nowhere.

use std::{io, net::SocketAddr};

use hyper::Method;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::support::start_quiet;

#[tokio::test]
async fn only_this_machine_may_call() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let rebound = running.call(Method::GET, "/api/v1/labels", &[("host", "evil.example")], b"").await;
    assert_eq!(rebound.status, 403);
    let page = running.call(Method::POST, "/api/v1/write", &[("origin", "https://evil.example")], b"").await;
    assert_eq!(page.status, 403);
    // A sender of remote write 2.0 takes whoever says nothing of what was stored for one of 1.0.
    let v2 = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let page = [v2, ("origin", "https://evil.example")];
    let page = running.call(Method::POST, "/api/v1/write", &page, b"").await;
    let written = |kind: &str| page.headers[&*format!("x-prometheus-remote-write-{kind}-written")].clone();
    assert_eq!(
        (page.status.as_u16(), written("samples"), written("exemplars")),
        (403, "0".parse().unwrap(), "0".parse().unwrap())
    );
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

/// The next answer on a connection: its status, and whether it says that it is the last.
async fn answer(stream: &mut BufReader<TcpStream>) -> io::Result<(u16, bool)> {
    let (mut status, mut closes, mut length) = (0, false, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if status == 0 {
            status = line.split(' ').nth(1).unwrap().parse().unwrap();
        } else if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().unwrap();
        } else if line.is_empty() {
            break;
        }
        closes |= line == "connection: close";
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok((status, closes))
}

/// Asks for what is refused before it is read, one after the other on a connection; whether it lasts to the end.
async fn is_refused_and_goes_on(address: SocketAddr) -> io::Result<bool> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let body = vec![b'x'; 300_000];
    for (target, more, expected) in [
        ("POST /api/v1/write", "host: evil.example\r\n", 403),
        ("POST /api/v1/write", "origin: https://evil.example\r\n", 403),
        ("POST /v1/metrics", "content-type: text/plain\r\n", 415),
        ("POST /v1/traces", "content-type: application/json\r\ncontent-encoding: br\r\n", 415),
        ("POST /v1/logs", "content-type: application/json\r\n", 501),
        ("POST /nowhere", "", 404),
        ("PUT /api/v1/write", "", 405),
    ] {
        let host = if more.starts_with("host") { String::new() } else { format!("host: {address}\r\n") };
        let length = body.len();
        let head = format!("{target} HTTP/1.1\r\n{host}{more}content-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        let (status, closes) = answer(&mut stream).await?;
        assert_eq!(status, expected, "{target} {more}");
        if closes {
            return Ok(false);
        }
    }
    let head = format!("GET /-/healthy HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(answer(&mut stream).await? == (200, false))
}

/// Whatever refuses a request without having read it, the client reads the answer and goes on.
#[tokio::test]
async fn what_was_refused_unread_breaks_no_connection() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let address = running.server.address().unwrap();
    // A body that comes slowly is not waited for, and a machine may be slow.
    let mut goes_on = false;
    for _ in 0..50 {
        goes_on = goes_on || is_refused_and_goes_on(address).await.unwrap_or(false);
    }
    assert!(goes_on);

    // Who asks first is not told to send what nobody wants.
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    let head = "POST /api/v1/write HTTP/1.1\r\nhost: evil.example\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.unwrap(), (403, true));
    running.server.stop().await;
}
