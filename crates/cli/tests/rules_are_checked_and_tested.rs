//! `barograph check rules` and `barograph test rules`: what they print, and what their exit codes say.

mod support;

use std::fs;
use support::run_among;

const RULES: &str =
    "groups:\n- name: g\n  rules:\n  - {record: twice, expr: 2 * up}\n  - {alert: Down, expr: up == 0}\n";
const TESTS: &str = "rule_files: ['r*.yml']\ntests:\n- name: doubles\n  input_series: [{series: up, values: 1 0}]\n  \
                     promql_expr_test: [{expr: twice, eval_time: 0, exp_samples: [{labels: twice, value: 2}]}]\n- name: fires\n  \
                     input_series: [{series: up, values: 0 0}]\n  alert_rule_test: [{eval_time: 1m, alertname: Down}]\n";

#[test]
fn rule_files_are_checked() {
    let (_folder, told) = run_among(&[("r.yml", RULES)], &["check", "rules", "FOLDER/r.yml"]);
    assert_eq!((told.code, told.out.as_str()), (0, "Checking FOLDER/r.yml\n  SUCCESS: 2 rules found\n\n"));
    let bad = "groups:\n- name: g\n  rules:\n  - {record: a, expr: sum(}\n  - {record: b, exp: up}\n";
    let (_folder, told) =
        run_among(&[("r.yml", RULES), ("b.yml", bad)], &["check", "rules", "FOLDER/b.yml", "FOLDER/r.yml"]);
    assert_eq!(told.code, 1);
    assert!(told.out.starts_with("Checking FOLDER/b.yml\n  FAILED:\nFOLDER/b.yml:4:"), "{}", told.out);
    assert!(
        told.out.contains("did you mean `expr`?") && told.out.contains("SUCCESS: 2 rules"),
        "{}",
        told.out
    );
}

#[test]
fn rules_that_give_the_same_series_are_a_finding() {
    let twice = "groups:\n- {name: a, rules: [{record: x, expr: '1', labels: {a: b}}]}\n- {name: b, rules: [{record: x, expr: '2', labels: {a: b}}]}\n";
    let (_folder, told) = run_among(&[("r.yml", twice)], &["check", "rules", "FOLDER/r.yml"]);
    assert_eq!(told.code, 3);
    assert!(
        told.out.contains("  1 duplicate rule(s) found.\n  Metric: x\n  Label(s):\n    a: b\n"),
        "{}",
        told.out
    );
    let (_folder, told) =
        run_among(&[("r.yml", twice)], &["check", "rules", "--lint", "none", "FOLDER/r.yml"]);
    assert_eq!(told.code, 0);
}

#[test]
fn a_configuration_is_checked_with_its_rules() {
    let config = ("b.yaml", "rule_files: ['r*.yml']\n");
    let (_folder, told) = run_among(&[config, ("r.yml", RULES)], &["check", "config", "FOLDER/b.yaml"]);
    assert_eq!((told.code, told.out.as_str()), (0, "ok: FOLDER/b.yaml, scrape jobs: 0, rules: 2\n"));
    let (_folder, told) =
        run_among(&[config, ("r.yml", "groups: [{}]")], &["check", "config", "FOLDER/b.yaml"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("r.yml:1:10: a group needs a `name`"), "{}", told.err);
    assert_eq!(run_among(&[config], &["check", "config", "FOLDER/b.yaml"]).1.code, 3);
}

#[test]
fn tests_are_run() {
    let files = [("r.yml", RULES), ("t.yml", TESTS)];
    let (_folder, told) = run_among(&files, &["test", "rules", "--run", "doubles", "FOLDER/t.yml"]);
    assert_eq!((told.code, told.out.as_str()), (0, "Unit Testing:  FOLDER/t.yml\n  SUCCESS\n\n"));
    let (_folder, told) = run_among(&files, &["test", "rules", "FOLDER/t.yml"]);
    assert_eq!(told.code, 1);
    let failed = "Unit Testing:  FOLDER/t.yml\n  FAILED:\n    name: fires, alertname: Down, time: 1m,\n        exp: [],\n        got: [\n";
    assert!(told.out.starts_with(failed), "{}", told.out);
    let (_folder, told) = run_among(&files, &["test", "rules", "--diff", "FOLDER/t.yml"]);
    assert!(told.out.contains("        + Labels: {alertname=\"Down\"} Annotations: {}\n"), "{}", told.out);
}

#[test]
fn results_have_forms_for_programs() {
    let files = [("r.yml", RULES), ("t.yml", TESTS)];
    let words =
        ["test", "rules", "-o", "json", "--junit", "FOLDER/junit.xml", "FOLDER/t.yml", "FOLDER/nothing.yml"];
    let (folder, told) = run_among(&files, &words);
    assert_eq!(told.code, 1);
    let document: serde_json::Value = serde_json::from_str(&told.out).expect("it is JSON");
    assert_eq!(document[0]["tests"][0]["passed"], true);
    assert_eq!(
        document[0]["tests"][1]["failures"][0]["got"][0],
        "Labels: {alertname=\"Down\"} Annotations: {}"
    );
    assert!(
        document[1]["errors"][0].as_str().is_some_and(|told| told.starts_with("cannot read ")),
        "{document}"
    );
    let junit = fs::read_to_string(folder.path().join("junit.xml")).expect("it is written");
    assert!(junit.contains("tests=\"2\" failures=\"1\"") && junit.contains("<error>cannot read"), "{junit}");
}

#[test]
fn what_cannot_be_tested_is_told() {
    let fails = |files: &[(&str, &str)], told: &str| {
        let (_folder, run) = run_among(files, &["test", "rules", "FOLDER/t.yml"]);
        assert_eq!(run.code, 1, "{}", run.out);
        assert!(run.out.contains(told), "{}", run.out);
    };
    fails(&[("t.yml", TESTS)], "no rule file is called r*.yml");
    fails(&[("t.yml", TESTS), ("r.yml", "groups: 5")], "`groups` should be a list");
    fails(&[("t.yml", "testz: []")], "did you mean `tests`?");
    assert_eq!(run_among(&[], &["test", "rules"]).1.code, 2);
    assert_eq!(run_among(&[], &["test", "rules", "--run", "(", "x"]).1.code, 2);
}
