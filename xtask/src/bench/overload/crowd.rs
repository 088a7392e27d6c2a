//! Slow clients: thousands that send their requests a byte at a time, and hundreds that hardly read what they asked for.
//!
//! One thread moves all of them, so that they take little of the machine; whoever is closed by the server comes again.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{load, server::Server};

/// Connections that send drop by drop.
const SENDERS: usize = 2_000;
/// Connections that read drop by drop.
const READERS: usize = 200;
/// Each sends a byte, or reads some, once in so long.
const EVERY: Duration = Duration::from_secs(2);
/// In as many parts, so that not all move at once.
const PARTS: usize = 40;
/// Bytes that a reader reads then: more than it has to, so that it is not closed.
const READ_BYTES: usize = 4 << 10;
/// Longest wait until every reader has the first of its answer.
const GATHER_MAX: Duration = Duration::from_secs(120);

/// What is counted of them.
#[derive(Default)]
struct Counts {
    over: AtomicBool,
    /// Readers who have the first of their answer.
    reading: AtomicUsize,
    /// Readers who read all of it.
    finished: AtomicUsize,
    /// Questions of readers that were refused.
    refused: AtomicUsize,
    /// Connections opened in all.
    opened: AtomicUsize,
    read: AtomicUsize,
}

/// Slow clients that stay until they are told to leave.
pub(super) struct Crowd {
    counts: Arc<Counts>,
    moving: JoinHandle<Result<()>>,
}

impl Crowd {
    /// Connects all of them and waits until they are what they are to be.
    pub(super) fn gather(server: &Server) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let (address, grpc) = (server.address.clone(), server.grpc_address()?);
        let now_s = load::now_ms()? / 1_000;
        let question = format!(
            "GET /api/v1/query_range?query=node_cpu_seconds_total&start={}&end={now_s}&step=60 HTTP/1.1\r\n\
             Host: localhost\r\n\r\n",
            now_s - 7_000
        );
        let moving = thread::spawn({
            let counts = counts.clone();
            move || move_all(&address, grpc.trim_start_matches("http://"), &question, &counts)
        });
        let began = Instant::now();
        while counts.reading.load(Relaxed) < READERS || counts.opened.load(Relaxed) < SENDERS + READERS {
            ensure!(
                !moving.is_finished(),
                "{:#}",
                moving.join().expect("it does not panic").expect_err("it ends by a failure only")
            );
            ensure!(
                began.elapsed() < GATHER_MAX,
                "{} readers read, {} connections are open",
                counts.reading.load(Relaxed),
                counts.opened.load(Relaxed)
            );
            thread::sleep(Duration::from_millis(100));
        }
        Ok(Self { counts, moving })
    }

    /// Closes all of them, and says what they did.
    pub(super) fn leave(self) -> Result<String> {
        let counts = self.counts;
        counts.over.store(true, Relaxed);
        self.moving.join().expect("it does not panic")?;
        Ok(format!(
            "{SENDERS} slow senders and {READERS} slow readers: {} connections in all, {} questions refused at first, {:.1} MiB read, {} answers to the end",
            counts.opened.load(Relaxed),
            counts.refused.load(Relaxed),
            load::to_f64(counts.read.load(Relaxed)) / 1_048_576.0,
            counts.finished.load(Relaxed)
        ))
    }
}

/// What a sender begins with; each goes on with one byte after the other.
fn beginning(place: usize) -> (bool, &'static [u8]) {
    match place % 4 {
        0 | 1 => (false, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "),
        2 => (
            false,
            b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\
              Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\r\n",
        ),
        _ => (true, b"PRI * HTT"),
    }
}

fn open(address: &str, bytes: &[u8], counts: &Counts) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.write_all(bytes)?;
    stream.set_nonblocking(true)?;
    counts.opened.fetch_add(1, Relaxed);
    Ok(stream)
}

fn move_all(address: &str, grpc: &str, question: &str, counts: &Counts) -> Result<()> {
    let sender = |place| {
        let (is_grpc, bytes) = beginning(place);
        open(if is_grpc { grpc } else { address }, bytes, counts)
    };
    let mut senders = (0..SENDERS).map(sender).collect::<Result<Vec<_>>>()?;
    let reader = || Ok((open(address, question.as_bytes(), counts)?, false));
    let mut readers = (0..READERS).map(|_| reader()).collect::<Result<Vec<_>>>()?;
    let mut buffer = vec![0; READ_BYTES];
    for part in (0..PARTS).cycle() {
        if counts.over.load(Relaxed) {
            return Ok(());
        }
        for place in (part..SENDERS).step_by(PARTS) {
            let alive = match senders[place].write(b"x") {
                Ok(_) => !is_closed(&mut senders[place]),
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            };
            if !alive {
                senders[place] = sender(place)?;
            }
        }
        for place in (part..READERS).step_by(PARTS) {
            let (stream, began) = &mut readers[place];
            match stream.read(&mut buffer) {
                Ok(0) => {
                    counts.finished.fetch_add(1, Relaxed);
                    readers[place] = reader()?;
                }
                Ok(read) => {
                    if !*began && !buffer.starts_with(b"HTTP/1.1 200") {
                        // Refused, for there are many: it asks again.
                        counts.refused.fetch_add(1, Relaxed);
                        readers[place] = reader()?;
                        continue;
                    }
                    if !*began {
                        *began = true;
                        counts.reading.fetch_add(1, Relaxed);
                    }
                    counts.read.fetch_add(read, Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => readers[place] = reader()?,
            }
        }
        thread::sleep(EVERY / u32::try_from(PARTS)?);
    }
    Ok(())
}

/// Whether the server closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 256]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}
