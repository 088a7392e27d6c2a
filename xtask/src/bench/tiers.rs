//! A month asked at a step of an hour: from the roll-ups, and from the raw samples they were made of.
//!
//! Both are asked by turns over kept connections, after each has been asked before, so that both find in memory what the
//! server keeps there. A question that reads nothing says what HTTP and the rest cost in any case.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Arguments, Better, Contender, Report, contender, median};
use crate::{
    barograph::Barograph,
    http::{Client, form},
    load::{self, Body, Fleet, Round},
    place,
    server::Server,
};

const HOSTS: usize = 100;
/// A gauge of hundredths, a counter of integers, a counter with all digits.
const METRICS: [&str; 3] = ["node_load1", "node_context_switches_total", "node_disk_io_time_seconds_total"];
const INTERVAL_MS: i64 = 15_000;
const DAYS: i64 = 30;
const HOUR_MS: i64 = 3_600_000;
/// Samples a series in a request, and series in it.
const LOAD_ROUNDS: usize = 240;
const LOAD_SERIES: usize = 150;
const ASKS: usize = 21;
const WARM_UPS: usize = 2;

/// What is asked, and whether it gives a series for each host or a single one.
const QUESTIONS: [(&str, &str, bool); 8] = [
    ("last of each", "node_load1", true),
    ("avg_over_time of each", "avg_over_time(node_load1[1h])", true),
    ("rate of each", "rate(node_context_switches_total[1h])", true),
    ("quantile_over_time of each", "quantile_over_time(0.95, node_load1[1h])", true),
    ("avg of avg_over_time", "avg(avg_over_time(node_load1[1h]))", false),
    ("max of max_over_time", "max(max_over_time(node_load1[1h]))", false),
    ("sum of rate", "sum(rate(node_context_switches_total[1h]))", false),
    ("sum of increase, all digits", "sum(increase(node_disk_io_time_seconds_total[1h]))", false),
];

/// Loads thirty days with raw samples kept, and asks each question of both.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let ours = contenders.iter().find(|contender| contender.name == contender::BAROGRAPH);
    let ours = ours.context("only barograph has tiers to compare")?;
    let folder = place::fresh("bench-tiers")?;
    let server = Barograph::new(&ours.program, &folder)
        .with(&["--retention-raw", "40d", "--out-of-order", "40d"])
        .start()?;
    let end_ms = (load::now_ms()? - 2 * HOUR_MS) / HOUR_MS * HOUR_MS;
    let hosts = arguments.series.map_or(HOSTS, |series| series / METRICS.len()).max(1);
    let mut fleet = Fleet::of_metrics(hosts, &METRICS, arguments.seed);
    fill(&server, &mut fleet, end_ms)?;
    let mut asking = Asking { client: server.client(), end_s: end_ms / 1000 };
    asking.check_samples(hosts)?;
    let asks = arguments.repeat.unwrap_or(ASKS);
    let mut totals = [0.0; 2];
    for (name, query, each) in QUESTIONS {
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..WARM_UPS + asks {
            for (times, tier) in times.iter_mut().zip(["raw", "1h"]) {
                let took = asking.ask(query, tier, if each { hosts } else { 1 })?;
                times.extend((turn >= WARM_UPS).then_some(took));
            }
        }
        let [raw, tiered] = times.map(median);
        totals = [totals[0] + raw, totals[1] + tiered];
        add(report, ours.name, name, [raw, tiered]);
    }
    add(report, ours.name, "all of these", totals);
    let nothing: Result<Vec<f64>> = (0..asks).map(|_| asking.ask("vector(1)", "1h", 1)).collect();
    report.note(format!("a question that reads nothing takes {:.2} ms", median(nothing?)));
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn add(report: &mut Report, ours: &'static str, name: &str, [raw, tiered]: [f64; 2]) {
    for (from, value) in [("raw", raw), ("1h tier", tiered)] {
        let name = format!("30 d by 1 h, {name}: {from}");
        report.add(&name, None, ("ms (p50)", Better::Lower), vec![(ours, value)]);
    }
    report.note(format!("{name}: the tier takes 1/{:.0} of the time", raw / tiered));
}

/// In the order of time, as samples come in.
fn fill(server: &Server, fleet: &mut Fleet, end_ms: i64) -> Result<()> {
    let started = Instant::now();
    let start_ms = end_ms - DAYS * 24 * HOUR_MS;
    let rounds = usize::try_from(DAYS * 24 * HOUR_MS / INTERVAL_MS)?;
    for first in (0..rounds).step_by(LOAD_ROUNDS) {
        let round = Round { start_ms, interval_ms: INTERVAL_MS, index: first as u64 };
        let starts = (0..fleet.len()).step_by(LOAD_SERIES);
        let bodies: Vec<Body> = starts
            .map(|start| fleet.request(start..(start + LOAD_SERIES).min(fleet.len()), round, LOAD_ROUNDS))
            .collect();
        load::send(&server.address, &[bodies], 1)?;
    }
    eprintln!(
        "loaded {} series of {rounds} samples in {:.0} s",
        fleet.len(),
        started.elapsed().as_secs_f64()
    );
    let reply = server.client().send("POST", "/api/barograph/v1/admin/flush", &[], &[])?;
    ensure!(reply.status == 200, "flush answered {}: {}", reply.status, reply.excerpt());
    // What the loading set off besides should not disturb the asking.
    std::thread::sleep(Duration::from_secs(5));
    Ok(())
}

/// A kept connection, and the last of the thirty days.
struct Asking {
    client: Client,
    end_s: i64,
}

impl Asking {
    /// Makes sure that raw samples are all there.
    fn check_samples(&mut self, hosts: usize) -> Result<()> {
        let end = self.end_s.to_string();
        let query = format!("sum(count_over_time({}[{DAYS}d]))", METRICS[0]);
        let fields = [("query", query.as_str()), ("time", &end), ("tier", "raw"), ("timeout", "60s")];
        let json = self.client.get(&format!("/api/v1/query?{}", form(&fields)))?.json()?;
        let count: f64 = json["data"]["result"][0]["value"][1].as_str().context("no count")?.parse()?;
        let expected = load::to_f64(hosts * usize::try_from(DAYS * 24 * HOUR_MS / INTERVAL_MS)?);
        // Jitter takes a sample a host across an end of the range.
        ensure!((count - expected).abs() <= load::to_f64(2 * hosts), "{count} samples, not {expected}");
        Ok(())
    }

    /// Milliseconds of one answer, which has so many series.
    fn ask(&mut self, query: &str, tier: &str, series: usize) -> Result<f64> {
        let (start, end) = ((self.end_s - DAYS * 24 * 3600).to_string(), self.end_s.to_string());
        let fields = [("query", query), ("start", &start), ("end", &end), ("step", "1h"), ("tier", tier)];
        let path = format!("/api/v1/query_range?{}", form(&fields));
        let started = Instant::now();
        let reply = self.client.get(&path)?;
        let took = started.elapsed().as_secs_f64() * 1000.0;
        ensure!(reply.status == 200, "{query} of {tier} answered {}: {}", reply.status, reply.excerpt());
        let json = reply.json()?;
        let result = json["data"]["result"].as_array().context("a range query has a result")?;
        ensure!(result.len() == series, "{query} of {tier} gave {} series", result.len());
        let points = result.iter().filter_map(|entry| entry["values"].as_array()).map(Vec::len).min();
        ensure!(points.unwrap_or(0) >= 719, "{query} of {tier} gave {points:?} points a series");
        Ok(took)
    }
}
