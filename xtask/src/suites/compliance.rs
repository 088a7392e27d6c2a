//! The queries of the PromQL compliance tester, asked of a Prometheus and of us about the same hours of a demo service:
//! all must agree, and those that must fail must fail on both sides.
//!
//! The queries are templates: of each the variants are made by putting every value of its variables in.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use barograph_yaml::{
    read,
    section::{Findings, Section},
    tree::{Kind, Node},
};

use super::{
    Ground,
    answers::{Agreement, compare_any, data, expect_error, series},
};
use crate::{
    bench::Contender,
    http::{Client, Reply, form},
    load::{self, demo},
    place,
    tally::Tally,
};

/// What may differ, relative to the value: orders of summation do.
const AGREEMENT: Agreement = Agreement::Within(1e-8);

const HOURS: i64 = 3;
const SEED: u64 = 1;

/// Ranges that are asked for, in seconds: how long before the end of the data they end, how long they are, and the step.
const RANGES: [(i64, i64, i64); 2] = [(720, 600, 10), (600, 7_200, 95)];

/// These fail in Prometheus 2 but no longer in Prometheus 3.
const OUT_OF_DATE: [&str; 3] = [
    r#"label_replace(demo_num_cpus, "~invalid", "", "src", "(.*)")"#,
    r#"label_replace(demo_num_cpus, "instance", "", "", "")"#,
    r#"label_join(demo_num_cpus, "~invalid", "-", "instance")"#,
];

/// The values of the variables.
const VARIABLES: [(&str, &[&str]); 15] = [
    ("range", &["1s", "15s", "1m", "5m", "15m", "1h"]),
    ("offset", &["1m", "5m", "10m"]),
    ("simpleAggrOp", &["sum", "avg", "max", "min", "count", "stddev", "stdvar"]),
    ("simpleTimeAggrOp", &["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last"]),
    ("topBottomOp", &["topk", "bottomk"]),
    ("quantile", &["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"]),
    ("arithBinOp", &["+", "-", "*", "/", "%", "^"]),
    ("compBinOp", &["==", "!=", "<", ">", "<=", ">="]),
    ("binOp", &["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="]),
    ("simpleMathFunc", &["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"]),
    ("extrapolatedRateFunc", &["delta", "rate", "increase"]),
    ("clampFunc", &["clamp_min", "clamp_max"]),
    ("instantRateFunc", &["idelta", "irate"]),
    ("dateFunc", &["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"]),
    ("smoothingFactor", &["0.1", "0.5", "0.8"]),
];

/// A query of the collection.
#[derive(Debug, PartialEq)]
struct Case {
    query: String,
    should_fail: bool,
}

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let data = place::testdata().map(|data| data.join("promql-compliance/promql-test-queries.yml"));
    let Some(path) = data.filter(|path| path.is_file()) else {
        tally.skip("compliance queries", "BAROGRAPH_TESTDATA names no folder with promql-compliance");
        return Ok(());
    };
    let peers = match ground.peers() {
        Ok(peers) => peers,
        Err(why) => {
            tally.skip("compliance queries", why);
            return Ok(());
        }
    };
    let cases = cases(&path)?;
    let folder = place::fresh("compliance")?;
    let [_, prometheus] = Contender::peers(peers);
    let sides = [("ours", Contender::barograph(&ground.binary, None)), ("theirs", prometheus)];
    let end_ms = load::now_ms()? / demo::INTERVAL_MS * demo::INTERVAL_MS;
    let requests = [demo::requests(end_ms - HOURS * 3_600_000, end_ms, SEED)?];
    let mut servers = Vec::new();
    for (name, contender) in sides {
        let folder = folder.join(name);
        fs::create_dir(&folder)?;
        let server = contender.start(&folder)?;
        load::send(&server.address, &requests, 1).with_context(|| format!("while filling {name}"))?;
        servers.push(server);
    }
    let mut clients = (servers[0].client(), servers[1].client());
    let mut differ = String::new();
    let (mut agree, mut empty) = (0, 0);
    for case in &cases {
        for range in RANGES {
            match ask(&mut clients, case, end_ms / 1000, range) {
                Ok(found) => (agree, empty) = (agree + 1, empty + usize::from(!found)),
                Err(error) => drop(writeln!(differ, "{} ({range:?}): {error:#}", case.query)),
            }
        }
    }
    println!(
        "{} queries, {} ranges each: {agree} agree, {empty} of them on nothing",
        cases.len(),
        RANGES.len()
    );
    let outcome = if differ.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("{differ}")) };
    tally.check(&format!("{} queries agree", cases.len()), outcome);
    // A query that finds nothing shows little; of the collection few are meant to.
    let few = cases.len() * RANGES.len() / 10;
    tally.check("nearly all find something", at_most(empty, few));
    Ok(())
}

