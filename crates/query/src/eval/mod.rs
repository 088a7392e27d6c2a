//! A tree evaluated over a source.
//!
//! What flows between operators are columns: for each series one value a step ([`column`]). A selector is read once
//! for all steps ([`select`]), functions over ranges slide a window over the samples of one series at a time
//! ([`over`]), grouping and matching keys are computed once a series. What does not depend on the step has columns
//! one wide, computed once and spread where it meets wider ones.

mod aggregate;
mod binary;
mod calendar;
mod column;
mod context;
mod expr;
mod grid;
mod histogram;
mod info;
pub(crate) mod kernels;
mod label_functions;
mod matching;
mod math;
mod notes;
mod on_histograms;
mod over;
mod pooled;
mod ranges;
mod ranking;
mod recorder;
mod rolled;
mod select;
mod sets;
mod special;
mod survey;
mod switches;
mod totals;
mod windows;

pub(crate) use calendar::text as time_text;
pub(crate) use kernels::{Kernel, Over, Special};
pub(crate) use math::Sum;
pub(crate) use math::quantile;
pub use notes::go_float;
pub(crate) use recorder::Recorder;
pub use recorder::{Actual, Clock};
pub(crate) use rolled::gone;
pub(crate) use survey::{Site, survey};
pub(crate) use totals::Totals;

use std::sync::Arc;

use barograph_model::{Budget, BudgetError, Labels, Sample, Source, SourceError, Tier, Timestamp};

use crate::{
    native::FloatHistogram,
    syntax::ast::{Expr, Type},
};
use context::Context;
use grid::Grid;

/// How many steps a range query may have at the edge, as in Prometheus. The evaluator itself only minds the budget.
pub const STEPS_MAX: i64 = 11_000;

/// The steps of a range query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The first step.
    pub start: Timestamp,
    /// No step is after this.
    pub end: Timestamp,
    /// Milliseconds between steps, at least 1.
    pub step_ms: i64,
}

impl Steps {
    /// How many steps there are; none if the end is before the start.
    pub fn count(&self) -> i64 {
        let length = self.end.0.saturating_sub(self.start.0);
        if length < 0 { 0 } else { (length / self.step_ms.max(1)).saturating_add(1) }
    }
}

/// How queries are evaluated. Switches that are off are those that are off in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// How far back an instant selector looks, in milliseconds; the sample must be younger than this.
    pub lookback_ms: i64,
    /// What answers selectors: one tier, or raw samples where they are and else the tier that suits.
    pub tier: Option<Tier>,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// Whether ranges are `[t - range, t)` instead of `(t - range, t]`, as buckets of time are. Ranges over windows of a
    /// tier may then be one window long.
    pub half_open: bool,
    /// Whether names that operations drop are dropped at the very end, so that label functions may still use them.
    pub delayed_name_removal: bool,
    /// Whether experimental functions and aggregations may be used.
    pub experimental_functions: bool,
    /// Whether lengths of time may be computed, as in `[5m * 2]`.
    pub duration_expressions: bool,
    /// Whether `anchored` and `smoothed` may be used.
    pub extended_ranges: bool,
    /// Whether `fill`, `fill_left` and `fill_right` may be used.
    pub fill_modifiers: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback_ms: 5 * 60_000,
            tier: None,
            subquery_step_ms: 60_000,
            half_open: false,
            delayed_name_removal: false,
            experimental_functions: false,
            duration_expressions: false,
            extended_ranges: false,
            fill_modifiers: false,
        }
    }
}

impl Options {
    /// The defaults with all switches on.
    pub fn experimental() -> Self {
        Self {
            delayed_name_removal: true,
            experimental_functions: true,
            duration_expressions: true,
            extended_ranges: true,
            fill_modifiers: true,
            ..Self::default()
        }
    }
}

