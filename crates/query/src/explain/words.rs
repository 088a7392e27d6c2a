//! What a part of a query does, in words.

use crate::{
    eval::{Kernel, Options, Site},
    syntax::{ast::*, duration_text},
};

pub(super) fn detail(expr: &Expr, site: Option<&Site<'_>>, options: &Options) -> String {
    let points = site.map_or(1, |site| site.points);
    let at = match points {
        1 => "at one point".to_owned(),
        _ => format!("at {points} points"),
    };
    match &expr.node {
        Node::Number(_) => "a number".into(),
        Node::Text(_) => "a text".into(),
        Node::Selector(selector) => {
            let lookback = duration_text(options.lookback_ms);
            let what = match selector.reading {
                Reading::Smoothed => "interpolated between samples",
                _ => "the last sample of each series",
            };
            format!("{what}, not older than {lookback}, {at}")
        }
        Node::Range(range) => {
            format!("the samples of {} before each of {}", range.range, count(points, "point"))
        }
        Node::Subquery(_) => {
            let step = site.and_then(|site| site.step).unwrap_or_default();
            format!("what is inside, every {}, {at}", duration_text(step))
        }
        Node::Call(call) => {
            let name = call.function.name;
            match call.function.kernel {
                Kernel::Over(_) => format!("{name} of each range"),
                Kernel::Map(_) | Kernel::Date(_) | Kernel::OfHistogram(_) => format!("{name} of each value"),
                Kernel::Special(_) => name.to_owned(),
            }
        }
        Node::Aggregate(aggregate) => aggregation(aggregate),
        Node::Binary(binary) => operator(binary),
        Node::Unary(unary) => match unary.sign {
            Sign::Minus => "each value negated".into(),
            Sign::Plus => "as it is".into(),
        },
        Node::Paren(_) => String::new(),
    }
}

fn aggregation(aggregate: &Aggregate) -> String {
    let mut text = match aggregate.op {
        AggregateOp::Pooled => "quantile of all samples".to_owned(),
        op => op.as_str().to_owned(),
    };
    if let Some(param) = &aggregate.param {
        text.push_str(&format!("({})", super::build::clipped(param)));
    }
    let labels = aggregate.grouping.join(", ");
    match (aggregate.without, aggregate.grouping.is_empty()) {
        (true, _) => text.push_str(&format!(" without ({labels})")),
        (false, false) => text.push_str(&format!(" by ({labels})")),
        (false, true) => text.push_str(" of all series"),
    }
    text
}

fn operator(binary: &Binary) -> String {
    let matching = &binary.matching;
    let mut text = match (binary.op.is_comparison(), binary.returns_bool) {
        (true, true) => format!("{} as 0 or 1", binary.op.as_str()),
        (true, false) => format!("kept where {} holds", binary.op.as_str()),
        (false, _) => binary.op.as_str().to_owned(),
    };
    if binary.lhs.kind() == Type::Vector && binary.rhs.kind() == Type::Vector {
        let labels = matching.labels.join(", ");
        match (matching.on, matching.labels.is_empty()) {
            (true, _) => text.push_str(&format!(" of series that agree on ({labels})")),
            (false, true) => text.push_str(" of series with the same labels"),
            (false, false) => text.push_str(&format!(" of series that agree on all but ({labels})")),
        }
        match matching.group {
            Group::OneToOne => {}
            Group::Left => text.push_str(", many on the left to one on the right"),
            Group::Right => text.push_str(", one on the left to many on the right"),
        }
    }
    text
}

/// `1 point`, `2 points`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
