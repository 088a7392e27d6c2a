//! StatsD and DogStatsD over UDP and TCP, off by default.
//!
//! Datagrams hold one line or several; a connection holds lines. What they say is added up in a bounded table
//! (`table`) and stored every ten seconds. Nothing is ever answered, so what is not taken is counted, by reason.
//! The protocol has no authentication: by default the address must be one that only this machine reaches.

mod table;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use barograph::{Counter, Family, Registry};
use barograph_wire::statsd::{self, LINE_BYTES_MAX, Message};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, watch},
};

use crate::{Engine, clock::Clock, config, server::stopped, telemetry::Origin, tenants::scope};
use table::Table;

/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;
/// Connections at once.
const CONNECTIONS_MAX: usize = 256;
/// A connection over which nothing comes for so long is closed.
const IDLE: Duration = Duration::from_secs(300);
/// After a failure to accept or receive.
const PAUSE: Duration = Duration::from_millis(100);

/// What is received, and where.
pub(crate) struct Statsd {
    /// The sockets, until [`run`] takes them.
    sockets: Mutex<Option<(UdpSocket, TcpListener)>>,
    address: Option<SocketAddr>,
    interval: Duration,
    table: Mutex<Table>,
    clock: Arc<dyn Clock>,
    lines: Counter,
    dropped: Family<Counter, 1>,
    connections: Arc<Semaphore>,
}

impl Statsd {
    /// Opens UDP and TCP at the address that is configured, if one is.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) async fn open(
        config: &config::Statsd,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> io::Result<Self> {
        let sockets = match config.address {
            Some(address) => {
                let tcp = TcpListener::bind(address).await?;
                // A port that was free is the same for both.
                let udp = UdpSocket::bind(tcp.local_addr()?).await?;
                Some((udp, tcp))
            }
            None => None,
        };
        let address = sockets.as_ref().map(|(udp, _)| udp.local_addr()).transpose()?;
        if let Some(address) = address {
            tracing::info!(address = %address, "listening for StatsD");
        }
        let lines = registry.counter("barograph_statsd_lines_total").help("StatsD metrics taken.").register();
        let dropped = registry
            .counter("barograph_statsd_dropped_total")
            .help("StatsD lines, values and connections that were not taken, by reason.")
            .family(["reason"]);
        Ok(Self {
            sockets: Mutex::new(sockets),
            address,
            interval: config.interval,
            table: Mutex::new(Table::new(usize::try_from(config.series).unwrap_or(usize::MAX), clock.now())),
            clock,
            lines: lines.expect("the name is valid and free"),
            dropped: dropped.expect("the name is valid and free"),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// Where it listens, if it does.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes one line.
    fn line(&self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let metric = match statsd::read(line) {
            Ok(Message::Metric(metric)) => metric,
            Ok(Message::Event) => return self.dropped.with(["event"]).inc(),
            Ok(Message::ServiceCheck) => return self.dropped.with(["service_check"]).inc(),
            Err(why) => {
                tracing::debug!(reason = why, "a StatsD line was not taken");
                return self.dropped.with(["malformed"]).inc();
            }
        };
        let now = self.clock.now();
        let left = self.table.lock().unwrap_or_else(PoisonError::into_inner).take(&metric, now);
        self.lines.inc();
        for (reason, count) in left.by_reason() {
            self.dropped.with([reason]).add(count);
        }
    }

    fn datagram(&self, bytes: &[u8]) {
        bytes.split(|&byte| byte == b'\n').for_each(|line| self.line(line));
    }
}

/// Receives and stores until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let sockets = engine.statsd.sockets.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((udp, tcp)) = sockets else {
        stopped(&mut stopping).await;
        return;
    };
    let mut room = vec![0; DATAGRAM_BYTES_MAX];
    let mut write = tokio::time::interval(engine.statsd.interval);
    write.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            _ = write.tick() => store(&engine).await,
            received = udp.recv(&mut room) => match received {
                Ok(len) => engine.statsd.datagram(&room[..len]),
                Err(error) => {
                    tracing::debug!(error = %error, "a datagram was not received");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            accepted = tcp.accept() => match accepted {
                Ok((stream, _)) => connected(&engine, stream, stopping.clone()),
                Err(error) => {
                    tracing::debug!(error = %error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    store(&engine).await;
}

/// Reads a connection on a task of its own, if there are not too many.
fn connected(engine: &Arc<Engine>, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
    let Ok(permit) = engine.statsd.connections.clone().try_acquire_owned() else {
        engine.statsd.dropped.with(["connections"]).inc();
        return;
    };
    let engine = engine.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stopped(&mut stopping) => {}
            () = read(&engine, stream) => {}
        }
        drop(permit);
    });
}

async fn read(engine: &Engine, mut stream: TcpStream) {
    let (mut buffer, mut room) = (Vec::new(), vec![0; 16 << 10]);
    // Whether the beginning of the line was too long, and the rest is passed over.
    let mut passing = false;
    loop {
        let read = match tokio::time::timeout(IDLE, stream.read(&mut room)).await {
            Ok(Ok(read)) if read > 0 => read,
            _ => break,
        };
        let mut rest = &room[..read];
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            buffer.extend_from_slice(&rest[..end]);
            if !std::mem::take(&mut passing) {
                engine.statsd.line(&buffer);
            }
            buffer.clear();
            rest = &rest[end + 1..];
        }
        if passing || buffer.len() + rest.len() > LINE_BYTES_MAX {
            if !std::mem::replace(&mut passing, true) {
                engine.statsd.dropped.with(["malformed"]).inc();
            }
            buffer.clear();
        } else {
            buffer.extend_from_slice(rest);
        }
    }
    if !passing {
        engine.statsd.line(&buffer);
    }
}

async fn store(engine: &Arc<Engine>) {
    let work = engine.clone();
    let stored = tokio::task::spawn_blocking(move || {
        let now = work.clock.now();
        let batch = work.statsd.table.lock().unwrap_or_else(PoisonError::into_inner).written(now);
        let working = work.tenants.of_task(work.configured.current().statsd.tenant.as_deref());
        scope::sync_within(working, || batch.store(&work, Origin::Statsd))
    });
    match stored.await {
        Ok(Ok(taken)) => engine.commits.want(taken.ticket),
        Ok(Err((_, why))) => tracing::warn!(reason = why, "what came by StatsD was not stored this time"),
        Err(_) => tracing::error!("storing what came by StatsD panicked; it is tried again"),
    }
}
