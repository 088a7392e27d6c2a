//! Types of operands and arguments, with the messages of Prometheus.

use super::{
    ast::*,
    functions::Function,
    parser::{Parsed, Parser},
    span::Span,
};

fn expect_type(parser: &Parser<'_>, expr: &Expr, wanted: Type, context: &str) -> Parsed<()> {
    let kind = expr.kind();
    if kind == wanted {
        return Ok(());
    }
    let message = format!("expected type {} in {context}, got {}", wanted.as_str(), kind.as_str());
    parser.fail(expr.span, message)
}

pub(super) fn unary(parser: &Parser<'_>, expr: &Expr) -> Parsed<()> {
    match expr.kind() {
        Type::Scalar | Type::Vector => Ok(()),
        kind => {
            let message = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                kind.as_str()
            );
            parser.fail(expr.span, message)
        }
    }
}

pub(super) fn call(
    parser: &Parser<'_>,
    function: &'static Function,
    args: &[Expr],
    span: Span,
) -> Parsed<()> {
    let (least, most) = function.argument_counts();
    let (name, given) = (function.name, args.len());
    if given < least || given > most {
        let bound = match (least == most, given < least) {
            (true, _) => format!("{least}"),
            (false, true) => format!("at least {least}"),
            (false, false) => format!("at most {most}"),
        };
        return parser.fail(span, format!("expected {bound} argument(s) in call to {name:?}, got {given}"));
    }
    for (i, arg) in args.iter().enumerate() {
        let wanted = function.args[i.min(function.args.len() - 1)];
        expect_type(parser, arg, wanted, &format!("call to function {name:?}"))?;
    }
    if name == "info" && args.len() > 1 && !matches!(args[1].node, Node::Selector(_)) {
        return parser.fail(args[1].span, "expected label selectors only as the second argument to info()");
    }
    if let (true, Some(Node::Selector(selector))) = (name == "info", args.get(1).map(|arg| &arg.node))
        && selector.name.is_some()
    {
        return parser.fail(args[1].span, "expected label selectors only, got vector selector instead");
    }
    Ok(())
}

pub(super) fn aggregate(parser: &Parser<'_>, aggregate: &Aggregate) -> Parsed<()> {
    expect_type(parser, &aggregate.expr, Type::Vector, "aggregation expression")?;
    if let Some(param) = &aggregate.param {
        let wanted = if aggregate.op == AggregateOp::CountValues { Type::String } else { Type::Scalar };
        expect_type(parser, param, wanted, "aggregation parameter")?;
    }
    Ok(())
}

pub(super) fn binary(parser: &Parser<'_>, binary: &mut Binary, op_span: Span) -> Parsed<()> {
    let op = binary.op;
    let (left, right) = (binary.lhs.kind(), binary.rhs.kind());
    let (both_scalars, both_vectors) =
        (left == Type::Scalar && right == Type::Scalar, left == Type::Vector && right == Type::Vector);
    if binary.returns_bool && !op.is_comparison() {
        return parser.fail(op_span, "bool modifier can only be used on comparison operators");
    }
    if op.is_comparison() && !binary.returns_bool && both_scalars {
        return parser.fail(op_span, "comparisons between scalars must use BOOL modifier");
    }
    let matching = &binary.matching;
    if op.is_set() && matching.group != Group::OneToOne {
        return parser.fail(op_span, format!("no grouping allowed for {:?} operation", op.as_str()));
    }
    if op.is_set() && (matching.fill_left.is_some() || matching.fill_right.is_some()) {
        return parser.fail(op_span, "filling in missing series not allowed for set operators");
    }
    let twice = matching.include.iter().find(|label| matching.labels.contains(label));
    if let Some(label) = twice.filter(|_| matching.on) {
        let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
        return parser.fail(op_span, message);
    }
    for side in [&binary.lhs, &binary.rhs] {
        if !matches!(side.kind(), Type::Scalar | Type::Vector) {
            return parser
                .fail(side.span, "binary expression must contain only scalar and instant vector types");
        }
    }
    if !both_vectors {
        if *matching != Matching::default() {
            return parser.fail(op_span, "vector matching only allowed between instant vectors");
        }
        if op.is_set() {
            let message = format!("set operator {:?} not allowed in binary scalar expression", op.as_str());
            return parser.fail(op_span, message);
        }
    }
    Ok(())
}
