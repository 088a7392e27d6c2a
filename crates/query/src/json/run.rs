//! A query answered: its parts planned, compiled, evaluated, and put together by groups.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
};

use barograph_analyze::Point;
use barograph_model::{
    Budget, BudgetError, Labels, METRIC_NAME, Sample, Source, SourceError, Tier, TimeRange, Timestamp,
};

use super::{
    answer::{Finding, Meta, Reply, Series},
    compile::{self, By, Metric},
    document::{Aggregation, Query, SPAN_MS, Window},
    expression::{Function, Node},
    metric::Stored,
    pattern::Pattern,
    plan::{Plan, Span, plan},
    read::Invalid,
    resolve::Directory,
    thin::thin_out,
};
use crate::{
    cache::{Reuse, Reused},
    eval::{self, Options, Steps, Track, Value, When},
    explain::Tracer,
    syntax::ast::Expr,
};

/// Bytes that the slopes of a trend take at most.
const TREND_BYTES: u64 = 16 << 20;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The query asks what makes no sense of what is stored.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It could not be evaluated.
    #[error(transparent)]
    Evaluate(#[from] eval::Error),
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Self::Evaluate(error.into())
    }
}

impl From<BudgetError> for Error {
    fn from(error: BudgetError) -> Self {
        Self::Evaluate(error.into())
    }
}

/// Answers a query as of `now`.
///
/// # Errors
/// See [`Error`].
pub fn answer(source: &dyn Source, query: &Query, now: Timestamp, budget: &Budget) -> Result<Reply, Error> {
    answer_with(None, source, query, now, budget, None)
}

/// As [`answer`], with buckets that a cache has.
///
/// # Errors
/// See [`Error`].
pub fn answer_reusing(
    reuse: Option<&Reuse<'_>>,
    source: &dyn Source,
    query: &Query,
    now: Timestamp,
    budget: &Budget,
) -> Result<Reply, Error> {
    answer_with(reuse, source, query, now, budget, None)
}

/// The same, with the plans of all that is evaluated kept; a tracer may also evaluate nothing.
pub(crate) fn answer_traced(
    source: &dyn Source,
    query: &Query,
    now: Timestamp,
    budget: &Budget,
    tracer: &Tracer<'_>,
) -> Result<Reply, Error> {
    answer_with(None, source, query, now, budget, Some(tracer))
}

fn answer_with(
    reuse: Option<&Reuse<'_>>,
    source: &dyn Source,
    query: &Query,
    now: Timestamp,
    budget: &Budget,
    tracer: Option<&Tracer<'_>>,
) -> Result<Reply, Error> {
    let end = query.end.map_or(now, |end| end.at(now));
    let start = query.start.map_or(end.saturating_add(-SPAN_MS), |start| start.at(now));
    let end = end.saturating_add(i64::from(query.end_counts));
    if start >= end {
        return Err(Invalid::new("query.filter.timeRange", "the end is not after the start").into());
    }
    let length = end.0 - start.0 - i64::from(query.end_counts);
    let span = Span { start: start.0, end: end.0, length, asked: query.granularity };
    let directory = Directory::open(query, source, TimeRange::new(start, end), budget)?;
    let run = Run {
        reuse,
        source,
        query,
        budget,
        span,
        directory,
        seen: Cell::default(),
        tracer,
        first: RefCell::default(),
        warnings: RefCell::default(),
    };
    run.answer(start, end)
}

/// One query in the course of being answered.
pub(super) struct Run<'a> {
    reuse: Option<&'a Reuse<'a>>,
    source: &'a dyn Source,
    pub(super) query: &'a Query,
    budget: &'a Budget,
    pub(super) span: Span,
    directory: Directory<'a>,
    seen: Cell<Seen>,
    tracer: Option<&'a Tracer<'a>>,
    /// The reason of the first plan.
    first: RefCell<Option<String>>,
    warnings: RefCell<Vec<String>>,
}

/// What was noticed while evaluating.
#[derive(Clone, Copy, Default)]
struct Seen {
    tiers: [bool; Tier::ALL.len()],
    error: f64,
    approximate: bool,
}

/// A column of the answer: one figure of all groups.
pub(super) struct Item {
    pub(super) name: String,
    aggregation: Option<Function>,
    pub(super) window: Option<i64>,
    pub(super) groups: Matrix,
    pub(super) findings: BTreeMap<Labels, Finding>,
}

