//! Expressions run, or only looked at, with their plans kept.

use std::cell::RefCell;

use barograph_model::{Budget, Source};

use super::{Part, Total, build};
use crate::{
    eval::{self, Answer, Clock, Error, Options, Recorder, Value, When},
    syntax::{ast::Expr, parse},
};

/// What came of an expression.
pub(super) struct Done {
    pub(super) part: Part,
    /// Only if it was run.
    pub(super) total: Option<Total>,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    answer: Option<Answer>,
}

/// Makes the plan of an expression, and runs it if there is a clock.
pub(super) fn run(
    source: &dyn Source,
    expr: &Expr,
    when: When,
    options: &Options,
    budget: &Budget,
    clock: Option<&Clock<'_>>,
) -> Result<Done, Error> {
    let Some(clock) = clock else {
        let part = build::part(source, expr, (when, options), budget, None)?;
        return Ok(Done { part, total: None, warnings: Vec::new(), infos: Vec::new(), answer: None });
    };
    let recorder = Recorder::new(clock);
    let (began, spent) = (recorder.now(), budget.spent());
    let answer = eval::evaluate(source, expr, when, options, budget, Some(&recorder))?;
    let total = Total {
        series: series(&answer.value),
        samples: budget.spent() - spent,
        bytes: budget.held_bytes(),
        took: Some(recorder.now().saturating_sub(began)),
    };
    let part = build::part(source, expr, (when, options), budget, Some(&recorder))?;
    let (warnings, infos) = (answer.warnings.clone(), answer.infos.clone());
    Ok(Done { part, total: Some(total), warnings, infos, answer: Some(answer) })
}

fn series(value: &Value) -> u64 {
    let count = match value {
        Value::Scalar(_) | Value::String(..) => 0,
        Value::Vector(series) => series.len(),
        Value::Matrix(series) => series.len(),
    };
    count as u64
}

/// Keeps the plans of the expressions that a document comes down to.
pub(crate) struct Tracer<'a> {
    clock: Option<&'a Clock<'a>>,
    found: RefCell<Vec<Compiled>>,
}

/// One of those expressions.
pub(super) struct Compiled {
    pub(super) expression: String,
    /// Whether PromQL has words for all of it.
    pub(super) is_promql: bool,
    pub(super) when: When,
    pub(super) part: Part,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(clock: Option<&'a Clock<'a>>) -> Self {
        Self { clock, found: RefCell::default() }
    }

    pub(super) fn found(self) -> Vec<Compiled> {
        self.found.into_inner()
    }

    /// The answer to an expression; nothing where it is only looked at. What is written and read again is the same, and
    /// its parts know where they stand.
    pub(crate) fn run(
        &self,
        source: &dyn Source,
        expr: &Expr,
        when: When,
        options: &Options,
        budget: &Budget,
    ) -> Result<Option<Answer>, Error> {
        let expression = expr.to_string();
        let again = parse(&expression).ok().filter(|again| again == expr);
        let is_promql = again.is_some();
        let done = run(source, again.as_ref().unwrap_or(expr), when, options, budget, self.clock)?;
        self.found.borrow_mut().push(Compiled { expression, is_promql, when, part: done.part });
        Ok(done.answer)
    }
}
