//! A number that something is held against, and another one at which it is well again.
//!
//! ```text
//!   v ≥ fire                holds
//!   clear ≤ v < fire        keeps the state in which it is (the band)
//!   v < clear               is over
//! ```
//!
//! With `<` and `<=` it is the other way round. What is measured is asked once, unfiltered, so that a series which is missing
//! is told from one which is well.

use barograph_query::ast::{Binary, BinaryOp, Expr, Node, Number, Sign, Unary};
use serde_json::{Value, json};

/// What a series that is missing means for the alert that it had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is over, as in Prometheus.
    #[default]
    Resolve,
    /// It stays as it is.
    Keep,
    /// Its absence is what is wrong.
    Alert,
}

impl Missing {
    /// Reads it as rule files write it.
    ///
    /// # Errors
    /// It is none of the three.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "resolve" => Ok(Self::Resolve),
            "keep" => Ok(Self::Keep),
            "alert" => Ok(Self::Alert),
            _ => Err(format!("expected `resolve`, `keep` or `alert`, found `{text}`")),
        }
    }

    /// As rule files write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Keep => "keep",
            Self::Alert => "alert",
        }
    }
}

/// On which side of a threshold values should stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The threshold is the least value that is well.
    Min,
    /// The threshold is the greatest value that is well.
    Max,
}

impl Side {
    /// As documents call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// What is measured, and what it is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// What is measured.
    pub measured: Expr,
    /// How it is compared: `<`, `<=`, `>`, `>=`, `==` or `!=`.
    pub op: BinaryOp,
    /// What it is compared with.
    pub fire: f64,
    /// At which value it is well again, if that is another one.
    pub clear: Option<f64>,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The condition holds.
    Holds,
    /// It does not, but what holds already goes on.
    Band,
    /// It is well.
    Well,
}

