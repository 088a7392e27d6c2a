//! Rules and series by a seed, evaluated by us and by promtool: what we say of every rule at random times becomes what a
//! test expects, and promtool has to find it so.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{place, random::Random};

/// Files that are made.
const FILES: u64 = 20;
/// Times at which each is looked at.
const TIMES: usize = 20;
/// What is asked at each time.
const QUERIES: [&str; 3] = ["ALERTS", "ALERTS_FOR_STATE", "r"];

/// Compares one file after the other.
pub(super) fn compare(promtool: &Path, ours: &Path) -> Result<()> {
    let folder = place::fresh("random_rules")?;
    for seed in 0..FILES {
        let mut random = Random::new(seed);
        fs::write(folder.join("rules.yml"), rules(&mut random))?;
        let (head, times) = (head(&mut random), times(&mut random));
        let path = folder.join("tests.yml");
        let nothing = |_: &str| vec!["nothing 1".to_owned()];
        fs::write(&path, tests(&head, &times, nothing))?;
        let output = Command::new(ours).args(["test", "rules", "-o", "json"]).arg(&path).output()?;
        let told: Value = serde_json::from_slice(&output.stdout).context("ours is no JSON")?;
        let failures = told[0]["tests"][0]["failures"].as_array().context("no failures are told")?;
        ensure!(failures.len() == times.len() * QUERIES.len(), "seed {seed}: {told}");
        let mut got = failures.iter().map(|failure| {
            let lines = failure["got"].as_array().into_iter().flatten();
            lines.filter_map(Value::as_str).map(str::to_owned).collect()
        });
        fs::write(&path, tests(&head, &times, |_| got.next().unwrap_or_default()))?;
        let output = Command::new(promtool).args(["test", "rules"]).arg(&path).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "seed {seed}, {}:\n{told}", path.display());
    }
    Ok(())
}

fn one_of<'a>(random: &mut Random, all: &[&'a str]) -> &'a str {
    all[usize::try_from(random.below(all.len() as u64)).unwrap_or(0)]
}

fn rules(random: &mut Random) -> String {
    let mut text = String::from("groups:\n- name: g\n");
    let _ = writeln!(text, "  query_offset: {}\n  rules:", one_of(random, &["0s", "0s", "30s", "2m"]));
    for number in 0..3 {
        let conditions =
            ["x > 0", "x == 1", "sum(x) > 1", "absent(x)", "rate(x[3m]) > 0", "x > on (h) group_left y"];
        let expr = one_of(random, &conditions);
        let hold = one_of(random, &["0s", "1m", "90s", "5m"]);
        let keep = one_of(random, &["0s", "0s", "1m", "150s"]);
        let _ =
            writeln!(text, "  - {{alert: A{number}, expr: '{expr}', for: {hold}, keep_firing_for: {keep}}}");
    }
    let recorded = ["x", "sum by (h) (x)", "x > 1", "max_over_time(x[2m:30s])", "count(ALERTS)"];
    let _ = writeln!(text, "  - {{record: r, expr: '{}'}}", one_of(random, &recorded));
    text
}

/// A file of tests up to what is expected.
fn head(random: &mut Random) -> String {
    let pace = one_of(random, &["30s", "45s", "1m"]);
    let interval = one_of(random, &["20s", "30s", "1m"]);
    let mut text = format!(
        "rule_files: [rules.yml]\nevaluation_interval: {pace}\ntests:\n- interval: {interval}\n  input_series:\n"
    );
    for series in ["x{h=\"a\"}", "x{h=\"b\"}", "y{h=\"a\"}"] {
        let value = |random: &mut Random| one_of(random, &["0", "1", "2", "_", "stale", "1x2", "0x1", "_x6"]);
        let values: Vec<_> = (0..12).map(|_| value(random)).collect();
        let _ = writeln!(text, "  - {{series: '{series}', values: '{}'}}", values.join(" "));
    }
    text + "  promql_expr_test:\n"
}

fn times(random: &mut Random) -> Vec<u64> {
    (0..TIMES).map(|_| random.below(900)).collect()
}

/// A file of tests that expects at each time of each query the samples that are given: labels, a space, a value.
fn tests(head: &str, times: &[u64], mut expected: impl FnMut(&str) -> Vec<String>) -> String {
    let mut text = head.to_owned();
    for time in times {
        for query in QUERIES {
            let _ = writeln!(text, "  - expr: {query}\n    eval_time: {time}s\n    exp_samples:");
            for sample in expected(query) {
                let (labels, value) = sample.rsplit_once(' ').unwrap_or((&sample, "0"));
                let _ = writeln!(text, "    - {{labels: '{labels}', value: {value}}}");
            }
        }
    }
    text
}