fn at_most(empty: usize, few: usize) -> Result<()> {
    ensure!(empty <= few, "{empty} find nothing, of which {few} would be few");
    Ok(())
}

/// Asks both the same; whether there was something to compare.
fn ask(
    (ours, theirs): &mut (Client, Client),
    case: &Case,
    end_s: i64,
    (before, length, step): (i64, i64, i64),
) -> Result<bool> {
    let (start, end) = ((end_s - before - length).to_string(), (end_s - before).to_string());
    let fields = [("query", &*case.query), ("start", &start), ("end", &end), ("step", &step.to_string())];
    let path = format!("/api/v1/query_range?{}", form(&fields));
    let (ours, theirs): (Reply, Reply) = (ours.get(&path)?, theirs.get(&path)?);
    if case.should_fail {
        ensure!(theirs.status >= 400, "Prometheus answers it");
        let kind = theirs.json()?["errorType"].as_str().unwrap_or_default().to_owned();
        expect_error(&ours, theirs.status, &kind)?;
        return Ok(true);
    }
    let theirs = data(&theirs).context("Prometheus")?;
    compare_any(&data(&ours)?, &theirs, AGREEMENT)?;
    Ok(!series(&theirs)?.is_empty())
}

/// The queries of a file, all variants of each.
fn cases(path: &Path) -> Result<Vec<Case>> {
    let templates = read(&fs::read_to_string(path)?, &path.display().to_string(), templates)?;
    let mut cases = Vec::new();
    for (template, variables, should_fail) in templates {
        let mut queries = vec![template];
        for variable in &variables {
            let Some((_, values)) = VARIABLES.iter().find(|(name, _)| name == variable) else {
                bail!("{}: the variable {variable} is not known", path.display());
            };
            let with = |query: &String| {
                values
                    .iter()
                    .map(|value| query.replace(&format!("{{{{.{variable}}}}}"), value))
                    .collect::<Vec<_>>()
            };
            queries = queries.iter().flat_map(with).collect();
        }
        cases.extend(queries.into_iter().map(|query| Case { query, should_fail }));
    }
    cases.retain(|case| !OUT_OF_DATE.contains(&&*case.query));
    Ok(cases)
}

/// Text, variables, and whether it must fail, of each query of a file.
#[expect(clippy::needless_pass_by_value, reason = "the form of a reader")]
fn templates(root: Node, findings: &mut Findings) -> Vec<(String, Vec<String>, bool)> {
    let mut file = Section::open(&root, "the file", findings);
    let text = |text: &str| Ok(text.to_owned());
    let mut found = Vec::new();
    for node in file.items("test_cases", findings) {
        if !matches!(node.kind, Kind::Map(_)) {
            findings.add(&node.place, "a query should be a mapping");
            continue;
        }
        let mut case = Section::open(node, "a query", findings);
        let query = case.value("query", text, findings).unwrap_or_default();
        let variables = case.values("variant_args", text, findings);
        let should_fail = case.value("should_fail", |text| Ok(text == "true"), findings);
        case.value("skip_comparison", text, findings);
        found.push((query, variables, should_fail.unwrap_or_default()));
        case.finish(&[], findings);
    }
    file.finish(&[], findings);
    found
}
