//! Refuses what is switched off, before anything is read.

use super::{Error, Options};
use crate::syntax::ast::*;

pub(super) fn check(expr: &Expr, options: &Options) -> Result<(), Error> {
    let need =
        |on: bool, name: &str| if on { Ok(()) } else { Err(Error::Disabled { name: name.to_owned() }) };
    let length = |length: &Length| {
        need(options.duration_expressions || !length.is_computed(), "a duration expression")
    };
    let shift = |shift: &Shift| shift.offset.as_ref().map_or(Ok(()), length);
    let reading = |reading: Reading| match reading {
        Reading::Plain => Ok(()),
        Reading::Anchored => need(options.extended_ranges, "the anchored modifier"),
        Reading::Smoothed => need(options.extended_ranges, "the smoothed modifier"),
    };
    match &expr.node {
        Node::Number(_) | Node::Text(_) => Ok(()),
        Node::Paren(inner) => check(inner, options),
        Node::Unary(unary) => check(&unary.expr, options),
        Node::Selector(selector) => {
            shift(&selector.shift)?;
            reading(selector.reading)
        }
        Node::Range(range) => {
            length(&range.range)?;
            shift(&range.selector.shift)?;
            reading(range.selector.reading)
        }
        Node::Subquery(subquery) => {
            length(&subquery.range)?;
            subquery.step.as_ref().map_or(Ok(()), length)?;
            shift(&subquery.shift)?;
            check(&subquery.expr, options)
        }
        Node::Call(call) => {
            let on = options.experimental_functions || !call.function.experimental;
            need(on, &format!("function {}()", call.function.name))?;
            call.args.iter().try_for_each(|arg| check(arg, options))
        }
        Node::Aggregate(aggregate) => {
            let on = options.experimental_functions || !aggregate.op.is_experimental();
            need(on, &format!("{}()", aggregate.op.as_str()))?;
            aggregate.param.as_ref().map_or(Ok(()), |param| check(param, options))?;
            check(&aggregate.expr, options)
        }
        Node::Binary(binary) => {
            let filled = binary.matching.fill_left.is_some() || binary.matching.fill_right.is_some();
            need(options.fill_modifiers || !filled, "the fill modifier")?;
            check(&binary.lhs, options)?;
            check(&binary.rhs, options)
        }
    }
}
