//! Files of rules and of tests of them: those of this folder, and those of Prometheus itself where they are at hand.

use std::{
    fs,
    path::{Path, PathBuf},
};

use barograph_alert::{
    file,
    test::{self, CaseReport},
};
use barograph_query::Options;

/// Runs a file of tests; an error is why it could not be run.
fn run(path: &Path) -> Result<Vec<CaseReport>, String> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let tests = test::parse(&text, &name).map_err(|faults| faults.to_string())?;
    let mut rules = Vec::new();
    for file in &tests.rule_files {
        let path = path.with_file_name(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        rules.push((file.clone(), file::parse(&text, file).map_err(|faults| faults.to_string())?));
    }
    Ok(test::run(&tests, &rules, &Options::default(), |_| true))
}

#[track_caller]
fn check_passes(path: &Path) -> usize {
    let reports = run(path).unwrap_or_else(|error| panic!("{error}"));
    let told: Vec<String> =
        reports.iter().flat_map(|report| &report.failures).map(ToString::to_string).collect();
    assert!(told.is_empty(), "{}:\n{}", path.display(), told.join("\n"));
    reports.len()
}

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules")
}

#[test]
fn ours_pass() {
    assert_eq!(check_passes(&ours().join("tests.yml")), 5);
    assert_eq!(check_passes(&ours().join("fuzzy.yml")), 1);
}

#[test]
fn those_of_prometheus_pass() {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the files lie is told by the environment of the test"
    )]
    let folder = std::env::var_os("BAROGRAPH_TESTDATA");
    let Some(folder) = folder else {
        println!("skipped: BAROGRAPH_TESTDATA does not say where the upstream files are");
        return;
    };
    let folder = Path::new(&folder).join("datasets/prometheus_rules");
    assert_eq!(check_passes(&folder.join("unittest.yml")), 5);
    assert_eq!(check_passes(&folder.join("unittest_floats.yml")), 5);
}

/// How many failures a file has, or the first words of why it cannot be run.
#[track_caller]
fn check_fails(file: &str, failures: usize, told: &str) {
    match run(&ours().join("failing").join(file)) {
        Ok(reports) => {
            let all: Vec<String> =
                reports.iter().flat_map(|report| &report.failures).map(ToString::to_string).collect();
            assert_eq!(all.len(), failures, "{file}:\n{}", all.join("\n"));
            assert!(all[0].contains(told), "{file}: {}", all[0]);
        }
        Err(error) => {
            assert_eq!(failures, 0, "{error}");
            assert!(error.contains(told), "{file}: {error}");
        }
    }
}

#[test]
fn what_should_fail_does() {
    check_fails("alerts.yml", 3, "alertname: ErrorsHigh, time: 1m");
    check_fails(
        "samples.yml",
        7,
        "exp: [\n            0: load{host=\"a\"} 8\n        ],\n        got: [\n            0: load{host=\"a\"} 9",
    );
    check_fails("neighbours.yml", 1, "expr: \"0.1 + 0.2\"");
    check_fails("limit.yml", 1, "rule: copy, time: 1m, err: exceeded limit of 1 with 2 series");
    check_fails(
        "same_labels.yml",
        1,
        "rule: a, time: 0s, err: vector contains metrics with the same labelset",
    );
    check_fails("unknown_key.yml", 0, "did you mean `promql_expr_test`?");
    check_fails("rules_that_do_not_parse.yml", 0, "unclosed left parenthesis");
}
