//! Requests at a rate that does not heed how they are answered: many connections, moved by one thread, and bytes that were
//! written once.
//!
//! A connection sends its next request as soon as it has an answer and the rate lets it. There are more connections than the
//! server lets wait, so nobody's waiting holds up the rest. As clients do, it asks on no connection that was closed meanwhile,
//! leaves one whose answer says so, and takes an answer that comes before all was sent. What has no answer even so is counted
//! with what was seen of it ([`Broken`]).

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
    /// How those ended that had none.
    pub(super) unanswered: BTreeMap<Broken, usize>,
    /// Connections whose answer said that it was the last.
    pub(super) last_answers: usize,
    /// Connections that were closed while nothing was asked on them, and the shortest time in which nothing was.
    pub(super) closed_idle: usize,
    pub(super) shortest_idle: Option<Duration>,
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
    /// Answers that came on it.
    answers: usize,
    asked_at: Instant,
    idle_since: Instant,
}

/// What a look at a connection found.
enum Found {
    Nothing,
    Answer { status: u16, stays: bool },
    Broken(Broken),
}

/// What was seen of a connection that ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Broken {
    /// Whether it had brought an answer before.
    is_used: bool,
    /// Whether some of the request was still to be sent.
    is_sending: bool,
    /// Whether the answer had begun.
    has_begun: bool,
    /// How long after the request began: less than so many seconds.
    within_s: u64,
    /// How it ended; `None` by an orderly end.
    error: Option<ErrorKind>,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |holds, yes, no| if holds { yes } else { no };
        write!(
            f,
            "within {} s on a connection {}, {}, {}: ",
            self.within_s,
            part(self.is_used, "used before", "not used before"),
            part(self.is_sending, "half sent", "all sent"),
            part(self.has_begun, "half answered", "nothing answered")
        )?;
        match self.error {
            None => write!(f, "closed"),
            Some(error) => write!(f, "{error}"),
        }
    }
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
                    Found::Answer { status, stays: true } => {
                        idle.push(place);
                        status
                    }
                    Found::Answer { status, stays: false } => {
                        outcome.last_answers += 1;
                        lost.push(place);
                        status
                    }
                    Found::Broken(how) => {
                        *outcome.unanswered.entry(how).or_default() += 1;
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
                if lines[place].is_closed() {
                    let idle = lines[place].idle_since.elapsed();
                    outcome.closed_idle += 1;
                    outcome.shortest_idle = Some(outcome.shortest_idle.map_or(idle, |least| least.min(idle)));
                    lost.push(place);
                    continue;
                }
                lines[place].ask(next % self.requests.len());
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
        let now = Instant::now();
        Ok(Line {
            stream,
            sending: None,
            answer: Vec::new(),
            is_idle: true,
            answers: 0,
            asked_at: now,
            idle_since: now,
        })
    }
}

impl Line {
    /// Whether the other end closed it while nothing was asked.
    fn is_closed(&self) -> bool {
        !matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn ask(&mut self, request: usize) {
        self.sending = Some((request, 0));
        self.is_idle = false;
        self.asked_at = Instant::now();
    }

    fn look(&mut self, requests: &[Vec<u8>]) -> Found {
        // An answer may come before all is sent, even where no more can be.
        let written = self.write(requests);
        let mut buffer = [0; 2048];
        let (is_over, error) = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break (true, None),
                Ok(read) => self.answer.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    break (written.is_err(), written.err().map(|error| error.kind()));
                }
                Err(error) => break (true, Some(error.kind())),
            }
            if self.answer.len() > ANSWER_BYTES_MAX {
                break (true, Some(ErrorKind::FileTooLarge));
            }
        };
        if let Some((status, closes)) = status(&self.answer) {
            self.answer.clear();
            self.answers += 1;
            self.idle_since = Instant::now();
            return Found::Answer { status, stays: !is_over && !closes && self.sending.is_none() };
        }
        match is_over {
            true => Found::Broken(self.broken(error)),
            false => Found::Nothing,
        }
    }

    fn broken(&self, error: Option<ErrorKind>) -> Broken {
        Broken {
            is_used: self.answers > 0,
            is_sending: self.sending.is_some(),
            has_begun: !self.answer.is_empty(),
            within_s: (self.asked_at.elapsed().as_secs() + 1).next_power_of_two(),
            error,
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

/// The status of an answer, once all of it is there, and whether the connection is over then.
fn status(answer: &[u8]) -> Option<(u16, bool)> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let header = |wanted: &str| {
        let mut headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
    if answer.len() < end + 4 + length.unwrap_or(0) {
        return None;
    }
    let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Some((head.split(' ').nth(1)?.parse().ok()?, closes))
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

    /// What was seen of those without an answer; nothing if all had one.
    pub(super) fn unanswered(&self) -> String {
        let counts = self.unanswered.iter().map(|(how, count)| format!("{count} × {how}"));
        counts.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_they_say() {
        let check = |answer: &str, expected| assert_eq!(status(answer.as_bytes()), expected);
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some((200, false)));
        check("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi", Some((200, true)));
        check("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 3\r\n\r\nhi", None);
        check("HTTP/1.1 204 No Content\r\nRetry-After: 1\r\n\r\n", Some((204, false)));
        check("HTTP/1.1 204 No Content\r\n", None);
    }
}
