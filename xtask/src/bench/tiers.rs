//! A month asked at a step of an hour: from the roll-ups, and from the raw samples they were made of.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{Arguments, Better, Contender, Report, contender, median};
use crate::{
    barograph::Barograph,
    http::form,
    load::{self, Body, Fleet, Round},
    place,
    server::Server,
};

const SERIES: usize = 100;
const INTERVAL_MS: i64 = 15_000;
const DAYS: i64 = 30;
const HOUR_MS: i64 = 3_600_000;
/// Samples a series in a request.
const ROUNDS: usize = 960;
const ASKS: usize = 9;

const QUESTIONS: [(&str, &str); 4] = [
    ("last", "node_cpu_seconds_total"),
    ("avg_over_time", "avg_over_time(node_cpu_seconds_total[1h])"),
    ("sum of rate", "sum(rate(node_cpu_seconds_total[1h]))"),
    ("quantile_over_time", "quantile_over_time(0.95, node_cpu_seconds_total[1h])"),
];

/// Loads thirty days with raw samples kept, and asks each question of both.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let ours = contenders.iter().find(|contender| contender.name == contender::BAROGRAPH);
    let ours = ours.context("only barograph has tiers to compare")?;
    let folder = place::fresh("bench-tiers")?;
    let server = Barograph::new(&ours.program, &folder).with(&["--retention-raw", "40d"]).start()?;
    let end_ms = (load::now_ms()? - 2 * HOUR_MS) / HOUR_MS * HOUR_MS;
    fill(&server, arguments, end_ms)?;
    for (name, query) in QUESTIONS {
        let mut medians = Vec::new();
        for tier in ["1h", "raw"] {
            let mut times = Vec::new();
            for _ in 0..arguments.repeat.unwrap_or(ASKS) {
                times.push(ask(&server, query, tier, end_ms)?);
            }
            medians.push(median(times));
        }
        let [tiered, raw] = medians[..] else { unreachable!("two tiers were asked") };
        report.add(
            &format!("30 d by 1 h, {name}: raw"),
            None,
            ("ms (p50)", Better::Lower),
            vec![(ours.name, raw)],
        );
        report.add(
            &format!("30 d by 1 h, {name}: 1h tier"),
            None,
            ("ms (p50)", Better::Lower),
            vec![(ours.name, tiered)],
        );
        report.note(format!("{name}: the tier takes 1/{:.0} of the time", raw / tiered));
    }
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn fill(server: &Server, arguments: &Arguments, end_ms: i64) -> Result<()> {
    let mut fleet = Fleet::new(arguments.series.unwrap_or(SERIES), 0, arguments.seed);
    let start_ms = end_ms - DAYS * 24 * HOUR_MS;
    let rounds = usize::try_from(DAYS * 24 * HOUR_MS / INTERVAL_MS)?;
    for first in (0..rounds).step_by(ROUNDS) {
        let round = Round { start_ms, interval_ms: INTERVAL_MS, index: first as u64 };
        let body: Body = fleet.request(0..fleet.len(), round, ROUNDS.min(rounds - first));
        load::send(&server.address, &[vec![body]], 1)?;
    }
    let reply = server.client().send("POST", "/api/barograph/v1/admin/flush", &[], &[])?;
    ensure!(reply.status == 200, "flush answered {}: {}", reply.status, reply.excerpt());
    Ok(())
}

/// Milliseconds of one answer.
fn ask(server: &Server, query: &str, tier: &str, end_ms: i64) -> Result<f64> {
    let (start, end) = (end_ms / 1000 - DAYS * 24 * 3600, end_ms / 1000);
    let fields = [
        ("query", query),
        ("start", &start.to_string()),
        ("end", &end.to_string()),
        ("step", "1h"),
        ("tier", tier),
    ];
    let path = format!("/api/v1/query_range?{}", form(&fields));
    let started = Instant::now();
    let reply = server.client().get(&path)?;
    let took = started.elapsed().as_secs_f64() * 1000.0;
    ensure!(reply.status == 200, "{query} of {tier} answered {}: {}", reply.status, reply.excerpt());
    let json = reply.json()?;
    let series = json["data"]["result"].as_array().context("a range query has a result")?;
    let points = series.iter().filter_map(|s| s["values"].as_array()).map(Vec::len).min().unwrap_or(0);
    ensure!(points >= 700, "{query} of {tier} gave {points} points a series");
    Ok(took)
}
