//! What callers of the evaluator rely on beside the values: limits, cancellation, switches, reading once.

use std::sync::atomic::{AtomicUsize, Ordering};

use barograph_model::{
    Budget, BudgetError, Exemplar, Labels, Metadata, Sample, Selection, SeriesCursor, Source, SourceError,
    Timestamp,
};
use barograph_query::{
    Answer, DEPTH_MAX, Error, Options, Steps, Value, evaluate_instant, evaluate_range, parse, script::Memory,
};

fn memory() -> Memory {
    let mut memory = Memory::new();
    for instance in ["a", "b"] {
        let labels =
            Labels::from_pairs([("__name__", "x_total"), ("instance", instance)]).expect("these are labels");
        memory.load(labels, (0..5_000).map(|i| (i * 1_000, i as f64)));
    }
    memory
}

fn ask(
    source: &dyn Source,
    text: &str,
    steps: Steps,
    options: &Options,
    budget: &Budget,
) -> Result<Answer, Error> {
    evaluate_range(source, &parse(text).expect("the query is well formed"), steps, options, budget)
}

const STEPS: Steps = Steps { start: Timestamp(60_000), end: Timestamp(4_000_000), step_ms: 10_000 };

/// Counts how often it is read.
struct Counted(Memory, AtomicUsize);

impl Source for Counted {
    fn select<'a>(
        &'a self,
        selection: &Selection<'_>,
        budget: &'a Budget,
    ) -> Result<Box<dyn SeriesCursor + 'a>, SourceError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.select(selection, budget)
    }

    fn series(
        &self,
        s: &Selection<'_>,
        limit: usize,
        b: &Budget,
    ) -> Result<(Vec<Labels>, bool), SourceError> {
        self.0.series(s, limit, b)
    }

    fn label_names(&self, s: &Selection<'_>, b: &Budget) -> Result<Vec<String>, SourceError> {
        self.0.label_names(s, b)
    }

    fn label_values(&self, name: &str, s: &Selection<'_>, b: &Budget) -> Result<Vec<String>, SourceError> {
        self.0.label_values(name, s, b)
    }

    fn metadata(&self, name: Option<&str>) -> Vec<(String, Metadata)> {
        self.0.metadata(name)
    }

    fn exemplars(&self, s: &Selection<'_>, b: &Budget) -> Result<Vec<(Labels, Vec<Exemplar>)>, SourceError> {
        self.0.exemplars(s, b)
    }
}

#[test]
fn each_selector_is_read_once() {
    let source = Counted(memory(), AtomicUsize::new(0));
    let query = "sum(rate(x_total[1m])) / max_over_time(sum(x_total)[5m:10s])";
    let answer = ask(&source, query, STEPS, &Options::default(), &Budget::unlimited()).unwrap();
    let Value::Matrix(matrix) = answer.value else { panic!("a range query gives a matrix") };
    assert_eq!((matrix.len(), matrix[0].1.floats.len()), (1, 395));
    assert_eq!(source.1.load(Ordering::Relaxed), 2);
}

#[test]
fn the_budget_is_kept() {
    let refused = |query: &str, steps: Steps| {
        let budget = Budget::new(50_000);
        match ask(&memory(), query, steps, &Options::default(), &budget) {
            Err(Error::Source(SourceError::Budget(BudgetError::TooManySamples { limit: 50_000 }))) => {}
            other => panic!("{query} gave {other:?}"),
        }
    };
    let many = Steps { start: Timestamp(0), end: Timestamp(1_000_000_000), step_ms: 1 };
    refused("x_total", many);
    refused("x_total @ 0 + time()", many);
    refused("vector(1)", many);
    refused("absent_over_time(nothing[5m])", many);
    refused("1", many);
    refused("sum_over_time(vector(1)[1000d:1ms])", STEPS);
    refused("max_over_time(time()[1000d:1ms])".replace("time()", "vector(time())").as_str(), STEPS);
}

