//! Tests run: series loaded as time goes on, rules evaluated, and what there is compared with what is expected.

use std::collections::BTreeMap;

use barograph_model::{Budget, Labels, Sample, Timestamp, stale_marker};
use barograph_query::{
    Datum, Options, Value, duration_text, evaluate_instant, go_float,
    script::{Memory, Point, histogram_text, read_series},
};

use super::{
    AlertTest, Case, CaseReport, Expected, Failure, QueryTest, RuleFiles, TestFile, Told, expected::are_same,
    travel::Travel,
};
use crate::{
    file::AlertSpec,
    raised::{self, Raised},
    rule::{Defaults, Group, Moment, Outcome, Reader, State, Surroundings},
};

/// Evaluations of all rules in one test at most.
const EVALUATIONS_MAX: i64 = 10_000_000;
/// Values that are given in one test at most.
const VALUES_MAX: usize = 20_000_000;
/// Samples that one query may read.
const SAMPLES_MAX: u64 = 50_000_000;

/// Runs the tests whose name `wanted` takes, each by itself. `options` says which switches of PromQL are on.
pub fn run(
    file: &TestFile,
    rules: &RuleFiles,
    options: &Options,
    wanted: impl Fn(&str) -> bool,
) -> Vec<CaseReport> {
    let step_ms = millis(file.evaluation_interval);
    let options = Options { subquery_step_ms: step_ms, ..*options };
    let wanted = file.tests.iter().filter(|case| wanted(&case.name));
    let run = |case: &Case| {
        let failures = Bench::new(file, case, rules, options).and_then(Bench::run).unwrap_or_else(|f| f);
        CaseReport { name: case.name.clone(), failures }
    };
    wanted.map(run).collect()
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// One test being run.
struct Bench<'t> {
    case: &'t Case,
    groups: Vec<Group>,
    surroundings: Surroundings,
    options: Options,
    step_ms: i64,
    memory: Memory,
    /// Series that are not loaded to their end yet, their points last first.
    coming: Vec<(Labels, Vec<(i64, Point)>)>,
    /// Who is told, where that is looked at.
    travel: Option<Travel>,
    fuzzy: bool,
    failures: Vec<Failure>,
}

fn failure(what: String) -> Failure {
    Failure { what, difference: None }
}

impl<'t> Bench<'t> {
    fn new(
        file: &TestFile,
        case: &'t Case,
        rules: &RuleFiles,
        options: Options,
    ) -> Result<Self, Vec<Failure>> {
        let mut groups: Vec<Group> = Vec::new();
        for (path, rules) in rules {
            let new = |spec: &_| Group::new(path.as_str(), Clone::clone(spec), &Defaults::default());
            groups.extend(rules.groups.iter().map(new));
        }
        let order = |group: &Group| file.group_eval_order.iter().position(|name| *name == group.spec.name);
        // Those that are not named come first, and stay in the order of their files.
        groups.sort_by_key(order);
        let mut coming = Vec::new();
        let mut failures = Vec::new();
        let mut given = 0;
        for (series, values) in &case.input_series {
            match read_series(series, values) {
                Ok((labels, points)) => {
                    given += points.len();
                    if given > VALUES_MAX {
                        let what = format!("test: {}, more than {VALUES_MAX} values are given", case.name);
                        return Err(vec![failure(what)]);
                    }
                    let times = (0..)
                        .map(|i: i64| case.start.0.saturating_add(i.saturating_mul(millis(case.interval))));
                    let mut points: Vec<_> = times.zip(points).collect();
                    points.reverse();
                    coming.push((labels, points));
                }
                Err(error) => failures.push(failure(format!("series: {series:?}, values: {error}"))),
            }
        }
        if !failures.is_empty() {
            return Err(failures);
        }
        Ok(Self {
            case,
            groups,
            surroundings: Surroundings {
                external_labels: case.external_labels.clone(),
                external_url: case.external_url.clone(),
            },
            options,
            step_ms: millis(file.evaluation_interval),
            memory: Memory::new(),
            coming,
            travel: (!case.notices.is_empty() || !case.escalations.is_empty())
                .then(|| Travel::new(file.config.clone(), case.start.0)),
            fuzzy: file.fuzzy_compare,
            failures,
        })
    }

