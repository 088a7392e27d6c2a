//! The same questions as documents of the JSON language and as the PromQL these come down to, asked by turns of one server.
//!
//! The server itself says which expression a document is (`query/explain`), so both sides read and compute the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Arguments, Better, Contender, Report, contender, median, query};
use crate::http::{Client, Reply, form};

const ASKS: usize = 101;
const WARM_UPS: usize = 5;
const HOUR_MS: i64 = 3_600_000;
const PROMQL: &str = "promql";

/// A question: its name, hours back from the end, seconds of a bucket, and the rest of its document.
type Question = (&'static str, i64, i64, Value);

/// Loads a day and asks everything both ways.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let (running, end_ms) = query::load_a_day(arguments, contenders)?;
    let (_, server) = running.first().context("documents are asked of barograph")?;
    let end_ms = end_ms / HOUR_MS * HOUR_MS;
    for (name, hours, window_s, document) in questions() {
        if arguments.only.as_ref().is_some_and(|part| !name.contains(part.as_str())) {
            continue;
        }
        let times = Times { start_ms: end_ms - hours * HOUR_MS, end_ms, window_ms: window_s * 1000 };
        let medians = measure(&mut server.client(), document, times, arguments.repeat.unwrap_or(ASKS))
            .with_context(|| format!("while asking {name:?}"))?;
        report.add(&format!("json: {name}"), None, ("ms (p50)", Better::Lower), medians);
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Times {
    start_ms: i64,
    end_ms: i64,
    window_ms: i64,
}

/// Medians in milliseconds of the document and of its expression.
fn measure(
    client: &mut Client,
    mut document: Value,
    times: Times,
    asks: usize,
) -> Result<Vec<(&'static str, f64)>> {
    document["filter"]["timeRange"] = json!({"start": times.start_ms, "end": times.end_ms});
    document["granularity"] = json!("raw");
    document["aggregations"][0]["window"] = json!(format!("{}s", times.window_ms / 1000));
    let text = json!({ "query": document }).to_string();
    let path = format!("/api/v1/query_range?{}", expression(client, &text, times)?);
    let mut sides = [(contender::BAROGRAPH, Vec::new()), (PROMQL, Vec::new())];
    let mut points = [0; 2];
    for turn in 0..WARM_UPS + asks {
        // Who is first changes, so that neither always finds what the other left in caches.
        for side in [turn % 2, (turn + 1) % 2] {
            let started = Instant::now();
            let reply = match side {
                0 => post(client, "/api/barograph/v1/query?nocache=1", &text)?,
                _ => client.get(&path)?,
            };
            let took = started.elapsed();
            ensure!(reply.status == 200, "status {}: {}", reply.status, reply.excerpt());
            match turn {
                0 => points[side] = count(&reply.json()?)?,
                turn if turn >= WARM_UPS => sides[side].1.push(milliseconds(took)),
                _ => {}
            }
        }
    }
    ensure!(points[0] == points[1] && points[0] > 0, "points of the document and of PromQL: {points:?}");
    Ok(sides.map(|(name, times)| (name, median(times))).into())
}

/// The parameters of a range query that asks what the document asks.
fn expression(client: &mut Client, document: &str, times: Times) -> Result<String> {
    let plan = post(client, "/api/barograph/v1/query/explain", document)?;
    ensure!(plan.status == 200, "explain answered {}: {}", plan.status, plan.excerpt());
    let plan = plan.json()?;
    let expression = plan["expression"].as_str().context("no expression")?;
    ensure!(!expression.contains('\n'), "the document is several expressions: {expression}");
    // A bucket is evaluated at its last millisecond.
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let fields = [
        ("query", expression),
        ("start", &seconds(times.start_ms + times.window_ms - 1)),
        ("end", &seconds(times.end_ms - 1)),
        ("step", &seconds(times.window_ms)),
        ("tier", "raw"),
        ("nocache", "1"),
    ];
    Ok(form(&fields))
}

fn post(client: &mut Client, path: &str, document: &str) -> Result<Reply> {
    client.send("POST", path, &[("Content-Type", "application/json")], document.as_bytes())
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// How many points an answer of either kind has.
fn count(answer: &Value) -> Result<usize> {
    let (series, points) = match answer["results"].as_array() {
        Some(results) => (results, "dataPoints"),
        None => (answer["data"]["result"].as_array().context("no result")?, "values"),
    };
    Ok(series.iter().filter_map(|one| one[points].as_array()).map(Vec::len).sum())
}

fn questions() -> Vec<Question> {
    let by = |metric: &str, by: &str, function: &str| json!({"metrics": [metric], "groupBy": [by], "aggregations": [{"type": function}]});
    let all =
        |metric: &str, function: &str| json!({"metrics": [metric], "aggregations": [{"type": function}]});
    let mut one = by("node_load1", "*", "AVG");
    one["filter"]["dimensions"] = json!({"instance": "node-00007.rack-07.example.net:9100"});
    let mut some = by("node_load5", "*", "LAST");
    some["filter"]["dimensions"] = json!({"instance": {"regex": "node-000[01].*"}});
    vec![
        ("one series, 1 h", 1, 60, one),
        ("last of twenty, 1 h", 1, 60, some),
        ("mean by host, 1 h", 1, 60, by("node_load1", "instance", "AVG")),
        ("last of each, 1 h", 1, 60, by("node_load1", "*", "LAST")),
        ("p95 of each, 1 h", 1, 300, by("node_load1", "*", "P95")),
        ("rate by host, 1 h", 1, 300, by("http_request_duration_seconds_count", "instance", "RATE")),
        ("maximum of all, 12 h", 12, 300, all("node_load1", "MAX")),
        ("heavy rate, 20 h", 20, 300, all("node_cpu_seconds_total", "RATE")),
    ]
}
