//! Log lines in JSON have the fields of a request and its trace; in text they have colours where that is asked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStderr},
};

use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A server that is killed when the test is over, whatever came of it.
struct Server(Child, BufReader<ChildStderr>);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(dir: &std::path::Path, words: &[&str]) -> Self {
        let mut child = support::serve(dir, words).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self(child, log)
    }

    /// The next line that is as it should be.
    fn line(&mut self, fits: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.1.read_line(&mut line).unwrap() > 0, "the log ended: {seen:#?}");
            if fits(&line) {
                return line;
            }
            seen.push(line);
        }
    }
}

fn get(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ntraceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn a_line_of_json_has_the_fields_of_the_request() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["--log.format", "json", "--log-level", "info,barograph_server=debug"];
    let mut server = Server::start(dir.path(), &words);
    let parsed = |line: String| serde_json::from_str::<Value>(&line).unwrap();
    let listening = parsed(server.line(|line| line.contains("\"listening\"")));
    let address = listening["http"].as_str().unwrap().trim_start_matches("http://").to_owned();
    assert_eq!((&listening["category"], &listening["level"]), (&"action".into(), &"INFO".into()));
    server.line(|line| line.contains("\"ready\""));
    let mut answer = String::new();
    get(&address, "/api/v1/query?query=1").read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let request = parsed(server.line(|line| line.contains(TRACE)));
    assert_eq!((&request["message"], &request["route"]), (&"request".into(), &"/api/v1/query".into()));
    assert_eq!((&request["method"], &request["status"]), (&"GET".into(), &200.into()));
    assert!(request["latency_ms"].as_f64() > Some(0.0) && request["trace_id"] == TRACE, "{request}");
}

#[test]
fn lines_of_text_have_the_colours_of_their_categories() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &["--log-color", "always"]);
    let listening = server.line(|line| line.contains("listening"));
    let (_, rest) = listening.split_once("http://").unwrap();
    let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    server.line(|line| line.contains("ready"));
    let subscribed = get(&address, "/api/barograph/v1/live?bus=health&topics=component_health");
    let title = server.line(|line| line.contains("ACTIVATION"));
    assert!(title.contains("\x1b[32m★ EMITTER WORKER ACTIVATION ★\x1b[0m"), "{title:?}");
    for name in
        ["Topic: health/component_health", "Store: health", "Scheduler: tokio", "PID: ", "Subscriber: "]
    {
        let line = server.line(|_| true);
        assert!(line.starts_with(&format!("  \x1b[34m{name}")), "{line:?}");
    }
    assert!(server.line(|_| true).contains(&format!("trace_id={TRACE}")));
    let health = server.line(|_| true);
    assert!(
        health.contains("🩺 SUBSCRIBED to health events for store: health/component_health"),
        "{health:?}"
    );
    drop(subscribed);
    let end = server.line(|line| line.contains("TERMINATION"));
    assert!(end.contains("\x1b[31m💀 EMITTER WORKER TERMINATION 💀\x1b[0m"), "{end:?}");
    assert!(server.line(|_| true).contains("Reason: "));
}
