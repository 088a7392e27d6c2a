//! Arithmetic over metrics, as calculations and conditions write it.
//!
//! A name with dots is one word: `flow.execution.duration / flow.data.volume`. Dashes belong to a name, so that `-`
//! between two metrics needs a space before it. A name that is no such word stands in double quotes. A metric alone means
//! its first aggregation; `max(m)`, `p95(m)` and their like say which one is meant.

use std::fmt;

use crate::syntax::ast::BinaryOp;

/// A longer expression is refused.
pub const EXPRESSION_BYTES_MAX: usize = 4 << 10;
/// An expression that is nested deeper is refused.
const DEPTH_MAX: usize = 32;
/// So many buckets may lie between two things that are compared.
const LAGS_MAX: usize = 100;

/// What is made of the samples in a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// The sum of all values.
    Sum,
    /// Their mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// How many there are.
    Count,
    /// The first; of several series, the mean of theirs.
    First,
    /// The last; of several series, the mean of theirs.
    Last,
    /// The population standard deviation.
    Stddev,
    /// By how much a counter grew, resets counted, extrapolated to the bucket; of several series, the sum.
    Increase,
    /// The same a second.
    Rate,
    /// The percentile, from 0 to 100, interpolated between neighbours.
    Percentile(f64),
}

impl Function {
    /// Their names in documents; any `pN` is a percentile.
    pub const NAMES: [&str; 15] = [
        "SUM",
        "AVG",
        "MIN",
        "MAX",
        "COUNT",
        "FIRST",
        "LAST",
        "STDDEV",
        "INCREASE",
        "RATE",
        "PERCENTILE",
        "P50",
        "P90",
        "P95",
        "P99",
    ];

    /// The function of that name, in whatever case; `PERCENTILE` is the 95th until it is told another.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "first" => Self::First,
            "last" => Self::Last,
            "stddev" => Self::Stddev,
            "increase" => Self::Increase,
            "rate" => Self::Rate,
            "percentile" => Self::Percentile(95.0),
            _ => {
                let digits =
                    name.strip_prefix('p').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))?;
                Self::Percentile(digits.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))?)
            }
        })
    }

    /// Its name: `avg`, `p95`.
    pub fn name(self) -> String {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
            Self::First => "first",
            Self::Last => "last",
            Self::Stddev => "stddev",
            Self::Increase => "increase",
            Self::Rate => "rate",
            Self::Percentile(percent) => return format!("p{percent}"),
        }
        .to_owned()
    }
}

/// An expression over metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// What it is.
    pub(super) node: Node,
    /// As it was written.
    text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Number(f64),
    /// A metric, and what is made of it where that is said.
    Metric(String, Option<Function>),
    /// A function of one value.
    Map(&'static str, Box<Node>),
    Negated(Box<Node>),
    Binary(BinaryOp, Box<Node>, Box<Node>),
    /// The trend of something over all buckets.
    Trend(Box<Node>),
    /// How two things move together over all buckets, the second up to so many buckets before or after the first.
    Correlation(Box<Node>, Box<Node>, usize),
}

/// Functions of one value.
const MAPS: [&str; 9] = ["abs", "ceil", "exp", "floor", "ln", "log10", "log2", "round", "sqrt"];

/// What is wrong with an expression, and at which column, counted in characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    column: usize,
    message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for Mistake {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// The first mistake, with its column.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        if text.len() > EXPRESSION_BYTES_MAX {
            let message = format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes");
            return Err(Mistake { column: 1, message });
        }
        let mut parser = Parser { text, words: words(text)?, at: 0, depth: 0 };
        let node = parser.expression(0)?;
        if let Some((word, _)) = parser.peek() {
            return Err(parser.wrong(format!("expected an operator, got {word}")));
        }
        let mut metrics = 0;
        node.each_metric(&mut |_, _| metrics += 1);
        if metrics == 0 {
            return Err(Mistake { column: 1, message: "names no metric".into() });
        }
        Ok(Self { node, text: text.to_owned() })
    }

    /// Whether it is a comparison, which holds or does not.
    pub(super) fn is_condition(&self) -> bool {
        matches!(&self.node, Node::Binary(op, ..) if op.is_comparison())
    }
}

