//! Rules evaluated again and again.

use barograph_model::{Budget, is_stale, stale_marker};
use barograph_query::{Options, script::Memory};

use super::*;
use crate::file;

const MINUTE: i64 = 60_000;

struct Bench {
    group: Group,
    memory: Memory,
}

impl Bench {
    fn new(rules: &str, restoring: Option<Restoring>) -> Self {
        let file = file::parse(&format!("groups: [{{name: g, rules: [{rules}]}}]"), "r.yml").unwrap();
        let defaults = Defaults { restoring, ..Defaults::default() };
        Self { group: Group::new("r.yml", file.groups[0].clone(), &defaults), memory: Memory::new() }
    }

    fn load(&mut self, series: &str, at: i64, value: f64) {
        let labels = barograph_query::script::read_labels(series).unwrap();
        self.memory.load(labels, [(at, value)]);
    }

    /// Evaluates the first rule, stores what comes of it, and tells it as text.
    fn evaluate(&mut self, at: i64) -> Result<String, RuleError> {
        let moment = Moment {
            at: Timestamp(at),
            offset_ms: 0,
            limit: 2,
            interval_ms: MINUTE,
            first: self.group.rules[0].wants_history(),
        };
        let (budget, options) = (Budget::unlimited(), Options::default());
        let reader = Reader { source: &self.memory, options: &options, budget: &budget };
        let rule = &mut self.group.rules[0];
        let answered = rule.spec.ask(moment, reader, &Surroundings::default())?;
        let outcome = rule.take(answered, moment)?;
        let mut told = Vec::new();
        for (labels, datum) in outcome.samples {
            let value = datum.float().unwrap();
            told.push(format!("{labels} {value}"));
            self.memory.load(labels, [(at, value)]);
        }
        for labels in outcome.ended {
            told.push(format!("{labels} ends"));
            self.memory.load(labels, [(at, stale_marker())]);
        }
        Ok(told.join("; "))
    }

    fn state(&self) -> State {
        self.group.rules[0].state()
    }
}

#[test]
fn what_is_recorded_no_more_ends() {
    let mut bench = Bench::new("{record: r, expr: 'up', labels: {a: x, gone: ''}}", None);
    bench.load("up{gone=\"1\"}", 0, 1.0);
    bench.load("up{b=\"2\",gone=\"2\"}", 0, 2.0);
    assert_eq!(bench.evaluate(0).unwrap(), "r{a=\"x\"} 1; r{a=\"x\", b=\"2\"} 2");
    bench.load("up{b=\"2\",gone=\"2\"}", MINUTE, stale_marker());
    assert_eq!(bench.evaluate(MINUTE).unwrap(), "r{a=\"x\"} 1; r{a=\"x\", b=\"2\"} ends");
    assert_eq!(bench.evaluate(2 * MINUTE).unwrap(), "r{a=\"x\"} 1");
}

#[test]
fn what_fails_stays_as_it_was() {
    let mut bench = Bench::new("{record: r, expr: 'up', labels: {a: ''}}", None);
    bench.load("up{a=\"1\"}", 0, 1.0);
    assert_eq!(bench.evaluate(0).unwrap(), "r 1");
    bench.load("up{a=\"2\"}", MINUTE, 1.0);
    assert_eq!(bench.evaluate(MINUTE), Err(RuleError::SameLabels("rule")));
    bench.load("up{a=\"1\"}", 2 * MINUTE, stale_marker());
    bench.load("up{a=\"2\"}", 2 * MINUTE, stale_marker());
    assert_eq!(bench.evaluate(2 * MINUTE).unwrap(), "r ends");
    let mut bench = Bench::new("{record: r, expr: 'up[5m]'}", None);
    assert!(matches!(bench.evaluate(0), Err(RuleError::Query(_))));
}

#[test]
fn too_many_are_none() {
    let mut bench = Bench::new("{alert: a, expr: up}", None);
    for i in 0..3 {
        bench.load(&format!("up{{a=\"{i}\"}}"), 0, 1.0);
    }
    let error = bench.evaluate(0).unwrap_err();
    assert_eq!(error.to_string(), "exceeded limit of 2 with 3 alerts");
    assert_eq!(bench.state(), State::Inactive);
}

