//! Selectors of whose histograms only counts and sums are wanted.
//!
//! Prometheus reads those without their buckets, and finds out about resets while it does. So it knows of resets there
//! that it does not know of elsewhere, and warns of them: this engine reads the buckets all the same, and finds out about
//! resets in the same places.

use crate::syntax::ast::*;

/// The selectors of a query whose histograms are read so.
#[derive(Debug)]
pub(crate) struct Totals<'a>(Vec<&'a Selector>);

impl<'a> Totals<'a> {
    pub(crate) fn of(expr: &'a Expr) -> Self {
        let mut found = Vec::new();
        collect(expr, false, &mut found);
        Self(found)
    }

    pub(crate) fn contains(&self, selector: &Selector) -> bool {
        self.0.iter().any(|found| std::ptr::eq(*found, selector))
    }
}

fn collect<'a>(expr: &'a Expr, totals: bool, found: &mut Vec<&'a Selector>) {
    match &expr.node {
        Node::Number(_) | Node::Text(_) => {}
        Node::Selector(selector) if totals => found.push(selector),
        Node::Range(range) if totals => found.push(&range.selector),
        Node::Selector(_) | Node::Range(_) => {}
        // Between the points of a subquery resets are found by all buckets.
        Node::Subquery(subquery) => collect(&subquery.expr, false, found),
        Node::Call(call) => {
            let totals = match call.function.name {
                "histogram_avg" | "histogram_count" | "histogram_sum" => true,
                "histogram_fraction" | "histogram_quantile" | "histogram_quantiles" => false,
                _ => totals,
            };
            call.args.iter().for_each(|arg| collect(arg, totals, found));
        }
        Node::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| collect(param, totals, found));
            collect(&aggregate.expr, totals, found);
        }
        // What is around an operator between two may want less than the operator.
        Node::Binary(binary) => {
            collect(&binary.lhs, false, found);
            collect(&binary.rhs, false, found);
        }
        Node::Unary(unary) => collect(&unary.expr, totals, found),
        Node::Paren(inner) => collect(inner, totals, found),
    }
}
