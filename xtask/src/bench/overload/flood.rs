//! Ten times the samples that the server takes, by OTLP and gzip, with heavy questions all the while.
//!
//! What it takes is measured first, on a few connections that wait for each answer. The flood has more connections than may
//! wait, and whoever is refused sends the next at once ([`Torrent`]). Bodies come again when all were sent.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    callers::{self, CRITICAL, Kind, ORDINARY, Seen},
    percentile,
    torrent::{self, Torrent},
};
use crate::{
    bench::{Arguments, Better, Report, contender, otlp},
    http::Client,
    load::{self, Body, otlp::Packing},
    server::Server,
};

/// Connections that measure what the server takes.
const FEW: usize = 4;
/// Connections of the flood: twice as many as may ever have a place or wait for one.
const MANY: usize = 2_400;
/// How much more is sent than is taken.
const TIMES: f64 = 10.0;
/// Connections that ask heavy questions.
const ASKERS: usize = 16;
const REQUESTS_A_ROUND: usize = 6;
const ROUNDS: usize = 60;
/// Requests of each kind in a look whether all is as before.
const LOOK: usize = 20;
/// So many looks in a row make it so.
const LOOKS: usize = 4;
/// Longest wait until all is as before.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// Shortest time between two looks at memory.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Answers by status; 0 where there was none.
#[derive(Default)]
struct Statuses(Mutex<BTreeMap<u16, usize>>);

impl Statuses {
    fn note(&self, status: u16) {
        *self.0.lock().expect("no thread panics").entry(status).or_default() += 1;
    }

    fn count(&self, wanted: impl Fn(u16) -> bool) -> usize {
        let all = self.0.lock().expect("no thread panics");
        all.iter().filter(|(status, _)| wanted(**status)).map(|(_, count)| count).sum()
    }

