//! A hangup has the server read its configuration again, and the service manager is told; `config` shows what would hold.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

mod support;

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixDatagram,
    process::{Child, Command},
    time::Duration,
};

use support::{barograph, barograph_with, serve};

#[test]
fn at_a_hangup() {
    let dir = tempfile::tempdir().unwrap();
    let (file, socket) = (dir.path().join("b.yml"), dir.path().join("notify"));
    std::fs::write(&file, "collectors: {built_in: false}\n").unwrap();
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let told = || {
        let mut bytes = [0; 4096];
        loop {
            let length = manager.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if !text.contains("WATCHDOG=1") {
                return text;
            }
        }
    };
    let data = dir.path().join("data");
    let mut server = serve(&data, &["--config"]).arg(&file).env("NOTIFY_SOCKET", &socket).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    assert!(told().starts_with("READY=1"));
    std::fs::write(&file, "collectors: {built_in: false}\nquery: {cache: 1MiB, slow: 3s}\n").unwrap();
    signal(&server, "-HUP");
    let reloading = told();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert!(told().starts_with("READY=1\nSTATUS=serving on"));
    let line = log.by_ref().find(|line| line.contains("was read again")).unwrap();
    assert!(line.contains("query.cache") && !line.contains("query.slow"), "{line}");
    std::fs::write(&file, "qurey: {}\n").unwrap();
    signal(&server, "-HUP");
    assert!(told().starts_with("RELOADING=1"));
    assert!(told().contains("the one before runs on"));
    assert!(log.any(|line| line.contains("did you mean `query`?")));
    signal(&server, "-TERM");
    assert!(told().starts_with("STOPPING=1"));
    assert!(server.wait().unwrap().success());
}

fn signal(server: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &server.id().to_string()]).status().unwrap().success());
}

#[test]
fn what_would_hold_is_shown_with_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b.yml");
    std::fs::write(
        &file,
        "query: {slow: 3s}\nscrape_configs: [{job_name: a, authorization: {credentials: hunter2}}]\n",
    )
    .unwrap();
    let shown =
        barograph_with(&["config", "show", file.to_str().unwrap()], &[("BAROGRAPH_QUERY__TIMEOUT", "9s")]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    let line = |path: &str| {
        let line = shown.out.lines().find(|line| line.split_whitespace().next() == Some(path)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("query.slow"), "file 3s");
    assert_eq!(line("query.timeout"), "environment 9s");
    assert_eq!(line("query.lookback"), "default 5m");
    assert!(line("scrape_configs").contains("credentials: <secret>"));
    assert!(!shown.out.contains("hunter2"));
    let given = barograph(&["config", "show", "--given", file.to_str().unwrap()]);
    assert_eq!(given.out.lines().count(), 2, "{}", given.out);
    let schema = barograph(&["config", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
    assert_eq!(schema["properties"]["query"]["properties"]["slow"]["default"], "1s");
}
