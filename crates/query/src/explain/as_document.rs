//! The document that asks what a PromQL expression asks, for the forms that both languages have.
//!
//! A document has buckets of time that follow each other where PromQL has a range before each step. Both are the same
//! where a range is as long as a step and steps lie on whole buckets; where not, it is said in what they differ.

use barograph_model::{METRIC_NAME, MatchOp, Timestamp};

use crate::{
    duration_text,
    eval::{Kernel, When},
    json::{Condition, Function, GroupBy, Names, Query},
    syntax::ast::*,
};

/// The query, and what is to know about it.
pub(super) fn of(expr: &Expr, when: When) -> (Option<Query>, Option<String>) {
    let Some(form) = Form::of(expr.bare()) else { return (None, None) };
    let Some(dimensions) = form.read.conditions() else { return (None, None) };
    let mut query = Query::of([form.metric.as_str()]);
    query.metrics = vec![Names::One(form.metric)];
    query.dimensions = dimensions;
    query.group_by = form.group_by;
    let (window, difference) = match when {
        When::Instant(at) => {
            let length = form.read.length.unwrap_or(LOOKBACK_MS);
            query = query.between(at.saturating_add(1 - length), at.saturating_add(1));
            (None, None)
        }
        When::Range(steps) => {
            let length = form.read.length.unwrap_or(steps.step_ms);
            let same = length == steps.step_ms && steps.start.0 % length == 0;
            let last = steps.start.0 + steps.step_ms * (steps.count() - 1);
            query = query.between(steps.start.saturating_add(-length), Timestamp(last));
            let difference = format!(
                "as a document it is asked of buckets of {}, one after the other, not of a range before each step",
                duration_text(length)
            );
            (Some(length), (!same).then_some(difference))
        }
    };
    (Some(query.aggregate(form.function, window)), difference)
}

/// How far back a document looks for the last sample at one point in time.
const LOOKBACK_MS: i64 = 300_000;

/// An expression that a document can say.
struct Form<'e> {
    metric: String,
    read: Read<'e>,
    group_by: GroupBy,
    function: Function,
}

/// A selector, and how long its range is if it has one.
#[derive(Clone, Copy, PartialEq)]
struct Read<'e> {
    selector: &'e Selector,
    length: Option<i64>,
}

impl<'e> Form<'e> {
    fn of(expr: &'e Expr) -> Option<Self> {
        match &expr.node {
            Node::Selector(_) | Node::Call(_) => by_series(expr).or_else(|| quantile_of_buckets(expr)),
            Node::Aggregate(aggregate) => grouped(aggregate),
            Node::Binary(binary) => mean(binary),
            _ => None,
        }
    }
}

impl<'e> Read<'e> {
    fn of(expr: &'e Expr) -> Option<Self> {
        let (selector, length) = match &expr.bare().node {
            Node::Selector(selector) => (&**selector, None),
            Node::Range(range) => {
                let LengthNode::Number(number) = range.range.node else { return None };
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a range fits, and saturating would be right"
                )]
                let length = (number.value * 1e3).round() as i64;
                (&range.selector, Some(length).filter(|length| *length > 0))
            }
            _ => return None,
        };
        let plain = selector.shift == Shift::default() && selector.reading == Reading::Plain;
        plain.then_some(Self { selector, length })
    }

    /// The name of its metric.
    fn metric(&self) -> Option<&'e str> {
        self.selector.name.as_deref()
    }

    /// The same without an ending of the name, as one of the series of a histogram.
    fn base(&self, ending: &str) -> Option<&'e str> {
        self.metric()?.strip_suffix(ending).filter(|base| !base.is_empty())
    }

    /// What it asks of labels; `None` if a document cannot ask that.
    fn conditions(&self) -> Option<Vec<(String, Condition)>> {
        let mut found: Vec<(String, Condition)> = Vec::new();
        let (mut names, own) = (0, self.selector.matchers.iter());
        for matcher in own {
            if matcher.name() == METRIC_NAME {
                names += 1;
                continue;
            }
            let value = matcher.value().to_owned();
            let condition = match matcher.op() {
                MatchOp::Equal if value.is_empty() => Condition::Exists(false),
                MatchOp::Equal => Condition::Equals(value),
                MatchOp::NotEqual if value.is_empty() => Condition::Exists(true),
                MatchOp::NotEqual => Condition::NotEquals(value),
                MatchOp::Regex => Condition::Regex(value),
                MatchOp::NotRegex => Condition::NotRegex(value),
            };
            // One attribute has one condition of a kind.
            let kind = std::mem::discriminant(&condition);
            if found
                .iter()
                .any(|(name, other)| name == matcher.name() && std::mem::discriminant(other) == kind)
            {
                return None;
            }
            found.push((matcher.name().to_owned(), condition));
        }
        (names == 1).then_some(found)
    }

    /// Whether another one reads the same of another metric.
    fn is_beside(&self, other: &Self) -> bool {
        self.length == other.length && self.conditions() == other.conditions()
    }
}

