//! A small HTTP/1.1 client over one kept connection: enough to ask a server on loopback, and exact enough to
//! misbehave on purpose.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// Longest wait for one read or write.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest body taken from a server.
const BODY_BYTES_MAX: usize = 1 << 30;

/// One connection to one server, opened when first needed and again after it broke.
pub(crate) struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// From the last byte that was sent to the last that was read.
    pub(crate) took: Duration,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| {
            format!("status {} with a body that is not JSON: {}", self.status, self.excerpt())
        })
    }

    /// The first part of the body, for messages.
    pub(crate) fn excerpt(&self) -> String {
        self.text().chars().take(300).collect()
    }
}

impl Client {
    /// A client of the server at `host:port`.
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None }
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Reply> {
        self.send("GET", path, &[], &[])
    }

    /// Posts names and values as a form.
    pub(crate) fn post_form(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Reply> {
        let body = form(fields);
        self.send("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    /// One request and its reply. `Host` and `Content-Length` are added.
    ///
    /// # Errors
    /// If the connection cannot be made or breaks, or the reply is not HTTP. The next call connects anew.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Reply> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        // A server closes a connection on which nothing came for a while.
        let mut connection = match self.connection.take().filter(is_open) {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let stream = connection.get_mut();
        let written = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let sent = Instant::now();
        // A server may answer and close before it has read everything, so the reply is tried even so.
        let mut reply = read_reply(&mut connection, method).with_context(|| {
            format!("{method} {path}: no whole reply (request sent: {})", written.is_ok())
        })?;
        reply.took = sent.elapsed();
        let stays = reply.header("connection") != Some("close");
        if stays && written.is_ok() {
            self.connection = Some(connection);
        }
        Ok(reply)
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(BufReader::with_capacity(64 << 10, stream))
    }
}

/// Whether the other side of a connection on which nothing is awaited has not closed it.
fn is_open(connection: &BufReader<TcpStream>) -> bool {
    let stream = connection.get_ref();
    let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let open = matches!(looked, Err(error) if error.kind() == ErrorKind::WouldBlock);
    open && stream.set_nonblocking(false).is_ok()
}

/// The bytes exactly as given, on a connection of their own, and the reply.
pub(crate) fn send_raw(address: &str, bytes: &[u8]) -> Result<Reply> {
    let mut connection = Client::new(address).connect()?;
    let _ = connection.get_mut().write_all(bytes);
    read_reply(&mut connection, "POST")
}

/// Names and values as `application/x-www-form-urlencoded`, also fit for a query string.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but unreserved characters.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn read_reply(connection: &mut impl BufRead, method: &str) -> Result<Reply> {
    let status_line = read_line(connection)?;
    let status: u16 = status_line
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("not a status line: {status_line:?}"))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line:?}"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut reply = Reply { status, headers, body: Vec::new(), took: Duration::ZERO };
    if method == "HEAD" || status == 204 || status == 304 {
        return Ok(reply);
    }
    if reply.header("transfer-encoding") == Some("chunked") {
        read_chunks(connection, &mut reply.body)?;
    } else if let Some(length) = reply.header("content-length") {
        let length: usize = length.parse().context("content-length is not a number")?;
        ensure!(length <= BODY_BYTES_MAX, "a body of {length} bytes");
        reply.body.resize(length, 0);
        connection.read_exact(&mut reply.body)?;
    } else {
        connection.read_to_end(&mut reply.body)?;
    }
    Ok(reply)
}

fn read_chunks(connection: &mut impl BufRead, body: &mut Vec<u8>) -> Result<()> {
    loop {
        let line = read_line(connection)?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).with_context(|| format!("chunk size {line:?}"))?;
        ensure!(body.len() + size <= BODY_BYTES_MAX, "a body over {BODY_BYTES_MAX} bytes");
        let start = body.len();
        body.resize(start + size, 0);
        connection.read_exact(&mut body[start..])?;
        let end = read_line(connection)?;
        ensure!(end.is_empty(), "a chunk is longer than it says");
        if size == 0 {
            return Ok(());
        }
    }
}

fn read_line(connection: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        bail!("the connection was closed");
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, status: u16, body: &str) {
        let reply = read_reply(&mut bytes.as_bytes(), "GET").unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (status, body));
    }

    #[test]
    fn a_connection_that_was_closed_meanwhile_is_made_anew() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = Client::new(&listener.local_addr().unwrap().to_string());
        let server = std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = BufReader::new(stream.unwrap());
                while !read_line(&mut stream).unwrap().is_empty() {}
                stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
            }
        });
        assert_eq!(client.get("/").unwrap().text(), "hi");
        // It has closed that one when it takes the next.
        while client.connection.as_ref().is_some_and(is_open) {
            std::thread::yield_now();
        }
        assert_eq!(client.get("/").unwrap().text(), "hi");
        server.join().unwrap();
    }

    #[test]
    fn bodies_of_each_framing() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi");
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
            200,
            "hi!",
        );
        check("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nto the end", 400, "to the end");
        check("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    }

    #[test]
    fn forms_are_escaped() {
        assert_eq!(
            form(&[("query", "a{b=\"c\"} + 1"), ("time", "4")]),
            "query=a%7Bb%3D%22c%22%7D%20%2B%201&time=4"
        );
    }
}
