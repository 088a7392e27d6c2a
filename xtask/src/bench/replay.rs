//! A write-ahead log of a gibibyte, read again after the server was killed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Arguments, Better, Contender, Report, contender, ingest, median};
use crate::{
    barograph::Barograph,
    load::{self, Fleet, Round},
    place,
};

const SERIES: usize = 10_000;
const LOG_BYTES: f64 = 1_073_741_824.0;
/// Close together, so that all of it is too young to be cut into blocks.
const INTERVAL_MS: i64 = 290;
const ROUNDS_A_STEP: usize = 200;
const CONNECTIONS: usize = 4;
const REPEAT: usize = 3;

/// Writes a log, kills the server, and measures the time until it is ready again.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let ours = contenders.iter().find(|contender| contender.name == contender::BAROGRAPH);
    let ours = ours.context("replay is measured of barograph alone")?;
    let folder = place::fresh("bench-replay")?;
    let barograph = Barograph::new(&ours.program, &folder);
    let mut server = barograph.start()?;
    let mut fleet = Fleet::new(arguments.series.unwrap_or(SERIES), 0, arguments.seed);
    let start_ms = load::now_ms()? - 50 * 60_000;
    let mut bytes = 0.0;
    for step in 0.. {
        let index = step * ROUNDS_A_STEP as u64;
        let lanes =
            ingest::lanes(&mut fleet, Round { start_ms, interval_ms: INTERVAL_MS, index }, ROUNDS_A_STEP);
        load::send(&server.address, &lanes, CONNECTIONS)?;
        bytes = log_bytes(&folder.join("data/wal"))?;
        if bytes >= LOG_BYTES {
            break;
        }
    }
    let mut seconds = Vec::new();
    for _ in 0..arguments.repeat.unwrap_or(REPEAT) {
        server.kill()?;
        let started = Instant::now();
        server = barograph.start()?;
        seconds.push(started.elapsed().as_secs_f64());
        if started.elapsed() > Duration::from_secs(120) {
            bail!("replay takes minutes");
        }
    }
    report.add(
        "replay: kill -9 to ready",
        None,
        ("s/GiB", Better::Lower),
        vec![(ours.name, median(seconds) / bytes * LOG_BYTES)],
    );
    report.note(format!("{bytes:.0} bytes of log"));
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn log_bytes(folder: &std::path::Path) -> Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(load::to_f64(usize::try_from(bytes)?))
}
