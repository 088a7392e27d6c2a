//! From a JSON query to the tree that PromQL is parsed to.
//!
//! Whatever is asked of a bucket becomes an expression over range selectors as long as the bucket: a mean of groups is
//! `sum by (g) (sum_over_time(m[1h])) / sum by (g) (count_over_time(m[1h]))`. There is one evaluator, and rates, sums and
//! quantiles are what they are in PromQL.

use barograph_model::{METRIC_NAME, Matcher};

use super::{
    expression::{self, Function},
    metric::Stored,
};
use crate::syntax::{self, Span, ast::*};

/// A metric of the query, found in the store.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) stored: Stored,
    /// The conditions on its attributes.
    pub(super) matchers: Vec<Matcher>,
    pub(super) by: By,
}

/// What makes a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum By {
    /// Each series is one.
    Series,
    /// The values of these labels.
    Labels(Vec<Spelling>),
}

/// How an attribute is spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    /// In the groups of the answer.
    pub(super) group: String,
    /// On the series of this metric.
    pub(super) label: String,
}

/// One function of one metric in buckets of so many milliseconds. Refuses what a histogram of buckets does not know.
pub(super) fn aggregate(metric: &Metric, function: Function, length: i64) -> Result<Expr, String> {
    match &metric.stored {
        Stored::Series(name) => Ok(of_series(metric, name, function, length)),
        Stored::Histogram(base) => of_histogram(metric, base, function, length),
        Stored::Native(name) => of_native(metric, name, function, length),
    }
}

/// An expression over metrics, of which `metric` finds those it names.
pub(super) fn expression(
    node: &expression::Node,
    default: Function,
    length: i64,
    metric: &impl Fn(&str) -> Result<Metric, String>,
) -> Result<Expr, String> {
    use expression::Node as Asked;
    let inner = |node: &Asked| expression(node, default, length, metric);
    Ok(match node {
        Asked::Number(value) => number(*value),
        Asked::Metric(name, function) => aggregate(&metric(name)?, function.unwrap_or(default), length)?,
        Asked::Map(name, argument) => call(name, vec![inner(argument)?]),
        Asked::Negated(value) => {
            expr(Node::Unary(Box::new(Unary { sign: Sign::Minus, expr: inner(value)? })))
        }
        Asked::Binary(op, left, right) => binary(*op, inner(left)?, inner(right)?),
        Asked::Trend(_) | Asked::Correlation(..) => return Err("stands alone".into()),
    })
}

/// The samples of a metric in a range of so many milliseconds.
pub(super) fn samples(metric: &Metric, length: i64) -> Expr {
    range(metric, metric.stored.name(), length)
}

fn of_series(metric: &Metric, name: &str, function: Function, length: i64) -> Expr {
    let over = |function: &str| call(function, vec![range(metric, name, length)]);
    let quantile =
        |percent: f64| call("quantile_over_time", vec![number(percent / 100.0), range(metric, name, length)]);
    let By::Labels(labels) = &metric.by else {
        return match function {
            Function::Percentile(percent) => quantile(percent),
            function => over(over_time(function)),
        };
    };
    let by = |op: AggregateOp, expr: Expr| group(op, labels, expr);
    let divided = |left: Expr, right: Expr| binary(BinaryOp::Div, left, right);
    match function {
        Function::Min => by(AggregateOp::Min, over("min_over_time")),
        Function::Max => by(AggregateOp::Max, over("max_over_time")),
        Function::Sum | Function::Count | Function::Increase | Function::Rate => {
            by(AggregateOp::Sum, over(over_time(function)))
        }
        Function::First | Function::Last => by(AggregateOp::Avg, over(over_time(function))),
        Function::Avg => divided(
            by(AggregateOp::Sum, over("sum_over_time")),
            by(AggregateOp::Sum, over("count_over_time")),
        ),
        Function::Percentile(percent) => pooled(labels, quantile(percent)),
        Function::Stddev => {
            // What the series vary in themselves, and what their means vary around that of the group.
            let mean = of_series(metric, name, Function::Avg, length);
            let renamed = respelled(labels, over("avg_over_time"));
            let keys = labels.iter().map(|spelling| spelling.group.clone()).collect();
            let matching = Matching { on: true, labels: keys, group: Group::Left, ..Matching::default() };
            let apart = expr(Node::Binary(Box::new(Binary {
                op: BinaryOp::Sub,
                lhs: renamed,
                rhs: mean,
                returns_bool: false,
                matching,
            })));
            let squared = binary(BinaryOp::Pow, apart, number(2.0));
            let around = binary(BinaryOp::Add, respelled(labels, over("stdvar_over_time")), squared);
            let weighted = binary(BinaryOp::Mul, around, respelled(labels, over("count_over_time")));
            let same = labels.iter().map(|s| Spelling { group: s.group.clone(), label: s.group.clone() });
            let all = group(AggregateOp::Sum, &same.collect::<Vec<_>>(), weighted);
            call("sqrt", vec![divided(all, by(AggregateOp::Sum, over("count_over_time")))])
        }
    }
}

