//! `parse_query`: the tree of an expression as upstream's `parse_query` gives it, for editors that explain queries.

use axum::{http::HeaderMap, response::Response};
use barograph_model::{MatchOp, Matcher};
use barograph_query::{
    Arity, Function,
    ast::{
        Aggregate, At, Binary, Call, Expr, Group, Length, Matching, Node, Reading, Selector, Shift, Sign,
        Type,
    },
};
use serde_json::{Value, json};

use super::{answer::success, error::ApiError, query::expression};
use crate::http::params::Params;

/// `GET|POST /api/v1/parse_query`
pub(crate) async fn parse(headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let expr = expression(&params).await?;
    Ok(success(&headers, &tree(&expr).to_string(), &[], &[]))
}

/// The depth of an expression is bounded by the parser.
fn tree(expr: &Expr) -> Value {
    match &expr.node {
        Node::Number(number) => json!({ "type": "numberLiteral", "val": plain(number.value) }),
        Node::Text(text) => json!({ "type": "stringLiteral", "val": text.value }),
        Node::Paren(inner) => json!({ "type": "parenExpr", "expr": tree(inner) }),
        Node::Unary(unary) => {
            let op = if unary.sign == Sign::Minus { "-" } else { "+" };
            json!({ "type": "unaryExpr", "op": op, "expr": tree(&unary.expr) })
        }
        Node::Selector(selector) => selector_of("vectorSelector", selector),
        Node::Range(range) => {
            let mut document = selector_of("matrixSelector", &range.selector);
            document["range"] = millis(&range.range).into();
            document
        }
        Node::Subquery(subquery) => {
            let mut document = json!({
                "type": "subquery",
                "expr": tree(&subquery.expr),
                "range": millis(&subquery.range),
                "step": subquery.step.as_ref().map_or(0, millis),
            });
            put_shift(&mut document, &subquery.shift);
            document
        }
        Node::Call(call) => call_of(call),
        Node::Aggregate(aggregate) => aggregate_of(aggregate),
        Node::Binary(binary) => binary_of(binary),
    }
}

/// A number without an exponent.
fn plain(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// A length that is computed has no milliseconds before the query runs.
fn millis(length: &Length) -> i64 {
    length.constant_millis().unwrap_or(0)
}

fn selector_of(kind: &str, selector: &Selector) -> Value {
    let mut document = json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "matchers": selector.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "anchored": selector.reading == Reading::Anchored,
        "smoothed": selector.reading == Reading::Smoothed,
    });
    put_shift(&mut document, &selector.shift);
    document
}

fn matcher(matcher: &Matcher) -> Value {
    let kind = match matcher.op() {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Regex => "=~",
        MatchOp::NotRegex => "!~",
    };
    json!({ "name": matcher.name(), "value": matcher.value(), "type": kind })
}

fn put_shift(document: &mut Value, shift: &Shift) {
    document["offset"] = shift.offset.as_ref().map_or(0, millis).into();
    let (time, end) = match shift.at {
        None => (Value::Null, Value::Null),
        Some(At::Time(at)) => (at.into(), Value::Null),
        Some(At::Start) => (Value::Null, "start".into()),
        Some(At::End) => (Value::Null, "end".into()),
    };
    document["timestamp"] = time;
    document["startOrEnd"] = end;
}

fn call_of(call: &Call) -> Value {
    json!({
        "type": "call",
        "func": function(call.function),
        "args": call.args.iter().map(tree).collect::<Vec<_>>(),
    })
}

fn function(function: &Function) -> Value {
    let variadic = match function.arity {
        Arity::Exact => 0,
        Arity::LastOptional => 1,
        Arity::LastRepeats { most: usize::MAX, .. } => -1,
        Arity::LastRepeats { most, .. } => i64::try_from(most).unwrap_or(-1),
    };
    json!({
        "name": function.name,
        "argTypes": function.args.iter().copied().map(word).collect::<Vec<_>>(),
        "variadic": variadic,
        "returnType": word(function.returns),
    })
}

const fn word(kind: Type) -> &'static str {
    match kind {
        Type::Scalar => "scalar",
        Type::String => "string",
        Type::Vector => "vector",
        Type::Matrix => "matrix",
    }
}

fn aggregate_of(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.as_str(),
        "expr": tree(&aggregate.expr),
        "param": aggregate.param.as_ref().map(tree),
        "grouping": aggregate.grouping,
        "without": aggregate.without,
    })
}

fn binary_of(binary: &Binary) -> Value {
    let vectors = [&binary.lhs, &binary.rhs].into_iter().all(|side| side.kind() == Type::Vector);
    json!({
        "type": "binaryExpr",
        "op": binary.op.as_str(),
        "lhs": tree(&binary.lhs),
        "rhs": tree(&binary.rhs),
        "matching": vectors.then(|| matching(&binary.matching, binary.op.is_set())),
        "bool": binary.returns_bool,
    })
}

fn matching(matching: &Matching, set: bool) -> Value {
    let card = match matching.group {
        _ if set => "many-to-many",
        Group::OneToOne => "one-to-one",
        Group::Left => "many-to-one",
        Group::Right => "one-to-many",
    };
    json!({
        "card": card,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": matching.fill_left, "rhs": matching.fill_right },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Value {
        tree(&barograph_query::parse(text).unwrap())
    }

    #[test]
    fn trees_have_the_form_of_upstream() {
        let found = of("sum by (a) (rate(x{b!=\"c\"}[5m] offset 1m)) / on (a) group_left (d) y @ 1.5");
        let expected = json!({
            "type": "binaryExpr", "op": "/", "bool": false,
            "matching": {"card": "many-to-one", "labels": ["a"], "on": true, "include": ["d"],
                "fillValues": {"lhs": null, "rhs": null}},
            "lhs": {"type": "aggregation", "op": "sum", "grouping": ["a"], "without": false, "param": null,
                "expr": {"type": "call",
                    "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
                    "args": [{"type": "matrixSelector", "name": "x", "range": 300_000, "offset": 60_000,
                        "timestamp": null, "startOrEnd": null, "anchored": false, "smoothed": false,
                        "matchers": [{"name": "b", "value": "c", "type": "!="},
                            {"name": "__name__", "value": "x", "type": "="}]}]}},
            "rhs": {"type": "vectorSelector", "name": "y", "offset": 0, "timestamp": 1_500, "startOrEnd": null,
                "anchored": false, "smoothed": false,
                "matchers": [{"name": "__name__", "value": "y", "type": "="}]},
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn the_rest_of_the_language() {
        let check = |text: &str, pointer: &str, expected: Value| {
            assert_eq!(of(text).pointer(pointer), Some(&expected), "{text}: {}", of(text));
        };
        check("-(1e20)", "/expr/expr/val", json!("100000000000000000000"));
        check("1 > bool 2", "/matching", Value::Null);
        check("a and b", "/matching/card", json!("many-to-many"));
        check("a[1h:5m] @ end()", "/startOrEnd", json!("end"));
        check("a[1h:]", "/step", json!(0));
        check("topk(3, a)", "/param/val", json!("3"));
        check("label_join(a, \"b\", \"c\")", "/func/variadic", json!(-1));
        check("\"text\"", "/val", json!("text"));
    }
}