#[test]
fn a_cancelled_query_stops() {
    let budget = Budget::unlimited();
    budget.cancel();
    let result = ask(&memory(), "1 + 1", STEPS, &Options::default(), &budget);
    assert!(matches!(result, Err(Error::Source(SourceError::Budget(BudgetError::Cancelled)))));
}

#[test]
fn what_is_switched_off_is_refused_by_name() {
    let refused = |query: &str, message: &str| {
        let error = ask(&memory(), query, STEPS, &Options::default(), &Budget::unlimited()).unwrap_err();
        assert_eq!(error.to_string(), message, "{query}");
        ask(&memory(), query, STEPS, &Options::experimental(), &Budget::unlimited()).unwrap();
    };
    refused("sum(info(x_total))", "function info() is experimental and must be enabled");
    refused("limitk(1, x_total)", "limitk() is experimental and must be enabled");
    refused("rate(x_total[1m+1m])", "a duration expression is experimental and must be enabled");
    refused("rate(x_total[1m] smoothed)", "the smoothed modifier is experimental and must be enabled");
    refused("x_total + fill(0) x_total", "the fill modifier is experimental and must be enabled");
}

#[test]
fn names_are_dropped_at_once_unless_delayed() {
    let query = r#"label_replace(abs(x_total{instance="a"}), "was", "$1", "__name__", "(.*)")"#;
    let labels = |options: &Options| {
        let expr = parse(query).unwrap();
        let answer = evaluate_instant(&memory(), &expr, Timestamp(0), options, &Budget::unlimited()).unwrap();
        let Value::Vector(vector) = answer.value else { panic!("a vector") };
        vector[0].0.to_string()
    };
    assert_eq!(labels(&Options::default()), r#"{instance="a"}"#);
    assert_eq!(labels(&Options::experimental()), r#"{instance="a", was="x_total"}"#);
}

#[test]
fn types_that_have_no_steps_are_refused() {
    let error = ask(&memory(), "x_total[5m]", STEPS, &Options::default(), &Budget::unlimited()).unwrap_err();
    let message =
        "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
    assert_eq!(error.to_string(), message);
    let all_of_time = Steps { start: Timestamp::MIN, end: Timestamp::MAX, step_ms: 1 };
    assert!(
        ask(&memory(), "range() + time()", all_of_time, &Options::experimental(), &Budget::new(1)).is_err()
    );
    let backwards = Steps { start: Timestamp(1), end: Timestamp(0), step_ms: 1 };
    assert!(ask(&memory(), "1", backwards, &Options::default(), &Budget::unlimited()).is_err());
}

#[test]
fn instant_queries_give_what_was_asked_for() {
    let ask = |text: &str| {
        let expr = parse(text).unwrap();
        let at = Timestamp(2_000);
        evaluate_instant(&memory(), &expr, at, &Options::default(), &Budget::unlimited()).unwrap().value
    };
    assert_eq!(ask("1 + 1"), Value::Scalar(Sample { at: Timestamp(2_000), value: 2.0 }));
    assert_eq!(ask("\"a\""), Value::String(Timestamp(2_000), "a".into()));
    let Value::Matrix(matrix) = ask("x_total[2s]") else { panic!("a matrix") };
    assert_eq!(
        matrix[1].1.floats,
        [1_000, 2_000].map(|at| Sample { at: Timestamp(at), value: at as f64 / 1e3 })
    );
}

#[test]
fn the_deepest_query_fits_the_stack() {
    let depth = DEPTH_MAX / 2 - 2;
    let nested =
        |before: &str, after: &str| format!("{}x_total{}", before.repeat(depth), after.repeat(depth));
    for text in [
        nested("abs(", ")"),
        nested("-", ""),
        nested("sum by (instance) (", ")"),
        nested("", " + x_total"),
        nested("label_replace(", ", \"a\", \"b\", \"c\", \"d\")"),
        format!("{}x_total{}", "max_over_time(".repeat(40), "[1m:1m])".repeat(40)),
    ] {
        ask(&memory(), &text, STEPS, &Options::experimental(), &Budget::unlimited()).unwrap();
    }
}