fn over_time(function: Function) -> &'static str {
    match function {
        Function::Sum => "sum_over_time",
        Function::Avg => "avg_over_time",
        Function::Min => "min_over_time",
        Function::Max => "max_over_time",
        Function::Count => "count_over_time",
        Function::First => "first_over_time",
        Function::Last => "last_over_time",
        Function::Stddev => "stddev_over_time",
        Function::Increase => "increase",
        Function::Rate => "rate",
        Function::Percentile(_) => "quantile_over_time",
    }
}

/// Of what was observed in the bucket, as far as counts by bounds tell.
fn of_histogram(metric: &Metric, base: &str, function: Function, length: i64) -> Result<Expr, String> {
    let grown =
        |function: &str, part: &str| call(function, vec![range(metric, &format!("{base}_{part}"), length)]);
    let added = |expr: Expr| match &metric.by {
        By::Series => expr,
        By::Labels(labels) => group(AggregateOp::Sum, labels, expr),
    };
    Ok(match function {
        Function::Sum => added(grown("increase", "sum")),
        Function::Count | Function::Increase => added(grown("increase", "count")),
        Function::Rate => added(grown("rate", "count")),
        Function::Avg => {
            binary(BinaryOp::Div, added(grown("increase", "sum")), added(grown("increase", "count")))
        }
        Function::Percentile(percent) => {
            let buckets = grown("increase", "bucket");
            let buckets = match &metric.by {
                By::Series => buckets,
                By::Labels(labels) => {
                    let mut labels = labels.clone();
                    labels.push(Spelling { group: "le".into(), label: "le".into() });
                    group(AggregateOp::Sum, &labels, buckets)
                }
            };
            call("histogram_quantile", vec![number(percent / 100.0), buckets])
        }
        Function::Min | Function::Max | Function::First | Function::Last | Function::Stddev => {
            let name = function.name().to_uppercase();
            return Err(format!(
                "{base} is a histogram of buckets, which do not tell {name}; ask for AVG, COUNT, SUM, RATE or a percentile"
            ));
        }
    })
}

/// Of what was observed in the bucket, as native histograms tell it: the least and the greatest are the outer bounds of the
/// outermost buckets, the deviation takes each bucket for its middle.
fn of_native(metric: &Metric, name: &str, function: Function, length: i64) -> Result<Expr, String> {
    let added = |over: &str| {
        let grown = call(over, vec![range(metric, name, length)]);
        match &metric.by {
            By::Series => grown,
            By::Labels(labels) => group(AggregateOp::Sum, labels, grown),
        }
    };
    let of = |part: &str| call(part, vec![added("increase")]);
    let quantile = |q: f64| call("histogram_quantile", vec![number(q), added("increase")]);
    Ok(match function {
        Function::Sum => of("histogram_sum"),
        Function::Count | Function::Increase => of("histogram_count"),
        Function::Rate => call("histogram_count", vec![added("rate")]),
        Function::Avg => of("histogram_avg"),
        Function::Stddev => of("histogram_stddev"),
        Function::Min => quantile(0.0),
        Function::Max => quantile(1.0),
        Function::Percentile(percent) => quantile(percent / 100.0),
        Function::First | Function::Last => {
            let function = function.name().to_uppercase();
            return Err(format!(
                "{name} is a native histogram, which has no {function} value; ask for AVG, COUNT, SUM, MIN, MAX, \
                 STDDEV, RATE or a percentile"
            ));
        }
    })
}

fn expr(node: Node) -> Expr {
    Expr { node, span: Span::default() }
}

fn number(value: f64) -> Expr {
    expr(Node::Number(Number { value, duration: false }))
}

fn text(value: &str) -> Expr {
    expr(Node::Text(Text { value: value.to_owned(), bytes: None }))
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let function = syntax::Function::named(name).expect("it is in the table of functions");
    expr(Node::Call(Call { function, args }))
}

/// Comparisons give 0 and 1, so that what does not hold is there too.
fn binary(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    let returns_bool = op.is_comparison();
    expr(Node::Binary(Box::new(Binary { op, lhs, rhs, returns_bool, matching: Matching::default() })))
}

