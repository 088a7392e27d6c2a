//! Scripts that say what queries must give: series to load, expressions, expected answers.
//!
//! The language is that of Prometheus's own tests (`promql/promqltest`). As there, an instant query is asked in
//! other ways too, which must give the same: with every selector fixed by `@` and evaluated at other times, and as
//! a column of a range query. All experimental switches are on.
//!
//! Two commands are our own: `keep TIER from A to B` lets the source hold that span of a tier alone (`raw`, or windows
//! made of all samples), and `tier NAME` has all evals after it answered by a tier, until `tier auto`.
//!
mod classic;
mod command;
mod compare;
mod histograms;
mod items;
mod memory;
mod notation;
mod rerun;

use barograph_model::{Budget, Histogram, Labels, Timestamp};

pub use memory::Memory;
pub use notation::{Point, histogram_text, read_histogram, read_labels, read_series};

use crate::{
    eval::{Answer, Datum, Error, Options, Steps, Value, evaluate_instant, evaluate_range},
    syntax::{ast::Expr, parse},
};
use command::{Action, Eval, Expected, When, commands};
use compare::{Difference, show};
use items::Item;

/// How many samples one eval may touch, those of subqueries included.
const SAMPLES_MAX: u64 = 50_000_000;
const MINUTE: i64 = 60_000;

/// What became of the evals of one script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// How many evals gave what was expected.
    pub passed: usize,
    /// The evals that did not, and the lines that are no commands.
    pub failures: Vec<Failure>,
}

/// An eval that did not give what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The label of the script and the line of the eval: `operators.test:12`.
    pub place: String,
    /// What was evaluated.
    pub expression: String,
    /// What the script expects.
    pub expected: String,
    /// What came instead.
    pub got: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: expected {}, got {}", self.place, self.expression, self.expected, self.got)
    }
}

/// Runs a script. `label` names it in the report.
pub fn run_file(label: &str, text: &str) -> FileReport {
    let (commands, mistakes) = commands(text);
    let mut report = FileReport::default();
    for mistake in mistakes {
        report.failures.push(Failure {
            place: format!("{label}:{}", mistake.line),
            expression: mistake.text,
            expected: "a command".into(),
            got: mistake.message,
        });
    }
    let mut memory = Memory::new();
    let mut options = Options::experimental();
    for command in commands {
        match command.action {
            Action::Clear => {
                memory.clear();
                options.tier = None;
            }
            Action::Keep(tier, range) => memory.keep(tier, range),
            Action::Tier(tier) => options.tier = tier,
            Action::Load { step, series, starts, from_buckets } => {
                if let Err(message) = load(&mut memory, step, (series, starts), from_buckets) {
                    report.failures.push(Failure {
                        place: format!("{label}:{}", command.line),
                        expression: "load".into(),
                        expected: "samples".into(),
                        got: message,
                    });
                }
            }
            Action::Eval(eval) => match check(&Asked { memory: &memory, options }, &eval) {
                Ok(()) => report.passed += 1,
                Err(Difference { expected, got }) => report.failures.push(Failure {
                    place: format!("{label}:{}", command.line),
                    expression: eval.expr,
                    expected,
                    got,
                }),
            },
        }
    }
    report
}

/// Series with their items, and with the offsets of their start times.
type Loaded = (Vec<(Labels, Vec<Item>)>, Vec<(Labels, Vec<Option<i64>>)>);

fn load(memory: &mut Memory, step: i64, (series, starts): Loaded, from_buckets: bool) -> Result<(), String> {
    if from_buckets {
        for (labels, histograms) in classic::natives(&series, step)? {
            memory.load_histograms(labels, histograms);
        }
    }
    for (labels, offsets) in starts {
        let at = (0..).map(|i: i64| i * step);
        memory.load_starts(labels, at.zip(offsets).filter_map(|(at, offset)| Some((at, at + offset?))));
    }
    for (labels, items) in series {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (at, item) in (0..).map(|i: i64| i * step).zip(items) {
            match item {
                Item::Missing => {}
                Item::Float(value) => floats.push((at, value)),
                Item::Histogram(literal) => {
                    let histogram = Histogram::new(literal.histogram.into_parts());
                    histograms.push((at, histogram.map_err(|error| error.to_string())?));
                }
            }
        }
        memory.load(labels.clone(), floats);
        memory.load_histograms(labels, histograms);
    }
    Ok(())
}

