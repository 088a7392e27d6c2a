//! Where the selectors of a query look, and what answers them: what the evaluator would decide, without reading.
//!
//! The walk is that of the evaluator: subqueries have points of their own, and a function over a range has a say in
//! which tier answers.

use barograph_model::{Budget, Matcher, Source, Tier, TimeRange, Timestamp};

use super::{
    Error, Options, When,
    context::Context,
    grid::Grid,
    kernels::{Kernel, Over, Special},
    ranges, rolled,
};
use crate::syntax::ast::*;

/// A selector or a subquery of a query.
#[derive(Clone, Debug)]
pub(crate) struct Site<'e> {
    pub(crate) expr: &'e Expr,
    /// The times it looks at: after the first, up to the last.
    pub(crate) range: TimeRange,
    /// How many points are made of each series.
    pub(crate) points: usize,
    /// Milliseconds between the points that a subquery is evaluated at.
    pub(crate) step: Option<i64>,
    /// What is read, of a selector.
    pub(crate) reads: Option<Reads<'e>>,
}

/// What is read for a selector.
#[derive(Clone, Debug)]
pub(crate) struct Reads<'e> {
    pub(crate) matchers: &'e [Matcher],
    /// Of which tier which times, from the oldest.
    pub(crate) parts: Vec<(Tier, TimeRange)>,
    pub(crate) reason: String,
    /// Whether one sample of each series is enough.
    pub(crate) last_only: bool,
}

/// The selectors and subqueries of a query, in the order of the walk, and the points it is evaluated at: the first, the
/// last, and how many.
pub(crate) fn survey<'e>(
    source: &dyn Source,
    expr: &'e Expr,
    when: When,
    options: &Options,
    budget: &Budget,
) -> Result<Vec<Site<'e>>, Error> {
    let grid = super::grid(expr, when, options)?;
    let context = Context::new(source, options, budget, grid, expr);
    let mut sites = Vec::new();
    Walk { context: &context, sites: &mut sites }.visit(grid, expr, None)?;
    Ok(sites)
}

struct Walk<'w, 'c, 'e> {
    context: &'w Context<'c>,
    sites: &'w mut Vec<Site<'e>>,
}

impl<'e> Walk<'_, '_, 'e> {
    /// `function` is what is made of a range.
    fn visit(&mut self, grid: Grid, expr: &'e Expr, function: Option<Over>) -> Result<(), Error> {
        match &expr.node {
            Node::Number(_) | Node::Text(_) => Ok(()),
            Node::Paren(inner) => self.visit(grid, inner, function),
            Node::Selector(selector) => self.selector(grid, expr, selector),
            Node::Range(range) => self.range(grid, expr, range, function),
            Node::Subquery(subquery) => self.subquery(grid, expr, subquery),
            Node::Unary(unary) => self.visit(grid, &unary.expr, None),
            Node::Binary(binary) => {
                self.visit(grid, &binary.lhs, None)?;
                self.visit(grid, &binary.rhs, None)
            }
            Node::Aggregate(aggregate) => {
                aggregate.param.iter().try_for_each(|param| self.visit(grid, param, None))?;
                self.visit(grid, &aggregate.expr, None)
            }
            Node::Call(call) => {
                let function = match call.function.kernel {
                    Kernel::Over(over) => Some(over),
                    Kernel::Special(Special::AbsentOverTime) => Some(Over::Present),
                    _ => None,
                };
                // What comes after the first argument of `info` selects nothing by itself.
                let info = matches!(call.function.kernel, Kernel::Special(Special::Info));
                let args = if info { &call.args[..1] } else { &call.args[..] };
                args.iter().try_for_each(|arg| self.visit(grid, arg, function))
            }
        }
    }