fn group(op: AggregateOp, labels: &[Spelling], inner: Expr) -> Expr {
    let grouping = labels.iter().map(|spelling| spelling.group.clone()).collect();
    let inner = respelled(labels, inner);
    expr(Node::Aggregate(Box::new(Aggregate { op, param: None, expr: inner, grouping, without: false })))
}

/// A quantile of all samples of a group. What is pooled is read by its own labels, and respelled afterwards.
fn pooled(labels: &[Spelling], quantile: Expr) -> Expr {
    let grouping = labels.iter().map(|spelling| spelling.label.clone()).collect();
    let op = AggregateOp::Pooled;
    let all = expr(Node::Aggregate(Box::new(Aggregate {
        op,
        param: None,
        expr: quantile,
        grouping,
        without: false,
    })));
    match labels.iter().all(|spelling| spelling.group == spelling.label) {
        true => all,
        false => group(AggregateOp::Max, labels, all),
    }
}

/// With the attributes spelled as in the groups.
fn respelled(labels: &[Spelling], inner: Expr) -> Expr {
    labels.iter().filter(|spelling| spelling.group != spelling.label).fold(inner, |inner, spelling| {
        let words = [&spelling.group, "$1", &spelling.label, "(.*)"].map(text);
        call("label_replace", [inner].into_iter().chain(words).collect())
    })
}

fn range(metric: &Metric, name: &str, length: i64) -> Expr {
    // In the order of the parser, for the tree to be the same.
    let name_is = Matcher::equal(METRIC_NAME, name);
    let matchers = metric.matchers.iter().cloned().chain([name_is]).collect();
    let selector =
        Selector { name: Some(name.to_owned()), matchers, shift: Shift::default(), reading: Reading::Plain };
    let value = length as f64 / 1e3;
    let range = Length { node: LengthNode::Number(Number { value, duration: true }), span: Span::default() };
    expr(Node::Range(Box::new(RangeSelector { selector, range })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stored: Stored, by: By, function: Function, expected: &str) {
        let metric = Metric { stored, matchers: vec![Matcher::equal("job", "a")], by };
        let made = aggregate(&metric, function, 3_600_000).map_or_else(|e| e, |expr| expr.to_string());
        assert_eq!(made, expected);
    }

    #[test]
    fn functions_become_promql() {
        let series = || Stored::Series("m".into());
        let by = || By::Labels(vec![Spelling { group: "g".into(), label: "g".into() }]);
        check(series(), By::Series, Function::Avg, r#"avg_over_time(m{job="a"}[1h])"#);
        check(
            series(),
            By::Series,
            Function::Percentile(95.0),
            r#"quantile_over_time(0.95, m{job="a"}[1h])"#,
        );
        check(
            series(),
            by(),
            Function::Avg,
            r#"sum by (g) (sum_over_time(m{job="a"}[1h])) / sum by (g) (count_over_time(m{job="a"}[1h]))"#,
        );
        check(series(), by(), Function::Rate, r#"sum by (g) (rate(m{job="a"}[1h]))"#);
        let other = By::Labels(vec![Spelling { group: "g".into(), label: "G".into() }]);
        let replaced = r#"max by (g) (label_replace(max_over_time(m{job="a"}[1h]), "g", "$1", "G", "(.*)"))"#;
        check(series(), other, Function::Max, replaced);
    }

    #[test]
    fn histograms_of_buckets_are_understood() {
        let histogram = || Stored::Histogram("h".into());
        let by = || By::Labels(vec![]);
        check(
            histogram(),
            by(),
            Function::Percentile(50.0),
            r#"histogram_quantile(0.5, sum by (le) (increase(h_bucket{job="a"}[1h])))"#,
        );
        check(histogram(), By::Series, Function::Count, r#"increase(h_count{job="a"}[1h])"#);
        let native = || Stored::Native("n".into());
        check(native(), By::Series, Function::Avg, r#"histogram_avg(increase(n{job="a"}[1h]))"#);
        check(
            native(),
            by(),
            Function::Percentile(50.0),
            r#"histogram_quantile(0.5, sum(increase(n{job="a"}[1h])))"#,
        );
        check(native(), by(), Function::Rate, r#"histogram_count(sum(rate(n{job="a"}[1h])))"#);
        let refused = "h is a histogram of buckets, which do not tell MIN; ask for AVG, COUNT, SUM, RATE or a percentile";
        check(histogram(), by(), Function::Min, refused);
    }
}
