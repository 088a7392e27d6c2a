//! A query as a tree; every node knows where it stands in the text.
//!
//! The tree is what the evaluator runs, so whoever does not write PromQL may build one. A tree made by
//! [`parse`](crate::parse) is well typed. Two expressions are equal if they ask the same thing, wherever they stand.

use barograph_model::Matcher;

use super::{functions::Function, span::Span};

/// A query, or a part of one.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Where it stands in the text.
    pub span: Span,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `1.5`, `5m`
    Number(Number),
    /// `"text"`
    Text(Text),
    /// `up{job="api"}`
    Selector(Box<Selector>),
    /// `up[5m]`
    Range(Box<RangeSelector>),
    /// `(a / b)[1h:1m]`
    Subquery(Box<Subquery>),
    /// `rate(up[5m])`
    Call(Call),
    /// `sum by (job) (up)`
    Aggregate(Box<Aggregate>),
    /// `a + on (job) b`
    Binary(Box<Binary>),
    /// `-a`, `+a`
    Unary(Box<Unary>),
    /// `(a)`
    Paren(Box<Expr>),
}

/// A number in the text.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// Its value; of a duration, the seconds.
    pub value: f64,
    /// Whether it was written as a duration.
    pub duration: bool,
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        let same = self.value == other.value || (self.value.is_nan() && other.value.is_nan());
        same && self.duration == other.duration
    }
}

/// A string in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it stands for, with U+FFFD for what is no UTF-8.
    pub value: String,
    /// The bytes, if they are no UTF-8.
    pub bytes: Option<Vec<u8>>,
}

/// Names series, each of which gives at most one sample a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The metric name where it stands before the braces, or quoted in them.
    pub name: Option<String>,
    /// All conditions, that on the name included.
    pub matchers: Vec<Matcher>,
    /// When it looks.
    pub shift: Shift,
    /// How it reads between samples.
    pub reading: Reading,
}

/// How a selector reads between samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Only what is in the range.
    #[default]
    Plain,
    /// The last sample before the range stands for its start.
    Anchored,
    /// The values at the ends are interpolated from the samples on both sides.
    Smoothed,
}

/// Moves a selector or a subquery in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// `offset 5m`: by how much it looks back.
    pub offset: Option<Length>,
    /// `@ 100`: from when, instead of from each step.
    pub at: Option<At>,
}

/// A point in time fixed for the whole query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ 100`, in milliseconds.
    Time(i64),
    /// `@ start()`: the first step of the query.
    Start,
    /// `@ end()`: the last one.
    End,
}

/// A length of time, constant or computed.
#[derive(Clone, Debug)]
pub struct Length {
    /// How it is computed.
    pub node: LengthNode,
    /// Where it stands in the text.
    pub span: Span,
}

impl PartialEq for Length {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// The kinds of lengths.
#[derive(Clone, Debug, PartialEq)]
pub enum LengthNode {
    /// Seconds, and whether it was written as a duration.
    Number(Number),
    /// `step()`
    Step,
    /// `range()`
    Range,
    /// `-a`, `+a`
    Unary(Sign, Box<Length>),
    /// `a + b` and so on; only arithmetic.
    Binary(BinaryOp, Box<Length>, Box<Length>),
    /// `min_of(a, b)`
    Min(Box<Length>, Box<Length>),
    /// `max_of(a, b)`
    Max(Box<Length>, Box<Length>),
    /// `(a)`
    Paren(Box<Length>),
}

/// A selector over a range, which gives all samples in it.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSelector {
    /// What is read.
    pub selector: Selector,
    /// How far back the range goes.
    pub range: Length,
}

/// A query evaluated at many points, which gives ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// How far back the range goes.
    pub range: Length,
    /// The distance of the points; the default step if absent.
    pub step: Option<Length>,
    /// When it looks.
    pub shift: Shift,
}

/// A function with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which function.
    pub function: &'static Function,
    /// As many as the function takes.
    pub args: Vec<Expr>,
}

