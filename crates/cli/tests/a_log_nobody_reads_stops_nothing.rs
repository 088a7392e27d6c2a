//! The reader of the log may go away; the server stays.

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
    thread::sleep,
    time::Duration,
};

#[test]
fn a_log_nobody_reads_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--log-format", "json"];
    let mut server =
        support::command(&words).arg("--data-dir").arg(dir.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    // Dropped with its one line read: every later line finds a broken pipe.
    BufReader::with_capacity(1, server.stderr.take().unwrap()).read_line(&mut first).unwrap();
    let line: serde_json::Value = serde_json::from_str(&first).unwrap();
    let address = line["http"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();

    let is_ready = || {
        let mut stream = TcpStream::connect(&address).ok()?;
        stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.0 200").then_some(())
    };
    // "ready" itself is logged, so a server that is still there after it has outlived the reader.
    let tries = (0..100).map(|_| sleep(Duration::from_millis(100)));
    let became_ready = tries.filter_map(|()| is_ready()).next().is_some();
    sleep(Duration::from_millis(200));
    let ended = server.try_wait().unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(became_ready && ended.is_none(), "{ended:?}");
}
