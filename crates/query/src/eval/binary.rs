//! Operators between numbers, and between a vector and a number.

use super::{
    Error,
    column::{ABSENT, Cell, Vector, at},
    context::Context,
    on_histograms::{self, Site},
};
use crate::syntax::{
    Span,
    ast::{Binary, BinaryOp},
};

/// The result of an arithmetic operator. Comparisons give 0 and 1; what is of histograms alone gives nothing.
pub(super) fn compute(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        BinaryOp::TrimLower | BinaryOp::TrimUpper => ABSENT,
        op => f64::from(u8::from(holds(op, a, b))),
    }
}

/// Whether a comparison holds.
pub(super) fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Less => a < b,
        BinaryOp::LessEqual => a <= b,
        BinaryOp::Greater => a > b,
        BinaryOp::GreaterEqual => a >= b,
        _ => false,
    }
}

/// What an operator between vectors gives: a comparison without `bool` keeps the left value or nothing.
pub(super) fn element(node: &Binary, a: f64, b: f64) -> f64 {
    let filters = node.op.is_comparison() && !node.returns_bool;
    match filters {
        true if holds(node.op, a, b) => a,
        true => ABSENT,
        false => compute(node.op, a, b),
    }
}

/// Whether the result is no longer a value of the metric.
pub(super) fn drops_name(node: &Binary) -> bool {
    match node.op {
        BinaryOp::TrimLower | BinaryOp::TrimUpper => false,
        op => !op.is_comparison() || node.returns_bool,
    }
}

/// Two scalars.
pub(super) fn scalars(op: BinaryOp, a: &[f64], b: &[f64]) -> Vec<f64> {
    (0..a.len().max(b.len())).map(|step| compute(op, at(a, step), at(b, step))).collect()
}

/// On which side of the operator the scalar stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A vector and a scalar. A comparison keeps the vector's value, whichever side it is on.
pub(super) fn with_scalar(
    context: &Context<'_>,
    (node, span): (&Binary, Span),
    mut vector: Vector,
    scalar: &[f64],
    side: Side,
) -> Result<Vector, Error> {
    vector.widen(context.budget, scalar.len())?;
    let filters = node.op.is_comparison() && !node.returns_bool;
    let compare = |step: usize, value: f64| {
        let scalar = at(scalar, step);
        let (a, b) = if side == Side::Left { (scalar, value) } else { (value, scalar) };
        match filters {
            true if holds(node.op, a, b) => value,
            true => ABSENT,
            false => compute(node.op, a, b),
        }
    };
    if vector.has_histograms() || matches!(node.op, BinaryOp::TrimLower | BinaryOp::TrimUpper) {
        let site = Site { context, node, span };
        vector.map_cells(|step, cell| {
            let scalar = Cell::Float(at(scalar, step));
            match cell {
                Cell::Float(value) if !on_histograms::only(node.op) => compare(step, value).into(),
                cell if side == Side::Left => on_histograms::combine(site, scalar, cell),
                cell => on_histograms::combine(site, cell, scalar),
            }
        });
    } else {
        vector.map_steps(compare);
    }
    if drops_name(node) { vector.drop_names(context.options.delayed_name_removal) } else { Ok(vector) }
}