#[test]
fn an_alert_has_a_life() {
    let mut bench = Bench::new("{alert: a, expr: up == 0, for: 2m, keep_firing_for: 2m}", None);
    let series = |state: &str, since: i64| {
        format!(
            "ALERTS{{alertname=\"a\", alertstate=\"{state}\"}} 1; ALERTS_FOR_STATE{{alertname=\"a\"}} {since}"
        )
    };
    let ends = |state: &str| format!("ALERTS{{alertname=\"a\", alertstate=\"{state}\"}} ends");
    let mut at = |minute: i64, value: f64| {
        bench.load("up", minute * MINUTE, value);
        let told = bench.evaluate(minute * MINUTE).unwrap();
        (bench.state(), told)
    };
    assert_eq!(at(0, 1.0), (State::Inactive, String::new()));
    assert_eq!(at(1, 0.0), (State::Pending, series("pending", 60)));
    assert_eq!(at(2, 0.0), (State::Pending, series("pending", 60)));
    assert_eq!(at(3, 0.0), (State::Firing, format!("{}; {}", series("firing", 60), ends("pending"))));
    assert_eq!(at(4, 1.0), (State::Firing, series("firing", 60)));
    assert_eq!(at(5, 0.0), (State::Firing, series("firing", 60)));
    assert_eq!(at(6, 1.0), (State::Firing, series("firing", 60)));
    assert_eq!(at(7, 1.0), (State::Firing, series("firing", 60)));
    let over = format!("{}; ALERTS_FOR_STATE{{alertname=\"a\"}} ends", ends("firing"));
    assert_eq!(at(8, 1.0), (State::Inactive, over));
    assert_eq!(at(9, 0.0).0, State::Pending);
    assert_eq!(at(10, 1.0).0, State::Inactive);
    let kept = |bench: &Bench| bench.group.rules[0].alerts().count();
    assert_eq!(kept(&bench), 0);
}

#[test]
fn what_is_over_is_remembered_for_a_while() {
    let mut bench = Bench::new("{alert: a, expr: up == 0}", None);
    let mut count = |minute: i64, value: f64| {
        bench.load("up", minute * MINUTE, value);
        bench.evaluate(minute * MINUTE).unwrap();
        bench.group.rules[0].alerts().count()
    };
    assert_eq!([count(0, 0.0), count(1, 1.0), count(16, 1.0), count(17, 1.0)], [1, 1, 1, 0]);
}

#[test]
fn a_template_that_fails_says_so() {
    let mut bench = Bench::new("{alert: a, expr: up, labels: {l: '{{ query \"sum(\" }}'}}", None);
    bench.load("up", 0, 1.0);
    assert!(bench.evaluate(0).unwrap().contains("<error expanding template: 1:4: `query`: 1:5: parse error"));
    let mut bench = Bench::new(
        "{alert: a, expr: up, labels: {l: '{{ range query \"up\" }}{{ .Value }}{{ end }}'}}",
        None,
    );
    bench.load("up{a=\"1\"}", 0, 3.0);
    assert!(bench.evaluate(0).unwrap().contains("l=\"3\""));
}

#[test]
fn pending_time_survives_a_restart() {
    let minutes = |active: f64, last: i64| {
        let mut bench = Bench::new("{alert: a, expr: up == 0, for: 30m}", Some(Restoring::default()));
        bench.load("ALERTS_FOR_STATE{alertname=\"a\"}", last * MINUTE, active);
        bench.load("up", 100 * MINUTE, 0.0);
        assert_eq!(bench.evaluate(100 * MINUTE).unwrap(), "", "nothing shows before it is restored");
        let (budget, options) = (Budget::unlimited(), Options::default());
        let reader = Reader { source: &bench.memory, options: &options, budget: &budget };
        let (at, restoring) = (Timestamp(100 * MINUTE), Restoring::default());
        let rule = &mut bench.group.rules[0];
        assert!(rule.wants_restoring());
        let left = rule.left(at, &restoring, reader).unwrap();
        rule.restore(at, &restoring, &left);
        assert!(!rule.wants_restoring());
        let active = rule.active().next().unwrap().active_at.millis() / MINUTE;
        assert!(!bench.evaluate(101 * MINUTE).unwrap().is_empty());
        active
    };
    let at = |minute: i64| 60.0 * f64::from(i32::try_from(minute).unwrap());
    assert_eq!(minutes(at(80), 90), 90, "ten minutes were not looked at");
    assert_eq!(minutes(at(65), 90), 80, "the grace period is left to it");
    assert_eq!(minutes(at(40), 90), 40, "it fired before");
    assert_eq!(minutes(at(20), 30), 100, "too long ago");
    assert_eq!(minutes(stale_marker(), 90), 100, "it was over");
    assert!(is_stale(stale_marker()));
}

#[test]
fn a_new_version_of_a_group_goes_on() {
    let mut old = Bench::new("{record: r, expr: up}, {record: s, expr: up}", None);
    old.load("up", 0, 1.0);
    old.evaluate(0).unwrap();
    let mut new = Bench::new("{record: r, expr: up + 1}", None);
    assert!(!new.group.is_like(&old.group) && new.group.is_like(&new.group.clone()));
    assert_eq!(new.group.adopt(old.group.clone()), []);
    assert_eq!(new.group.into_series().len(), 1);
    let mut other = Bench::new("{record: r, expr: up, labels: {a: b}}", None);
    assert_eq!(other.group.adopt(old.group).len(), 1);
}

