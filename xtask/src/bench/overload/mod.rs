//! A server that is asked too much, or too slowly: how its ordinary callers fare, what it refuses, what memory it takes, and
//! how soon it is as before.
//!
//! Two parts, chosen by `--only slow` and `--only flood`. Both run on loopback, so callers and server share the machine:
//! what counts is the same callers with and without the crowd, by turns.

mod callers;
mod crowd;
mod flood;
mod torrent;

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{Arguments, Better, Contender, Report, contender, health::percentile, median};
use crate::{barograph::Barograph, place, server::Server};
use callers::Seen;

/// Rounds of callers alone and beside slow clients.
const ROUNDS: usize = 3;
/// Descriptors that both sides need.
const DESCRIPTORS: u64 = 6_000;

pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let ours = contenders.iter().find(|contender| contender.name == contender::BAROGRAPH);
    let ours = ours.context("overload is measured of barograph alone")?;
    let limit = descriptors()?;
    ensure!(
        limit >= DESCRIPTORS,
        "{limit} open files are not enough for this many connections; call `ulimit -n {DESCRIPTORS}` before"
    );
    let wanted = |part: &str| arguments.only.as_ref().is_none_or(|only| only == part);
    if wanted("slow") {
        let folder = place::fresh("bench-slow")?;
        let server = Barograph::new(&ours.program, &folder).start()?;
        slow(arguments, &server, report)?;
        drop(server);
        fs::remove_dir_all(&folder)?;
    }
    if wanted("flood") {
        let folder = place::fresh("bench-flood")?;
        let server = Barograph::new(&ours.program, &folder).with(&["--memory", &arguments.memory]).start()?;
        flood::run(arguments, &server, report)?;
        drop(server);
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// The soft limit of open files, which the server inherits.
fn descriptors() -> Result<u64> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()).context("there is no such limit")?;
    Ok(soft.parse().unwrap_or(u64::MAX))
}

/// Callers alone, then beside slow clients, by turns.
fn slow(arguments: &Arguments, server: &Server, report: &mut Report) -> Result<()> {
    let time = Duration::from_secs(arguments.seconds);
    callers::load(server, arguments.seed)?;
    // The first answers make what later ones find.
    callers::call_for(server, Duration::from_secs(2))?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..arguments.repeat.unwrap_or(ROUNDS) {
        alone.push(callers::call_for(server, time)?);
        let crowd = crowd::Crowd::gather(server)?;
        beside.push(callers::call_for(server, time)?);
        report.note(crowd.leave()?);
        // What is left of their connections goes.
        thread::sleep(Duration::from_secs(2));
    }
    let p99 = |rounds: &[Vec<Seen>], kind: Option<&str>| -> Result<f64> {
        let of_round = |round: &Vec<Seen>| {
            let kinds = round.iter().filter(|seen| kind.is_none_or(|kind| seen.kind == kind));
            percentile(kinds.flat_map(|seen| seen.took_ms.iter().copied()).collect(), 0.99)
        };
        Ok(median(rounds.iter().filter_map(of_round).collect()))
    };
    let kinds: Vec<_> = alone[0].iter().map(|seen| Some(seen.kind)).chain([None]).collect();
    for kind in kinds {
        let (without, with) = (p99(&alone, kind)?, p99(&beside, kind)?);
        let name = kind.unwrap_or("all");
        let mut row = |what: &str, unit, value| {
            let name = format!("slow clients, {name}: {what}");
            report.add(&name, None, (unit, Better::Lower), vec![(contender::BAROGRAPH, value)]);
        };
        row("alone", "ms p99", without);
        row("beside", "ms p99", with);
        row("ratio", "bound 1.5", with / without);
    }
    let failed: usize = beside.iter().flatten().map(|seen| seen.refused + seen.failed).sum();
    let all: usize = beside.iter().flatten().map(|seen| seen.took_ms.len()).sum();
    report.note(format!("beside them {all} requests of others, {failed} of them refused or failed"));
    Ok(())
}
