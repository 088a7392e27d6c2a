//! The service at full load, over sockets of this machine.
//!
//! Services run on a thread each: without a layer, without again, with a layer that only passes on, and with ours. A
//! client keeps connections busy with one of them at a time, in short rounds by turns. The time that the service's thread
//! was on a processor, system calls included, is divided by the requests it answered.

use std::{
    fs,
    net::SocketAddr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::{
    rounds::{NONE, OURS},
    service::{self, Around},
};

pub const NAME: &str = "axum over loopback, full load";

const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_millis(200);
const WARM_UP: usize = 2;

/// A service on a thread of its own.
struct Running {
    address: SocketAddr,
    /// Where Linux tells how long the thread was on a processor.
    schedstat: String,
}

/// Nanoseconds of the service's CPU a request, of each contender in each round.
pub fn measure(rounds: usize) -> Vec<(&'static str, Vec<f64>)> {
    let services = [
        (NONE, Around::Nothing),
        ("none again", Around::Nothing),
        ("identity layer", Around::Identity),
        (OURS, Around::Ours),
    ];
    let running = services.map(|(_, around)| serve(around));
    let mut found = services.map(|(name, _)| (name, Vec::new()));
    runtime().block_on(async {
        for round in 0..rounds + WARM_UP {
            for turn in 0..running.len() {
                let at = (round + turn) % running.len();
                let nanoseconds = running[at].round().await;
                if round >= WARM_UP {
                    found[at].1.push(nanoseconds);
                }
            }
        }
    });
    found.into()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn serve(around: Around) -> Running {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let thread = fs::read_link("/proc/thread-self").expect("Linux");
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let schedstat = format!("/proc/{}/schedstat", thread.display());
            tell.send(Running { address, schedstat }).expect("someone waits");
            axum::serve(listener, service::app(around)).await.expect("to serve");
        });
    });
    told.recv().expect("a service")
}

impl Running {
    fn on_processor(&self) -> f64 {
        let text = fs::read_to_string(&self.schedstat).expect("a running thread");
        text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("a number")
    }

    async fn round(&self) -> f64 {
        let mut connections = JoinSet::new();
        let before = self.on_processor();
        let end = Instant::now() + ROUND;
        for _ in 0..CONNECTIONS {
            connections.spawn(ask(self.address, end));
        }
        let answered: u32 = connections.join_all().await.iter().sum();
        (self.on_processor() - before) / f64::from(answered)
    }
}

/// Asks until the end, and tells how often.
async fn ask(address: SocketAddr, end: Instant) -> u32 {
    let headers = service::HEADERS.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
    let request = format!("GET {} HTTP/1.1\r\n{headers}\r\n", service::PATH);
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut answer = [0; 1024];
    let mut answered = 0;
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await.expect("to ask");
        let mut len = 0;
        while !answer[..len].ends_with(b"}") {
            let read = stream.read(&mut answer[len..]).await.expect("an answer");
            assert!(read > 0, "the service closed the connection");
            len += read;
        }
        answered += 1;
    }
    answered
}