/// A function over the range of a selector, by the name that documents have for it.
fn over_time(expr: &Expr) -> Option<(Function, Read<'_>)> {
    let Node::Call(call) = &expr.bare().node else { return None };
    let Kernel::Over(_) = call.function.kernel else { return None };
    let function = match call.function.name {
        "quantile_over_time" => {
            let Node::Number(number) = call.args[0].bare().node else { return None };
            let percent = number.value * 100.0;
            return Some((Function::Percentile(rounded(percent)?), Read::of(&call.args[1])?));
        }
        "sum_over_time" => Function::Sum,
        "avg_over_time" => Function::Avg,
        "min_over_time" => Function::Min,
        "max_over_time" => Function::Max,
        "count_over_time" => Function::Count,
        "first_over_time" => Function::First,
        "last_over_time" => Function::Last,
        "stddev_over_time" => Function::Stddev,
        "increase" => Function::Increase,
        "rate" => Function::Rate,
        _ => return None,
    };
    Some((function, Read::of(&call.args[0])?))
}

/// A percentile without the noise of its multiplication.
fn rounded(percent: f64) -> Option<f64> {
    let rounded = (percent * 1e9).round() / 1e9;
    (0.0..=100.0).contains(&rounded).then_some(rounded)
}

fn by_series(expr: &Expr) -> Option<Form<'_>> {
    let (function, read) = match Read::of(expr).filter(|read| read.length.is_none()) {
        Some(read) => (Function::Last, read),
        None => over_time(expr)?,
    };
    Some(Form { metric: read.metric()?.to_owned(), read, group_by: GroupBy::Series, function })
}

fn grouped(aggregate: &Aggregate) -> Option<Form<'_>> {
    if aggregate.without || aggregate.param.is_some() {
        return None;
    }
    let group_by = GroupBy::Attributes(aggregate.grouping.clone());
    let last = Read::of(&aggregate.expr).filter(|read| read.length.is_none());
    let (inner, read) = match last {
        Some(read) => (Function::Last, read),
        None => over_time(&aggregate.expr)?,
    };
    let function = match (aggregate.op, inner) {
        (AggregateOp::Avg, Function::First | Function::Last) => inner,
        (AggregateOp::Min, Function::Min) | (AggregateOp::Max, Function::Max) => inner,
        (AggregateOp::Sum, Function::Sum | Function::Count | Function::Increase | Function::Rate) => inner,
        _ => return None,
    };
    Some(Form { metric: read.metric()?.to_owned(), read, group_by, function })
}

/// A sum divided by a count, of samples or of what a histogram observed.
fn mean(binary: &Binary) -> Option<Form<'_>> {
    if binary.op != BinaryOp::Div || binary.matching != Matching::default() {
        return None;
    }
    let part = |expr| match &expr_node(expr) {
        Node::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum && !aggregate.without => {
            let (function, read) = over_time(&aggregate.expr)?;
            Some((GroupBy::Attributes(aggregate.grouping.clone()), function, read))
        }
        Node::Call(_) => over_time(expr).map(|(function, read)| (GroupBy::Series, function, read)),
        _ => None,
    };
    let (left, right) = (part(&binary.lhs)?, part(&binary.rhs)?);
    if left.0 != right.0 || !left.2.is_beside(&right.2) {
        return None;
    }
    let metric = match (left.1, right.1) {
        (Function::Sum, Function::Count) => left.2.metric().filter(|metric| right.2.metric() == Some(metric)),
        (Function::Rate, Function::Rate) | (Function::Increase, Function::Increase) => {
            left.2.base("_sum").filter(|base| right.2.base("_count") == Some(base))
        }
        _ => None,
    };
    Some(Form { metric: metric?.to_owned(), read: left.2, group_by: left.0, function: Function::Avg })
}

