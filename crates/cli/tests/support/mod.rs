//! The real binary, and a server that answers what a test tells it to.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// What a run of the binary left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `barograph` with `words`, in an environment that says nothing about colour.
pub(crate) fn barograph(words: &[&str]) -> Run {
    barograph_with(words, &[])
}

/// Runs `barograph` with `words` and with these variables besides.
pub(crate) fn barograph_with(words: &[&str], environment: &[(&str, &str)]) -> Run {
    let mut command = command(words);
    command.envs(environment.iter().copied());
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    Run {
        code: status.code().expect("it was not killed"),
        out: String::from_utf8(stdout).expect("output is text"),
        err: String::from_utf8(stderr).expect("messages are text"),
    }
}

/// A folder with these files, and what the binary says in it; `FOLDER` stands for the folder.
pub(crate) fn run_among(files: &[(&str, &str)], words: &[&str]) -> (TempDir, Run) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let path = folder.path().display().to_string();
    let words: Vec<String> = words.iter().map(|word| word.replace("FOLDER", &path)).collect();
    let mut run = barograph(&words.iter().map(String::as_str).collect::<Vec<_>>());
    run.out = run.out.replace(&path, "FOLDER");
    run.err = run.err.replace(&path, "FOLDER");
    (folder, run)
}

/// The binary, not yet started.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barograph"));
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "TERM"] {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null());
    command
}

/// `barograph serve` on free ports over a data directory, with `words` besides; not yet started. Its log can be read.
pub(crate) fn serve(data_dir: &Path, words: &[&str]) -> Command {
    let mut command = command(&["serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"]);
    command.args(["--otlp-grpc-addr", "off", "--otlp-http-addr", "off", "--data-dir"]).arg(data_dir);
    command.args(words).stderr(Stdio::piped());
    command
}

/// A request, as far as tests look at it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// `POST /api/v1/query`
    pub(crate) line: String,
    pub(crate) body: String,
}

/// A server on a free port of the loopback.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Receiver<Asked>,
}

impl Server {
    /// Answers one request, with `status` and `body`.
    pub(crate) fn answering(status: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let (asked, requests) = channel();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            let _ = asked.send(read_request(&mut stream));
            let _ = stream.write_all(answer.as_bytes());
        });
        Self { url, requests }
    }

    /// The request that came.
    pub(crate) fn asked(&self) -> Asked {
        self.requests.recv_timeout(Duration::from_secs(20)).expect("a request")
    }
}

fn read_request(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).expect("the request comes");
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
            .unwrap_or(0);
        if body.len() >= length || read == 0 {
            let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
            return Asked { line, body: body.to_owned() };
        }
    }
}
