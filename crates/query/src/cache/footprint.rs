//! What of the past and the future each step of a query reads; and of which queries a step's value depends on no other
//! step, nor on where the steps begin and end. Only of those may pieces be kept.

use std::fmt::Write;

use barograph_model::{Extent, Matcher, MetricKey, Source, Tier, TimeRange, Timestamp};

use crate::{
    Options,
    eval::{Kernel, Over, Special, Totals},
    syntax::{Times, ast::*},
};

/// What one selector reads for a step at `t`: samples in `(t + after, t + last]`.
#[derive(Clone, Debug)]
struct Look<'e> {
    matchers: &'e [Matcher],
    metrics: Option<Vec<MetricKey>>,
    after: i64,
    last: i64,
}

/// All that a query reads, and what tells it from others.
#[derive(Clone, Debug)]
pub(super) struct Footprint<'e> {
    looks: Vec<Look<'e>>,
    /// The tier that every step is answered from.
    tier: Tier,
    /// Whether that is so only as far back as there are raw samples.
    needs_raw: bool,
    /// The query, with the places of its parts: messages name them.
    pub(super) text: String,
}

impl<'e> Footprint<'e> {
    /// The footprint of a query at steps so far apart; `None` if a step of it is not for itself, or if it reads nothing.
    pub(super) fn of(expr: &'e Expr, options: &Options, step_ms: i64) -> Option<Self> {
        let tier = options.tier.unwrap_or_default();
        let text = format!("{expr}\n");
        let mut footprint = Self { looks: Vec::new(), tier, needs_raw: options.tier.is_none(), text };
        let times = Times { step: step_ms, range: 0 };
        let walk = Walk { options, times, tier, totals: Totals::of(expr) };
        walk.visit(expr, Points { after: 0, last: 0 }, &mut footprint)?;
        (!footprint.looks.is_empty()).then_some(footprint)
    }

    /// The first time whose step is answered from the one tier.
    pub(super) fn covered_from(&self, source: &dyn Source) -> i64 {
        if !self.needs_raw {
            return i64::MIN;
        }
        let from = |look: &Look<'_>| match source.coverage_of(Tier::Raw, look.matchers).start {
            Timestamp::MIN => i64::MIN,
            // What is read is after `t + look.after`.
            start => start.0.saturating_sub(1).saturating_sub(look.after),
        };
        self.looks.iter().map(from).max().unwrap_or(i64::MIN)
    }

    /// The time before which the tier has windows that stay as they are. Newer ones are made of samples on the way, and
    /// may look different when more of these are read.
    pub(super) fn made_until(&self, source: &dyn Source) -> Timestamp {
        if self.tier == Tier::Raw {
            return Timestamp::MAX;
        }
        let made = |look: &Look<'_>| {
            Some(source.coverage_of(self.tier, look.matchers)).filter(|made| !made.is_empty())
        };
        self.looks
            .iter()
            .map(|look| made(look).map_or(Timestamp::MIN, |made| made.end))
            .min()
            .unwrap_or(Timestamp::MIN)
    }

    /// Whether no other tier answered.
    pub(super) fn is_answered_by(&self, tiers: &[Tier]) -> bool {
        tiers.iter().all(|tier| *tier == self.tier)
    }

    /// The time before which steps read only what is before another.
    pub(super) fn before(&self, time: i64) -> i64 {
        time.saturating_sub(self.looks.iter().map(|look| look.last).max().unwrap_or(0))
    }

    /// What the steps from `first` to `last` read.
    pub(super) fn extents(&self, first: i64, last: i64) -> Vec<Extent<'_>> {
        let extent = |look: &'_ Look<'e>| {
            TimeRange::left_open(
                Timestamp(first.saturating_add(look.after)),
                Timestamp(last.saturating_add(look.last)),
            )
        };
        let of = |look| (extent(look), look);
        self.looks
            .iter()
            .map(of)
            .map(|(range, look)| Extent { metrics: look.metrics.as_deref(), tier: self.tier, range })
            .collect()
    }

    /// Milliseconds that a step reads, at most.
    pub(super) fn reach(&self) -> i64 {
        self.looks.iter().map(|look| look.last.saturating_sub(look.after)).max().unwrap_or(0)
    }
}