impl Node {
    /// Visits the metrics it names.
    pub(super) fn each_metric<'a>(&'a self, visit: &mut impl FnMut(&'a str, Option<Function>)) {
        match self {
            Self::Number(_) => {}
            Self::Metric(name, function) => visit(name, *function),
            Self::Map(_, inner) | Self::Negated(inner) | Self::Trend(inner) => inner.each_metric(visit),
            Self::Binary(_, left, right) | Self::Correlation(left, right, _) => {
                left.each_metric(visit);
                right.each_metric(visit);
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Number(f64),
    Name(String),
    Quoted(String),
    Operator(BinaryOp),
    Open,
    Close,
    Comma,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) | Self::Quoted(name) => write!(f, "{name:?}"),
            Self::Operator(op) => write!(f, "\"{}\"", op.as_str()),
            Self::Open => f.write_str("\"(\""),
            Self::Close => f.write_str("\")\""),
            Self::Comma => f.write_str("\",\""),
        }
    }
}

/// The words, and where each starts.
fn words(text: &str) -> Result<Vec<(Word, usize)>, Mistake> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        let rest = &text[at..];
        let run = |wanted: fn(char) -> bool| rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        let wrong = |message: String| Mistake { column: column(text, start), message };
        let word = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            c if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) => {
                let mut length = run(|c| c.is_ascii_alphanumeric() || c == '.');
                if rest[..length].ends_with(['e', 'E']) && rest[length..].starts_with(['+', '-']) {
                    length += 1 + rest[length + 1..]
                        .find(|c: char| !c.is_ascii_digit())
                        .unwrap_or(rest.len() - length - 1);
                }
                at += length;
                let number = rest[..length]
                    .parse()
                    .map_err(|_| wrong(format!("{:?} is no number", &rest[..length])))?;
                Word::Number(number)
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = run(|c| c.is_alphanumeric() || "_.:-".contains(c));
                let name = rest[..length].trim_end_matches(['-', '.']);
                at += name.len();
                Word::Name(name.to_owned())
            }
            '"' => {
                let Some(length) = rest[1..].find('"').filter(|length| *length > 0) else {
                    return Err(wrong("a quoted name is empty or does not end".into()));
                };
                at += length + 2;
                Word::Quoted(rest[1..=length].to_owned())
            }
            _ => {
                let signs: [(&str, Word); 15] = [
                    ("(", Word::Open),
                    (")", Word::Close),
                    (",", Word::Comma),
                    ("+", Word::Operator(BinaryOp::Add)),
                    ("-", Word::Operator(BinaryOp::Sub)),
                    ("*", Word::Operator(BinaryOp::Mul)),
                    ("/", Word::Operator(BinaryOp::Div)),
                    ("%", Word::Operator(BinaryOp::Mod)),
                    ("^", Word::Operator(BinaryOp::Pow)),
                    (">=", Word::Operator(BinaryOp::GreaterEqual)),
                    (">", Word::Operator(BinaryOp::Greater)),
                    ("<=", Word::Operator(BinaryOp::LessEqual)),
                    ("<", Word::Operator(BinaryOp::Less)),
                    ("==", Word::Operator(BinaryOp::Equal)),
                    ("!=", Word::Operator(BinaryOp::NotEqual)),
                ];
                let Some((sign, word)) = signs.into_iter().find(|(sign, _)| rest.starts_with(sign)) else {
                    return Err(wrong(format!("unexpected character {c:?}")));
                };
                at += sign.len();
                word
            }
        };
        words.push((word, start));
    }
    Ok(words)
}

fn column(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].chars().count() + 1
}

