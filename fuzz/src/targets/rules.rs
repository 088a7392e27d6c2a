//! Rule files with the templates in them, and files of tests of rules.

use barograph_alert::{Defaults, Group, Moment, Reader, Surroundings, file, test};
use barograph_model::{Budget, Labels, Timestamp};
use barograph_query::{Options, script::Memory};

use crate::{Shape, Target};

/// Samples that one expression may read.
const SAMPLES_MAX: u64 = 100_000;

/// Keeps files with rules that can be evaluated, templates of their alerts included.
pub(super) const RULES: Target = Target {
    name: "rules",
    run: |input, shape| {
        let text = String::from_utf8_lossy(input);
        match file::parse(&text, "rules") {
            Ok(file) => {
                shape.size(file.rules());
                file::duplicates(&file.groups);
                file.groups
                    .into_iter()
                    .take(2)
                    .for_each(|group| evaluate(Group::new("r", group, &Defaults::default()), shape));
            }
            Err(faults) => faults.findings.iter().take(4).for_each(|finding| shape.message(&finding.message)),
        }
    },
    seeds: || {
        let text = "groups:\n- name: g\n  interval: 30s\n  query_offset: 1m\n  limit: 5\n  labels: {a: b}\n  rules:\n  \
                    - {record: 'a:b', expr: sum by (x) (a_total), labels: {c: d}}\n  - alert: A\n    expr: a_total > 0\n    \
                    for: 1m\n    keep_firing_for: 2m\n    labels: {s: '{{ if gt $value 1.0 }}x{{ else }}y{{ end }}'}\n    annotations:\n      \
                    t: '{{ $labels.x | title }} {{ range $i, $s := query \"a_total\" }}{{ $i }}{{ $s.Value | humanize }}{{ end }}'\n      \
                    u: '{{- define \"z\" -}} {{ .arg0 | printf \"%5.1f\" }} {{ end }}{{ template \"z\" (args $value) }}'\n      \
                    v: '{{ $x := reReplaceAll \"a(.)\" \"$1\" \"abc\" }}{{ with $x }}{{ . | toUpper | len }}{{ end }}'\n";
        vec![text.into()]
    },
};

fn evaluate(mut group: Group, shape: &mut Shape) {
    let mut memory = Memory::new();
    let labels = Labels::from_pairs([("__name__", "a_total"), ("x", "1")]).expect("sorted by itself");
    memory.load(labels, (0..20).map(|i: i32| (i64::from(i) * 15_000, f64::from(i))));
    let (options, surroundings) = (Options::experimental(), Surroundings::default());
    for step in 1..4 {
        let moment = group.moment(Timestamp(step * 60_000));
        for rule in group.rules.iter_mut().take(4) {
            let moment = Moment { first: rule.wants_history(), ..moment };
            let budget = Budget::new(SAMPLES_MAX);
            let reader = Reader { source: &memory, options: &options, budget: &budget };
            let answered = rule.spec.ask(moment, reader, &surroundings);
            match answered.and_then(|answered| rule.take(answered, moment)) {
                Ok(outcome) => {
                    shape.size(outcome.samples.len());
                    shape.size(outcome.ended.len());
                }
                Err(error) => shape.message(error),
            }
            rule.active()
                .take(1)
                .flat_map(|alert| alert.annotations.values())
                .for_each(|text| shape.size(text.len()));
        }
    }
}

/// Runs tests that are small enough.
pub(super) const RULE_TESTS: Target = Target {
    name: "rule_tests",
    run: |input, shape| {
        let text = String::from_utf8_lossy(input);
        match test::parse(&text, "tests") {
            Ok(file) => {
                shape.size(file.tests.len());
                if is_small(&file) {
                    for report in test::run(&file, &[], &Options::experimental(), |_| true) {
                        shape.size(report.failures.len());
                        report.failures.iter().take(2).for_each(|failure| shape.message(failure));
                    }
                }
            }
            Err(faults) => faults.findings.iter().take(4).for_each(|finding| shape.message(&finding.message)),
        }
    },
    seeds: || {
        let text = "rule_files: [r.yml]\nevaluation_interval: 1m\ngroup_eval_order: [a, b]\nfuzzy_compare: true\ntests:\n- name: n\n  \
                    interval: 15s\n  external_labels: {a: b}\n  external_url: http://x\n  input_series:\n  \
                    - {series: 'up{job=\"a\"}', values: '1 0 _ stale 1+2x5'}\n  - {series: h, values: '{{schema:1 sum:3 count:2 buckets:[1 1]}}x3'}\n  \
                    alert_rule_test:\n  - {eval_time: 1m, alertname: A, exp_alerts: [{exp_labels: {a: b}, exp_annotations: {c: d}}]}\n  \
                    promql_expr_test:\n  - {expr: sum(up), eval_time: 30s, exp_samples: [{labels: '{}', value: 1}]}\n  \
                    - {expr: h, eval_time: 0, exp_samples: [{labels: h, histogram: '{{schema:1 sum:3 count:2 buckets:[1 1]}}'}]}\n";
        vec![text.into()]
    },
};

/// Whether running the tests takes no longer than reading them: few evaluations, and no long repetitions.
fn is_small(file: &test::TestFile) -> bool {
    let step = file.evaluation_interval.as_millis().max(1);
    let short = |case: &test::Case| {
        let times = case
            .alerts
            .iter()
            .map(|test| test.eval_time)
            .chain(case.queries.iter().map(|test| test.eval_time));
        let repeats = case.input_series.iter().flat_map(|(_, values)| values.split('x').skip(1));
        times.max().unwrap_or_default().as_millis() / step < 50
            && case.queries.len() < 10
            && repeats.into_iter().all(|rest| rest.bytes().take_while(u8::is_ascii_digit).count() < 4)
    };
    file.tests.len() < 10 && file.tests.iter().all(short)
}