    /// What was not as expected; an error is what ended the test before its end.
    fn run(mut self) -> Result<Vec<Failure>, Vec<Failure>> {
        let last = self.last();
        if last / self.step_ms > EVALUATIONS_MAX {
            let what = format!("test: {}, more than {EVALUATIONS_MAX} evaluations", self.case.name);
            return Err(vec![failure(what)]);
        }
        let mut tests: BTreeMap<i64, Vec<&AlertTest>> = BTreeMap::new();
        for test in &self.case.alerts {
            // An alert is as it was at the evaluation before.
            tests.entry(millis(test.eval_time) / self.step_ms).or_default().push(test);
        }
        for step in 0..=last / self.step_ms {
            let at = Timestamp(self.case.start.0.saturating_add(step * self.step_ms));
            self.load(at);
            self.evaluate(at)?;
            let mut due = tests.remove(&step).unwrap_or_default();
            due.sort_by_key(|test| test.eval_time);
            for test in due {
                self.check_alerts(test);
            }
            self.travel(at).map_err(|why| vec![failure(format!("{}{why}", self.name()))])?;
        }
        self.check_notices();
        self.check_escalations();
        for test in &self.case.queries {
            self.check_query(test);
        }
        Ok(self.failures)
    }

    /// The last time that a test speaks of, in milliseconds from the start.
    fn last(&self) -> i64 {
        let alerts = self.case.alerts.iter().map(|test| test.eval_time);
        let queries = self.case.queries.iter().map(|test| test.eval_time);
        let notices = self.case.notices.iter().map(|test| test.eval_time);
        let escalations = self.case.escalations.iter().map(|test| test.eval_time);
        millis(alerts.chain(queries).chain(notices).chain(escalations).max().unwrap_or_default())
    }

    /// Tells the alerts as they are after an evaluation, and lets time pass until the next.
    fn travel(&mut self, at: Timestamp) -> Result<(), String> {
        let Some(travel) = &mut self.travel else { return Ok(()) };
        let interval = std::time::Duration::from_millis(self.step_ms.unsigned_abs());
        for group in &self.groups {
            for (index, rule) in group.rules.iter().enumerate() {
                let name = format!("{};{};{index}", group.file, group.spec.name);
                let raised = Raised { rule: &name, interval, generator_url: "", at };
                travel.post(raised::told(rule, raised), at.0)?;
            }
        }
        travel.pass(at.0, at.0.saturating_add(self.step_ms))
    }

    fn check_notices(&mut self) {
        let Some(travel) = &self.travel else { return };
        let (mut failures, mut from) = (Vec::new(), i64::MIN);
        for test in &self.case.notices {
            let until = millis(test.eval_time);
            let got: Vec<_> = travel.notices.iter().filter(|it| it.at > from && it.at <= until).collect();
            if !are_same(&test.expected, &got, |expected, got| expected.is(got)) {
                let what = format!("{}notices, up to: {}", self.name(), duration_text(until));
                let expected = test.expected.iter().map(|expected| expected.line()).collect();
                let got = got.iter().map(|got| got.line()).collect();
                failures.push(Failure { what, difference: Some((expected, got)) });
            }
            from = until;
        }
        self.failures.append(&mut failures);
    }

    fn check_escalations(&mut self) {
        let Some(travel) = &self.travel else { return };
        let (mut failures, mut from) = (Vec::new(), i64::MIN);
        for test in &self.case.escalations {
            let until = millis(test.eval_time);
            let got = travel.escalations.iter().filter(|it| it.0 > from && it.0 <= until);
            let got: Vec<_> = got.map(|it| &it.1).collect();
            if !are_same(&test.expected, &got, |expected, got| expected.line() == got.line()) {
                let what = format!("{}escalations, up to: {}", self.name(), duration_text(until));
                let expected = test.expected.iter().map(|expected| expected.line()).collect();
                let got = got.iter().map(|got| got.line()).collect();
                failures.push(Failure { what, difference: Some((expected, got)) });
            }
            from = until;
        }
        self.failures.append(&mut failures);
    }

    /// Loads what is given up to a time.
    fn load(&mut self, at: Timestamp) {
        for (labels, points) in &mut self.coming {
            while let Some((time, point)) = points.pop_if(|(time, _)| *time <= at.0) {
                match point {
                    Point::Missing => {}
                    Point::Float(value) => self.memory.load(labels.clone(), [(time, value)]),
                    Point::Histogram(histogram) => match histogram.to_stored() {
                        Ok(stored) => self.memory.load_histograms(labels.clone(), [(time, stored)]),
                        Err(error) => self.failures.push(failure(format!("series: {labels}, {error}"))),
                    },
                }
            }
        }
    }

