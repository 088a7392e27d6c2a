//! The reader of the log may go away; the server stays, and ends as it is told to.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::Command,
};

#[test]
fn a_log_nobody_reads_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = support::serve(dir.path(), &[]).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().ends_with("ready")));
    // From here on, every line finds a broken pipe; stopping writes some.
    drop(log);
    let told = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", server.id())).status().unwrap();
    assert!(told.success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