impl Threshold {
    /// What an expression measures and holds against a number, if that is what it does: `measured op number`, or the number
    /// first.
    pub fn of(expr: &Expr) -> Option<Self> {
        match &expr.node {
            Node::Paren(inner) => Self::of(inner),
            Node::Binary(binary) => {
                let Binary { op, lhs, rhs, returns_bool: false, .. } = &**binary else { return None };
                if !op.is_comparison() {
                    return None;
                }
                match (number(lhs), number(rhs)) {
                    (None, Some(fire)) => Some(Self { measured: lhs.clone(), op: *op, fire, clear: None }),
                    (Some(fire), None) => {
                        Some(Self { measured: rhs.clone(), op: mirrored(*op), fire, clear: None })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Gives it the value at which it is well again.
    ///
    /// # Errors
    /// That value is not on the side where things are well, or there are no sides.
    pub fn with_clear(mut self, clear: f64) -> Result<Self, String> {
        let (side, word) = match self.side() {
            Some(Side::Max) => (clear <= self.fire, "at most"),
            Some(Side::Min) => (clear >= self.fire, "at least"),
            None => {
                let op = self.op.as_str();
                return Err(format!("needs a comparison by <, <=, > or >=; this one is by {op}"));
            }
        };
        if !side {
            return Err(format!("should be {word} {}, which is what the alert fires at", self.fire));
        }
        self.clear = Some(clear);
        Ok(self)
    }

    /// Whether a value would be told if it were compared with this number.
    pub(crate) fn would_hold(&self, value: f64, fire: f64) -> bool {
        match self.op {
            BinaryOp::Greater => value > fire,
            BinaryOp::GreaterEqual => value >= fire,
            BinaryOp::Less => value < fire,
            BinaryOp::LessEqual => value <= fire,
            #[expect(clippy::float_cmp, reason = "as PromQL compares")]
            BinaryOp::Equal => value == fire,
            #[expect(clippy::float_cmp, reason = "as PromQL compares")]
            _ => value != fire,
        }
    }

    /// On which side of the threshold values should stay; `None` if there are no sides.
    pub const fn side(&self) -> Option<Side> {
        match self.op {
            BinaryOp::Greater | BinaryOp::GreaterEqual => Some(Side::Max),
            BinaryOp::Less | BinaryOp::LessEqual => Some(Side::Min),
            _ => None,
        }
    }

    /// The metric that is measured, if it is one as it is stored.
    pub fn metric(&self) -> Option<&str> {
        let mut measured = &self.measured;
        while let Node::Paren(inner) = &measured.node {
            measured = inner;
        }
        match &measured.node {
            Node::Selector(selector) => selector.name.as_deref(),
            _ => None,
        }
    }

    /// What is told of it besides its number: on which side that is, and of which metric.
    pub fn evidence(&self) -> Option<Value> {
        let mut evidence = json!({"threshold_type": self.side()?.as_str()});
        if let Some(metric) = self.metric() {
            evidence["metric"] = metric.into();
        }
        Some(evidence)
    }

    /// Where a value stands. What is not a number neither holds nor goes on.
    pub fn standing(&self, value: f64) -> Standing {
        if self.would_hold(value, self.fire) {
            return Standing::Holds;
        }
        // The edge of the band belongs to it: an alert is over only beyond.
        let goes_on = self.clear.is_some_and(|clear| match self.side() {
            Some(Side::Max) => value >= clear,
            Some(Side::Min) => value <= clear,
            None => false,
        });
        if goes_on { Standing::Band } else { Standing::Well }
    }
}

fn number(expr: &Expr) -> Option<f64> {
    match &expr.node {
        Node::Number(Number { value, .. }) => Some(*value),
        Node::Paren(inner) => number(inner),
        Node::Unary(unary) => {
            let Unary { sign, expr } = &**unary;
            let value = number(expr)?;
            Some(if *sign == Sign::Minus { -value } else { value })
        }
        _ => None,
    }
}

const fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Threshold> {
        Threshold::of(&barograph_query::parse(text).unwrap())
    }

    #[test]
    fn an_expression_that_compares_with_a_number_has_a_threshold() {
        let told =
            |text| of(text).map(|found| format!("{} {} {}", found.measured, found.op.as_str(), found.fire));
        assert_eq!(told("sum(up) > 85").unwrap(), "sum(up) > 85");
        assert_eq!(told("(-1 >= (a / b))").unwrap(), "(a / b) <= -1");
        for text in ["a > b", "a > bool 1", "1 + a", "a", "a > 1 and b > 2"] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn between_both_numbers_it_goes_on() {
        use Standing::{Band, Holds, Well};
        let table = [("a > 85", 80.0, [85.1, 85.0, 80.0, 79.9]), ("a <= 5", 7.0, [5.0, 5.1, 7.0, 7.1])];
        for (text, clear, values) in table {
            let threshold = of(text).unwrap().with_clear(clear).unwrap();
            assert_eq!(values.map(|value| threshold.standing(value)), [Holds, Band, Band, Well], "{text}");
            assert_eq!(threshold.standing(f64::NAN), Well);
        }
        assert_eq!(of("a > 85").unwrap().standing(85.0), Well);
    }

    #[test]
    fn a_threshold_says_of_what_it_is_and_on_which_side() {
        let told = |text: &str| of(text).unwrap().evidence();
        assert_eq!(
            told("(memory_usage) >= 85"),
            Some(json!({"threshold_type": "max", "metric": "memory_usage"}))
        );
        assert_eq!(told("5 >= rate(a[5m])"), Some(json!({"threshold_type": "min"})));
        assert_eq!(told("a != 1"), None);
    }

    #[test]
    fn the_number_at_which_it_is_well_is_on_the_good_side() {
        let refused = |text, clear| of(text).unwrap().with_clear(clear).unwrap_err();
        assert_eq!(refused("a > 85", 90.0), "should be at most 85, which is what the alert fires at");
        assert_eq!(refused("a < 5", 4.0), "should be at least 5, which is what the alert fires at");
        assert_eq!(refused("a == 5", 4.0), "needs a comparison by <, <=, > or >=; this one is by ==");
    }
}