/// The points at which a part of the query is evaluated for a step at `t`: `(t + after, t + last]`, or just there if both
/// are the same.
#[derive(Clone, Copy)]
struct Points {
    after: i64,
    last: i64,
}

struct Walk<'a> {
    options: &'a Options,
    times: Times,
    tier: Tier,
    /// Selectors of which each histogram is compared with the one before it, which may be one that another step reads.
    totals: Totals<'a>,
}

impl Walk<'_> {
    /// Adds what an expression reads; `None` if it is not for each step by itself.
    fn visit<'e>(&self, expr: &'e Expr, at: Points, found: &mut Footprint<'e>) -> Option<()> {
        let _ = write!(found.text, "{},", expr.span);
        match &expr.node {
            Node::Number(_) | Node::Text(_) => {}
            Node::Paren(inner) => self.visit(inner, at, found)?,
            Node::Unary(unary) => self.visit(&unary.expr, at, found)?,
            Node::Selector(selector) if self.totals.contains(selector) => return None,
            Node::Selector(selector) => self.look(selector, 0, at, found)?,
            Node::Range(range) => self.look(&range.selector, self.length(&range.range)?, at, found)?,
            Node::Subquery(subquery) => {
                if let Some(step) = &subquery.step {
                    self.length(step)?;
                }
                let Points { after, last } = self.shifted(&subquery.shift, at)?;
                let after = after.saturating_sub(self.length(&subquery.range)?);
                self.visit(&subquery.expr, Points { after, last }, found)?;
            }
            Node::Call(call) => {
                let whole = matches!(
                    call.function.kernel,
                    Kernel::Special(Special::Start | Special::End | Special::QueryRange | Special::Info)
                );
                if whole {
                    return None;
                }
                // Only these do not mind what that comparison tells.
                let rates =
                    matches!(call.function.kernel, Kernel::Over(Over::Rate | Over::Increase | Over::Delta));
                for arg in &call.args {
                    if let Node::Range(range) = &arg.bare().node
                        && !rates
                        && self.totals.contains(&range.selector)
                    {
                        return None;
                    }
                    self.visit(arg, at, found)?;
                }
            }
            Node::Aggregate(aggregate) => {
                aggregate.param.iter().try_for_each(|param| self.visit(param, at, found))?;
                self.visit(&aggregate.expr, at, found)?;
            }
            Node::Binary(binary) => {
                self.visit(&binary.lhs, at, found)?;
                self.visit(&binary.rhs, at, found)?;
            }
        }
        Some(())
    }

    fn look<'e>(
        &self,
        selector: &'e Selector,
        range: i64,
        at: Points,
        found: &mut Footprint<'e>,
    ) -> Option<()> {
        let Points { after, last } = self.shifted(&selector.shift, at)?;
        let lookback = self.options.lookback_ms;
        let (before, behind) = match (range, selector.reading) {
            (0, Reading::Plain | Reading::Anchored) => (lookback, 0),
            (0, Reading::Smoothed) => (lookback, lookback),
            (range, Reading::Plain) => (range, 0),
            (range, Reading::Anchored) => (range.saturating_add(lookback), 0),
            (range, Reading::Smoothed) => (range.saturating_add(lookback), lookback),
        };
        // Of a tier, ranges are at least two windows long and end where a window does, and windows are read whole.
        let (wider, beyond) =
            if self.tier == Tier::Raw { (0, 0) } else { (3 * self.tier.width(), self.tier.width()) };
        found.looks.push(Look {
            matchers: &selector.matchers,
            metrics: Extent::metrics_of(&selector.matchers),
            after: after.saturating_sub(before).saturating_sub(wider),
            last: last.saturating_add(behind).saturating_add(beyond),
        });
        Some(())
    }

    fn shifted(&self, shift: &Shift, at: Points) -> Option<Points> {
        if shift.at.is_some() {
            return None;
        }
        let offset = shift.offset.as_ref().map_or(Some(0), |offset| self.length(offset))?;
        let offset = offset.saturating_add(i64::from(self.options.half_open));
        Some(Points { after: at.after.saturating_sub(offset), last: at.last.saturating_sub(offset) })
    }

    /// A length that is the same wherever the query begins and ends.
    fn length(&self, length: &Length) -> Option<i64> {
        if depends_on_range(&length.node) { None } else { length.millis(self.times).ok() }
    }
}

