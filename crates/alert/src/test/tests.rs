//! Tests of tests.

use barograph_query::Options;

use super::*;

const RULES: &str = "groups:
- name: first
  rules:
  - {record: 'job:up:sum', expr: sum by (job) (up), labels: {tier: a}}
  - {record: twice, expr: '2 * job:up:sum'}
- name: alerts
  rules:
  - alert: Down
    expr: up == 0
    for: 2m
    keep_firing_for: 1m
    labels: {severity: page, region: '{{ $externalLabels.region }}'}
    annotations: {summary: '{{ $labels.instance }} is {{ $value }} at {{ $externalURL }}'}
";

#[track_caller]
fn check(tests: &str, expected: &[&str]) {
    let rules = [("rules.yml".to_owned(), crate::file::parse(RULES, "rules.yml").unwrap())];
    let file = parse(tests, "tests.yml").unwrap();
    let reports = run(&file, &rules, &Options::default(), |_| true);
    let told: Vec<String> =
        reports.iter().flat_map(|report| &report.failures).map(ToString::to_string).collect();
    assert_eq!(told, expected);
}

#[test]
fn what_is_as_expected_passes() {
    check(
        "rule_files: [rules.yml]
evaluation_interval: 1m
tests:
- interval: 1m
  external_labels: {region: eu}
  external_url: http://x
  input_series:
  - {series: 'up{job=\"a\",instance=\"1\"}', values: '1 0 0 0 1 1 1'}
  - {series: 'up{job=\"a\",instance=\"2\"}', values: '1x6'}
  alert_rule_test:
  - {eval_time: 2m59s, alertname: Down}
  - {eval_time: 3m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, region: eu, job: a, instance: '1'},
     exp_annotations: {summary: '1 is 0 at http://x'}}]}
  - {eval_time: 4m, alertname: Down, exp_alerts: [{exp_labels: {severity: page, region: eu, job: a, instance: '1'},
     exp_annotations: {summary: '1 is 0 at http://x'}}]}
  - {eval_time: 5m, alertname: Down, exp_alerts: []}
  promql_expr_test:
  - {expr: twice, eval_time: 2m, exp_samples: [{labels: 'twice{job=\"a\",tier=\"a\"}', value: 2}]}
  - {expr: 'ALERTS{alertstate=\"pending\"}', eval_time: 1m, exp_samples: [{value: 1,
     labels: 'ALERTS{alertname=\"Down\",alertstate=\"pending\",instance=\"1\",job=\"a\",region=\"eu\",severity=\"page\"}'}]}
  - {expr: 'max(ALERTS_FOR_STATE)', eval_time: 3m, exp_samples: [{value: 60}]}
  - {expr: ALERTS, eval_time: 5m}
",
        &[],
    );
}

#[test]
fn what_is_not_is_told() {
    check(
        "tests:
- name: one
  input_series: [{series: 'up{instance=\"1\"}', values: '0x5'}]
  alert_rule_test: [{eval_time: 2m, alertname: Down}]
  promql_expr_test:
  - {expr: up, eval_time: 1m, exp_samples: [{labels: up, value: 1}]}
  - {expr: up + on () (up or vector(1)), eval_time: 1m}
- promql_expr_test: [{expr: '\"text\"', eval_time: 0}]
",
        &[
            "    name: one, alertname: Down, time: 2m,\n        exp: [],\n        got: [\n            0: Labels: {alertname=\"Down\", instance=\"1\", severity=\"page\"} Annotations: {summary=\"1 is 0 at \"}\n        ]",
            "    name: one, expr: \"up\", time: 1m,\n        exp: [\n            0: up 1\n        ],\n        got: [\n            0: up{instance=\"1\"} 0\n        ]",
            "    name: one, expr: \"up + on () (up or vector(1))\", time: 1m, err: found duplicate series for the match group {} on the right hand-side of the operation: [{}, up{instance=\"1\"}];many-to-many matching not allowed: matching labels must be unique on one side",
            "    expr: \"\\\"text\\\"\", time: 0s, err: the answer is no vector and no scalar",
        ],
    );
}

#[test]
fn a_rule_that_fails_ends_its_test() {
    let rules = "groups: [{name: g, limit: 1, rules: [{record: x, expr: up}, {record: y, expr: 'up{a=\"1\"}', labels: {b: c}}]}]";
    let rules = [("r.yml".to_owned(), crate::file::parse(rules, "r.yml").unwrap())];
    let file = parse(
        "tests: [{input_series: [{series: 'up{a=\"1\"}', values: 0x3}, {series: 'up{a=\"2\"}', values: _ 0x3}], promql_expr_test: [{expr: x, eval_time: 2m}]}]",
        "t.yml",
    )
    .unwrap();
    let reports = run(&file, &rules, &Options::default(), |_| true);
    assert_eq!(reports[0].failures, [failure("rule: x, time: 1m, err: exceeded limit of 1 with 2 series")]);
}

fn failure(what: &str) -> Failure {
    Failure { what: what.into(), difference: None }
}

#[test]
fn tests_are_chosen_and_groups_ordered() {
    let rules = "groups: [{name: b, rules: [{record: b, expr: a + 1}]}, {name: a, rules: [{record: a, expr: time()}]}]";
    let rules = [("r.yml".to_owned(), crate::file::parse(rules, "r.yml").unwrap())];
    let file = parse(
        "group_eval_order: [a, b]\nfuzzy_compare: true\ntests:\n- {name: x, start_timestamp: 3600, promql_expr_test: [{expr: b, eval_time: 1m, exp_samples: [{labels: b, value: 3661}]}]}\n- {name: y, promql_expr_test: [{expr: '0.1 + 0.2', exp_samples: [{value: 0.3}]}, {expr: b}]}\n",
        "t.yml",
    )
    .unwrap();
    let options = Options::default();
    assert_eq!(
        run(&file, &rules, &options, |name| name == "x"),
        [CaseReport { name: "x".into(), failures: vec![] }]
    );
    let reports = run(&file, &rules, &options, |name| name == "y");
    assert_eq!(reports[0].failures.len(), 1, "{reports:?}");
}

