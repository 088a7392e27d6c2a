//! The JSON query language: what it answers, what it refuses, that it says what PromQL says, and that its schema knows
//! the same documents.
#![allow(clippy::unwrap_used, reason = "tests fail by panics")]

mod documented;
mod language;
mod natives;
mod refusals;
mod same_as_promql;
mod schema;

use barograph_model::{Budget, Labels, Timestamp};
use barograph_query::{
    json::{self, Error, Query, Reply},
    script::Memory,
};
use serde_json::Value;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2025-04-01T00:00:00Z, where the example of the requirements begins.
const APRIL: i64 = 1_743_465_600_000;

fn load(memory: &mut Memory, labels: &[(&str, &str)], samples: impl IntoIterator<Item = (i64, f64)>) {
    memory.load(Labels::from_pairs(labels.iter().copied()).unwrap(), samples);
}

fn ask(memory: &Memory, document: &Value) -> Result<Reply, Error> {
    let query = Query::read(document)?;
    json::answer(memory, &query, Timestamp(APRIL + 24 * HOUR), &Budget::unlimited())
}

fn asked(memory: &Memory, document: &Value) -> Reply {
    ask(memory, document).unwrap_or_else(|e| panic!("{e}: {document}"))
}

/// A result by its name, as `labels value value …`, one line a group.
fn lines(reply: &Reply, name: &str) -> Vec<String> {
    let own = reply.results.iter().filter(|series| series.name == name);
    let line = |series: &json::Series| {
        let labels: Vec<String> =
            series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let values: Vec<String> = series.points.iter().map(|point| format!("{}", point.value)).collect();
        format!("{}: {}", labels.join(","), values.join(" "))
    };
    own.map(line).collect()
}