/// An aggregation over series.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub op: AggregateOp,
    /// The number or name some take.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// The labels that make or do not make a group.
    pub grouping: Vec<String>,
    /// Whether the labels do *not* make the group.
    pub without: bool,
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are PromQL's own names")]
pub enum AggregateOp {
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    LimitRatio,
    Limitk,
    Max,
    Min,
    /// Of all samples of the series together, where the others are of one value a series. No text says it.
    Pooled,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
}

impl AggregateOp {
    /// As PromQL spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Bottomk => "bottomk",
            Self::Count => "count",
            Self::CountValues => "count_values",
            Self::Group => "group",
            Self::LimitRatio => "limit_ratio",
            Self::Limitk => "limitk",
            Self::Max => "max",
            Self::Min => "min",
            Self::Pooled => "pooled",
            Self::Quantile => "quantile",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Sum => "sum",
            Self::Topk => "topk",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "avg" => Self::Avg,
            "bottomk" => Self::Bottomk,
            "count" => Self::Count,
            "count_values" => Self::CountValues,
            "group" => Self::Group,
            "limit_ratio" => Self::LimitRatio,
            "limitk" => Self::Limitk,
            "max" => Self::Max,
            "min" => Self::Min,
            "quantile" => Self::Quantile,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "sum" => Self::Sum,
            "topk" => Self::Topk,
            _ => return None,
        })
    }

    /// Whether it takes a parameter before the expression.
    pub const fn takes_param(self) -> bool {
        matches!(
            self,
            Self::Bottomk | Self::CountValues | Self::LimitRatio | Self::Limitk | Self::Quantile | Self::Topk
        )
    }

    /// Whether it needs a switch.
    pub const fn is_experimental(self) -> bool {
        matches!(self, Self::LimitRatio | Self::Limitk)
    }
}

/// An operator between two expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// Which one.
    pub op: BinaryOp,
    /// What is on the left.
    pub lhs: Expr,
    /// What is on the right.
    pub rhs: Expr,
    /// Whether a comparison gives 0 and 1 instead of filtering.
    pub returns_bool: bool,
    /// How the series of two vectors find each other.
    pub matching: Matching,
}

/// How series of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Whether `labels` are those that must agree, not those that need not.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Which side may have several series for one of the other.
    pub group: Group,
    /// The labels taken over from the side of which there is one.
    pub include: Vec<String>,
    /// What stands for a series missing on the left.
    pub fill_left: Option<f64>,
    /// What stands for a series missing on the right.
    pub fill_right: Option<f64>,
}

/// Which side of a match may have several series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// Neither.
    #[default]
    OneToOne,
    /// `group_left`: many on the left, one on the right.
    Left,
    /// `group_right`: one on the left, many on the right.
    Right,
}

/// The operators between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the spelling says it all")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// As PromQL spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares.
    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
    }

    /// Whether it works on sets of series.
    pub const fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// The sign before an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// A sign and what it stands before.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// The sign.
    pub sign: Sign,
    /// What it stands before.
    pub expr: Expr,
}

/// The types of PromQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are PromQL's own names")]
pub enum Type {
    Scalar,
    String,
    Vector,
    Matrix,
}

impl Type {
    /// As the documentation of PromQL calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

impl Expr {
    /// The type of its value.
    pub fn kind(&self) -> Type {
        match &self.node {
            Node::Number(_) => Type::Scalar,
            Node::Text(_) => Type::String,
            Node::Selector(_) | Node::Aggregate(_) => Type::Vector,
            Node::Range(_) | Node::Subquery(_) => Type::Matrix,
            Node::Call(call) => call.function.returns,
            Node::Binary(binary) => match (binary.lhs.kind(), binary.rhs.kind()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Node::Unary(unary) => unary.expr.kind(),
            Node::Paren(inner) => inner.kind(),
        }
    }

    /// The expression without parentheses around it.
    pub fn bare(&self) -> &Self {
        let mut expr = self;
        while let Node::Paren(inner) = &expr.node {
            expr = inner;
        }
        expr
    }
}
