//! Rules evaluated again and again.

use barograph_model::{Budget, stale_marker};
use barograph_query::{Options, script::Memory};

use super::*;
use crate::file;

const MINUTE: i64 = 60_000;

struct Bench {
    group: Group,
    memory: Memory,
}

impl Bench {
    fn new(rules: &str) -> Self {
        let file = file::parse(&format!("groups: [{{name: g, rules: [{rules}]}}]"), "r.yml").unwrap();
        let group = Group::new("r.yml", file.groups[0].clone(), &Defaults::default());
        Self { group, memory: Memory::new() }
    }

    /// Notes what changed as kept; how many rows that were.
    fn keep(&mut self, rows: &mut BTreeMap<Labels, Kept>, at: i64) -> usize {
        let rule = &mut self.group.rules[0];
        let changes = rule.changes(Timestamp(at));
        let count = changes.len();
        for (labels, row) in changes {
            match row {
                // As the state database does.
                Some(row) => {
                    let text = serde_json::to_string(&row).unwrap();
                    rows.insert(labels, serde_json::from_str(&text).unwrap());
                }
                None => drop(rows.remove(&labels)),
            }
        }
        rule.kept();
        count
    }

    /// The same rules after a restart at a time: what is stored is there, and what was kept.
    fn restarted(self, rules: &str, rows: &BTreeMap<Labels, Kept>, at: i64) -> Self {
        let mut new = Self { memory: self.memory, ..Self::new(rules) };
        let (budget, options, restoring) = (Budget::unlimited(), Options::default(), Restoring::default());
        let reader = Reader { source: &new.memory, options: &options, budget: &budget };
        let rule = &mut new.group.rules[0];
        rule.restore(rows.values().cloned().collect());
        let kept = rows.values().map(Kept::at).max();
        let looked = rule.looked_at(Timestamp(at), &restoring, reader).unwrap();
        if let Some(down_at) = looked.max(kept) {
            rule.resume(down_at, restoring);
        }
        new
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
    let mut bench = Bench::new("{record: r, expr: 'up', labels: {a: x, gone: ''}}");
    bench.load("up{gone=\"1\"}", 0, 1.0);
    bench.load("up{b=\"2\",gone=\"2\"}", 0, 2.0);
    assert_eq!(bench.evaluate(0).unwrap(), "r{a=\"x\"} 1; r{a=\"x\", b=\"2\"} 2");
    bench.load("up{b=\"2\",gone=\"2\"}", MINUTE, stale_marker());
    assert_eq!(bench.evaluate(MINUTE).unwrap(), "r{a=\"x\"} 1; r{a=\"x\", b=\"2\"} ends");
    assert_eq!(bench.evaluate(2 * MINUTE).unwrap(), "r{a=\"x\"} 1");
}

#[test]
fn what_fails_stays_as_it_was() {
    let mut bench = Bench::new("{record: r, expr: 'up', labels: {a: ''}}");
    bench.load("up{a=\"1\"}", 0, 1.0);
    assert_eq!(bench.evaluate(0).unwrap(), "r 1");
    bench.load("up{a=\"2\"}", MINUTE, 1.0);
    assert_eq!(bench.evaluate(MINUTE), Err(RuleError::SameLabels("rule")));
    bench.load("up{a=\"1\"}", 2 * MINUTE, stale_marker());
    bench.load("up{a=\"2\"}", 2 * MINUTE, stale_marker());
    assert_eq!(bench.evaluate(2 * MINUTE).unwrap(), "r ends");
    let mut bench = Bench::new("{record: r, expr: 'up[5m]'}");
    assert!(matches!(bench.evaluate(0), Err(RuleError::Query(_))));
}

#[test]
fn too_many_are_none() {
    let mut bench = Bench::new("{alert: a, expr: up}");
    for i in 0..3 {
        bench.load(&format!("up{{a=\"{i}\"}}"), 0, 1.0);
    }
    let error = bench.evaluate(0).unwrap_err();
    assert_eq!(error.to_string(), "exceeded limit of 2 with 3 alerts");
    assert_eq!(bench.state(), State::Inactive);
}

#[test]
fn an_alert_has_a_life() {
    let mut bench = Bench::new("{alert: a, expr: up == 0, for: 2m, keep_firing_for: 2m}");
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
    let mut bench = Bench::new("{alert: a, expr: up == 0}");
    let mut count = |minute: i64, value: f64| {
        bench.load("up", minute * MINUTE, value);
        bench.evaluate(minute * MINUTE).unwrap();
        bench.group.rules[0].alerts().count()
    };
    assert_eq!([count(0, 0.0), count(1, 1.0), count(16, 1.0), count(17, 1.0)], [1, 1, 1, 0]);
}

#[test]
fn a_template_that_fails_says_so() {
    let mut bench = Bench::new("{alert: a, expr: up, labels: {l: '{{ query \"sum(\" }}'}}");
    bench.load("up", 0, 1.0);
    assert!(bench.evaluate(0).unwrap().contains("<error expanding template: 1:4: `query`: 1:5: parse error"));
    let mut bench =
        Bench::new("{alert: a, expr: up, labels: {l: '{{ range query \"up\" }}{{ .Value }}{{ end }}'}}");
    bench.load("up{a=\"1\"}", 0, 3.0);
    assert!(bench.evaluate(0).unwrap().contains("l=\"3\""));
}

/// Runs a rule over values of `up` by the minute, with a restart: nothing is asked in the minutes between `down` and `back`.
/// The states after it, from `back` on, with the minute since which it is active.
fn over_a_restart(
    rule: &str,
    value: impl Fn(i64) -> f64,
    down: i64,
    back: i64,
    until: i64,
) -> Vec<(&'static str, i64)> {
    let mut bench = Bench::new(rule);
    let mut rows = BTreeMap::new();
    let mut states = Vec::new();
    for minute in (0..=down).chain(back..=until) {
        let at = minute * MINUTE;
        if minute == back {
            bench = bench.restarted(rule, &rows, at);
        }
        if value(minute).is_finite() {
            bench.load("up", at, value(minute));
        }
        bench.evaluate(at).unwrap();
        bench.keep(&mut rows, at);
        if minute >= back {
            let alert = bench.group.rules[0].active().next();
            states.push((bench.state().as_str(), alert.map_or(0, |alert| alert.active_at.millis() / MINUTE)));
        }
    }
    states
}

#[test]
fn pending_time_survives_a_restart() {
    let rule = |hold| format!("{{alert: a, expr: up == 0, for: {hold}}}");
    let sick_since = |since: i64| move |minute: i64| if minute >= since { 0.0 } else { 1.0 };
    // `for`; sick since, down from, back at; since when it is active then.
    for (hold, since, down, back, active) in [
        // Ten minutes were not looked at.
        ("30m", 80, 90, 100, 90),
        // Less than the grace period was left to it.
        ("30m", 65, 90, 100, 80),
        // Such a one waits no longer than it has to hold.
        ("5m", 88, 90, 100, 100),
        // It fired before.
        ("30m", 40, 90, 100, 40),
        ("0s", 90, 90, 91, 90),
        // Up to an hour counts.
        ("2h", 20, 90, 150, 80),
        ("2h", 20, 90, 151, 151),
    ] {
        let found = over_a_restart(&rule(hold), sick_since(since), down, back, back);
        let minutes = |text: &str| text.trim_end_matches(['m', 's', 'h']).parse::<i64>().unwrap();
        let fires = back - active >= minutes(hold) * if hold.ends_with('h') { 60 } else { 1 };
        assert_eq!(
            found,
            [(if fires { "firing" } else { "pending" }, active)],
            "{hold} {since} {down} {back}"
        );
    }
}

#[test]
fn what_fired_goes_on_once_it_is_seen_again() {
    let rule = "{alert: a, expr: up == 0, for: 10m}";
    // Nothing is stored until two minutes after the restart; by then what came before is too old to be an answer.
    let silent = |minute: i64| if (31..52).contains(&minute) { f64::NAN } else { 0.0 };
    let states = over_a_restart(rule, silent, 30, 50, 53);
    assert_eq!(states, [("firing", 0); 4]);
    // It was over meanwhile, which shows only by its absence: it is believed for as long as people believe it.
    let over = |minute: i64| if minute > 30 { 1.0 } else { 0.0 };
    let states = over_a_restart(rule, over, 30, 50, 55);
    let told: Vec<_> = states.iter().map(|state| state.0).collect();
    assert_eq!(told, ["firing", "firing", "firing", "firing", "inactive", "inactive"]);
    // Where the value itself is asked, it is over at once.
    let measured = "{alert: a, expr: up < 0.5, clear_threshold: 0.6}";
    assert_eq!(over_a_restart(measured, over, 30, 50, 50), [("inactive", 0)]);
    // In the band, or with its series missing, it stays.
    let band = |minute: i64| if minute > 30 { 0.55 } else { 0.0 };
    assert_eq!(over_a_restart(measured, band, 30, 50, 60).last(), Some(&("firing", 0)));
    let gone = |minute: i64| if minute > 30 { f64::NAN } else { 0.0 };
    for missing in ["keep", "alert"] {
        let rule = format!("{{alert: a, expr: up < 0.5, missing: {missing}}}");
        assert_eq!(over_a_restart(&rule, gone, 30, 50, 60).last(), Some(&("firing", 0)), "{missing}");
    }
    // After a longer outage it begins afresh.
    assert_eq!(over_a_restart(rule, |_| 0.0, 30, 91, 91), [("pending", 91)]);
}

#[test]
fn rests_and_last_minutes_survive_a_restart() {
    let cooling = "{alert: a, expr: up == 0, cooldown: 20m}";
    let sick = |minute: i64| if minute == 30 { 1.0 } else { 0.0 };
    let states = over_a_restart(cooling, sick, 30, 40, 50);
    assert_eq!((states[9].0, states[10].0), ("inactive", "firing"));
    // Two of the five minutes for which it is kept firing had passed.
    let kept = "{alert: a, expr: up == 0, keep_firing_for: 5m}";
    let over = |minute: i64| if minute > 27 { 1.0 } else { 0.0 };
    let states = over_a_restart(kept, over, 30, 40, 50);
    let firing = states.iter().filter(|state| state.0 == "firing").count();
    assert!((3..=5).contains(&firing), "{states:?}");
}

#[test]
fn only_changes_are_kept() {
    let mut bench = Bench::new("{alert: a, expr: up == 0, for: 2m, keep_firing_for: 1m}");
    let mut rows = BTreeMap::new();
    let values = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let mut written = Vec::new();
    for (minute, value) in values.into_iter().chain([1.0; 20]).enumerate() {
        let at = i64::try_from(minute).unwrap() * MINUTE;
        bench.load("up", at, value);
        bench.evaluate(at).unwrap();
        written.push(bench.keep(&mut rows, at));
    }
    // Pending, firing, kept firing, over; forgotten a quarter of an hour later.
    assert_eq!(written[..8], [0, 1, 0, 1, 0, 1, 1, 0]);
    assert_eq!((written[8..].iter().sum::<usize>(), rows.len()), (1, 0));
}

#[test]
fn too_many_leave_what_there_was() {
    let mut bench = Bench::new("{alert: a, expr: up == 0}");
    for i in 0..2 {
        bench.load(&format!("up{{a=\"{i}\"}}"), 0, 0.0);
    }
    bench.evaluate(0).unwrap();
    bench.load("up{a=\"2\"}", MINUTE, 0.0);
    let error = bench.evaluate(MINUTE).unwrap_err();
    assert_eq!(error.to_string(), "exceeded limit of 2 with 3 alerts");
    assert_eq!(bench.group.rules[0].active().filter(|alert| alert.state == State::Firing).count(), 2);
}

#[test]
fn a_clock_that_jumps_takes_waits_along() {
    let hour = 60 * MINUTE;
    for jump in [hour, -hour] {
        let mut bench = Bench::new("{alert: a, expr: up == 0, for: 10m}");
        let start = 100 * hour;
        bench.load("up", start, 0.0);
        bench.evaluate(start).unwrap();
        bench.group.rules[0].shift(jump, Timestamp(start + jump));
        let mut states = Vec::new();
        for minute in [0, 9, 10] {
            let at = start + jump + minute * MINUTE;
            bench.memory = Memory::new();
            bench.load("up", at, 0.0);
            bench.evaluate(at).unwrap();
            states.push(bench.state().as_str());
        }
        assert_eq!(states, ["pending", "pending", "firing"]);
        // It fires on though nothing is stored yet at the time that it is now, and is over if that stays so.
        let at = start + 2 * jump + 10 * MINUTE;
        bench.group.rules[0].shift(jump, Timestamp(at));
        bench.memory = Memory::new();
        let states = [1, 4, 6].map(|minute| {
            bench.evaluate(at + minute * MINUTE).unwrap();
            bench.state().as_str()
        });
        assert_eq!(states, ["firing", "firing", "inactive"]);
    }
}

#[test]
fn a_new_version_of_a_group_goes_on() {
    let mut old = Bench::new("{record: r, expr: up}, {record: s, expr: up}");
    old.load("up", 0, 1.0);
    old.evaluate(0).unwrap();
    let mut new = Bench::new("{record: r, expr: up + 1}");
    assert!(!new.group.is_like(&old.group) && new.group.is_like(&new.group.clone()));
    assert_eq!(new.group.adopt(old.group.clone()), []);
    assert_eq!(new.group.into_series().len(), 1);
    let mut other = Bench::new("{record: r, expr: up, labels: {a: b}}");
    assert_eq!(other.group.adopt(old.group).len(), 1);
}

/// The first rule as another version of its group has it.
fn renewed(old: Bench, rules: &str) -> Bench {
    let mut new = Bench { memory: old.memory, ..Bench::new(rules) };
    assert_eq!(new.group.adopt(old.group), []);
    new
}

#[test]
fn what_a_rule_asks_no_more_is_not_missing() {
    for missing in ["keep", "alert"] {
        let rule = |expr: &str| format!("{{alert: A, expr: '{expr}', missing: {missing}}}");
        let mut bench = Bench::new(&rule("m > 85"));
        bench.load("m{x=\"1\"}", 0, 90.0);
        bench.load("n{x=\"2\"}", 0, 1.0);
        bench.evaluate(0).unwrap();
        assert_eq!(bench.state(), State::Firing);
        let mut bench = renewed(bench, &rule("n > 85"));
        bench.evaluate(MINUTE).unwrap();
        assert_eq!(bench.state(), State::Inactive, "{missing}");
        // From then on what is missing is what this one measured.
        bench.load("n{x=\"2\"}", 2 * MINUTE, 90.0);
        bench.evaluate(2 * MINUTE).unwrap();
        bench.load("n{x=\"2\"}", 3 * MINUTE, stale_marker());
        bench.evaluate(3 * MINUTE).unwrap();
        assert_eq!(bench.state(), State::Firing, "{missing}");
    }
}

#[test]
fn another_way_to_watch_learns_anew() {
    let rule = |q: &str| format!("{{alert: A, expr: m, anomaly: {{q: {q}}}}}");
    let mut bench = Bench::new(&rule("0.0001"));
    for i in 0..360 {
        bench.load("m", i * MINUTE, (i % 7) as f64);
    }
    bench.evaluate(360 * MINUTE).unwrap();
    let mut bench = renewed(bench, &rule("0.0001"));
    assert!(!bench.group.rules[0].wants_history());
    bench = renewed(bench, &rule("0.001"));
    assert!(bench.group.rules[0].wants_history());
    bench.evaluate(361 * MINUTE).unwrap();
    assert!(!bench.group.rules[0].wants_history());
}

#[test]
fn a_clock_that_jumps_forgets_nothing_that_is_missing() {
    let mut bench = Bench::new("{alert: A, expr: m > 85, missing: alert}");
    bench.load("m", 0, 1.0);
    bench.evaluate(0).unwrap();
    bench.load("m", MINUTE, stale_marker());
    bench.evaluate(MINUTE).unwrap();
    assert_eq!(bench.state(), State::Firing);
    let day = 2 * 1440 * MINUTE;
    bench.group.rules[0].shift(day, Timestamp(day + MINUTE));
    for minute in 2..10 {
        bench.evaluate(day + minute * MINUTE).unwrap();
        assert_eq!(bench.state(), State::Firing, "{minute}");
    }
}

#[test]
fn in_the_band_everything_stays() {
    let mut bench = Bench::new("{alert: A, expr: m > 85, for: 1m, clear_threshold: 80}");
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
        let mut bench = Bench::new(&rule);
        bench.load("m", 0, 90.0);
        bench.evaluate(0).unwrap();
        assert_eq!(bench.state(), State::Firing);
        bench.load("m", MINUTE, stale_marker());
        bench.evaluate(MINUTE).unwrap();
        assert_eq!(bench.state().as_str(), expected, "{missing}");
    }
    // One that was well is missed, too, and forgotten after a day.
    let mut bench = Bench::new("{alert: A, expr: m > 85, missing: alert}");
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
    let mut bench = Bench::new("{alert: A, expr: m > 1, cooldown: 20m}");
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
        let mut bench = Bench::new(rule);
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
    let mut bench = Bench::new("{alert: A, expr: m, anomaly: {points: 2, of: 3}}");
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
