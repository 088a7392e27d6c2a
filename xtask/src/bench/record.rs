//! What the SDK costs, built and run from workspaces of their own, so that nobody else depends on what they need, and
//! reported in the form of all benches: recording, beside the other crates that record; services and functions that are
//! measured, beside the same that are not; statistics of clients.

use anyhow::{Context, Result};

use super::{Arguments, Better, Report, contender::BAROGRAPH};
use crate::{place, shell};

/// Who may be measured; `off` and `none` are the same without us.
const CONTENDERS: [&str; 9] = [
    BAROGRAPH,
    "off",
    "metrics",
    "prometheus",
    "prometheus-client",
    "opentelemetry_sdk",
    "none",
    "none again",
    "identity layer",
];
const UNITS: [&str; 3] = ["ns", "ms", "bytes"];

/// Runs the bench in the folder `name` of `benches`.
pub(crate) fn run(name: &str, arguments: &Arguments, report: &mut Report) -> Result<()> {
    let manifest = place::root().join("benches").join(name).join("Cargo.toml").display().to_string();
    let target = place::target().join(format!("bench-{name}")).display().to_string();
    let seed = arguments.seed.to_string();
    let only = arguments.only.clone().unwrap_or_default();
    let build = ["run", "--release", "--quiet", "--manifest-path", &manifest, "--target-dir", &target];
    let mut words = [&build[..], &["--", "--seed", &seed, "--only", &only]].concat();
    let rounds = arguments.repeat.map(|rounds| rounds.to_string());
    if let Some(rounds) = &rounds {
        words.extend(["--rounds", rounds]);
    }
    let text = shell::output(&mut shell::cargo(&words))?;
    let mut rows: Vec<Row> = Vec::new();
    for line in text.lines() {
        if let Some(note) = line.strip_prefix("# ") {
            report.note(note.to_owned());
            continue;
        }
        let row = parse(line).with_context(|| format!("not a row: {line}"))?;
        if arguments.leaves_out(row.values[0].0) {
            continue;
        }
        match rows.last_mut().filter(|last| (&last.name, last.threads) == (&row.name, row.threads)) {
            Some(last) => last.values.extend(row.values),
            None => rows.push(row),
        }
    }
    for row in rows {
        report.add(&row.name, Some(row.threads), (row.unit, Better::Lower), row.values);
    }
    Ok(())
}

struct Row {
    name: String,
    threads: usize,
    unit: &'static str,
    values: Vec<(&'static str, f64)>,
}

/// A line of one contender: name, threads, contender, value and unit between tabs.
fn parse(line: &str) -> Option<Row> {
    let [name, threads, contender, value, unit] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
    let contender = CONTENDERS.iter().find(|known| **known == contender)?;
    let unit = UNITS.iter().find(|known| **known == unit)?;
    let values = vec![(*contender, value.parse().ok()?)];
    Some(Row { name: name.to_owned(), threads: threads.parse().ok()?, unit, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_rows() {
        let row = parse("two str labels\t2\tprometheus\t301.25\tns").unwrap();
        assert_eq!((row.name.as_str(), row.threads, row.unit), ("two str labels", 2, "ns"));
        assert_eq!(row.values, [("prometheus", 301.25)]);
        assert!(parse("two str labels\t2\tnobody\t301.25\tns").is_none());
        assert!(parse("error").is_none());
    }
}