/// What a query gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What is probably wrong with the query or the data, each once, sorted.
    pub warnings: Vec<String>,
    /// What may be unexpected, each once, sorted; also which tier answered where that was not raw, and why.
    pub infos: Vec<String>,
    /// What its selectors read, from the finest.
    pub tiers: Vec<Tier>,
    /// The most that quantiles taken from sketches are off, relative to their values; zero if there are none.
    pub error: f64,
}

/// Of floats alone.
impl FromIterator<Sample> for Track {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        Self { floats: samples.into_iter().collect(), histograms: Vec::new() }
    }
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number and when it was evaluated.
    Scalar(Sample),
    /// A text and when it was evaluated.
    String(Timestamp, String),
    /// One sample a series. The order means something only after sorting and `topk`.
    Vector(Vec<(Labels, Datum)>),
    /// Samples by series, sorted by labels.
    Matrix(Vec<(Labels, Track)>),
}

/// A sample of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// A float.
    Float(Sample),
    /// A native histogram.
    Histogram(Timestamp, Arc<FloatHistogram>),
}

impl Datum {
    /// Its time.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Float(sample) => sample.at,
            Self::Histogram(at, _) => *at,
        }
    }

    /// Its value, if that is a float.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(sample) => Some(sample.value),
            Self::Histogram(..) => None,
        }
    }
}

/// The samples of a series, each kind in time order. No two are of the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// The floats.
    pub floats: Vec<Sample>,
    /// The native histograms.
    pub histograms: Vec<(Timestamp, Arc<FloatHistogram>)>,
}

impl Track {
    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The query cannot be run on these data. Tell the one who asked; asking again won't help.
    #[error("{0}")]
    Execution(String),
    /// The query uses what is switched off.
    #[error("{name} is experimental and must be enabled")]
    Disabled {
        /// The function or the syntax.
        name: String,
    },
    /// Reading stopped: the budget is spent, the query cancelled, or the store broken.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<BudgetError> for Error {
    fn from(error: BudgetError) -> Self {
        Self::Source(error.into())
    }
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At one point in time.
    Instant(Timestamp),
    /// At each step.
    Range(Steps),
}

/// Evaluates a query at one point in time.
///
/// # Errors
/// See [`Error`].
pub fn evaluate_instant(
    source: &dyn Source,
    expr: &Expr,
    at: Timestamp,
    options: &Options,
    budget: &Budget,
) -> Result<Answer, Error> {
    evaluate(source, expr, When::Instant(at), options, budget, None)
}

/// Evaluates a query at each step. The value is always a [`Value::Matrix`].
///
/// # Errors
/// See [`Error`]; queries that give strings or ranges cannot be asked of steps.
pub fn evaluate_range(
    source: &dyn Source,
    expr: &Expr,
    steps: Steps,
    options: &Options,
    budget: &Budget,
) -> Result<Answer, Error> {
    evaluate(source, expr, When::Range(steps), options, budget, None)
}

/// Either of them, recorded if that is wanted.
pub(crate) fn evaluate(
    source: &dyn Source,
    expr: &Expr,
    when: When,
    options: &Options,
    budget: &Budget,
    recorder: Option<&Recorder<'_>>,
) -> Result<Answer, Error> {
    let grid = grid(expr, when, options)?;
    let context = Context::new(source, options, budget, grid, expr).recorded(recorder);
    let value = match when {
        When::Instant(_) => expr::top_instant(&context, expr)?,
        When::Range(_) => expr::top_range(&context, expr)?,
    };
    Ok(context.answer(value))
}

/// The points of a query that may be asked so.
fn grid(expr: &Expr, when: When, options: &Options) -> Result<Grid, Error> {
    switches::check(expr, options)?;
    let steps = match when {
        When::Instant(at) => return Ok(Grid::instant(at.0)),
        When::Range(steps) => steps,
    };
    let kind = expr.kind();
    if !matches!(kind, Type::Scalar | Type::Vector) {
        let message = format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            kind.as_str()
        );
        return Err(Error::Execution(message));
    }
    Grid::steps(steps)
}