    fn text(&self) -> String {
        let all = self.0.lock().expect("no thread panics");
        all.iter().map(|(status, count)| format!("{count} × {status}")).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn run(arguments: &Arguments, server: &Server, report: &mut Report) -> Result<()> {
    let time = Duration::from_secs(arguments.seconds);
    let budget = server.client().get("/api/barograph/v1/memory")?.json()?;
    let budget = budget["budget_bytes"].as_f64().with_context(|| format!("no budget in {budget}"))?;
    callers::load(server, arguments.seed)?;
    let load = otlp::encode(REQUESTS_A_ROUND, ROUNDS, Packing::Gzip, arguments.seed + 1)?;
    let bodies: Vec<&Body> =
        (0..ROUNDS).flat_map(|round| load.lanes.iter().map(move |lane| &lane[round])).collect();
    let next = AtomicUsize::new(0);
    let phase = time.min(Duration::from_secs(20));
    // Once through makes the series and wakes the server.
    send(server, &bodies, &next, phase / 4, &Statuses::default());
    let taken = Statuses::default();
    let took = send(server, &bodies, &next, phase, &taken);
    let capacity = load::to_f64(taken.count(|status| status / 100 == 2)) / took.as_secs_f64();
    let before = callers::call_for(server, phase)?;
    let before_p99 = p99(&before)?;

    server.forget_peak()?;
    let requests: Vec<_> = bodies
        .iter()
        .map(|body| torrent::request(&server.address, "/v1/metrics", Packing::Gzip.headers(), &body.bytes))
        .collect();
    let (asked, over) = (Statuses::default(), AtomicBool::new(false));
    let (sent, critical, resident) = thread::scope(|scope| -> Result<_> {
        let over = &over;
        let critical = CRITICAL.map(|kind| scope.spawn(move || callers::call(&server.address, kind, over)));
        let watching = scope.spawn(move || most_resident(server, over));
        for asker in 0..ASKERS {
            let asked = &asked;
            scope.spawn(move || ask(&server.address, asker, asked, over));
        }
        let torrent = Torrent {
            address: &server.address,
            requests: &requests,
            connections: MANY,
            per_second: TIMES * capacity,
            time,
        };
        let sent = torrent.send();
        over.store(true, Relaxed);
        let critical = critical.map(|caller| caller.join().expect("a caller does not panic"));
        Ok((sent?, critical, watching.join().expect("it does not panic")?))
    })?;
    let (recovered, looks) = recovery(server, before_p99);

    let (took, all, good) = (sent.took, sent.count(|_| true), sent.count(|status| status / 100 == 2));
    let (answered, failed): (usize, usize) = critical.iter().fold((0, 0), |(good, bad), seen| {
        (good + seen.took_ms.len() + seen.unwell, bad + seen.refused + seen.failed)
    });
    let share = load::to_f64(answered) / load::to_f64((answered + failed).max(1));
    let mut row = |name: &str, unit, better, value: f64| {
        report.add(&format!("flood: {name}"), None, (unit, better), vec![(contender::BAROGRAPH, value)]);
    };
    row("taken before it", "requests/s", Better::Higher, capacity);
    row("sent", "times that", Better::Higher, all / took.as_secs_f64() / capacity);
    row("taken in it", "requests/s", Better::Higher, good / took.as_secs_f64());
    row("sent", "times what is taken in it", Better::Higher, all / good.max(1.0));
    row("most resident", "of budget", Better::Lower, resident.max(server.peak_bytes()?) / budget);
    row("health and alerts answered", "share", Better::Higher, share);
    row("health and alerts", "ms p99", Better::Lower, p99(&critical)?);
    row("others before it", "ms p99", Better::Lower, before_p99);
    row("as before after", "s", Better::Lower, recovered.as_secs_f64());
    for Seen { kind, took_ms, refused, failed, unwell } in &critical {
        report.note(format!(
            "{kind}: {} answered well, {unwell} with 503, {refused} refused, {failed} not at all",
            took_ms.len()
        ));
    }
    report.note(format!(
        "{:.0} s: of {all:.0} requests of samples {}, sent {} times less than due as all connections were at work; of heavy \
         questions {}; {:.0} MiB resident at most of {:.0}",
        took.as_secs_f64(),
        sent.text(),
        sent.held_up,
        asked.text(),
        resident / 1_048_576.0,
        budget / 1_048_576.0
    ));
    report.note(format!(
        "{} connections were left as the answer said so, {} were found closed before a request was sent, the first after {:.1} s \
         without one",
        sent.last_answers,
        sent.closed_idle,
        sent.shortest_idle.unwrap_or_default().as_secs_f64()
    ));
    if !sent.unanswered.is_empty() {
        report.note(format!("without an answer: {}", sent.unanswered()));
    }
    report.note(format!("after it, until others fared as before: {}", looks.join("; ")));
    Ok(())
}

/// Sends over few connections that wait for each answer; how long that took.
fn send(
    server: &Server,
    bodies: &[&Body],
    next: &AtomicUsize,
    time: Duration,
    statuses: &Statuses,
) -> Duration {
    let began = Instant::now();
    let one = || {
        let mut client = Client::new(&server.address);
        while began.elapsed() < time {
            let body = bodies[next.fetch_add(1, Relaxed) % bodies.len()];
            let reply = client.send("POST", "/v1/metrics", Packing::Gzip.headers(), &body.bytes);
            statuses.note(reply.map_or(0, |reply| reply.status));
        }
    };
    thread::scope(|scope| {
        for _ in 0..FEW {
            scope.spawn(one);
        }
    });
    began.elapsed()
}

/// Heavy questions, one after the other.
fn ask(address: &str, asker: usize, statuses: &Statuses, over: &AtomicBool) {
    let mut client = Client::new(address);
    let heavy = [
        "sum by (instance) (rate({job=\"node\"}[10m]))",
        "quantile_over_time(0.9, {job=\"node\"}[30m])",
        "topk(5, rate({job=\"node\"}[5m]))",
        "count_values(\"v\", {job=\"node\"})",
    ];
    while !over.load(Relaxed) {
        let Ok(now) = load::now_ms() else { return };
        let (start, end) = ((now / 1_000 - 7_000).to_string(), (now / 1_000).to_string());
        let fields = [
            ("query", heavy[asker % heavy.len()]),
            ("start", &*start),
            ("end", &*end),
            ("step", "15"),
            ("timeout", "10s"),
        ];
        let reply = client.post_form("/api/v1/query_range", &fields);
        statuses.note(reply.map_or(0, |reply| reply.status));
    }
}

fn most_resident(server: &Server, over: &AtomicBool) -> Result<f64> {
    let mut most = 0.0_f64;
    while !over.load(Relaxed) {
        most = most.max(server.resident_bytes()?);
        thread::sleep(SAMPLE_EVERY);
    }
    Ok(most)
}

/// How long it takes until callers fare as before, several looks in a row, and what each look saw; [`RECOVERY_MAX`] if they
/// never do.
fn recovery(server: &Server, before_p99: f64) -> (Duration, Vec<String>) {
    let ended = Instant::now();
    let mut clients = ORDINARY.map(|kind| (server.client(), kind));
    let (mut well, mut since, mut looks) = (0, Duration::ZERO, Vec::new());
    while well < LOOKS {
        if ended.elapsed() > RECOVERY_MAX {
            return (RECOVERY_MAX, looks);
        }
        let from = ended.elapsed();
        let seen = look(&mut clients);
        let p95 = |seen: &Seen| percentile(seen.took_ms.clone(), 0.95).unwrap_or(f64::INFINITY);
        let refused: usize = seen.iter().map(|seen| seen.refused + seen.failed + seen.unwell).sum();
        let all = percentile(seen.iter().flat_map(|seen| seen.took_ms.iter().copied()).collect(), 0.95);
        let kinds: Vec<_> = seen.iter().map(|seen| format!("{} {:.0}", seen.kind, p95(seen))).collect();
        looks.push(format!("{:.1} s: {refused} refused, p95 ms {}", from.as_secs_f64(), kinds.join(", ")));
        // Nobody is refused, and all but one in twenty wait at most twice as long as one in a hundred did before.
        match refused == 0 && all.is_some_and(|took| took <= 2.0 * before_p99) {
            true if well == 0 => (well, since) = (1, from),
            true => well += 1,
            false => well = 0,
        }
    }
    (since, looks)
}

/// What each caller sees.
fn look(clients: &mut [(Client, Kind)]) -> Vec<Seen> {
    let unseen = |kind| Seen { kind, took_ms: Vec::new(), refused: 0, failed: 0, unwell: 0 };
    let mut seen: Vec<_> = clients.iter().map(|(_, kind)| unseen(kind.name)).collect();
    for _ in 0..LOOK {
        for ((client, kind), seen) in clients.iter_mut().zip(&mut seen) {
            callers::once(client, *kind, seen);
            thread::sleep(Duration::from_millis(2));
        }
    }
    seen
}

fn p99(all: &[Seen]) -> Result<f64> {
    let took = all.iter().flat_map(|seen| seen.took_ms.iter().copied()).collect();
    percentile(took, 0.99).context("nothing was answered")
}
