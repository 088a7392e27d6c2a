//! Remote write, measured: a live fleet's samples, and series never seen before.
//!
//! Requests are encoded beforehand and sent over kept connections; the first round, which makes the series, is
//! sent before measuring. CPU is that of the server's process alone.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Arguments, Better, Contender, Report, median};
use crate::{
    load::{self, Body, Fleet, Round},
    place,
};

/// Series in a request, one sample each.
const SERIES_A_REQUEST: usize = 2_000;
/// Distance of the rounds in the load's own time.
const INTERVAL_MS: i64 = 15_000;
const REPEAT: usize = 3;
const NEW_SERIES: usize = 100_000;

/// The requests of a run: what comes before measuring, and what is measured.
pub(super) struct Load {
    series: usize,
    pub(super) warm_up: Vec<Vec<Body>>,
    pub(super) lanes: Vec<Vec<Body>>,
}

/// What one run of one contender gave.
struct Run {
    samples: f64,
    seconds: f64,
    cpu_seconds: f64,
    bytes_a_series: f64,
    bytes_a_sample: f64,
}

/// A fleet that goes on: one sample a series, 2,000 a request, at each number of connections.
pub(crate) fn live(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let both = [4, 32];
    let connections = if arguments.connections.is_empty() { &both[..] } else { &arguments.connections };
    for &connections in connections {
        // Every connection needs a lane of its own, or it would wait for another.
        let series = arguments.series.unwrap_or(10_000.max(connections * SERIES_A_REQUEST));
        let rounds = (arguments.samples / series).max(1);
        eprintln!("encoding {rounds} rounds of {series} series");
        let load = encode(series, rounds, arguments.seed)?;
        let runs = alternate(arguments, contenders, &load, connections)?;
        add(report, "ingest live", connections, &runs);
    }
    report.note("barograph acknowledges what is durable; the peers acknowledge before it is".to_owned());
    Ok(())
}

/// Series never seen before, one sample each.
pub(crate) fn new_series(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let series = arguments.series.unwrap_or(NEW_SERIES);
    let start_ms = load::now_ms()? - 60_000;
    let round = Round { start_ms, interval_ms: INTERVAL_MS, index: 0 };
    // Another fleet comes first, so that the server is awake.
    let warm_up = lanes(&mut Fleet::new(SERIES_A_REQUEST, 1_000_000, arguments.seed), round, 1);
    let lanes = lanes(&mut Fleet::new(series, 0, arguments.seed), round, 1);
    let load = Load { series, warm_up, lanes };
    let many = [4];
    let connections = if arguments.connections.is_empty() { &many[..] } else { &arguments.connections };
    for &connections in connections {
        let runs = alternate(arguments, contenders, &load, connections)?;
        add(report, "ingest new series", connections, &runs);
    }
    Ok(())
}

/// A fleet of so many series, for so many rounds after the one that makes them.
pub(super) fn encode(series: usize, rounds: usize, seed: u64) -> Result<Load> {
    let mut fleet = Fleet::new(series, 0, seed);
    let span = i64::try_from(rounds + 2)? * INTERVAL_MS;
    let round = Round { start_ms: load::now_ms()? - span, interval_ms: INTERVAL_MS, index: 0 };
    let warm_up = lanes(&mut fleet, round, 1);
    let lanes = lanes(&mut fleet, Round { index: 1, ..round }, rounds);
    Ok(Load { series, warm_up, lanes })
}

/// One lane for each request's worth of series, with a request for each round.
pub(super) fn lanes(fleet: &mut Fleet, first: Round, rounds: usize) -> Vec<Vec<Body>> {
    let series = fleet.len();
    let starts = (0..series).step_by(SERIES_A_REQUEST);
    starts
        .map(|start| {
            let part = start..(start + SERIES_A_REQUEST).min(series);
            let indices = (first.index..).take(rounds);
            indices.map(|index| fleet.request(part.clone(), Round { index, ..first }, 1)).collect()
        })
        .collect()
}

/// Each contender once, then each again, so that what the machine does besides hits all of them.
fn alternate(
    arguments: &Arguments,
    contenders: &[Contender],
    load: &Load,
    connections: usize,
) -> Result<Vec<(&'static str, Vec<Run>)>> {
    let mut runs: Vec<_> = contenders.iter().map(|contender| (contender.name, Vec::new())).collect();
    for _ in 0..arguments.repeat.unwrap_or(REPEAT) {
        for (contender, (name, runs)) in contenders.iter().zip(&mut runs) {
            let run =
                measure(contender, load, connections).with_context(|| format!("while measuring {name}"))?;
            eprintln!(
                "{name}: {:.0} samples in {:.2} s, {:.2} s of CPU, {:.0} B a series, {:.2} B a sample",
                run.samples, run.seconds, run.cpu_seconds, run.bytes_a_series, run.bytes_a_sample
            );
            runs.push(run);
        }
    }
    Ok(runs)
}

fn measure(contender: &Contender, load: &Load, connections: usize) -> Result<Run> {
    let folder = place::fresh(&format!("bench-ingest/{}", contender.name))?;
    let server = contender.start(&folder)?;
    let empty = server.resident_bytes()?;
    load::send(&server.address, &load.warm_up, connections)?;
    let before = server.cpu_seconds()?;
    let took = load::send(&server.address, &load.lanes, connections)?;
    // Work that was put off belongs to the samples that caused it.
    std::thread::sleep(Duration::from_millis(500));
    let cpu_seconds = server.cpu_seconds()? - before;
    let resident = server.resident_bytes()?;
    let samples = count(&load.lanes);
    let bytes = contender.bytes_on_disk(&server, &folder)?;
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(Run {
        samples,
        seconds: took.as_secs_f64(),
        cpu_seconds,
        bytes_a_series: (resident - empty) / load::to_f64(load.series),
        bytes_a_sample: bytes / (samples + count(&load.warm_up)),
    })
}

fn add(report: &mut Report, name: &str, connections: usize, runs: &[(&'static str, Vec<Run>)]) {
    let mut row = |what: &str, unit, value: fn(&Run) -> f64| {
        let medians = runs.iter().map(|(name, runs)| (*name, median(runs.iter().map(value).collect())));
        report.add(&format!("{name}: {what}"), Some(connections), unit, medians.collect());
    };
    row("per CPU-second", ("samples/CPU-s", Better::Higher), |run| run.samples / run.cpu_seconds);
    row("acknowledged", ("samples/s", Better::Higher), |run| run.samples / run.seconds);
    row("memory", ("B/series", Better::Lower), |run| run.bytes_a_series);
    row("disk", ("B/sample", Better::Lower), |run| run.bytes_a_sample);
}

pub(super) fn count(lanes: &[Vec<Body>]) -> f64 {
    load::to_f64(lanes.iter().flatten().map(|body| body.samples).sum())
}
