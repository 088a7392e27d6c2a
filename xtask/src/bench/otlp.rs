//! OTLP over HTTP, measured: a live fleet's points as protobuf, plain and gzipped, the same bytes for all.
//!
//! Requests are encoded beforehand and sent over kept connections; the first round, which makes the series, is sent
//! before measuring. Counted are the samples that points become: one of a number, and of a histogram one a bucket and two.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Arguments, Better, Contender, Report, contender, ingest, median};
use crate::{
    load::{
        self, Body, Fleet, Round, To,
        otlp::{self, Packing},
    },
    place,
};

/// Hosts of a request, about 2,000 samples.
const HOSTS_A_REQUEST: usize = 22;
/// Distance of the rounds in the load's own time.
const INTERVAL_MS: i64 = 15_000;
const REPEAT: usize = 3;
/// Samples a run, unless it is said: what is sent lies in memory, unpacked.
const SAMPLES_MAX: usize = 3_000_000;

struct Run {
    samples: f64,
    seconds: f64,
    cpu_seconds: f64,
    bytes_a_series: f64,
}

/// What is sent in a run.
pub(super) struct Load {
    pub(super) series: usize,
    pub(super) packing: Packing,
    pub(super) warm_up: Vec<Vec<Body>>,
    pub(super) lanes: Vec<Vec<Body>>,
}

pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let both = [4, 32];
    let connections = if arguments.connections.is_empty() { &both[..] } else { &arguments.connections };
    for packing in Packing::BOTH {
        if arguments.only.as_ref().is_some_and(|only| only != packing.as_str()) {
            continue;
        }
        for &connections in connections {
            let requests = connections.max(6);
            let samples = arguments.samples.min(SAMPLES_MAX);
            let series = requests * HOSTS_A_REQUEST * Fleet::series_of_a_host();
            eprintln!("encoding {} rounds of {series} series", samples / series);
            let load = encode(requests, (samples / series).max(2), packing, arguments.seed)?;
            let runs = alternate(arguments, contenders, &load, connections)?;
            add(report, &load, connections, &runs);
        }
    }
    report.note("barograph acknowledges what is durable; the peers acknowledge before it is".to_owned());
    report.note(
        "labels are what each makes of a resource by itself: barograph job, instance and a series of target_info, \
         victoria-metrics all of its attributes"
            .to_owned(),
    );
    Ok(())
}

/// So many requests a round, for so many rounds after the one that makes the series.
pub(super) fn encode(requests: usize, rounds: usize, packing: Packing, seed: u64) -> Result<Load> {
    let a_request = HOSTS_A_REQUEST * Fleet::series_of_a_host();
    let mut fleet = Fleet::new(requests * a_request, 0, seed);
    let span = i64::try_from(rounds + 2)? * INTERVAL_MS;
    let first = Round { start_ms: load::now_ms()? - span, interval_ms: INTERVAL_MS, index: 0 };
    let series = fleet.len();
    let mut lanes = |from: u64, rounds: usize| -> Result<Vec<Vec<Body>>> {
        let starts = (0..series).step_by(a_request);
        starts
            .map(|start| {
                let indices = (from..).take(rounds);
                indices
                    .map(|index| {
                        let round = Round { index, ..first };
                        otlp::request(&mut fleet, start..start + a_request, round, packing)
                    })
                    .collect()
            })
            .collect()
    };
    Ok(Load { series, packing, warm_up: lanes(0, 1)?, lanes: lanes(1, rounds)? })
}

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
                "{name} {}, {connections}: {:.0} samples in {:.2} s, {:.2} s of CPU, {:.0} B a series",
                load.packing.as_str(),
                run.samples,
                run.seconds,
                run.cpu_seconds,
                run.bytes_a_series
            );
            runs.push(run);
        }
    }
    Ok(runs)
}

fn measure(contender: &Contender, load: &Load, connections: usize) -> Result<Run> {
    let folder = place::fresh(&format!("bench-otlp/{}", contender.name))?;
    let server = contender.start(&folder)?;
    let to = To { address: &server.address, path: contender.otlp_path(), headers: load.packing.headers() };
    let empty = server.resident_bytes()?;
    load::send_to(to, &load.warm_up, connections)?;
    let before = server.cpu_seconds()?;
    let took = load::send_to(to, &load.lanes, connections)?;
    // Work that was put off belongs to the samples that caused it.
    std::thread::sleep(Duration::from_millis(500));
    let cpu_seconds = server.cpu_seconds()? - before;
    let bytes = server.resident_bytes()? - empty;
    if contender.name == contender::BAROGRAPH {
        let told = server.client().get("/metrics")?.text();
        ensure!(told.contains("barograph_otlp_points_refused_total 0\n"), "some points were refused");
    }
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(Run {
        samples: ingest::count(&load.lanes),
        seconds: took.as_secs_f64(),
        cpu_seconds,
        bytes_a_series: bytes / load::to_f64(load.series),
    })
}

fn add(report: &mut Report, load: &Load, connections: usize, runs: &[(&'static str, Vec<Run>)]) {
    let mut row = |what: &str, unit, value: fn(&Run) -> f64| {
        let medians = runs.iter().map(|(name, runs)| (*name, median(runs.iter().map(value).collect())));
        let name = format!("otlp {}: {what}", load.packing.as_str());
        report.add(&name, Some(connections), unit, medians.collect());
    };
    row("per CPU-second", ("samples/CPU-s", Better::Higher), |run| run.samples / run.cpu_seconds);
    row("acknowledged", ("samples/s", Better::Higher), |run| run.samples / run.seconds);
    row("memory", ("B/series", Better::Lower), |run| run.bytes_a_series);
}
