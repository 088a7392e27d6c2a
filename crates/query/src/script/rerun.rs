//! The same question asked in another way, which must give the same answer.

use super::command::{Eval, When};
use crate::syntax::ast::*;

/// Functions whose value depends on when they are evaluated, whatever their arguments look at.
const TIME_BOUND: [&str; 16] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "start_timestamp",
    "step",
    "time",
    "timestamp",
    "year",
];
/// Functions that know the steps of the query.
const STEP_BOUND: [&str; 4] = ["end", "range", "start", "step"];

/// The query with every selector fixed at `t`, and the times at which it must give what it gives at `t`.
pub(super) fn fixed(expr: &Expr, t: i64) -> Option<(Expr, Vec<i64>)> {
    if calls(expr, &TIME_BOUND) {
        return None;
    }
    let mut fixed = expr.clone();
    fix(&mut fixed, t);
    let times = if t == 0 { vec![-1_000, 0, 1_000] } else { vec![-10 * t, 0, t / 5, t, 10 * t] };
    Some((fixed, times))
}

/// Whether the query may also be asked as a range query around its time.
pub(super) fn as_column(expr: &Expr, eval: &Eval) -> Option<i64> {
    let expected = &eval.expected;
    let plain = expected.matrix.is_none() && expected.string.is_none() && !expected.ordered;
    match eval.when {
        When::Instant(at) if plain && !calls(expr, &STEP_BOUND) => Some(at),
        _ => None,
    }
}

fn fix(expr: &mut Expr, t: i64) {
    match &mut expr.node {
        Node::Number(_) | Node::Text(_) => {}
        Node::Selector(selector) => fix_shift(&mut selector.shift, t),
        Node::Range(range) => fix_shift(&mut range.selector.shift, t),
        Node::Subquery(subquery) => fix_shift(&mut subquery.shift, t),
        Node::Call(call) => {
            // What `info` joins with follows its first argument.
            let args = if call.function.name == "info" { &mut call.args[..1] } else { &mut call.args[..] };
            args.iter_mut().for_each(|arg| fix(arg, t));
        }
        Node::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                fix(param, t);
            }
            fix(&mut aggregate.expr, t);
        }
        Node::Binary(binary) => {
            fix(&mut binary.lhs, t);
            fix(&mut binary.rhs, t);
        }
        Node::Unary(unary) => fix(&mut unary.expr, t),
        Node::Paren(inner) => fix(inner, t),
    }
}

/// What is inside a fixed subquery is evaluated at the same points whenever it is asked.
fn fix_shift(shift: &mut Shift, t: i64) {
    if !matches!(shift.at, Some(At::Time(_))) {
        shift.at = Some(At::Time(t));
    }
}

/// Whether one of these functions is called anywhere, in lengths of time too.
fn calls(expr: &Expr, names: &[&str]) -> bool {
    let length = |length: &Length| length_calls(length, names);
    let shift = |shift: &Shift| shift.offset.as_ref().is_some_and(length);
    match &expr.node {
        Node::Number(_) | Node::Text(_) => false,
        Node::Selector(selector) => shift(&selector.shift),
        Node::Range(range) => length(&range.range) || shift(&range.selector.shift),
        Node::Subquery(subquery) => {
            length(&subquery.range)
                || subquery.step.as_ref().is_some_and(length)
                || shift(&subquery.shift)
                || calls(&subquery.expr, names)
        }
        Node::Call(call) => {
            names.contains(&call.function.name) || call.args.iter().any(|arg| calls(arg, names))
        }
        Node::Aggregate(aggregate) => {
            aggregate.param.as_ref().is_some_and(|param| calls(param, names)) || calls(&aggregate.expr, names)
        }
        Node::Binary(binary) => calls(&binary.lhs, names) || calls(&binary.rhs, names),
        Node::Unary(unary) => calls(&unary.expr, names),
        Node::Paren(inner) => calls(inner, names),
    }
}

fn length_calls(length: &Length, names: &[&str]) -> bool {
    match &length.node {
        LengthNode::Number(_) => false,
        LengthNode::Step => names.contains(&"step"),
        LengthNode::Range => names.contains(&"range"),
        LengthNode::Unary(_, inner) | LengthNode::Paren(inner) => length_calls(inner, names),
        LengthNode::Binary(_, a, b) | LengthNode::Min(a, b) | LengthNode::Max(a, b) => {
            length_calls(a, names) || length_calls(b, names)
        }
    }
}