#[test]
fn every_mistake_is_placed() {
    let text = "rule_files: r.yml\ngroup_eval_order: [a, a]\ntests:\n- input_series: [{series: 'up{', values: 1}, {values: 1}]\n  alert_rule_test: [{eval_tim: 5m}]\n  \
                promql_expr_test:\n  - {expr: 'sum('}\n  - {expr: up, exp_samples: [{labels: '{', value: x, histogram: '1'}]}\n";
    let error = parse(text, "t.yml").unwrap_err().to_string();
    let told: Vec<&str> = error.lines().collect();
    for (line, part) in [
        (0, "t.yml:1:13: `rule_files` should be a list"),
        (1, "t.yml:2:1: group `a` stands twice"),
        (2, "t.yml:4:27: `series`: "),
        (3, "t.yml:4:46: an input series needs `series`"),
        (4, "t.yml:5:21: an item of `alert_rule_test` needs `alertname`"),
        (5, "t.yml:5:22: unknown key `eval_tim`"),
        (6, "t.yml:7:12: `expr`: "),
        (7, "t.yml:8:39: `labels`: "),
        (8, "t.yml:8:51: `value`: expected a number"),
        (9, "t.yml:8:65: `histogram`: no histogram"),
    ] {
        assert!(told.get(line).is_some_and(|told| told.starts_with(part)), "{line} {part}: {error}");
    }
    assert_eq!(told.len(), 10, "{error}");
}

const ROUTES: &str = "
route:
  receiver: everybody
  group_by: [job]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
  routes:
  - {receiver: team-a, matchers: [job=a], escalation: quick}
receivers:
- {name: everybody, webhook_configs: [{url: 'http://127.0.0.1/'}]}
- {name: team-a, webhook_configs: [{url: 'http://127.0.0.1/'}, {url: 'http://127.0.0.1/b'}]}
- {name: boss}
escalation_policies:
  quick:
    levels:
    - {delay: 10m, targets: [route]}
    - {delay: 10m, targets: ['receiver:boss']}
";

#[track_caller]
fn check_told(tests: &str, expected: &[&str]) {
    let rules = [("rules.yml".to_owned(), crate::file::parse(RULES, "rules.yml").unwrap())];
    let head = "alertmanager_config: a.yml\nevaluation_interval: 1m\ntests:\n- input_series:\n  \
                - {series: 'up{job=\"a\"}', values: '0x30 1x30'}\n  - {series: 'up{job=\"b\"}', values: '1x5 0x5 1x50'}\n";
    let mut file = parse(&format!("{head}{tests}"), "tests.yml").unwrap();
    assert_eq!(file.alertmanager_config.as_deref(), Some("a.yml"));
    file.config = Arc::new(crate::config::parse(ROUTES, "a.yml").unwrap());
    let reports = run(&file, &rules, &Options::default(), |_| true);
    let told: Vec<String> =
        reports.iter().flat_map(|report| &report.failures).map(ToString::to_string).collect();
    assert_eq!(told, expected);
}

#[test]
fn who_is_told_when_can_be_tested() {
    check_told(
        "  notice_test:
  - {eval_time: 2m}
  - {eval_time: 2m29s}
  - eval_time: 3m
    exp_notices:
    - {receiver: team-a, status: firing, group_labels: {job: a}, exp_alerts: [{exp_labels: {alertname: Down, job: a,
       severity: page, region: ''}}]}
  - {eval_time: 10m, exp_notices: [{receiver: everybody}]}
  - {eval_time: 15m, exp_notices: [{receiver: everybody, status: resolved}]}
  - {eval_time: 40m, exp_notices: [{receiver: team-a, status: resolved}]}
  - {eval_time: 60m}
  escalation_test:
  - {eval_time: 12m}
  - {eval_time: 13m, exp_escalations: [{level: 2, to: ['receiver:boss']}]}
  - {eval_time: 60m}
",
        &[],
    );
}

#[test]
fn who_is_told_otherwise_is_shown() {
    check_told(
        "  name: n
  notice_test:
  - {eval_time: 3m, exp_notices: [{receiver: everybody}]}
  escalation_test:
  - {eval_time: 13m}
",
        &[
            "    name: n, notices, up to: 3m,
        exp: [
            0: receiver: everybody, status: firing
        ],
        got: [
            0: receiver: team-a, status: firing, group: {job=\"a\"}, alerts: [{alertname=\"Down\", job=\"a\", severity=\"page\"}], at 2m30s
        ]",
            "    name: n, escalations, up to: 13m,
        exp: [],
        got: [
            0: level: 2, to: [receiver:boss]
        ]",
        ],
    );
}

#[test]
fn what_is_wrong_about_notices_is_told_with_its_place() {
    let tests = "tests:
- notice_test:
  - {eval_time: 1m, exp_notices: [{status: off}, {receiver: r, group: {}}]}
  escalation_test:
  - {eval_time: 1m, exp_escalations: [{to: [a]}, {level: 0}]}
";
    let told = parse(tests, "t.yml").unwrap_err().to_string();
    for part in [
        "t.yml:3:",
        "expected `firing` or `resolved`, found `off`",
        "needs `receiver`",
        "`group`",
        "needs `level`",
        "from 1; found `0`",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
