//! Which series a text or a tree names, without evaluating anything.

use barograph_model::{Matcher, PatternBudget};

use super::{
    ast::{Expr, Node, Selector},
    parser::parse_within,
    span::ParseError,
};

/// Reads a selector and nothing else, as `match[]` parameters hold it: `up`, `{job="api"}`.
///
/// # Errors
/// What [`parse`](super::parse) says, or that there is more than a selector.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    selector_within(text, &mut PatternBudget::default())
}

/// Reads the selectors of one request, whose patterns share one [`PatternBudget`].
///
/// # Errors
/// As [`parse_selector`], of the first that is wrong.
pub fn parse_selectors<'a>(
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Vec<Matcher>>, ParseError> {
    let mut patterns = PatternBudget::default();
    texts.into_iter().map(|text| selector_within(text, &mut patterns)).collect()
}

fn selector_within(text: &str, patterns: &mut PatternBudget) -> Result<Vec<Matcher>, ParseError> {
    let expr = parse_within(text, patterns)?;
    match expr.node {
        Node::Selector(selector) if selector.shift == Default::default() => Ok(selector.matchers),
        _ => Err(ParseError::new(expr.span, "expected a series selector such as up{job=\"api\"}".into())),
    }
}

/// The matchers of every selector in a tree, in the order of the text.
pub fn selectors(expr: &Expr) -> Vec<Vec<Matcher>> {
    let mut found = Vec::new();
    gather(expr, &mut |selector| found.push(selector.matchers.clone()));
    found
}

fn gather(expr: &Expr, take: &mut impl FnMut(&Selector)) {
    match &expr.node {
        Node::Number(_) | Node::Text(_) => {}
        Node::Selector(selector) => take(selector),
        Node::Range(range) => take(&range.selector),
        Node::Subquery(subquery) => gather(&subquery.expr, take),
        Node::Call(call) => call.args.iter().for_each(|arg| gather(arg, take)),
        Node::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| gather(param, take));
            gather(&aggregate.expr, take);
        }
        Node::Binary(binary) => {
            gather(&binary.lhs, take);
            gather(&binary.rhs, take);
        }
        Node::Unary(unary) => gather(&unary.expr, take),
        Node::Paren(inner) => gather(inner, take),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    #[test]
    fn takes_selectors_only() {
        assert_eq!(parse_selector("up{job=\"a\"}").unwrap().len(), 2);
        for text in ["1", "up[5m]", "up offset 5m", "sum(up)", "up + up", "{"] {
            assert!(parse_selector(text).is_err(), "{text}");
        }
    }

    #[test]
    fn selectors_of_a_request_share_what_patterns_may_take() {
        let found = parse_selectors(["up", r#"{job=~"a.*b"}"#]).unwrap();
        assert_eq!((found.len(), found[1].len()), (2, 1));
        let heavy = r#"{job=~"[a-z]+x.*y"}"#;
        assert!(parse_selector(heavy).is_ok());
        let error = parse_selectors(std::iter::repeat_n(heavy, 300)).unwrap_err().to_string();
        assert!(error.contains("regular expressions of one query may take"), "{error}");
    }

    #[test]
    fn finds_every_selector() {
        let expr =
            parse("topk(scalar(k), rate(a[5m])) / on () group_left -max_over_time((b)[1h:1m])").unwrap();
        let names: Vec<_> = selectors(&expr).iter().map(|matchers| matchers[0].value().to_owned()).collect();
        assert_eq!(names, ["k", "a", "b"]);
    }
}