fn depends_on_range(length: &LengthNode) -> bool {
    match length {
        LengthNode::Number(_) | LengthNode::Step => false,
        LengthNode::Range => true,
        LengthNode::Unary(_, inner) | LengthNode::Paren(inner) => depends_on_range(&inner.node),
        LengthNode::Binary(_, a, b) | LengthNode::Min(a, b) | LengthNode::Max(a, b) => {
            depends_on_range(&a.node) || depends_on_range(&b.node)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    const M: i64 = 60_000;

    fn looks(query: &str, options: &Options) -> Option<Vec<(i64, i64)>> {
        let expr = parse(query).unwrap();
        let footprint = Footprint::of(&expr, options, M)?;
        Some(footprint.looks.iter().map(|look| (look.after, look.last)).collect())
    }

    #[test]
    fn each_selector_looks_back_by_itself() {
        let check = |query: &str, expected: &[(i64, i64)]| {
            assert_eq!(looks(query, &Options::experimental()).as_deref(), Some(expected), "{query}");
        };
        check("x", &[(-5 * M, 0)]);
        check("x offset 1h", &[(-65 * M, -60 * M)]);
        check("x offset -1h", &[(55 * M, 60 * M)]);
        check("x smoothed", &[(-5 * M, 5 * M)]);
        check("rate(x[10m])", &[(-10 * M, 0)]);
        check("rate(x[step() * 2] anchored)", &[(-7 * M, 0)]);
        check("increase(x[10m] smoothed offset 1m)", &[(-16 * M, 4 * M)]);
        check("max_over_time(rate(x[10m] offset 1m)[1h:1m] offset 2m)", &[(-73 * M, -3 * M)]);
        check(
            "sum(x) / on () (y offset 1w) * time()",
            &[(-5 * M, 0), (-7 * 1440 * M - 5 * M, -7 * 1440 * M)],
        );
        check("histogram_count(sum(rate(x[10m])))", &[(-10 * M, 0)]);
        check("topk(scalar(k), x)", &[(-5 * M, 0), (-5 * M, 0)]);
    }

    #[test]
    fn buckets_and_tiers_are_minded() {
        let options = Options { half_open: true, tier: Some(Tier::Minute), ..Options::default() };
        assert_eq!(looks("rate(x[10m])", &options), Some(vec![(-13 * M - 1, M - 1)]));
        let options = Options { tier: Some(Tier::Raw), ..Options::default() };
        assert_eq!(looks("x", &options), Some(vec![(-5 * M, 0)]));
    }

    #[test]
    fn what_depends_on_the_whole_range_is_not_kept() {
        for query in [
            "x @ start()",
            "x @ end()",
            "x @ 100",
            "rate(x[5m] @ 7)",
            "max_over_time(x[5m:1m] @ end())",
            "x * start()",
            "x - end()",
            "x + range()",
            "x[range()]",
            "x offset (range() / 2)",
            "sum_over_time(x[5m:range()])",
            "info(x)",
            "1",
            "vector(time())",
            "pi()",
            "histogram_count(sum(x))",
            "histogram_sum(last_over_time(x[5m]))",
        ] {
            let query = if query.ends_with(']') { format!("rate({query})") } else { query.to_owned() };
            assert_eq!(looks(&query, &Options::experimental()), None, "{query}");
        }
    }

    #[test]
    fn places_tell_queries_apart() {
        let text = |query: &str| {
            let expr = parse(query).unwrap();
            Footprint::of(&expr, &Options::default(), M).unwrap().text
        };
        assert_eq!(text("rate(x[5m])"), text("rate(x[300s])"));
        assert_ne!(text("rate(x[5m])"), text("rate( x[5m])"));
    }
}
