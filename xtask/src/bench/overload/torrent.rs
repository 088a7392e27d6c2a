//! Requests at a rate that does not heed how they are answered: many connections, moved by one thread, and bytes that were
//! written once.
//!
//! A connection sends its next request as soon as it has an answer and the rate lets it. There are more connections than the
//! server lets wait, so nobody's waiting holds up the rest.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::load;

/// From one look at all connections to the next.
const SWEEP: Duration = Duration::from_millis(4);
/// Of what was missed no more than this is caught up with.
const BACKLOG: Duration = Duration::from_millis(250);
/// An answer is no longer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// After a connection could not be made, this long none is.
const PAUSE: Duration = Duration::from_millis(100);

/// What is sent, how often, and for how long.
pub(super) struct Torrent<'a> {
    pub(super) address: &'a str,
    /// Whole requests, with their heads.
    pub(super) requests: &'a [Vec<u8>],
    pub(super) connections: usize,
    pub(super) per_second: f64,
    pub(super) time: Duration,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Answers by status; 0 where there was none.
    pub(super) statuses: BTreeMap<u16, usize>,
    /// How often every connection was busy when another request was due.
    pub(super) held_up: usize,
    pub(super) took: Duration,
}

/// The head and body of a request that is sent again and again.
pub(super) fn request(address: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A connection, and what it is at.
struct Line {
    stream: TcpStream,
    /// The request that is sent, and how much of it was.
    sending: Option<(usize, usize)>,
    /// What was read of an answer.
    answer: Vec<u8>,
    is_idle: bool,
}

/// What a look at a connection found.
enum Found {
    Nothing,
    Answer(u16),
    Broken,
}

impl Torrent<'_> {
    /// Sends, and counts the answers; what has none in the end counts as not sent.
    pub(super) fn send(&self) -> Result<Outcome> {
        let mut lines = (0..self.connections).map(|_| self.open()).collect::<Result<Vec<_>>>()?;
        let mut idle: Vec<usize> = (0..lines.len()).collect();
        let (mut outcome, mut next, mut due) = (Outcome::default(), 0, 0.0_f64);
        let (began, mut last, mut closed_until) = (Instant::now(), Duration::ZERO, Duration::ZERO);
        let mut lost: Vec<usize> = Vec::new();
        while began.elapsed() < self.time {
            for (place, line) in lines.iter_mut().enumerate() {
                if line.is_idle {
                    continue;
                }
                let status = match line.look(self.requests) {
                    Found::Nothing => continue,
                    Found::Answer(status) => {
                        idle.push(place);
                        status
                    }
                    Found::Broken => {
                        lost.push(place);
                        0
                    }
                };
                line.is_idle = true;
                *outcome.statuses.entry(status).or_default() += 1;
            }
            let now = began.elapsed();
            if now >= closed_until {
                while let Some(place) = lost.pop() {
                    let Ok(line) = self.open() else {
                        lost.push(place);
                        closed_until = now + PAUSE;
                        break;
                    };
                    lines[place] = line;
                    idle.push(place);
                }
            }
            due = (due + (now - last).as_secs_f64() * self.per_second)
                .min(self.per_second * BACKLOG.as_secs_f64());
            last = now;
            while due >= 1.0 {
                let Some(place) = idle.pop() else {
                    outcome.held_up += 1;
                    break;
                };
                lines[place].sending = Some((next % self.requests.len(), 0));
                lines[place].is_idle = false;
                next += 1;
                due -= 1.0;
                // What breaks is found at the next look.
                let _ = lines[place].write(self.requests);
            }
            thread::sleep(SWEEP.saturating_sub(began.elapsed() - now));
        }
        outcome.took = began.elapsed();
        Ok(outcome)
    }

    fn open(&self) -> Result<Line> {
        let stream = TcpStream::connect(self.address)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Line { stream, sending: None, answer: Vec::new(), is_idle: true })
    }
}

impl Line {
    fn look(&mut self, requests: &[Vec<u8>]) -> Found {
        // An answer may come before all is sent.
        let written = self.write(requests);
        let mut buffer = [0; 2048];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Found::Broken,
            Ok(read) => self.answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return if written.is_err() { Found::Broken } else { Found::Nothing };
            }
            Err(_) => return Found::Broken,
        }
        match status(&self.answer) {
            Some(status) if self.sending.is_none() => {
                self.answer.clear();
                Found::Answer(status)
            }
            None if self.answer.len() > ANSWER_BYTES_MAX => Found::Broken,
            _ => Found::Nothing,
        }
    }

    fn write(&mut self, requests: &[Vec<u8>]) -> std::io::Result<()> {
        while let Some((request, written)) = self.sending {
            let rest = &requests[request][written..];
            match self.stream.write(rest) {
                Ok(len) if len == rest.len() => self.sending = None,
                Ok(len) => self.sending = Some((request, written + len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The status of an answer, once all of it is there.
fn status(answer: &[u8]) -> Option<u16> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let length = head.lines().skip(1).filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if answer.len() < end + 4 + length.unwrap_or(0) {
        return None;
    }
    head.split(' ').nth(1)?.parse().ok()
}

impl Outcome {
    pub(super) fn count(&self, wanted: impl Fn(u16) -> bool) -> f64 {
        let counts = self.statuses.iter().filter(|(status, _)| wanted(**status));
        load::to_f64(counts.map(|(_, count)| count).sum())
    }

    pub(super) fn text(&self) -> String {
        let counts = self.statuses.iter().map(|(status, count)| format!("{count} × {status}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_they_say() {
        let check = |answer: &str, expected: Option<u16>| assert_eq!(status(answer.as_bytes()), expected);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some(200));
        check("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 3\r\n\r\nhi", None);
        check("HTTP/1.1 204 No Content\r\nRetry-After: 1\r\n\r\n", Some(204));
        check("HTTP/1.1 204 No Content\r\n", None);
    }
}
