//! Eleven kinds of questions about a day of a fleet's data, asked of each contender by turns.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Arguments, Better, Contender, Report, median};
use crate::{
    http::{Client, form},
    load::{self, Body, Fleet, Round},
    place,
    server::Server,
};

const SERIES: usize = 10_000;
const INTERVAL_MS: i64 = 60_000;
/// Rounds in a day.
const ROUNDS: usize = 24 * 60;
/// Series and rounds of a loading request.
const LOAD_SERIES: usize = 400;
const LOAD_ROUNDS: usize = 15;
const LOAD_CONNECTIONS: usize = 4;
const ASKS: usize = 15;
const WARM_UPS: usize = 2;
const HOUR_S: i64 = 3600;

/// One kind of question.
struct Question {
    name: &'static str,
    ask: Ask,
}

enum Ask {
    Instant(&'static str),
    /// Expression, hours back from the end, step in seconds.
    Range(&'static str, i64, i64),
    LabelValues(&'static str),
}

const QUESTIONS: [Question; 11] = [
    Question {
        name: "raw 1 h",
        ask: Ask::Range(r#"node_load1{instance="node-00007.rack-07.example.net:9100"}"#, 1, 60),
    },
    Question { name: "range of 20", ask: Ask::Range(r#"node_load5{instance=~"node-000[01].*"}"#, 1, 60) },
    Question {
        name: "sum by rate",
        ask: Ask::Range("sum by (instance) (rate(http_request_duration_seconds_count[5m]))", 1, 60),
    },
    Question { name: "max over 100 hosts, 12 h", ask: Ask::Range("max(node_load1)", 12, 300) },
    Question {
        name: "topk",
        ask: Ask::Range(r#"topk(5, rate(node_network_receive_bytes_total{device="eth0"}[5m]))"#, 1, 60),
    },
    Question { name: "avg_over_time 24 h", ask: Ask::Instant("avg_over_time(node_load5[24h])") },
    Question {
        name: "histogram_quantile",
        ask: Ask::Range(
            "histogram_quantile(0.95, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))",
            1,
            60,
        ),
    },
    Question {
        name: "regex over all series",
        ask: Ask::Instant(r#"count({__name__=~"node_.*", instance=~".*rack-0[1-5].*"})"#),
    },
    Question { name: "count of everything", ask: Ask::Instant(r#"count({__name__=~".+"})"#) },
    Question { name: "heavy rate, 24 h", ask: Ask::Range("sum(rate(node_cpu_seconds_total[5m]))", 24, 300) },
    Question { name: "label values", ask: Ask::LabelValues("instance") },
];

/// Loads a day into each contender and asks all questions.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let (running, end_ms) = load_a_day(arguments, contenders)?;
    let wanted = |question: &&Question| {
        arguments.only.as_ref().is_none_or(|part| question.name.contains(part.as_str()))
    };
    for question in QUESTIONS.iter().filter(wanted) {
        measure(question, end_ms / 1000, arguments.repeat.unwrap_or(ASKS), &running, report)
            .with_context(|| format!("while asking {:?}", question.name))?;
    }
    Ok(())
}

/// Servers with a day of a fleet's samples, by name, and when the day ends.
pub(super) fn load_a_day(
    arguments: &Arguments,
    contenders: &[Contender],
) -> Result<(Vec<(&'static str, Server)>, i64)> {
    let series = arguments.series.unwrap_or(SERIES);
    // The last round is some minutes ago, so that no contender takes the end for still arriving.
    let end_ms = (load::now_ms()? - 5 * 60_000) / INTERVAL_MS * INTERVAL_MS;
    let start_ms = end_ms - i64::try_from(ROUNDS)? * INTERVAL_MS;
    eprintln!("encoding a day of {series} series");
    let day = encode(&mut Fleet::new(series, 0, arguments.seed), start_ms);
    let mut running = Vec::new();
    for contender in contenders {
        let folder = place::fresh(&format!("bench-query/{}", contender.name))?;
        let server = contender.start(&folder)?;
        let started = Instant::now();
        for step in &day {
            load::send(&server.address, step, LOAD_CONNECTIONS)
                .with_context(|| format!("while loading {}", contender.name))?;
        }
        eprintln!("{}: loaded in {:.1} s", contender.name, started.elapsed().as_secs_f64());
        running.push((contender.name, server));
    }
    drop(day);
    // Merges that the loading set off should not disturb the asking.
    std::thread::sleep(Duration::from_secs(5));
    Ok((running, end_ms))
}

/// The day in steps; each is sent before the next begins. A server that takes no old samples may hold up one
/// connection for long while it writes a block, and must not be overtaken by the others.
fn encode(fleet: &mut Fleet, start_ms: i64) -> Vec<Vec<Vec<Body>>> {
    let series = fleet.len();
    let firsts = (0..ROUNDS as u64).step_by(LOAD_ROUNDS);
    firsts
        .map(|index| {
            let round = Round { start_ms, interval_ms: INTERVAL_MS, index };
            let starts = (0..series).step_by(LOAD_SERIES);
            starts
                .map(|start| {
                    vec![fleet.request(start..(start + LOAD_SERIES).min(series), round, LOAD_ROUNDS)]
                })
                .collect()
        })
        .collect()
}

/// Asks by turns, so that what the machine does besides hits all of them.
fn measure(
    question: &Question,
    end_s: i64,
    asks: usize,
    running: &[(&'static str, Server)],
    report: &mut Report,
) -> Result<()> {
    let path = question.path(end_s);
    let mut sides: Vec<_> =
        running.iter().map(|(name, server)| (*name, server.client(), Vec::new())).collect();
    let mut sizes = Vec::new();
    for turn in 0..WARM_UPS + asks {
        for (name, client, times) in &mut sides {
            let (size, took) = ask(client, &path).with_context(|| format!("{name} was asked"))?;
            if turn == 0 {
                sizes.push((*name, size));
            }
            if turn >= WARM_UPS {
                times.push(took.as_secs_f64() * 1000.0);
            }
        }
    }
    if sizes.iter().any(|size| size.1 != sizes[0].1) {
        report.note(format!("{}: the answers differ in size: {sizes:?}", question.name));
    }
    let medians = sides.into_iter().map(|(name, _, times)| (name, median(times))).collect();
    report.add(&format!("query: {}", question.name), None, ("ms (p50)", Better::Lower), medians);
    Ok(())
}

/// How many series or values came back, and after how long.
fn ask(client: &mut Client, path: &str) -> Result<(usize, Duration)> {
    let started = Instant::now();
    let reply = client.get(path)?;
    let took = started.elapsed();
    ensure!(reply.status == 200, "status {}: {}", reply.status, reply.excerpt());
    let json = reply.json()?;
    let data = &json["data"];
    let result = data["result"].as_array().or_else(|| data.as_array());
    let result = result.with_context(|| format!("no result in {}", reply.excerpt()))?;
    ensure!(result.iter().all(|entry| *entry != Value::Null), "a null in the result");
    Ok((result.len(), took))
}

impl Question {
    /// The peer's cache of results is kept out: a question is measured, not its repetition.
    fn path(&self, end_s: i64) -> String {
        let end = end_s.to_string();
        match self.ask {
            Ask::Instant(query) => {
                format!("/api/v1/query?{}", form(&[("query", query), ("time", &end), ("nocache", "1")]))
            }
            Ask::Range(query, hours, step) => {
                let (start, step) = ((end_s - hours * HOUR_S).to_string(), step.to_string());
                let fields = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
                format!("/api/v1/query_range?{}&nocache=1", form(&fields))
            }
            Ask::LabelValues(label) => {
                let start = (end_s - 24 * HOUR_S).to_string();
                format!("/api/v1/label/{label}/values?{}", form(&[("start", &start), ("end", &end)]))
            }
        }
    }
}
