//! A service manager that listens is told when the server is ready, that it is alive, and when it stops, as
//! `sd_notify(3)` has it; and a server that drains says so to probes before it stops.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process::{Child, Command, ExitStatus},
    time::Duration,
};

/// Longest wait for one datagram.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn by_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    follow(&manager, path.to_str().unwrap());
}

#[test]
fn by_an_abstract_name() {
    let name = format!("barograph-test-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    follow(&manager, &format!("@{name}"));
}

#[test]
fn a_server_that_drains_says_so_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut server, mut log) = start(dir.path(), &["--drain", "1h"], None);
    let listening = log.by_ref().find(|line| line.contains("listening")).unwrap();
    let address = listening.split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(log.any(|line| line.ends_with("ready")));
    let probe = |path: &str| ask(&address, path);
    assert_eq!((probe("/readyz"), probe("/livez")), (200, 200));
    terminate(&server);
    assert!(log.any(|line| line.contains("draining")));
    // It goes on to serve, and says that nobody should come any more.
    assert_eq!((probe("/readyz"), probe("/-/ready"), probe("/livez")), (503, 503, 200));
    assert_eq!(probe("/api/v1/query?query=1"), 200);
    // Who does not want to wait says it again.
    terminate(&server);
    assert!(server.end().success());
}

fn follow(manager: &UnixDatagram, name: &str) {
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut server, log) = start(dir.path(), &[], Some(name));
    let told = next(manager);
    assert!(told.starts_with("READY=1\nSTATUS=serving on http://127.0.0.1:"), "{told}");
    assert_eq!((next(manager).as_str(), next(manager).as_str()), ("WATCHDOG=1", "WATCHDOG=1"));
    terminate(&server);
    let told = std::iter::repeat_with(|| next(manager)).find(|told| told != "WATCHDOG=1").unwrap();
    assert!(told.starts_with("STOPPING=1\nSTATUS="), "{told}");
    assert_eq!(server.end().code(), Some(0));
    drop(log);
}

/// A server, which does not outlive a test that fails.
struct Started(Child);

impl Started {
    fn end(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(
    dir: &std::path::Path,
    flags: &[&str],
    notify: Option<&str>,
) -> (Started, impl Iterator<Item = String>) {
    let mut command = support::serve(dir, flags);
    if let Some(name) = notify {
        command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "20000");
    }
    let mut server = command.spawn().unwrap();
    let log = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    (Started(server), log)
}

fn terminate(server: &Started) {
    let told = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", server.0.id())).status().unwrap();
    assert!(told.success());
}

fn next(manager: &UnixDatagram) -> String {
    let mut room = [0; 512];
    let bytes = manager.recv(&mut room).unwrap();
    String::from_utf8(room[..bytes].to_vec()).unwrap()
}

/// The status of the answer.
fn ask(address: &str, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