pub(super) type Matrix = BTreeMap<Labels, Vec<Sample>>;

impl Run<'_> {
    fn answer(&self, start: Timestamp, end: Timestamp) -> Result<Reply, Error> {
        let listed = self.directory.listed()?;
        for names in &self.query.metrics {
            if !listed.iter().any(|(_, _, place)| self.query.metrics[*place] == *names) {
                self.warn(format!(
                    "{:?} stands for no metric that has samples in the time range",
                    names.text()
                ));
            }
        }
        let mut items = Vec::new();
        for (name, metric, _) in &listed {
            items.extend(self.aggregations(name, metric)?);
        }
        for i in 0..self.query.calculations.len() {
            items.extend(self.calculation(i)?);
        }
        if let Some(pattern) = &self.query.pattern {
            items.extend(self.pattern(pattern)?);
        }
        let (results, groups) = match (items.as_mut_slice(), &self.query.sort) {
            // Groups lie in the order of their labels already.
            ([only], None) => self.results_of(only),
            _ => {
                let order = self.order(&items, &listed)?;
                self.results_in(order, &mut items)
            }
        };
        let seen = self.seen.get();
        let tiers: Vec<Tier> = Tier::ALL.into_iter().filter(|tier| seen.tiers[*tier as usize]).collect();
        let metrics = self.directory.used();
        let meta = Meta {
            tier: match tiers.as_slice() {
                [] => Tier::Raw.to_string(),
                [tier] => tier.to_string(),
                _ => "mixed".into(),
            },
            reason: self.first.borrow().clone().unwrap_or_else(|| "nothing is stored".into()),
            error: (!seen.approximate).then_some(seen.error),
            points_read: self.budget.spent(),
            cached: self.reuse.is_some_and(|reuse| reuse.reused() != Reused::Nothing),
            start,
            end,
            groups,
            warnings: self.warnings.borrow().clone(),
        };
        Ok(Reply { results, meta, metrics })
    }

    /// The series of one item, as far as the limit goes, and how many groups there are.
    fn results_of(&self, item: &mut Item) -> (Vec<Series>, usize) {
        let groups = std::mem::take(&mut item.groups);
        let count = groups.len();
        let limit = self.query.limit.unwrap_or(usize::MAX);
        let mut findings = std::mem::take(&mut item.findings);
        let series = groups.into_iter().take(limit).map(|(labels, points)| {
            let finding = findings.remove(&labels);
            self.series(item, self.shown(labels), points, finding)
        });
        (series.collect(), count)
    }

    /// The series of all items, group by group.
    fn results_in(&self, order: Vec<Labels>, items: &mut [Item]) -> (Vec<Series>, usize) {
        let count = order.len();
        let limit = self.query.limit.unwrap_or(usize::MAX);
        let mut results = Vec::new();
        for labels in order.into_iter().take(limit) {
            for item in &mut *items {
                let Some(points) = item.groups.remove(&labels) else { continue };
                let finding = item.findings.remove(&labels);
                results.push(self.series(item, self.shown(labels.clone()), points, finding));
            }
        }
        (results, count)
    }

    fn series(&self, item: &Item, labels: Labels, points: Vec<Sample>, finding: Option<Finding>) -> Series {
        Series {
            name: item.name.clone(),
            aggregation: item.aggregation.map(Function::name),
            window_ms: item.window,
            labels,
            points: match self.query.target_points {
                Some(target) => thin_out(&points, target),
                None => points,
            },
            finding,
        }
    }

    /// What is made of one metric.
    fn aggregations(&self, name: &str, metric: &Metric) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        for (i, aggregation) in self.aggregations_of(name) {
            let path = |key: &str| format!("query.aggregations[{i}].{key}");
            let by_series = may_be_samples(metric, aggregation.function);
            let plan = self.plan(aggregation.window, by_series, || path("window"))?;
            let build = |length: i64| {
                compile::aggregate(metric, aggregation.function, length)
                    .map_err(|e| Invalid::new(path("type"), e).into())
            };
            let groups = match plan.samples {
                true => self.samples(&plan, metric, aggregation.function)?,
                false => self.evaluate(&plan, build)?,
            };
            items.push(Item {
                name: aggregation.alias.clone().unwrap_or_else(|| name.to_owned()),
                aggregation: Some(aggregation.function),
                window: (!plan.samples).then_some(plan.width),
                groups,
                findings: BTreeMap::new(),
            });
        }
        Ok(items)
    }

    /// The aggregations of a metric, and their places in the document.
    pub(super) fn aggregations_of(&self, name: &str) -> Vec<(usize, Aggregation)> {
        if self.query.aggregations.is_empty() {
            let mean =
                Aggregation { function: Function::Avg, window: Window::Auto, metric: None, alias: None };
            return vec![(0, mean)];
        }
        let own = |aggregation: &Aggregation| {
            aggregation.metric.as_ref().is_none_or(|metric| self.means(metric, name))
        };
        let all = self.query.aggregations.iter().cloned().enumerate();
        all.filter(|(_, aggregation)| own(aggregation)).collect()
    }

    /// Whether a word of the query is a metric's name in the list, or the pattern it was found by.
    pub(super) fn means(&self, word: &str, name: &str) -> bool {
        word == name || self.query.metrics.iter().any(|names| names.text() == word && names.stands_for(name))
    }

    fn calculation(&self, i: usize) -> Result<Option<Item>, Error> {
        let calculation = &self.query.calculations[i];
        let path = format!("query.calculations[{i}].expression");
        let window = self.window_of(calculation.window);
        let node = &calculation.expression.node;
        let overall = matches!(node, Node::Trend(_) | Node::Correlation(..));
        let window = if overall && window == Window::Whole { Window::Auto } else { window };
        let plan = self.plan(window, false, || self.path_of_window(i))?;
        let Some(groups) = self.expression(node, &plan, &path)? else { return Ok(None) };
        let (groups, findings) = match node {
            Node::Trend(_) => self.trends(groups)?,
            Node::Correlation(_, second, lags) => {
                let Some(others) = self.expression(second, &plan, &path)? else { return Ok(None) };
                self.correlations(groups, &others, *lags, plan.width)?
            }
            _ => (groups, BTreeMap::new()),
        };
        let window = Some(if overall { self.span.end - self.span.start } else { plan.width });
        Ok(Some(Item { name: calculation.name.clone(), aggregation: None, window, groups, findings }))
    }

    /// The windows of a calculation or a pattern: its own, else those of the first aggregation.
    fn window_of(&self, own: Option<Window>) -> Window {
        own.or(self.query.aggregations.first().map(|first| first.window)).unwrap_or(Window::Auto)
    }

    fn path_of_window(&self, i: usize) -> String {
        match self.query.calculations[i].window {
            Some(_) => format!("query.calculations[{i}].window"),
            None => "query.aggregations[0].window".into(),
        }
    }

    /// An expression in the buckets of a plan: of a trend, what it is of; of a correlation, the first of the two. `None`
    /// if it names a metric that is not there.
    pub(super) fn expression(&self, node: &Node, plan: &Plan, path: &str) -> Result<Option<Matrix>, Error> {
        let node = match node {
            Node::Trend(inner) | Node::Correlation(inner, ..) => inner,
            node => node,
        };
        let mut metrics: BTreeMap<&str, Metric> = BTreeMap::new();
        let mut names = BTreeSet::new();
        node.each_metric(&mut |name, _| names.extend([name]));
        for name in names {
            match self.directory.named(name, path)? {
                Some(metric) => drop(metrics.insert(name, metric)),
                None => {
                    self.warn(format!("{path}: {name:?} is no metric that has samples in the time range"));
                    return Ok(None);
                }
            }
        }
        let default = self.query.aggregations.first().map_or(Function::Avg, |first| first.function);
        let build = |length: i64| {
            let find = |name: &str| metrics.get(name).cloned().ok_or_else(|| format!("{name:?} is missing"));
            compile::expression(node, default, length, &find).map_err(|e| Invalid::new(path, e).into())
        };
        self.evaluate(plan, build).map(Some)
    }

    fn trends(&self, groups: Matrix) -> Result<(Matrix, BTreeMap<Labels, Finding>), Error> {
        self.budget.reserve(TREND_BYTES)?;
        let mut findings = BTreeMap::new();
        for (labels, points) in groups {
            self.budget.check()?;
            findings.extend(
                barograph_analyze::trend(&numbers(&points)).map(|trend| (labels, Finding::Trend(trend))),
            );
        }
        Ok((self.points_of(&findings), findings))
    }

    fn correlations(
        &self,
        groups: Matrix,
        others: &Matrix,
        lags: usize,
        width: i64,
    ) -> Result<(Matrix, BTreeMap<Labels, Finding>), Error> {
        let mut findings = BTreeMap::new();
        for (labels, points) in groups {
            self.budget.check()?;
            let Some(other) = others.get(&labels) else { continue };
            let found = barograph_analyze::correlation(&numbers(&points), &numbers(other), lags, width);
            findings.extend(found.map(|found| (labels, Finding::Correlation(found))));
        }
        barograph_analyze::judge_together(findings.values_mut().filter_map(|finding| match finding {
            Finding::Correlation(found) => Some(found),
            _ => None,
        }));
        Ok((self.points_of(&findings), findings))
    }

    /// The one figure of a finding, at the start of the time range.
    fn points_of(&self, findings: &BTreeMap<Labels, Finding>) -> Matrix {
        let point = |value: f64| vec![Sample { at: Timestamp(self.span.start), value }];
        let figure = |finding: &Finding| match finding {
            Finding::Trend(trend) => point(trend.slope),
            Finding::Correlation(found) => point(found.r),
            Finding::Matches(_) => Vec::new(),
        };
        findings.iter().map(|(labels, finding)| (labels.clone(), figure(finding))).collect()
    }

    fn pattern(&self, pattern: &Pattern) -> Result<Option<Item>, Error> {
        let window = match self.window_of(pattern.window.map(Window::Length)) {
            Window::Whole => Window::Auto,
            window => window,
        };
        let plan = self.plan(window, false, || match pattern.window {
            Some(_) => "query.pattern.window".into(),
            None => "query.aggregations[0].window".into(),
        })?;
        let mut holding = Vec::with_capacity(pattern.conditions.len());
        for (label, condition) in &pattern.conditions {
            let path = format!("query.pattern.conditions.{label}");
            match self.expression(&condition.node, &plan, &path)? {
                Some(groups) => holding.push(groups),
                // What is not there does not hold.
                None => holding.push(Matrix::new()),
            }
        }
        let all: BTreeSet<&Labels> = holding.iter().flat_map(Matrix::keys).collect();
        let (mut groups, mut findings) = (Matrix::new(), BTreeMap::new());
        for labels in all {
            self.budget.check()?;
            let mut rests: Vec<&[Sample]> =
                holding.iter().map(|groups| groups.get(labels).map_or(&[][..], Vec::as_slice)).collect();
            let buckets = plan.stamps().map(|at| {
                let mut holds = |rest: &mut &[Sample]| match rest.split_first() {
                    Some((first, others)) if first.at.0 == at => {
                        *rest = others;
                        first.value == 1.0
                    }
                    _ => false,
                };
                (at, rests.iter_mut().map(&mut holds).collect())
            });
            let matches = pattern.find(plan.width, buckets);
            if matches.is_empty() {
                continue;
            }
            let took = |steps: &Vec<i64>| match (steps.first(), steps.last()) {
                (Some(first), Some(last)) => {
                    Some(Sample { at: Timestamp(*first), value: (last + plan.width - first) as f64 / 1e3 })
                }
                _ => None,
            };
            groups.insert(labels.clone(), matches.iter().filter_map(took).collect());
            let times = |steps: Vec<i64>| steps.into_iter().map(Timestamp).collect();
            findings.insert(labels.clone(), Finding::Matches(matches.into_iter().map(times).collect()));
        }
        Ok(Some(Item {
            name: pattern.name.clone(),
            aggregation: None,
            window: Some(plan.width),
            groups,
            findings,
        }))
    }

    pub(super) fn plan(
        &self,
        window: Window,
        by_series: bool,
        path: impl Fn() -> String,
    ) -> Result<Plan, Error> {
        let plan = plan(|tier| self.source.coverage(tier), self.span, window, by_series)
            .map_err(|e| Invalid::new(path(), e))?;
        self.first.borrow_mut().get_or_insert_with(|| plan.reason.clone());
        if plan.exact_from > i64::MIN {
            let mut seen = self.seen.get();
            seen.approximate = true;
            self.seen.set(seen);
            self.warn(format!(
                "buckets before {} are approximate: what is left there is windows longer than they are made of",
                eval::time_text(Timestamp(plan.exact_from))
            ));
        }
        Ok(plan)
    }

    /// Evaluates what `build` makes for buckets of a length, in all buckets of a plan.
    pub(super) fn evaluate(
        &self,
        plan: &Plan,
        build: impl Fn(i64) -> Result<Expr, Error>,
    ) -> Result<Matrix, Error> {
        let mut groups = Matrix::new();
        for run in &plan.runs {
            let steps = Steps {
                start: Timestamp(run.first_end),
                end: Timestamp(run.last_end),
                step_ms: plan.width.max(1),
            };
            let options = options(run.tier);
            let Some(answer) = self.ask(&build(run.length)?, When::Range(steps), &options)? else { continue };
            self.note(run.tier, &answer);
            let Value::Matrix(matrix) = answer.value else { continue };
            let stamped = matrix.into_iter().map(|(labels, Track { floats: mut samples, .. })| {
                for sample in &mut samples {
                    sample.at = Timestamp(run.stamp + (sample.at.0 - run.first_end));
                }
                (nameless(labels), samples)
            });
            let found = stamped.filter(|(_, samples)| !samples.is_empty());
            if groups.is_empty() {
                // What is nearly in order is collected sooner than put in one by one.
                groups = found.collect();
            } else {
                found
                    .for_each(|(labels, mut samples)| groups.entry(labels).or_default().append(&mut samples));
            }
        }
        Ok(groups)
    }

    /// Samples as they came; a function of one sample is mostly itself.
    fn samples(&self, plan: &Plan, metric: &Metric, function: Function) -> Result<Matrix, Error> {
        let mut groups = Matrix::new();
        for run in &plan.runs {
            let range = compile::samples(metric, run.length);
            let when = When::Instant(Timestamp(run.first_end));
            let Some(answer) = self.ask(&range, when, &options(run.tier))? else { continue };
            self.note(run.tier, &answer);
            let Value::Matrix(matrix) = answer.value else { continue };
            for (labels, Track { floats: mut samples, .. }) in matrix {
                if samples.is_empty() {
                    continue;
                }
                match function {
                    Function::Count => samples.iter_mut().for_each(|sample| sample.value = 1.0),
                    Function::Stddev => samples.iter_mut().for_each(|sample| sample.value -= sample.value),
                    _ => {}
                }
                groups.insert(nameless(labels), samples);
            }
        }
        Ok(groups)
    }

    /// The answer to an expression, if it is to be evaluated.
    fn ask(&self, expr: &Expr, when: When, options: &Options) -> Result<Option<eval::Answer>, Error> {
        Ok(match (self.tracer, self.reuse, when) {
            (Some(tracer), ..) => tracer.run(self.source, expr, when, options, self.budget)?,
            (None, Some(reuse), When::Range(steps)) => {
                Some(reuse.evaluate_range(self.source, expr, steps, options, self.budget)?)
            }
            _ => Some(eval::evaluate(self.source, expr, when, options, self.budget, None)?),
        })
    }

    fn note(&self, tier: Tier, answer: &eval::Answer) {
        let mut seen = self.seen.get();
        seen.tiers[tier as usize] = true;
        seen.error = seen.error.max(answer.error);
        self.seen.set(seen);
        answer.warnings.iter().for_each(|warning| self.warn(warning.clone()));
    }

    fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < 100 && !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Labels called as in the query.
    fn shown(&self, labels: Labels) -> Labels {
        let asked_as = |name| self.directory.asked_as(name).unwrap_or(name);
        if labels.iter().all(|(name, _)| asked_as(name) == name) {
            return labels;
        }
        Labels::from_pairs(labels.iter().map(|(name, value)| (asked_as(name), value))).unwrap_or(labels)
    }
}

/// Samples as plain numbers.
fn numbers(samples: &[Sample]) -> Vec<Point> {
    samples.iter().map(|sample| Point { at: sample.at.0, value: sample.value }).collect()
}

fn options(tier: Tier) -> Options {
    Options { tier: Some(tier), half_open: true, experimental_functions: true, ..Options::default() }
}

fn nameless(labels: Labels) -> Labels {
    match labels.metric_name() {
        Some(_) => labels.without(|name| name == METRIC_NAME.as_bytes()),
        None => labels,
    }
}

/// Whether samples as they came may stand for what a function makes of each of them.
fn may_be_samples(metric: &Metric, function: Function) -> bool {
    let of_one = !matches!(function, Function::Rate | Function::Increase);
    of_one && metric.by == By::Series && matches!(metric.stored, Stored::Series(_))
}
