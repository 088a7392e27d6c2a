//! A receiver of webhooks on loopback: it takes whatever is posted, remembers it, and answers 200.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::load;

/// Largest body that is taken.
const BODY_BYTES_MAX: usize = 8 << 20;
/// A connection on which nothing comes for so long is given up.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// What was posted.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// When, in milliseconds since the epoch.
    pub(crate) at: i64,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// The receiver; its threads end with the process.
pub(crate) struct Sink {
    /// `host:port`
    pub(crate) address: String,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Sink {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let posted = Arc::<Mutex<Vec<Posted>>>::default();
        let shared = posted.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let posted = shared.clone();
                // One that breaks off is not told: who posts tries again.
                thread::spawn(move || serve(stream, &posted));
            }
        });
        Ok(Self { address, posted })
    }

    /// All that was posted so far.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: TcpStream, posted: &Mutex<Vec<Posted>>) -> Result<()> {
    stream.set_read_timeout(Some(IDLE_MAX))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        posted.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}

/// One request; `None` where the connection ends.
fn read(reader: &mut BufReader<TcpStream>) -> Result<Option<Posted>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).context("not a request line")?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        ensure!(reader.read_line(&mut header)? > 0, "the head breaks off");
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    ensure!(length <= BODY_BYTES_MAX, "a body of {length} bytes");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Posted { at: load::now_ms()?, path, body: serde_json::from_slice(&body).unwrap_or_default() }))
}