/// Who is asked, and how.
struct Asked<'a> {
    memory: &'a Memory,
    options: Options,
}

/// Asks the question in all ways that apply.
fn check(asked: &Asked<'_>, eval: &Eval) -> Result<(), Difference> {
    let Expected { fail, matrix, .. } = &eval.expected;
    let expr = match parse(&eval.expr) {
        Ok(expr) => expr,
        Err(error) => return failed(eval, &error.to_string()),
    };
    let when = match (eval.when, matrix) {
        (When::Instant(_), Some((_, to, _))) => When::Instant(*to),
        (when, _) => when,
    };
    let answer = match ask(asked, &expr, when) {
        Ok(answer) => answer,
        Err(error) => return failed(eval, &error.to_string()),
    };
    if fail.is_some() {
        return Err(Difference { expected: "a failure".into(), got: show(&answer.value) });
    }
    compare::answer(eval, &answer)?;
    let When::Instant(t) = when else { return Ok(()) };
    if let Some((fixed, times)) = rerun::fixed(&expr, t) {
        for at in times {
            let again = |difference: Difference| Difference {
                got: format!("{} (asked as {fixed} at {at} ms)", difference.got),
                ..difference
            };
            let result =
                ask(asked, &fixed, When::Instant(at)).map_err(|error| unexpected(eval, &error.to_string()));
            result.and_then(|answer| compare::answer(eval, &moved(answer, t))).map_err(again)?;
        }
    }
    match rerun::as_column(&expr, eval) {
        Some(at) => column(asked, eval, &expr, at),
        None => Ok(()),
    }
}

/// The answer with the time of its samples set, which is not what a fixed query is about.
fn moved(mut answer: Answer, t: i64) -> Answer {
    match &mut answer.value {
        Value::Vector(vector) => vector.iter_mut().for_each(|pair| match &mut pair.1 {
            Datum::Float(sample) => sample.at = Timestamp(t),
            Datum::Histogram(at, _) => *at = Timestamp(t),
        }),
        Value::Scalar(sample) => sample.at = Timestamp(t),
        _ => {}
    }
    answer
}

fn ask(asked: &Asked<'_>, expr: &Expr, when: When) -> Result<Answer, Error> {
    let (Asked { memory, options }, budget) = (asked, Budget::new(SAMPLES_MAX));
    match when {
        When::Instant(at) => evaluate_instant(*memory, expr, Timestamp(at), options, &budget),
        When::Range { from, to, step } => {
            let steps = Steps { start: Timestamp(from), end: Timestamp(to), step_ms: step };
            evaluate_range(*memory, expr, steps, options, &budget)
        }
    }
}

/// The query failed: right if it should.
fn failed(eval: &Eval, error: &str) -> Result<(), Difference> {
    match &eval.expected.fail {
        Some(text) if text.accepts(error) => Ok(()),
        Some(text) => {
            Err(Difference { expected: format!("failure {text:?}"), got: format!("error: {error}") })
        }
        None => Err(unexpected(eval, error)),
    }
}

fn unexpected(eval: &Eval, error: &str) -> Difference {
    Difference { expected: compare::expected_text(eval), got: format!("error: {error}") }
}

/// The middle column of a range query around the time.
fn column(asked: &Asked<'_>, eval: &Eval, expr: &Expr, at: i64) -> Result<(), Difference> {
    let when = When::Range { from: at - MINUTE, to: at + MINUTE, step: MINUTE };
    let mark = |difference: Difference| Difference {
        got: format!("{} (as a column of a range query)", difference.got),
        ..difference
    };
    let answer = ask(asked, expr, when).map_err(|error| mark(unexpected(eval, &error.to_string())))?;
    let Value::Matrix(matrix) = answer.value else { return Ok(()) };
    let middle = matrix.into_iter().filter_map(|(labels, track)| {
        let datum = compare::data(&track).into_iter().find(|datum| datum.at() == Timestamp(at))?;
        Some((labels, datum))
    });
    let vector: Vec<_> = middle.collect();
    match (eval.expected.scalar, vector.as_slice()) {
        (Some(value), [(_, Datum::Float(sample))]) if compare::alike(sample.value, value) => Ok(()),
        (Some(value), _) => {
            Err(mark(Difference { expected: format!("scalar {value}"), got: show(&Value::Vector(vector)) }))
        }
        (None, _) => compare::instant(eval, at, &vector).map_err(mark),
    }
}
