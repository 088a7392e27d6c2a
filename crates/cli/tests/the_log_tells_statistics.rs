//! With `stats.log_interval` the log has entries `metrics`, which parse as JSON and have the fields that the guide lists.

#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

mod support;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
};

use serde_json::Value;

#[test]
fn the_log_tells_statistics() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = support::serve(dir.path(), &["--log-format", "json"]);
    let mut server = command.env("BAROGRAPH_STATS__LOG_INTERVAL", "1s").spawn().unwrap();
    let log = BufReader::new(server.stderr.take().unwrap()).lines();
    let entries = log.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let entry = entries.into_iter().find(|entry| entry["message"] == "metrics").unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let guide = include_str!("../../../docs/monitoring.md");
    let rows =
        guide.split("## Elasticsearch").nth(1).unwrap().lines().take_while(|line| !line.starts_with("## "));
    let listed = rows.filter(|line| line.starts_with("| `")).flat_map(|line| line.split('|').nth(1));
    let listed: BTreeSet<&str> = listed.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(listed.len() >= 12, "{listed:?}");
    let fields = entry.as_object().unwrap();
    for (name, value) in fields.iter().filter(|(_, value)| value.is_number()) {
        assert!(listed.contains(name.as_str()), "{name} is not listed: {value}");
    }
    for name in ["clients_connected_current", "api_calls_total", "server_health_score", "server_uptime_ms"] {
        assert!(fields[name].is_number(), "{name} of {entry}");
    }
}
