//! The tree of parts.

use std::{
    collections::HashMap,
    fmt::{self, Write},
};

use barograph_model::{Budget, Estimate, Selection, Source, Tier, TimeRange};

use super::{Part, tier_of, words};
use crate::{
    eval::{self, Error, Options, Recorder, Site, When},
    syntax::ast::*,
};

/// How many parts a plan tells of; what is beyond has no children.
pub const PARTS_MAX: usize = 1_000;
/// How deep a plan goes; readers of JSON go no deeper than 128, and a part is two levels.
pub const DEPTH_MAX: usize = 48;
/// How many bytes a part shows of its text, and of the words for it.
pub const TEXT_BYTES_MAX: usize = 300;

/// The plan of an expression, with what a recorder saw of it.
pub(super) fn part(
    source: &dyn Source,
    expr: &Expr,
    (when, options): (When, &Options),
    budget: &Budget,
    recorder: Option<&Recorder<'_>>,
) -> Result<Part, Error> {
    let sites = eval::survey(source, expr, when, options, budget)?;
    let place = |expr: &Expr| std::ptr::from_ref(expr);
    let sites = sites.into_iter().map(|site| (place(site.expr), site)).collect();
    Builder { source, options, budget, recorder, sites, left: PARTS_MAX - 1 }.part(expr, 0)
}

struct Builder<'a, 'e> {
    source: &'a dyn Source,
    options: &'a Options,
    budget: &'a Budget,
    recorder: Option<&'a Recorder<'a>>,
    sites: HashMap<*const Expr, Site<'e>>,
    /// How many parts there may be beside those that have their place.
    left: usize,
}

impl Builder<'_, '_> {
    fn part(&mut self, expr: &Expr, depth: usize) -> Result<Part, Error> {
        let expr = expr.bare();
        let site = self.sites.get(&std::ptr::from_ref(expr));
        let reads = site.and_then(|site| site.reads.as_ref());
        let mut part = Part {
            text: clipped(expr),
            span: (expr.span.start, expr.span.end),
            detail: shortened(words::detail(expr, site, self.options)),
            tier: reads.and_then(|reads| tier_of(reads.parts.iter().map(|read| read.0))),
            reason: reads.map(|reads| reads.reason.clone()),
            range: site.map(|site| site.range),
            estimate: site.map(|site| self.estimate(site)).transpose()?.flatten(),
            actual: self.recorder.and_then(|recorder| recorder.actual(expr)),
            ..Part::of_kind(operation(&expr.node))
        };
        let inner = inner(&expr.node);
        if depth + 1 < DEPTH_MAX && self.left >= inner.len() {
            self.left -= inner.len();
            for expr in inner {
                part.children.push(self.part(expr, depth + 1)?);
            }
        } else if !inner.is_empty() {
            part.detail.push_str("; what is inside is left out");
        }
        Ok(part)
    }

    /// About how much a selector reads and makes: of each series also the points.
    fn estimate(&self, site: &Site<'_>) -> Result<Option<Estimate>, Error> {
        let Some(reads) = &site.reads else { return Ok(None) };
        let mut sum = Estimate::default();
        let mut add = |tier: Tier, range: TimeRange| -> Result<(), Error> {
            let selection = Selection { matchers: reads.matchers, range };
            let found = self.source.estimate(tier, &selection, self.budget)?;
            sum.series = sum.series.max(found.series);
            sum.samples = sum.samples.saturating_add(found.samples);
            Ok(())
        };
        for &(tier, range) in &reads.parts {
            if tier == Tier::Raw {
                add(tier, range)?;
                continue;
            }
            // Windows that were not made yet are made of raw samples.
            let made = self
                .source
                .coverage_of(tier, reads.matchers)
                .end
                .clamp(range.start, range.end.max(range.start));
            add(tier, TimeRange::new(range.start, made))?;
            add(Tier::Raw, TimeRange::new(made, range.end))?;
        }
        let points = sum.series.saturating_mul(site.points as u64);
        sum.samples = if reads.last_only { sum.series } else { sum.samples.saturating_add(points) };
        Ok(Some(sum))
    }
}

fn operation(node: &Node) -> &'static str {
    match node {
        Node::Number(_) | Node::Text(_) => "literal",
        Node::Selector(_) => "selector",
        Node::Range(_) => "matrix",
        Node::Subquery(_) => "subquery",
        Node::Call(_) => "call",
        Node::Aggregate(_) => "aggregate",
        Node::Binary(_) => "binary",
        Node::Unary(_) => "unary",
        Node::Paren(_) => "paren",
    }
}

/// What an expression is made of.
fn inner(node: &Node) -> Vec<&Expr> {
    match node {
        Node::Number(_) | Node::Text(_) | Node::Selector(_) | Node::Range(_) => Vec::new(),
        Node::Subquery(subquery) => vec![&subquery.expr],
        Node::Call(call) => call.args.iter().collect(),
        Node::Aggregate(aggregate) => aggregate.param.iter().chain([&aggregate.expr]).collect(),
        Node::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        Node::Unary(unary) => vec![&unary.expr],
        Node::Paren(inner) => vec![inner],
    }
}

/// A text as far as it is shown.
fn shortened(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
    text
}

/// The text of an expression, as far as it is shown. No more of it is written than that.
pub(super) fn clipped(expr: &Expr) -> String {
    struct Clip(String);
    impl Write for Clip {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = TEXT_BYTES_MAX - self.0.len();
            let fits = text.floor_char_boundary(room);
            self.0.push_str(&text[..fits]);
            if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut clip = Clip(String::new());
    if write!(clip, "{expr}").is_err() {
        clip.0.push('…');
    }
    clip.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    #[test]
    fn long_texts_are_cut() {
        let long = vec!["ä_metric_of_some_length{job=\"ä\"}"; 150].join(" + ");
        let text = clipped(&parse(&long.replace('ä', "a")).unwrap());
        assert!(text.ends_with('…') && text.len() <= TEXT_BYTES_MAX + '…'.len_utf8());
        assert_eq!(clipped(&parse("sum(up)").unwrap()), "sum(up)");
    }
}
