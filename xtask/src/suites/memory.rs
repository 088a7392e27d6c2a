//! A server with the smallest budget is flooded with new series and heavy queries at once: it stays within the budget, says
//! what it gives up, loses nothing it acknowledged, and recovers by itself.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use barograph_model::Labels;
use serde_json::Value;

use super::{Ground, answers::ask};
use crate::{
    barograph::Barograph,
    http::Client,
    load::{self, REMOTE_WRITE_HEADERS, to_f64},
    place,
    random::Random,
    server::Server,
    tally::Tally,
};

const BUDGET: &str = "256MiB";
const BUDGET_BYTES: f64 = 256.0 * 1024.0 * 1024.0;
/// How long the flood goes on at least.
const FLOOD: Duration = Duration::from_secs(15);
/// How long it goes on at most, where a slow machine is to be flooded.
const FLOOD_MAX: Duration = Duration::from_secs(120);
/// Longest wait for the server to be as before.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
const WRITERS: usize = 3;
const ASKERS: usize = 4;
/// New series in a request.
const SERIES: usize = 2000;
/// Old series in a request of many samples, and samples of each.
const MANY_SERIES: i64 = 500;
const MANY_SAMPLES: i64 = 100;
/// A sender that is told to wait comes again after this.
const WAIT: Duration = Duration::from_millis(200);

/// What is seen while the flood goes on.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    written: AtomicUsize,
    told_to_wait: AtomicUsize,
    answered: AtomicUsize,
    refused: AtomicUsize,
    other: Mutex<BTreeSet<String>>,
    steps: Mutex<BTreeSet<String>>,
    peak: Mutex<f64>,
}

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("memory")?;
    let server = Barograph::new(&ground.binary, &folder).with(&["--memory", BUDGET]).start()?;
    let seen = Seen::default();
    let start_ms = load::now_ms()?;
    let kept = flood(&server, &seen, start_ms)?;
    let peak = *seen.peak.lock().expect("no thread panics");
    let steps = seen.steps.lock().expect("no thread panics").clone();
    println!(
        "   {:.0} MiB at most; {} new series taken, {} requests told to wait; {} queries answered, {} refused; steps: {:?}",
        peak / 1024.0 / 1024.0,
        seen.written.load(Ordering::Relaxed),
        seen.told_to_wait.load(Ordering::Relaxed),
        seen.answered.load(Ordering::Relaxed),
        seen.refused.load(Ordering::Relaxed),
        steps
    );
    tally.check("resident memory stays within bounds", within(peak));
    tally.check("what is given up is told", told(&server, &steps));
    let other = seen.other.lock().expect("no thread panics").clone();
    tally.check("every refusal says to come again", all_good(&other));
    tally.check("the server recovers by itself", recovers(&server));
    tally.check("nothing acknowledged is lost", is_there(&server, kept, start_ms));
    let server = {
        server.kill()?;
        Barograph::new(&ground.binary, &folder).with(&["--memory", BUDGET]).start()?
    };
    tally.check("nor after a kill", is_there(&server, kept, start_ms));
    Ok(())
}

fn within(peak: f64) -> Result<()> {
    ensure!(peak <= BUDGET_BYTES, "{peak} bytes of {BUDGET_BYTES}");
    Ok(())
}

fn all_good(other: &BTreeSet<String>) -> Result<()> {
    ensure!(other.is_empty(), "{other:?}");
    Ok(())
}

/// Writes and asks until the time is up; how many samples of the old series were acknowledged.
fn flood(server: &Server, seen: &Seen, start_ms: i64) -> Result<i64> {
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || write_new(&server.address, seen, writer, start_ms));
        }
        for writer in 0..WRITERS {
            scope.spawn(move || write_many(&server.address, seen, writer, start_ms));
        }
        for asker in 0..ASKERS {
            scope.spawn(move || ask_much(&server.address, seen, asker));
        }
        let old = scope.spawn(|| write_old(&server.address, seen, start_ms));
        let watched = watch(server, seen);
        // The others end by this, whatever was seen.
        seen.over.store(true, Ordering::Relaxed);
        let kept = old.join().expect("a writer does not panic");
        watched.map(|()| kept)
    })
}

