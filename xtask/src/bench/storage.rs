//! A day of a fleet's samples as they come in live: CPU from the first byte to the last merge, and bytes on disk.

use anyhow::{Context, Result};

use super::{Arguments, Better, Contender, Report, contender, ingest, median};
use crate::{load, load::Fleet, load::Round, place, server::Server};

const SERIES: usize = 10_000;
const INTERVAL_MS: i64 = 15_000;
const HOURS: u64 = 24;
const ROUNDS_AN_HOUR: usize = 240;
const CONNECTIONS: usize = 4;

/// What one contender made of the day.
struct Day {
    ingest_cpu: f64,
    upkeep_cpu: f64,
    bytes: f64,
    /// Bytes of roll-ups and how many windows they hold; ours alone.
    rollups: Option<(f64, f64)>,
}

/// Sends the same day to each contender, an hour to each by turns, and has them write it in its lasting form.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let series = arguments.series.unwrap_or(SERIES);
    let mut runs: Vec<(&'static str, Vec<Day>)> = contenders.iter().map(|c| (c.name, Vec::new())).collect();
    let samples = load::to_f64(series * ROUNDS_AN_HOUR) * load::to_f64(usize::try_from(HOURS)?);
    for _ in 0..arguments.repeat.unwrap_or(1) {
        for ((_, days), day) in runs.iter_mut().zip(day(arguments.seed, series, contenders)?) {
            days.push(day);
        }
    }
    let mut row = |what: &str, unit, value: &dyn Fn(&Day) -> f64| {
        let medians = runs.iter().map(|(name, days)| (*name, median(days.iter().map(value).collect())));
        report.add(&format!("storage: {what}"), None, unit, medians.collect());
    };
    row("ingest CPU", ("CPU-s", Better::Lower), &|day| day.ingest_cpu);
    row("cut, roll-up, merge CPU", ("CPU-s", Better::Lower), &|day| day.upkeep_cpu);
    row("samples, upkeep included", ("samples/CPU-s", Better::Higher), &|day| {
        samples / (day.ingest_cpu + day.upkeep_cpu)
    });
    row("raw blocks and index", ("B/sample", Better::Lower), &|day| day.bytes / samples);
    for (name, days) in &runs {
        for (bytes, windows) in days.iter().filter_map(|day| day.rollups) {
            report.note(format!(
                "{name}: {:.2} B a roll-up window, {windows:.0} windows in all tiers",
                bytes / windows
            ));
        }
    }
    Ok(())
}

fn day(seed: u64, series: usize, contenders: &[Contender]) -> Result<Vec<Day>> {
    let folders: Vec<_> = contenders
        .iter()
        .map(|contender| place::fresh(&format!("bench-storage/{}", contender.name)))
        .collect::<Result<_>>()?;
    let servers: Vec<Server> = contenders
        .iter()
        .zip(&folders)
        .map(|(contender, folder)| contender.start(folder))
        .collect::<Result<_>>()?;
    let mut ingest_cpu = vec![0.0; servers.len()];
    let mut fleet = Fleet::new(series, 0, seed);
    let hour_ms = i64::try_from(ROUNDS_AN_HOUR)? * INTERVAL_MS;
    // It ends on an hour that is over, so that every window of every tier is whole.
    let end_ms = (load::now_ms()? - hour_ms) / hour_ms * hour_ms;
    let start_ms = end_ms - i64::try_from(HOURS)? * hour_ms + INTERVAL_MS;
    for hour in 0..HOURS {
        let index = hour * ROUNDS_AN_HOUR as u64;
        let round = Round { start_ms, interval_ms: INTERVAL_MS, index };
        let lanes = ingest::lanes(&mut fleet, round, ROUNDS_AN_HOUR);
        for ((contender, server), cpu) in contenders.iter().zip(&servers).zip(&mut ingest_cpu) {
            let before = server.cpu_seconds()?;
            load::send(&server.address, &lanes, CONNECTIONS)
                .with_context(|| format!("while loading {}", contender.name))?;
            *cpu += server.cpu_seconds()? - before;
        }
        eprintln!("hour {} of {HOURS} sent", hour + 1);
    }
    let mut days = Vec::new();
    for (((contender, server), folder), sending) in
        contenders.iter().zip(&servers).zip(&folders).zip(ingest_cpu)
    {
        let bytes = contender.bytes_on_disk(server, folder)?;
        let upkeep_cpu = server.cpu_seconds()? - sending;
        let rollups = if contender.name == contender::BAROGRAPH { Some(rollups(server)?) } else { None };
        days.push(Day { ingest_cpu: sending, upkeep_cpu, bytes, rollups });
    }
    drop(servers);
    folders.iter().try_for_each(std::fs::remove_dir_all)?;
    Ok(days)
}

/// Bytes of all roll-ups with their indexes, and how many windows there are.
fn rollups(server: &Server) -> Result<(f64, f64)> {
    let reply = server.client().get("/api/barograph/v1/storage/stats")?;
    let stats = reply.json()?;
    let levels = stats["levels"].as_array().context("storage/stats has levels")?;
    let sum = |field: &str| levels.iter().skip(1).filter_map(|level| level[field].as_f64()).sum();
    Ok((sum("bytes"), sum("points")))
}
