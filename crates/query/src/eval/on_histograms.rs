//! Operators where a histogram stands on a side.
//!
//! Few have a meaning there. Where one has none, there is no result, and an info says so.

use std::sync::Arc;

use barograph_model::ResetHint;

use super::{
    binary::element,
    column::{Cell, Shared},
    context::Context,
    notes::Made,
};
use crate::{
    native::{FloatHistogram, Incompatible, Keep},
    syntax::{
        Span,
        ast::{Binary, BinaryOp},
    },
};

/// An operator and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) node: &'a Binary,
    pub(super) span: Span,
}

/// Whether an operator has a meaning for histograms alone.
pub(super) fn only(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

/// The result of an operator between two cells.
pub(super) fn combine(site: Site<'_>, lhs: Cell, rhs: Cell) -> Cell {
    let op = site.node.op;
    match (lhs, rhs) {
        (Cell::Absent, _) | (_, Cell::Absent) => Cell::Absent,
        (Cell::Float(_), Cell::Float(_)) if only(op) => site.no_meaning("float", "float"),
        (Cell::Float(a), Cell::Float(b)) => element(site.node, a, b).into(),
        (Cell::Histogram(a), Cell::Histogram(b)) => two(site, &a, &b),
        (Cell::Histogram(a), Cell::Float(b)) => match op {
            BinaryOp::Mul => changed(&a, |histogram| histogram.scale(b)),
            BinaryOp::Div => changed(&a, |histogram| histogram.divide(b)),
            BinaryOp::TrimUpper => Cell::Histogram(Arc::new(a.trimmed(b, Keep::Below))),
            BinaryOp::TrimLower => Cell::Histogram(Arc::new(a.trimmed(b, Keep::Above))),
            _ => site.no_meaning("histogram", "float"),
        },
        (Cell::Float(a), Cell::Histogram(b)) => match op {
            BinaryOp::Mul => changed(&b, |histogram| histogram.scale(a)),
            _ => site.no_meaning("float", "histogram"),
        },
    }
}

fn changed(histogram: &Shared, change: impl FnOnce(&mut FloatHistogram)) -> Cell {
    let mut result = FloatHistogram::clone(histogram);
    change(&mut result);
    Cell::Histogram(Arc::new(result))
}

fn two(site: Site<'_>, a: &Shared, b: &Shared) -> Cell {
    let equal = match site.node.op {
        BinaryOp::Add | BinaryOp::Sub => return sum(site, a, b),
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        _ => return site.no_meaning("histogram", "histogram"),
    };
    match (site.node.returns_bool, equal) {
        (true, holds) => Cell::Float(f64::from(u8::from(holds))),
        (false, true) => Cell::Histogram(a.clone()),
        (false, false) => Cell::Absent,
    }
}

fn sum(site: Site<'_>, a: &Shared, b: &Shared) -> Cell {
    let notes = &site.context.notes;
    let mut result = FloatHistogram::clone(a);
    let adds = site.node.op == BinaryOp::Add;
    let made = if adds { Made::Addition } else { Made::Subtraction };
    let met = match if adds { result.add(b) } else { result.subtract(b) } {
        Ok(met) => met,
        Err(Incompatible) => {
            let op = site.node.op.as_str();
            let message = format!("incompatible bucket layout encountered for binary operator {op}");
            notes.warn(&message, site.span);
            return Cell::Absent;
        }
    };
    if met.hints_conflict {
        notes.hints_conflict(made, site.span);
    }
    if met.bounds_differed {
        notes.bounds_differed(made, site.span);
    }
    Cell::Histogram(Arc::new(if adds { result } else { result.with_hint(ResetHint::Gauge) }))
}

impl Site<'_> {
    fn no_meaning(&self, lhs: &str, rhs: &str) -> Cell {
        self.context.notes.types_do_not_fit(lhs, self.node.op.as_str(), rhs, self.span);
        Cell::Absent
    }
}