/// Looks at a server that is flooded until the time is up and it gave something up.
fn watch(server: &Server, seen: &Seen) -> Result<()> {
    let began = Instant::now();
    let mut client = server.client();
    let flooded = || !seen.steps.lock().expect("no thread panics").is_empty();
    while began.elapsed() < FLOOD || (began.elapsed() < FLOOD_MAX && !flooded()) {
        let resident = server.anonymous_bytes()?;
        let mut peak = seen.peak.lock().expect("no thread panics");
        *peak = peak.max(resident);
        drop(peak);
        let told = client.get("/api/barograph/v1/memory")?.json()?;
        let taken = told["shedding"].as_object().context("no steps")?;
        let taken = taken.iter().filter(|step| step.1 == &Value::Bool(true)).map(|step| step.0.clone());
        seen.steps.lock().expect("no thread panics").extend(taken);
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Series that were never there before, with labels of some length.
fn write_new(address: &str, seen: &Seen, writer: usize, start_ms: i64) {
    let mut client = Client::new(address);
    let mut number = 0;
    while !seen.over.load(Ordering::Relaxed) {
        let mut message = Vec::new();
        for index in 0..SERIES {
            let id = format!("{writer}-{number}-{index}-{}", "x".repeat(1500));
            let metric = format!("flood_{}", index % 20);
            let labels = Labels::from_pairs([("__name__", metric.as_str()), ("id", &id), ("writer", "w")]);
            let labels = labels.expect("labels are good");
            load::push_series(&mut message, labels.as_bytes(), &[(start_ms + number, 1.0)]);
        }
        match send(&mut client, seen, &load::compressed(&message)) {
            Some(204) => {
                seen.written.fetch_add(SERIES, Ordering::Relaxed);
                number += 1;
            }
            _ => thread::sleep(WAIT),
        }
    }
}

/// Samples that do not compress, of few series.
fn write_many(address: &str, seen: &Seen, writer: usize, start_ms: i64) {
    let mut client = Client::new(address);
    let mut random = Random::new(u64::try_from(writer).unwrap_or(0));
    let metric = format!("many_{writer}");
    let mut number = 0;
    while !seen.over.load(Ordering::Relaxed) {
        let mut message = Vec::new();
        for index in 0..MANY_SERIES {
            let id = index.to_string();
            let labels = Labels::from_pairs([("__name__", metric.as_str()), ("id", &id)]);
            let sample = |n| (start_ms + number * MANY_SAMPLES + n, f64::from_bits(random.next() >> 2));
            let samples: Vec<_> = (0..MANY_SAMPLES).map(sample).collect();
            load::push_series(&mut message, labels.expect("labels are good").as_bytes(), &samples);
        }
        match send(&mut client, seen, &load::compressed(&message)) {
            Some(204) => number += 1,
            _ => thread::sleep(WAIT),
        }
    }
}

/// One series that was there before, a sample after the other; how many were acknowledged.
fn write_old(address: &str, seen: &Seen, start_ms: i64) -> i64 {
    let mut client = Client::new(address);
    let labels = Labels::from_pairs([("__name__", "old")]).expect("labels are good");
    let mut number = 0;
    while !seen.over.load(Ordering::Relaxed) {
        let mut message = Vec::new();
        load::push_series(&mut message, labels.as_bytes(), &[(start_ms + number, 1.0)]);
        match send(&mut client, seen, &load::compressed(&message)) {
            Some(204) => number += 1,
            _ => thread::sleep(WAIT),
        }
    }
    number
}

fn send(client: &mut Client, seen: &Seen, body: &[u8]) -> Option<u16> {
    let reply = client.send("POST", "/api/v1/write", &REMOTE_WRITE_HEADERS, body).ok()?;
    match reply.status {
        204 => {}
        429 if reply.header("retry-after").is_some() => add(&seen.told_to_wait),
        _ => drop(seen.other.lock().expect("no thread panics").insert(reply.excerpt())),
    }
    Some(reply.status)
}

fn add(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Queries that hold much.
fn ask_much(address: &str, seen: &Seen, asker: usize) {
    let mut client = Client::new(address);
    while !seen.over.load(Ordering::Relaxed) {
        let now = load::now_ms().unwrap_or(0) / 1000;
        let pattern = format!("{{__name__=~\"flood_1?{asker}\"}}");
        let fields = [
            ("query", pattern.as_str()),
            ("start", &(now - 600).to_string()),
            ("end", &now.to_string()),
            ("step", "1"),
            ("limit", "10"),
        ];
        let Ok(reply) = client.post_form("/api/v1/query_range", &fields) else { continue };
        match reply.status {
            200 => add(&seen.answered),
            503 if reply.header("retry-after").is_some() => {
                add(&seen.refused);
                thread::sleep(WAIT);
            }
            _ => drop(seen.other.lock().expect("no thread panics").insert(reply.excerpt())),
        }
    }
}

/// Steps that were taken are in the server's own metrics and its log.
fn told(server: &Server, steps: &BTreeSet<String>) -> Result<()> {
    ensure!(!steps.is_empty(), "no step was taken");
    let metrics = server.client().get("/metrics")?.text();
    for step in steps {
        let counter = format!("barograph_memory_steps_total{{step=\"{step}\"}}");
        ensure!(metrics.contains(&counter), "no {counter}");
    }
    ensure!(metrics.contains("barograph_memory_shedding{step=\"ingest\"}"), "no gauge");
    ensure!(server.log_whole()?.contains("memory is short"), "the log says nothing");
    Ok(())
}

/// Writes and queries are taken again in time.
fn recovers(server: &Server) -> Result<()> {
    let began = Instant::now();
    let mut client = server.client();
    let mut last = String::new();
    while began.elapsed() < RECOVERY_MAX {
        let told = client.get("/api/barograph/v1/memory")?.json()?;
        let refuses = ["queries", "ingest"].iter().any(|step| told["shedding"][step] == Value::Bool(true));
        let asked = client.get("/api/v1/query?query=count(old)")?;
        let writes = client.send("POST", "/api/v1/import/prometheus", &[], b"old 2\n")?;
        if !refuses && asked.status == 200 && writes.status == 204 {
            println!("   as before after {:.1} s", began.elapsed().as_secs_f64());
            return Ok(());
        }
        last = format!("query {}, write {}: {} {told}", asked.status, writes.status, writes.excerpt());
        thread::sleep(WAIT);
    }
    anyhow::bail!("after {RECOVERY_MAX:?}: {last}")
}

/// The samples of the old series are there, each.
fn is_there(server: &Server, kept: i64, start_ms: i64) -> Result<()> {
    ensure!(kept > 0, "nothing was acknowledged");
    // The range ends with the last sample and is open to the left.
    let at = format!("{:.3}", to_f64(usize::try_from(start_ms + kept - 1)?) / 1000.0);
    let query = format!("count_over_time(old[{kept}ms])");
    let data = ask(&mut server.client(), "/api/v1/query", &[("query", &query), ("time", &at)])?;
    let found = data["result"][0]["value"][1].as_str().unwrap_or("none").to_owned();
    ensure!(found == kept.to_string(), "{kept} acknowledged, {found} there");
    Ok(())
}