/// By operator precedence: comparisons bind weakest, powers strongest.
struct Parser<'a> {
    text: &'a str,
    words: Vec<(Word, usize)>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&(Word, usize)> {
        self.words.get(self.at)
    }

    fn wrong(&self, message: impl Into<String>) -> Mistake {
        let at = self.peek().map_or(self.text.len(), |word| word.1);
        Mistake { column: column(self.text, at), message: message.into() }
    }

    fn take(&mut self, word: &Word) -> bool {
        let found = self.peek().is_some_and(|(next, _)| next == word);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, word: Word) -> Result<(), Mistake> {
        match self.take(&word) {
            true => Ok(()),
            false => Err(self.wrong(format!("expected {word}"))),
        }
    }

    fn expression(&mut self, least: u8) -> Result<Node, Mistake> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let mut left = self.operand()?;
        while let Some((Word::Operator(op), _)) = self.peek() {
            let op = *op;
            let (strength, of_right) = match op {
                BinaryOp::Add | BinaryOp::Sub => (2, 3),
                BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod => (3, 4),
                BinaryOp::Pow => (5, 5),
                _ => (1, 2),
            };
            if strength < least {
                break;
            }
            if strength == 1 && matches!(&left, Node::Binary(op, ..) if op.is_comparison()) {
                return Err(self.wrong("a comparison of a comparison"));
            }
            self.at += 1;
            let right = self.expression(of_right)?;
            left = Node::Binary(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Node, Mistake> {
        let Some((word, _)) = self.peek().cloned() else {
            return Err(self.wrong("expected a metric or a number"));
        };
        match word {
            Word::Number(number) => {
                self.at += 1;
                Ok(Node::Number(number))
            }
            Word::Operator(BinaryOp::Sub) => {
                self.at += 1;
                Ok(Node::Negated(Box::new(self.expression(4)?)))
            }
            Word::Open => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.need(Word::Close)?;
                Ok(inner)
            }
            Word::Quoted(name) => {
                self.at += 1;
                Ok(Node::Metric(name, None))
            }
            Word::Name(name) => {
                let is_call = matches!(self.words.get(self.at + 1), Some((Word::Open, _)));
                if is_call {
                    self.call(&name)
                } else {
                    self.at += 1;
                    Ok(Node::Metric(name, None))
                }
            }
            word => Err(self.wrong(format!("expected a metric or a number, got {word}"))),
        }
    }

    fn call(&mut self, name: &str) -> Result<Node, Mistake> {
        let lower = name.to_ascii_lowercase();
        let whole = self.depth == 1 && self.at == 0;
        if let Some(function) = Function::named(&lower) {
            self.at += 2;
            let metric = match self.peek() {
                Some((Word::Name(metric) | Word::Quoted(metric), _)) => metric.clone(),
                _ => return Err(self.wrong(format!("{lower}() takes a metric"))),
            };
            self.at += 1;
            let function = match lower.as_str() {
                "percentile" => self.percentile()?,
                _ => function,
            };
            self.need(Word::Close)?;
            return Ok(Node::Metric(metric, Some(function)));
        }
        if let Some(map) = MAPS.iter().find(|map| **map == lower) {
            self.at += 2;
            let inner = self.expression(0)?;
            self.need(Word::Close)?;
            return Ok(Node::Map(map, Box::new(inner)));
        }
        let node = match lower.as_str() {
            "trend" | "corr" if !whole => {
                return Err(self.wrong(format!("{lower}() is about all of the time range and stands alone")));
            }
            "trend" => {
                self.at += 2;
                Node::Trend(Box::new(self.expression(0)?))
            }
            "corr" => {
                self.at += 2;
                let left = self.expression(0)?;
                self.need(Word::Comma)?;
                let right = self.expression(0)?;
                Node::Correlation(Box::new(left), Box::new(right), self.lags()?)
            }
            _ => return Err(self.wrong(format!("there is no function {name}()"))),
        };
        self.need(Word::Close)?;
        match self.peek() {
            None => Ok(node),
            Some(_) => Err(self.wrong(format!("{lower}() is about all of the time range and stands alone"))),
        }
    }

    /// The third argument of `corr()`; none where there is none.
    fn lags(&mut self) -> Result<usize, Mistake> {
        if !matches!(self.peek(), Some((Word::Comma, _))) {
            return Ok(0);
        }
        self.at += 1;
        let lags = match self.peek() {
            Some((Word::Number(lags), _)) => {
                (0..=LAGS_MAX).find(|known| (*known as f64).to_bits() == lags.to_bits())
            }
            _ => None,
        };
        let lags =
            lags.ok_or_else(|| self.wrong(format!("expected a whole number of buckets up to {LAGS_MAX}")))?;
        self.at += 1;
        Ok(lags)
    }

    fn percentile(&mut self) -> Result<Function, Mistake> {
        self.need(Word::Comma)?;
        match self.peek() {
            Some((Word::Number(percent), _)) if (0.0..=100.0).contains(percent) => {
                let percent = *percent;
                self.at += 1;
                Ok(Function::Percentile(percent))
            }
            _ => Err(self.wrong("expected a number from 0 to 100")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With parentheses around everything, so that one sees what binds.
    fn shown(node: &Node) -> String {
        match node {
            Node::Number(number) => number.to_string(),
            Node::Metric(name, None) => name.clone(),
            Node::Metric(name, Some(function)) => format!("{}[{name}]", function.name()),
            Node::Map(name, inner) => format!("{name}({})", shown(inner)),
            Node::Negated(inner) => format!("-{}", shown(inner)),
            Node::Binary(op, left, right) => format!("({} {} {})", shown(left), op.as_str(), shown(right)),
            Node::Trend(inner) => format!("trend({})", shown(inner)),
            Node::Correlation(left, right, 0) => format!("corr({}, {})", shown(left), shown(right)),
            Node::Correlation(left, right, lags) => {
                format!("corr({}, {}, {lags})", shown(left), shown(right))
            }
        }
    }

    #[test]
    fn what_binds_how() {
        let check = |text: &str, expected: &str| {
            assert_eq!(shown(&Expression::parse(text).unwrap().node), expected);
        };
        check("flow.execution.duration / flow.data.volume", "(flow.execution.duration / flow.data.volume)");
        check("a.b/c*d+e", "(((a.b / c) * d) + e)");
        check("a-b - c", "(a-b - c)");
        check("a- b", "(a - b)");
        check("a - 2 - b", "((a - 2) - b)");
        check("-a * b ^ 2 ^ 3", "(-a * (b ^ (2 ^ 3)))");
        check("1.5e-3 * (a + .5)", "(0.0015 * (a + 0.5))");
        check("rate(api.requests.total)", "rate[api.requests.total]");
        check("P99.9(a) / percentile(a, 50)", "(p99.9[a] / p50[a])");
        check("sqrt(abs(a - 1))", "sqrt(abs((a - 1)))");
        check("a + 1 >= b * 2", "((a + 1) >= (b * 2))");
        check("trend(rate(a))", "trend(rate[a])");
        check("corr(a, b / 2)", "corr(a, (b / 2))");
        check("corr(a, b, 12)", "corr(a, b, 12)");
        check("\"a b\" + p95", "(a b + p95)");
    }

    #[test]
    fn what_is_wrong_has_a_column() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Expression::parse(text).unwrap_err().to_string(), expected, "{text}");
        };
        check("", "column 1: expected a metric or a number");
        check("1 + 1", "column 1: names no metric");
        check("a +", "column 4: expected a metric or a number");
        check("a b", "column 3: expected an operator, got \"b\"");
        check("(a", "column 3: expected \")\"");
        check("ä + §", "column 5: unexpected character '§'");
        check("median(a)", "column 1: there is no function median()");
        check("rate(a + b)", "column 8: expected \")\"");
        check("rate(1)", "column 6: rate() takes a metric");
        check("percentile(a, 101)", "column 15: expected a number from 0 to 100");
        check("2 * trend(a)", "column 5: trend() is about all of the time range and stands alone");
        check("trend(a) * 2", "column 10: trend() is about all of the time range and stands alone");
        check("corr(a)", "column 7: expected \",\"");
        check("corr(a, b, 1.5)", "column 12: expected a whole number of buckets up to 100");
        check("a > 1 > 2", "column 7: a comparison of a comparison");
        check("1x * a", "column 1: \"1x\" is no number");
        check("\"a", "column 1: a quoted name is empty or does not end");
        check(&"(".repeat(40), "column 33: nested deeper than 32 levels");
        assert!(Expression::parse(&"a".repeat(5000)).is_err());
    }
}
