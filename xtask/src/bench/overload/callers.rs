//! Ordinary callers: each asks the same little thing at a pace, and notes how long it took.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use barograph_model::Labels;

use crate::{
    http::Client,
    load::{self, Fleet, REMOTE_WRITE_HEADERS, Round},
    server::Server,
};

/// From one request of a caller to the next.
const PACE: Duration = Duration::from_millis(10);
/// Hosts of the fleet that is asked about.
const HOSTS: usize = 40;
/// Rounds of it, a minute apart.
const ROUNDS: usize = 120;
const MINUTE_MS: i64 = 60_000;

/// What a caller saw.
pub(super) struct Seen {
    pub(super) kind: &'static str,
    /// Of answers.
    pub(super) took_ms: Vec<f64>,
    /// Told to come again.
    pub(super) refused: usize,
    /// Told that the server is not well: of `/health` and `/-/ready` an answer as good as any.
    pub(super) unwell: usize,
    /// Any other answer than was to be expected, or none.
    pub(super) failed: usize,
}

/// What a caller asks.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// What is asked; of samples nothing, as they are made anew.
    path: Option<&'static str>,
}

impl Kind {
    fn tells_health(self) -> bool {
        self.path.is_some_and(|path| path.ends_with("health") || path.ends_with("ready"))
    }
}

const fn asks(name: &'static str, path: &'static str) -> Kind {
    Kind { name, path: Some(path) }
}

pub(super) const ORDINARY: [Kind; 4] = [
    asks("health", "/health"),
    asks("query", "/api/v1/query?query=sum(node_load1)"),
    asks("rate", "/api/v1/query?query=sum%20by(mode)(rate(node_cpu_seconds_total%5B5m%5D))"),
    Kind { name: "write", path: None },
];

/// Those that are never refused.
pub(super) const CRITICAL: [Kind; 4] = [
    asks("health", "/health"),
    asks("ready", "/-/ready"),
    asks("alerts", "/api/v1/alerts"),
    asks("rules", "/api/v1/rules"),
];

/// Two hours of a fleet, for the questions of callers and crowds.
pub(super) fn load(server: &Server, seed: u64) -> Result<()> {
    let mut fleet = Fleet::new(HOSTS * Fleet::series_of_a_host(), 0, seed);
    let span = i64::try_from(ROUNDS)? * MINUTE_MS;
    let round = Round { start_ms: load::now_ms()? - span, interval_ms: MINUTE_MS, index: 0 };
    let step = 500;
    let starts = (0..fleet.len()).step_by(step);
    let len = fleet.len();
    let lanes: Vec<_> =
        starts.map(|from| vec![fleet.request(from..(from + step).min(len), round, ROUNDS)]).collect();
    load::send(&server.address, &lanes, 2).map(drop)
}

/// All ordinary callers at once, for so long.
pub(super) fn call_for(server: &Server, time: Duration) -> Result<Vec<Seen>> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let callers: Vec<_> = ORDINARY
            .into_iter()
            .map(|kind| {
                let (address, over) = (&server.address, &over);
                scope.spawn(move || call(address, kind, over))
            })
            .collect();
        thread::sleep(time);
        over.store(true, Relaxed);
        let join = |caller: thread::ScopedJoinHandle<'_, _>| caller.join().expect("a caller does not panic");
        let all: Vec<Seen> = callers.into_iter().map(join).collect();
        for seen in &all {
            ensure!(!seen.took_ms.is_empty(), "{} was never answered", seen.kind);
        }
        Ok(all)
    })
}

/// Asks until it is over.
pub(super) fn call(address: &str, kind: Kind, over: &AtomicBool) -> Seen {
    let mut client = Client::new(address);
    let mut seen = Seen { kind: kind.name, took_ms: Vec::new(), refused: 0, unwell: 0, failed: 0 };
    while !over.load(Relaxed) {
        let began = Instant::now();
        once(&mut client, kind, &mut seen);
        thread::sleep(PACE.saturating_sub(began.elapsed()));
    }
    seen
}

/// Asks once; an answer that was to be expected counts with its time.
pub(super) fn once(client: &mut Client, kind: Kind, seen: &mut Seen) {
    let began = Instant::now();
    let reply = match kind.path {
        Some(path) => client.get(path),
        None => samples().and_then(|body| client.send("POST", "/api/v1/write", &REMOTE_WRITE_HEADERS, &body)),
    };
    match reply {
        Ok(reply) if reply.status / 100 == 2 => seen.took_ms.push(began.elapsed().as_secs_f64() * 1e3),
        Ok(reply) if reply.status == 503 && kind.tells_health() => seen.unwell += 1,
        Ok(reply) if matches!(reply.status, 429 | 503) => seen.refused += 1,
        _ => seen.failed += 1,
    }
}

/// A few samples of now.
fn samples() -> Result<Vec<u8>> {
    let now = load::now_ms()?;
    let mut message = Vec::new();
    for i in 0..20 {
        let labels = Labels::from_pairs([("__name__", "caller"), ("i", &*i.to_string())])?;
        load::push_series(&mut message, labels.as_bytes(), &[(now, 1.0)]);
    }
    Ok(load::compressed(&message))
}
