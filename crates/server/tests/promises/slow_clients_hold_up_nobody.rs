//! Clients that send their requests drop by drop, or read nothing of what they asked for, take no place from others.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Running, from_client, now_ms, start_with_grpc_configured};
use barograph_proto::v1::{InstantRequest, query_client::QueryClient};

/// Connections of each kind.
const SLOW: usize = 40;

/// Asks and writes as anybody does, over HTTP and gRPC.
async fn others_are_served(running: &Running, channel: tonic::transport::Channel) {
    for i in 0..20 {
        assert_eq!(running.get("/health").await.status, 200);
        assert_eq!(running.get("/api/v1/query?query=1").await.status, 200);
        let written = running.write_series(&[("__name__", "a")], &[(now_ms() - 60_000 + i, 1.0)]).await;
        assert_eq!(written.status, 204, "{}", written.text);
    }
    let question = InstantRequest { query: "1".to_owned(), ..InstantRequest::default() };
    QueryClient::new(channel).instant(from_client("other", question)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_beside_slow_ones() {
    let dir = tempfile::tempdir().unwrap();
    // As few places as can be: who held one for nothing would be noticed.
    let places = "collectors: {built_in: false}\nadmission:\n  query: {min: 1, max: 1, queue: 0}\n  ingest: {min: 1, max: 1, queue: 0}\n";
    let (running, channel) = start_with_grpc_configured(dir.path(), places).await;
    let address = running.server.address().unwrap();
    let grpc = running.server.grpc_address().unwrap();
    let mut slow = Vec::new();
    for i in 0..SLOW {
        // Heads that do not end, bodies that do not, of samples and of questions, and nothing at all.
        let bytes: &[u8] = match i % 4 {
            0 => b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
            1 => b"POST /api/v1/write HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nfew",
            2 => b"POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                   content-length: 1000\r\n\r\nquery=",
            _ => b"",
        };
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        slow.push(stream);
        // A greeting of HTTP/2 that does not end.
        let mut stream = TcpStream::connect(grpc).await.unwrap();
        stream.write_all(b"PRI * HTTP").await.unwrap();
        slow.push(stream);
    }
    others_are_served(&running, channel).await;
    drop(slow);
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (running, _) = start_with_grpc_configured(dir.path(), "collectors: {built_in: false}\n").await;
    let mut slow = TcpStream::connect(running.server.address().unwrap()).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(60), slow.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the connection is still open");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_nothing_takes_no_place() {
    let dir = tempfile::tempdir().unwrap();
    let places = "collectors: {built_in: false}\nadmission: {query: {min: 1, max: 1, queue: 0}}\n";
    let (running, _) = start_with_grpc_configured(dir.path(), places).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        // A large answer, of which nothing is read.
        let path = "/api/v1/query_range?query=vector(1)&start=0&end=10000&step=1";
        idle.push(running.send(Method::GET, path, &[("accept-encoding", "identity")], b"").await);
    }
    assert_eq!(running.get("/api/v1/query?query=1").await.status, 200);
    for answer in idle {
        assert_eq!(answer.status(), 200);
        assert!(answer.into_body().collect().await.unwrap().to_bytes().len() > 100_000);
    }
    running.server.stop().await;
}

/// Readers of answers that are larger than what the system holds of them.
const READERS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_beside_slow_readers_who_get_all() {
    let dir = tempfile::tempdir().unwrap();
    let places = "collectors: {built_in: false}\nadmission:\n  query: {min: 1, max: 1, queue: 0}\n  ingest: {min: 1, max: 1, queue: 0}\n";
    let (running, channel) = start_with_grpc_configured(dir.path(), places).await;
    let address = running.server.address().unwrap();
    let series: Vec<_> =
        (0..30).map(|i| format!("label_replace(vector(1),%22i%22,%22{i}%22,%22%22,%22%22)")).collect();
    let query = series.join("%20or%20");
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let question = format!(
            "GET /api/v1/query_range?query={query}&start=0&end=10000&step=1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(question.as_bytes()).await.unwrap();
        // The answer has begun, so there is a place again.
        let mut first = [0; 64];
        stream.read_exact(&mut first).await.unwrap();
        assert!(first.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&first));
        readers.push(stream);
    }
    others_are_served(&running, channel).await;
    for mut reader in readers {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert!(rest.len() > 2_000_000, "{} bytes", rest.len());
        let end = String::from_utf8_lossy(&rest[rest.len() - 32..]).into_owned();
        assert!(end.trim_end().trim_end_matches("\r\n0").contains('}'), "the answer is whole: {end:?}");
    }
    running.server.stop().await;
}