    fn selector(&mut self, grid: Grid, expr: &'e Expr, selector: &'e Selector) -> Result<(), Error> {
        let context = self.context;
        let reference = context.reference(&selector.shift)?;
        let choice = rolled::choose_instant(context, grid, reference, selector)?;
        let points = if reference.at.is_some() { 1 } else { grid.len };
        let point = |i: usize| reference.at.unwrap_or_else(|| grid.at(i)).saturating_sub(reference.offset);
        let lookback = context.options.lookback_ms;
        let (smoothed, last) = (selector.reading == Reading::Smoothed, point(points - 1));
        let ahead = if smoothed { lookback } else { 0 };
        let looks = |first: i64, back: i64| (first.saturating_sub(back), last.saturating_add(ahead));
        let reads = Looking { context, choice, points, point: &point, looks: &looks, back: lookback };
        let last_only = points == 1 && choice.is_none() && !smoothed;
        self.sites.push(reads.site(expr, &selector.matchers, last_only));
        Ok(())
    }

    fn range(
        &mut self,
        grid: Grid,
        expr: &'e Expr,
        node: &'e RangeSelector,
        function: Option<Over>,
    ) -> Result<(), Error> {
        let context = self.context;
        let choice = rolled::choose_range(context, grid, expr, function)?;
        let windows = ranges::windows(context, grid, node)?;
        let (points, back) = (windows.width(), windows.range.saturating_add(windows.before));
        let (point, last) = (|i: usize| windows.last(i), windows.read_last());
        let looks = |first: i64, back: i64| (first.saturating_sub(back), last);
        let reads = Looking { context, choice, points, point: &point, looks: &looks, back };
        self.sites.push(reads.site(expr, &node.selector.matchers, false));
        Ok(())
    }

    fn subquery(&mut self, grid: Grid, expr: &'e Expr, node: &'e Subquery) -> Result<(), Error> {
        let (points, windows) = ranges::points(self.context, grid, node)?;
        let (after, last) = (Timestamp(windows.read_after()), Timestamp(windows.read_last()));
        self.sites.push(Site {
            expr,
            range: TimeRange::left_open(after, last),
            points: points.map_or(0, |points| points.len),
            step: Some(points.map_or(0, |points| points.step)),
            reads: None,
        });
        points.map_or(Ok(()), |points| self.visit(points, &node.expr, None))
    }
}

/// A selector with what was chosen for it.
struct Looking<'a, 'c> {
    context: &'a Context<'c>,
    choice: Option<rolled::Choice>,
    points: usize,
    /// Where a step looks back from.
    point: &'a dyn Fn(usize) -> i64,
    /// What is read from a point on that looks back so far: after the first, up to the last.
    looks: &'a dyn Fn(i64, i64) -> (i64, i64),
    back: i64,
}

impl Looking<'_, '_> {
    fn site<'e>(&self, expr: &'e Expr, matchers: &'e [Matcher], last_only: bool) -> Site<'e> {
        let between = |(after, last): (i64, i64)| TimeRange::left_open(Timestamp(after), Timestamp(last));
        let whole = (self.looks)((self.point)(0), self.back);
        let raw = |reason: &str| (vec![(Tier::Raw, between(whole))], reason.to_owned());
        let (parts, reason) = match self.choice {
            None if self.context.options.tier == Some(Tier::Raw) => raw("it was asked for"),
            None => raw("raw samples are there"),
            Some(choice) => {
                let (tier, steps) = (choice.tier(), choice.steps().min(self.points));
                let first = (self.point)(0);
                let after = tier.window_of(first.saturating_sub(self.back.max(2 * tier.width())));
                let mut parts = Vec::new();
                if steps < self.points {
                    let up_to = (self.point)(steps.saturating_sub(1));
                    parts.push((tier, between((after - 1, up_to))));
                    parts.push((Tier::Raw, between((self.looks)((self.point)(steps), self.back))));
                } else {
                    parts.push((tier, between((after - 1, whole.1))));
                }
                (parts, choice.reason())
            }
        };
        let range = parts.iter().fold(between(whole), |all, (_, part)| {
            TimeRange::new(all.start.min(part.start), all.end.max(part.end))
        });
        let reads = Reads { matchers, parts, reason, last_only };
        Site { expr, range, points: self.points, step: None, reads: Some(reads) }
    }
}
