//! The reader of the log may go away; the server stays, and ends as it is told to.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

#[test]
fn a_log_nobody_reads_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let words = [
        "serve",
        "--http-addr",
        "127.0.0.1:0",
        "--grpc-addr",
        "127.0.0.1:0",
        "--otlp-grpc-addr",
        "off",
        "--otlp-http-addr",
        "off",
    ];
    let mut server =
        support::command(&words).arg("--data-dir").arg(dir.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().ends_with("ready")));
    // From here on, every line finds a broken pipe; stopping writes some.
    drop(log);
    let told = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", server.id())).status().unwrap();
    assert!(told.success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
