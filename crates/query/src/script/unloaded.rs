//! Series that a script loads but that hold only native histograms, which are not kept.
//!
//! An eval that expects nothing and looks only at them would pass without anything having been checked.

use barograph_model::{Labels, METRIC_NAME, Matcher};

use super::{items::Item, memory::Memory};
use crate::syntax::ast::*;

/// The label sets of histograms that were read over.
#[derive(Debug, Default)]
pub(super) struct Unloaded {
    labels: Vec<Labels>,
}

impl Unloaded {
    pub(super) fn clear(&mut self) {
        self.labels.clear();
    }

    /// Notes a loaded series, if histograms belong to it: among its items, or built from classic buckets.
    pub(super) fn note(&mut self, labels: &Labels, items: &[Item], from_buckets: bool) {
        if items.iter().any(|item| matches!(item, Item::Histogram(_))) {
            self.labels.push(labels.clone());
        }
        let base = labels.metric_name().and_then(|name| name.strip_suffix("_bucket"));
        if let Some(base) = base.filter(|_| from_buckets) {
            self.labels.push(labels.without(|name| name == b"le").with(METRIC_NAME, base));
        }
    }

    /// Whether some selector of the query finds only series that were not kept.
    pub(super) fn hides_all_from(&self, expr: &Expr, memory: &Memory) -> bool {
        let hidden = |selector: &Selector| {
            let finds = |labels: &Labels| selector.matchers.iter().all(|matcher| fits(matcher, labels));
            self.labels.iter().any(finds) && !memory.labels().any(finds)
        };
        any_selector(expr, &hidden)
    }
}

fn fits(matcher: &Matcher, labels: &Labels) -> bool {
    matcher.matches(labels.value(matcher.name()).unwrap_or_default())
}

fn any_selector(expr: &Expr, holds: &impl Fn(&Selector) -> bool) -> bool {
    match &expr.node {
        Node::Number(_) | Node::Text(_) => false,
        Node::Selector(selector) => holds(selector),
        Node::Range(range) => holds(&range.selector),
        Node::Subquery(subquery) => any_selector(&subquery.expr, holds),
        Node::Call(call) => call.args.iter().any(|arg| any_selector(arg, holds)),
        Node::Aggregate(aggregate) => {
            aggregate.param.iter().chain([&aggregate.expr]).any(|expr| any_selector(expr, holds))
        }
        Node::Binary(binary) => any_selector(&binary.lhs, holds) || any_selector(&binary.rhs, holds),
        Node::Unary(unary) => any_selector(&unary.expr, holds),
        Node::Paren(inner) => any_selector(inner, holds),
    }
}
