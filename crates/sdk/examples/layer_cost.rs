//! What the layer for HTTP costs: an axum service at full load, with the layer and without.
//!
//! Three services run on a thread each: without, with, and without again. A client keeps 32 connections busy
//! with one of them at a time, in short rounds by turns, and the CPU time of the service's thread is divided by the
//! requests it answered. Told is the median over all turns of the pairwise ratio, and of the ratio of the two that
//! are the same, which is the noise.
//!
//! `cargo run --release -p barograph --example layer_cost --features axum [ROUNDS]`

use std::{
    env, fs,
    net::SocketAddr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use axum::{Router, extract::Path, routing::get};
use barograph::{Registry, Requests, http::RequestsLayer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
};

const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_millis(500);

/// A service on a thread of its own.
struct Service {
    address: SocketAddr,
    /// Where Linux tells the thread's CPU time.
    schedstat: String,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn serve(measured: bool) -> Service {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let thread = fs::read_link("/proc/thread-self").expect("Linux");
        let health =
            async |Path(name): Path<String>| format!("{{\"model\":\"{name}\",\"status\":\"healthy\"}}");
        let mut app = Router::new()
            .route("/version", get(async || "1"))
            .route("/model/{model_name}/health", get(health));
        if measured {
            let requests = Requests::register(&Registry::new()).expect("a registry of its own");
            app = app.layer(RequestsLayer::of(&requests));
        }
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("an address");
            let schedstat = format!("/proc/{}/schedstat", thread.display());
            tell.send(Service { address, schedstat }).expect("someone waits");
            axum::serve(listener, app).await.expect("to serve");
        });
    });
    told.recv().expect("a service")
}

impl Service {
    /// CPU time of the thread so far, in nanoseconds.
    fn cpu(&self) -> f64 {
        let text = fs::read_to_string(&self.schedstat).expect("a running thread");
        text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("a number")
    }

    /// Nanoseconds of CPU for each request of a round.
    async fn round(&self) -> f64 {
        let mut connections = JoinSet::new();
        let before = self.cpu();
        #[expect(clippy::disallowed_methods, reason = "a benchmark")]
        let end = Instant::now() + ROUND;
        for _ in 0..CONNECTIONS {
            connections.spawn(ask(self.address, end));
        }
        let answered: u32 = connections.join_all().await.iter().sum();
        (self.cpu() - before) / f64::from(answered)
    }
}

/// Asks until the end, and tells how often.
async fn ask(address: SocketAddr, end: Instant) -> u32 {
    let request = b"GET /model/llama/health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut answer = [0; 1024];
    let mut answered = 0;
    #[expect(clippy::disallowed_methods, reason = "a benchmark")]
    while Instant::now() < end {
        stream.write_all(request).await.expect("to ask");
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let rounds = env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(40);
    let [off, on, again] = [false, true, false].map(serve);
    let (mut plain, mut cost, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    runtime().block_on(async {
        for round in 0..rounds + 2 {
            // Who goes first changes, so that what drifts favours no one.
            let [mut o, mut m, mut a] = [0.0; 3];
            for turn in 0..3 {
                match (round + turn) % 3 {
                    0 => o = off.round().await,
                    1 => m = on.round().await,
                    _ => a = again.round().await,
                }
            }
            // The first rounds warm up.
            if round >= 2 {
                plain.push(o.midpoint(a));
                cost.push(m / o.midpoint(a) - 1.0);
                noise.push(a / o - 1.0);
            }
        }
    });
    let nanos = median(plain);
    let (cost, noise) = (median(cost), median(noise));
    println!("without the layer  {:.2} us CPU a request", nanos / 1e3);
    println!("with the layer     {:+.2} % ({:+.0} ns)", cost * 100.0, cost * nanos);
    println!("the same twice     {:+.2} %", noise * 100.0);
}