    /// Evaluates all rules once; a rule that fails ends the test.
    fn evaluate(&mut self, at: Timestamp) -> Result<(), Vec<Failure>> {
        let budget = Budget::new(SAMPLES_MAX);
        let mut failed = Vec::new();
        for group in &mut self.groups {
            let moment = group.moment(at);
            for rule in &mut group.rules {
                let moment = Moment { first: rule.wants_history(), ..moment };
                let reader = Reader { source: &self.memory, options: &self.options, budget: &budget };
                let answered = rule.spec.ask(moment, reader, &self.surroundings);
                match answered.and_then(|answered| rule.take(answered, moment)) {
                    Ok(outcome) => store(&mut self.memory, outcome, moment.asked()),
                    Err(error) => failed.push(failure(format!(
                        "rule: {}, time: {}, err: {error}",
                        rule.spec.name(),
                        duration_text(at.0 - self.case.start.0)
                    ))),
                }
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        self.failures.append(&mut failed);
        Err(std::mem::take(&mut self.failures))
    }

    fn check_alerts(&mut self, test: &AlertTest) {
        let is_named = |spec: Option<&AlertSpec>| spec.is_some_and(|spec| spec.name == test.alertname);
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        let rules = rules.filter(|rule| is_named(rule.spec.alerting()));
        let firing = rules.flat_map(|rule| rule.active().filter(|alert| alert.state == State::Firing));
        let mut got: Vec<Told> = firing
            .map(|alert| {
                let pairs = alert.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let annotations = Labels::from_pairs(pairs).unwrap_or_default();
                Told { labels: alert.labels.clone(), annotations }
            })
            .collect();
        let mut expected = test.expected.clone();
        got.sort();
        expected.sort();
        if got != expected {
            let show = |told: &[Told]| {
                let line = |told: &Told| format!("Labels: {} Annotations: {}", told.labels, told.annotations);
                told.iter().map(line).collect()
            };
            let what = format!(
                "{}alertname: {}, time: {}",
                self.name(),
                test.alertname,
                duration_text(millis(test.eval_time))
            );
            self.failures.push(Failure { what, difference: Some((show(&expected), show(&got))) });
        }
    }

    fn check_query(&mut self, test: &QueryTest) {
        let at = self.case.start.saturating_add(millis(test.eval_time));
        let what = format!(
            "{}expr: {}, time: {}",
            self.name(),
            barograph_model::quote(&test.text),
            duration_text(millis(test.eval_time))
        );
        let answer = evaluate_instant(&self.memory, &test.expr, at, &self.options, &Budget::new(SAMPLES_MAX));
        let mut got = match answer.map(|answer| answer.value) {
            Ok(Value::Vector(vector)) => vector,
            Ok(Value::Scalar(sample)) => vec![(Labels::empty(), Datum::Float(sample))],
            Ok(_) => {
                return self
                    .failures
                    .push(failure(format!("{what}, err: the answer is no vector and no scalar")));
            }
            Err(error) => return self.failures.push(failure(format!("{what}, err: {error}"))),
        };
        let mut expected: Vec<&Expected> = test.expected.iter().collect();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.labels.cmp(&b.labels));
        let same = got.len() == expected.len()
            && got.iter().zip(&expected).all(|(got, expected)| self.same(got, expected));
        if !same {
            let expected = expected.iter().map(|sample| match &sample.histogram {
                Some(histogram) => format!("{} {}", sample.labels, histogram_text(histogram)),
                None => format!("{} {}", sample.labels, go_float(sample.value)),
            });
            let got = got.iter().map(|(labels, datum)| match datum {
                Datum::Float(sample) => format!("{labels} {}", go_float(sample.value)),
                Datum::Histogram(_, histogram) => format!("{labels} {}", histogram_text(histogram)),
            });
            let difference = Some((expected.collect(), got.collect()));
            self.failures.push(Failure { what, difference });
        }
    }

    fn same(&self, (labels, datum): &(Labels, Datum), expected: &Expected) -> bool {
        *labels == expected.labels
            && match (datum, &expected.histogram) {
                (Datum::Float(sample), None) => self.same_float(sample.value, expected.value),
                (Datum::Histogram(_, got), Some(expected)) => histogram_text(got) == histogram_text(expected),
                _ => false,
            }
    }

    fn same_float(&self, a: f64, b: f64) -> bool {
        // As upstream's comparison: NaN is like nothing, itself included.
        a == b || self.fuzzy && (a.next_up() == b || a.next_down() == b)
    }

    /// `name: NAME, ` where the test has one.
    fn name(&self) -> String {
        match self.case.name.starts_with("unnamed#") {
            true => String::new(),
            false => format!("name: {}, ", self.case.name),
        }
    }
}

/// Stores what an evaluation came to.
fn store(memory: &mut Memory, outcome: Outcome, at: Timestamp) {
    for (labels, datum) in outcome.samples {
        match datum {
            Datum::Float(Sample { at, value }) => memory.load(labels, [(at.0, value)]),
            Datum::Histogram(at, histogram) => {
                // What cannot be stored is not: a difference may be negative.
                if let Ok(stored) = histogram.to_stored() {
                    memory.load_histograms(labels, [(at.0, stored)]);
                }
            }
        }
    }
    for labels in outcome.ended {
        memory.load(labels, [(at.0, stale_marker())]);
    }
}