fn expr_node(expr: &Expr) -> &Node {
    &expr.bare().node
}

/// `histogram_quantile(0.9, sum by (le, g) (rate(h_bucket[5m])))`
fn quantile_of_buckets(expr: &Expr) -> Option<Form<'_>> {
    let Node::Call(call) = &expr.node else { return None };
    let ("histogram_quantile", [q, buckets]) = (call.function.name, call.args.as_slice()) else {
        return None;
    };
    let Node::Number(q) = q.bare().node else { return None };
    let (rates, group_by) = match expr_node(buckets) {
        Node::Aggregate(aggregate) if aggregate.op == AggregateOp::Sum && !aggregate.without => {
            let mut labels = aggregate.grouping.clone();
            labels.remove(labels.iter().position(|label| label == "le")?);
            (&aggregate.expr, GroupBy::Attributes(labels))
        }
        Node::Call(_) => (buckets, GroupBy::Series),
        _ => return None,
    };
    let (Function::Rate | Function::Increase, read) = over_time(rates)? else { return None };
    let function = Function::Percentile(rounded(q.value * 100.0)?);
    Some(Form { metric: read.base("_bucket")?.to_owned(), read, group_by, function })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Steps, parse};

    fn check(text: &str, expected: Option<&str>) {
        let steps = Steps { start: Timestamp(300_000), end: Timestamp(900_000), step_ms: 300_000 };
        let (query, _) = of(&parse(text).unwrap(), When::Range(steps));
        let query = query.map(|query| {
            let mut document = query.to_json()["query"].clone();
            document.as_object_mut().unwrap()["filter"].as_object_mut().unwrap().remove("timeRange");
            document.to_string()
        });
        let expected = expected.map(|text| text.parse::<serde_json::Value>().unwrap().to_string());
        assert_eq!(query, expected, "{text}");
    }

    #[test]
    fn simple_forms_have_a_document() {
        check(
            "rate(a_total{job=\"x\",host!~\"b.*\"}[5m])",
            Some(
                r#"{"metrics": ["a_total"], "groupBy": ["*"], "filter": {"dimensions": {"job": {"equals": "x"}, "host": {"notRegex": "b.*"}}},
                "aggregations": [{"type": "RATE", "window": "5m"}]}"#,
            ),
        );
        check(
            "avg by (job) (up)",
            Some(
                r#"{"metrics": ["up"], "groupBy": ["job"], "filter": {}, "aggregations": [{"type": "LAST", "window": "5m"}]}"#,
            ),
        );
        check(
            "sum by (g) (rate(h_sum[5m])) / sum by (g) (rate(h_count[5m]))",
            Some(
                r#"{"metrics": ["h"], "groupBy": ["g"], "filter": {}, "aggregations": [{"type": "AVG", "window": "5m"}]}"#,
            ),
        );
        check(
            "histogram_quantile(0.9, sum by (g, le) (rate(h_bucket[5m])))",
            Some(
                r#"{"metrics": ["h"], "groupBy": ["g"], "filter": {}, "aggregations": [{"type": "PERCENTILE", "percentile": 90.0, "window": "5m"}]}"#,
            ),
        );
        check(
            "quantile_over_time(0.95, up[5m])",
            Some(
                r#"{"metrics": ["up"], "groupBy": ["*"], "filter": {}, "aggregations": [{"type": "PERCENTILE", "percentile": 95.0, "window": "5m"}]}"#,
            ),
        );
    }

    #[test]
    fn what_a_document_cannot_say_has_none() {
        for text in [
            "sum by (job) (up)",
            "sum without (job) (rate(up[5m]))",
            "topk(3, up)",
            "rate(up[5m] offset 1m)",
            "up + up",
            "{job=\"x\"}",
            "sum(rate(a[5m])) / sum(rate(b[5m]))",
            "max_over_time(rate(up[5m])[1h:])",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn it_is_said_where_buckets_differ_from_ranges() {
        let steps =
            |start, step_ms| Steps { start: Timestamp(start), end: Timestamp(start + 10 * step_ms), step_ms };
        let check = |steps, text| of(&parse(text).unwrap(), When::Range(steps)).1;
        assert_eq!(check(steps(600_000, 300_000), "rate(a[5m])"), None);
        assert!(check(steps(600_001, 300_000), "rate(a[5m])").is_some());
        assert!(check(steps(600_000, 15_000), "rate(a[5m])").unwrap().contains("buckets of 5m"));
    }
}
