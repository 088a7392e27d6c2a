//! A small client of HTTP/1.1: one request a connection, every wait bounded.
//!
//! What leaves a program goes to a collector or a server beside it, so this does without TLS; an address that wants
//! it is refused. Answers are read up to a limit. RFC 9112.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use crate::clock;

/// The most bytes of an answer's head.
const HEAD_BYTES_MAX: u64 = 64 << 10;
/// The most bytes of an answer that is read whole.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Where requests go: an `http://` address, without a path at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    /// What is in front of each path, without a slash at its end.
    prefix: String,
}

/// Why an address is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot send to {address:?}: {reason}")]
pub struct AddressError {
    /// The address as given.
    pub address: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Address {
    /// Reads `http://host[:port][/prefix]`, or `host:port`.
    ///
    /// # Errors
    /// [`AddressError`]: TLS is wanted, or it is no address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let wrong = |reason| AddressError { address: text.to_owned(), reason };
        if text.starts_with("https://") {
            return Err(wrong(
                "TLS is not spoken here; send to a collector on this host, or through a proxy",
            ));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        if rest.contains("://") || rest.contains(['@', ' ', '\r', '\n']) {
            return Err(wrong("it is no http:// address"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong("the port is no number"))?)
            }
            _ => (authority, 80),
        };
        if host.is_empty() {
            return Err(wrong("there is no host"));
        }
        let prefix = path.trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_owned(), port, prefix })
    }

    fn connect(&self, deadline: Instant) -> io::Result<TcpStream> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (host, self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The time until a deadline; an error once it has passed.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(clock::monotonic());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    /// The path behind the address, with its query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// An answer; its body is read as it comes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What `Retry-After` says, in seconds.
    pub(crate) retry_after: Option<Duration>,
    body: Body,
}

enum Body {
    Sized(io::Take<BufReader<TcpStream>>),
    Chunked { stream: BufReader<TcpStream>, left: u64, first: bool, done: bool },
}

/// Sends a request, and reads the head of its answer, all within `timeout`. Reads of the body wait as long each.
pub(crate) fn send(address: &Address, request: Request<'_>, timeout: Duration) -> io::Result<Answer> {
    let deadline = clock::monotonic() + timeout;
    let mut stream = address.connect(deadline)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    let Request { method, path, headers, body } = request;
    let Address { host, port, prefix } = address;
    let mut head =
        format!("{method} {prefix}{path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n");
    for (name, value) in headers {
        if !name.contains(['\r', '\n', ':']) && !value.contains(['\r', '\n']) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if !body.is_empty() || method != "GET" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.set_read_timeout(Some(left(deadline)?))?;
    let answer = read_head(BufReader::new(stream))?;
    match &answer.body {
        Body::Sized(body) => body.get_ref().get_ref().set_read_timeout(Some(timeout))?,
        Body::Chunked { stream, .. } => stream.get_ref().set_read_timeout(Some(timeout))?,
    }
    Ok(answer)
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn read_head(mut stream: BufReader<TcpStream>) -> io::Result<Answer> {
    let (mut room, mut line) = (HEAD_BYTES_MAX, String::new());
    let mut next = |stream: &mut BufReader<TcpStream>, line: &mut String| -> io::Result<()> {
        line.clear();
        let read = stream.by_ref().take(room).read_line(line)? as u64;
        room -= read;
        if line.ends_with('\n') {
            Ok(())
        } else {
            Err(malformed("the head of the answer is cut short or too long"))
        }
    };
    let status = loop {
        next(&mut stream, &mut line)?;
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
        let status = status.ok_or_else(|| malformed("the answer is not HTTP/1.1"))?;
        if status >= 200 {
            break status;
        }
        while !line.trim_end().is_empty() {
            next(&mut stream, &mut line)?;
        }
    };
    let (mut length, mut chunked, mut retry_after) = (None, false, None);
    loop {
        next(&mut stream, &mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok(),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "retry-after" => retry_after = value.parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    let body = match chunked {
        true => Body::Chunked { stream, left: 0, first: true, done: false },
        false if status == 204 || status == 304 => Body::Sized(stream.take(0)),
        false => Body::Sized(stream.take(length.unwrap_or(u64::MAX))),
    };
    Ok(Answer { status, retry_after, body })
}

impl Answer {
    /// The whole body as text.
    pub(crate) fn text(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.take(BODY_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > BODY_BYTES_MAX {
            return Err(malformed("the answer is too long"));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) const fn is_good(&self) -> bool {
        self.status / 100 == 2
    }

    /// Whether the same may be sent again.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..=599)
    }

    /// A second way to the connection, by which it can be ended.
    #[cfg(feature = "remote")]
    pub(crate) fn connection(&self) -> io::Result<TcpStream> {
        match &self.body {
            Body::Sized(body) => body.get_ref().get_ref().try_clone(),
            Body::Chunked { stream, .. } => stream.get_ref().try_clone(),
        }
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.body {
            Body::Sized(body) => body.read(buffer),
            Body::Chunked { stream, left, first, done } => {
                if *left == 0 && !*done {
                    *left = next_chunk(stream, std::mem::take(first))?;
                    *done = *left == 0;
                }
                if *done {
                    return Ok(0);
                }
                let read = stream.by_ref().take(*left).read(buffer)?;
                if read == 0 && !buffer.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= read as u64;
                Ok(read)
            }
        }
    }
}

/// The length of the next chunk; zero after the last.
fn next_chunk(stream: &mut BufReader<TcpStream>, first: bool) -> io::Result<u64> {
    let mut line = String::new();
    let lines = if first { 1 } else { 2 };
    for _ in 0..lines {
        line.clear();
        stream.by_ref().take(1_024).read_line(&mut line)?;
    }
    let digits = line.trim_end().split(';').next().unwrap_or_default();
    u64::from_str_radix(digits, 16).map_err(|_| malformed("a chunk has no length"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text, host: &str, port, prefix: &str| {
            let expected = Address { host: host.into(), port, prefix: prefix.into() };
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        };
        check("http://localhost:4318", "localhost", 4318, "");
        check("http://localhost:4318/", "localhost", 4318, "");
        check("127.0.0.1:10701", "127.0.0.1", 10701, "");
        check("http://[::1]:9/otlp/", "[::1]", 9, "/otlp");
        check("http://host/v1/metrics", "host", 80, "/v1/metrics");
        for wrong in ["https://host", "ftp://host", "http://", "http://host:port", "http://a@b"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
    }

    /// What the client makes of an answer.
    fn answered(answer: &'static str) -> io::Result<(u16, String)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = Address::parse(&listener.local_addr()?.to_string()).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1_024];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let request = Request { method: "GET", path: "/a?b", headers: &[("x-y", "z")], body: b"" };
        let result = send(&address, request, Duration::from_secs(5))
            .and_then(|mut answer| Ok((answer.status, answer.text()?)));
        let request = server.join().unwrap();
        assert!(
            request.starts_with("GET /a?b HTTP/1.1\r\n") && request.contains("\r\nx-y: z\r\n"),
            "{request}"
        );
        result
    }

    #[test]
    fn answers_are_read() {
        let check = |answer, status, text: &str| {
            assert_eq!(answered(answer).unwrap(), (status, text.to_owned()), "{answer}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", 200, "abc");
        check("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
        check("HTTP/1.0 500 Oh\r\n\r\nto the end", 500, "to the end");
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "");
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
            200,
            "abcde",
        );
        assert!(answered("SSH-2.0-x\r\n\r\n").is_err());
        assert!(answered("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc").is_err());
    }
}
