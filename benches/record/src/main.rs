//! What recording costs: nanoseconds a call, ours and that of the other crates that record, side by side in one run.
//!
//! `cargo xtask bench record` builds and runs this and makes the report. A line on standard output is
//! `name <tab> threads <tab> contender <tab> value <tab> unit`; a note begins with `#`. The loop around the calls is part
//! of every figure; the row `nothing` is that loop alone.

mod allocations;
mod clock;
mod common;
mod memory;
mod ours;
mod peers;
mod rounds;
mod service;
mod values;

use std::{hint::black_box, process::ExitCode};

use common::{median, option};
use rounds::Round;

/// Rounds of each contender that count, and how many may be tried to get them.
const ROUNDS: usize = 15;
const TRIES: usize = 400;

/// Something that is called over and over.
struct Case {
    name: &'static str,
    contender: &'static str,
    /// Runs a round of so many threads and calls each.
    round: Box<dyn Fn(usize, u32) -> Round>,
}

fn case(name: &'static str, contender: &'static str, call: impl Fn(u32) + Sync + 'static) -> Case {
    Case { name, contender, round: Box::new(move |threads, calls| rounds::run(threads, calls, &call)) }
}

fn main() -> ExitCode {
    let seed = option("--seed", 1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let only = option("--only", 1).unwrap_or_default();
    let values = values::durations(seed);
    let mut cases = vec![case("nothing", ours::NAME, |i| {
        black_box(i);
    })];
    cases.extend(ours::cases(values));
    cases.extend(peers::cases(values));
    let mut names: Vec<&str> = Vec::new();
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        if !names.contains(&case.name) {
            names.push(case.name);
        }
    }
    for name in names {
        let cases: Vec<_> = cases.iter().filter(|case| case.name == name).collect();
        for threads in [1, 2] {
            measure(&cases, threads);
        }
    }
    if "memory".contains(&only) {
        memory::measure();
    }
    if "service".contains(&only) {
        service::measure();
    }
    versions();
    if ours::nothing_was_allocated() {
        ExitCode::SUCCESS
    } else {
        eprintln!("a look-up of labels that had been seen allocated");
        ExitCode::FAILURE
    }
}

/// Rounds by turns until each contender has enough in which nothing disturbed it.
fn measure(cases: &[&Case], threads: usize) {
    let calls: Vec<u32> = cases.iter().map(|case| calibrate(case, threads)).collect();
    let mut good = vec![Vec::new(); cases.len()];
    for _ in 0..TRIES {
        if good.iter().all(|good| good.len() >= ROUNDS) {
            break;
        }
        for ((case, calls), good) in cases.iter().zip(&calls).zip(&mut good) {
            peers::upkeep();
            let round = (case.round)(threads, *calls);
            if round.undisturbed && good.len() < ROUNDS {
                good.push(round.nanoseconds);
            }
        }
    }
    for (case, good) in cases.iter().zip(good) {
        let (name, contender) = (case.name, case.contender);
        if good.len() < ROUNDS / 3 {
            println!("# {name}, {threads} threads, {contender}: too few undisturbed rounds ({})", good.len());
            continue;
        }
        println!("{name}\t{threads}\t{contender}\t{:.3}\tns", median(good));
    }
}

/// How many calls take some milliseconds.
fn calibrate(case: &Case, threads: usize) -> u32 {
    const ROUND_NANOSECONDS: f64 = 4e6;
    let best = (0..3).map(|_| (case.round)(threads, 20_000).nanoseconds).fold(f64::INFINITY, f64::min);
    (ROUND_NANOSECONDS / best.max(0.1)).clamp(1e3, 2e7) as u32
}

/// Which versions were measured.
fn versions() {
    const LOCK: &str = include_str!("../Cargo.lock");
    let packages =
        ["metrics", "metrics-exporter-prometheus", "prometheus", "prometheus-client", "opentelemetry_sdk"];
    let version = |name: &str| {
        let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split_once('"')?.0))
    };
    println!("# {}", packages.iter().filter_map(|name| version(name)).collect::<Vec<_>>().join(", "));
}