#[test]
fn in_the_band_everything_stays() {
    let mut bench = Bench::new("{alert: A, expr: m > 85, for: 1m, clear_threshold: 80}", None);
    let mut states = Vec::new();
    for (minute, value) in [84.0, 86.0, 82.0, 87.0, 82.0, 80.0, 79.0, 82.0].into_iter().enumerate() {
        let at = i64::try_from(minute).unwrap() * MINUTE;
        bench.load("m", at, value);
        bench.evaluate(at).unwrap();
        states.push(bench.state().as_str());
    }
    let expected = ["inactive", "pending", "pending", "firing", "firing", "firing", "inactive", "inactive"];
    assert_eq!(states, expected);
}

#[test]
fn what_is_missing_means_what_the_rule_says() {
    for (missing, expected) in [("resolve", "inactive"), ("keep", "firing"), ("alert", "firing")] {
        let rule = format!("{{alert: A, expr: m > 85, missing: {missing}}}");
        let mut bench = Bench::new(&rule, None);
        bench.load("m", 0, 90.0);
        bench.evaluate(0).unwrap();
        assert_eq!(bench.state(), State::Firing);
        bench.load("m", MINUTE, stale_marker());
        bench.evaluate(MINUTE).unwrap();
        assert_eq!(bench.state().as_str(), expected, "{missing}");
    }
    // One that was well is missed, too, and forgotten after a day.
    let mut bench = Bench::new("{alert: A, expr: m > 85, missing: alert}", None);
    bench.load("m", 0, 1.0);
    bench.evaluate(0).unwrap();
    bench.load("m", MINUTE, stale_marker());
    let mut told = |at| {
        bench.evaluate(at).unwrap();
        bench.state()
    };
    assert_eq!(
        [0, MINUTE, 1440 * MINUTE, 1441 * MINUTE].map(&mut told),
        [State::Inactive, State::Firing, State::Firing, State::Inactive]
    );
}

#[test]
fn an_alert_that_is_over_rests() {
    let mut bench = Bench::new("{alert: A, expr: m > 1, cooldown: 20m}", None);
    let mut states = Vec::new();
    for (minute, value) in [(0, 2.0), (1, 0.0), (2, 2.0), (20, 2.0), (21, 2.0)] {
        bench.load("m", minute * MINUTE, value);
        bench.evaluate(minute * MINUTE).unwrap();
        states.push(bench.state().as_str());
    }
    assert_eq!(states, ["firing", "inactive", "inactive", "inactive", "firing"]);
}

#[test]
fn each_kind_is_evaluated() {
    let hour = 60 * MINUTE;
    let rules = [
        ("{alert: A, expr: m, trend: {window: 1h, threshold: 200, horizon: 2h}}", 1),
        ("{alert: A, expr: m, trend: {window: 1h, direction: down}}", 0),
        ("{alert: A, expr: m > 100, correlation: {conditions: ['n > 5'], within: 5m}}", 1),
        ("{alert: A, expr: m > 100, correlation: {conditions: ['n > 50'], within: 5m}}", 0),
        ("{alert: A, expr: m > 100, kind: health}", 1),
    ];
    for (rule, expected) in rules {
        let mut bench = Bench::new(rule, None);
        for minute in 0..=60 {
            let at = hour + minute * MINUTE;
            bench.load("m", at, 60.0 + minute as f64);
            bench.load("n", at, 10.0);
        }
        bench.evaluate(2 * hour).unwrap();
        let rule = &bench.group.rules[0];
        assert_eq!(rule.active().count(), expected, "{}", rule.spec.expr);
        let told = rule.active().all(|alert| alert.evidence.is_some() || alert.threshold == Some(100.0));
        assert!(told, "{}", rule.spec.expr);
    }
}

#[test]
fn anomalies_are_told_from_the_first_evaluation_on() {
    let mut bench = Bench::new("{alert: A, expr: m, anomaly: {points: 2, of: 3}}", None);
    let noise = |i: i64| (i.wrapping_mul(2_654_435_761) >> 9).rem_euclid(100) as f64 / 100.0;
    for i in 0..360 {
        bench.load("m", i * MINUTE, noise(i));
    }
    let mut states = Vec::new();
    for i in 360..366 {
        bench.load("m", i * MINUTE, noise(i) + if i >= 362 { 40.0 } else { 0.0 });
        bench.evaluate(i * MINUTE).unwrap();
        states.push(bench.state().as_str());
    }
    assert_eq!(states[..4], ["inactive", "inactive", "inactive", "firing"], "{states:?}");
    let alert = bench.group.rules[0].active().next().unwrap();
    assert!(alert.evidence.as_ref().unwrap()["score"].as_f64().unwrap() > 5.0);
}
