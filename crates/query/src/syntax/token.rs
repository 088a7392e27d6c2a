//! The words of PromQL.

use super::span::Span;

/// One word of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// What a word is. Keywords are [`Kind::Word`]s: which of them mean something depends on where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    /// Not a word of the language; the message is kept by the lexer.
    Bad,
    /// An identifier or a keyword.
    Word,
    /// An identifier with a colon, which only names metrics.
    MetricWord,
    Text,
    Number,
    Duration,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    LeftParen,
    RightParen,
    Comma,
    Colon,
    At,
    Assign,
    MatchNot,
    MatchRegex,
    MatchNotRegex,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
}

impl Kind {
    /// Whether error messages show the word as an operator.
    pub(super) fn is_operator(self) -> bool {
        use Kind::*;
        matches!(
            self,
            At | Add
                | Sub
                | Mul
                | Div
                | Mod
                | Pow
                | Equal
                | NotEqual
                | Less
                | LessEqual
                | Greater
                | GreaterEqual
                | TrimUpper
                | TrimLower
                | MatchNot
                | MatchRegex
                | MatchNotRegex
        )
    }
}

/// Whether a word, in lower case, aggregates.
pub(super) fn is_aggregator(word: &str) -> bool {
    const WORDS: [&str; 14] = [
        "avg",
        "bottomk",
        "count",
        "count_values",
        "group",
        "limit_ratio",
        "limitk",
        "max",
        "min",
        "quantile",
        "stddev",
        "stdvar",
        "sum",
        "topk",
    ];
    WORDS.binary_search(&word).is_ok()
}

/// Whether a word, in lower case, is a keyword that is no operator and does not aggregate.
pub(super) fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "anchored"
            | "smoothed"
            | "offset"
            | "by"
            | "without"
            | "on"
            | "ignoring"
            | "group_left"
            | "group_right"
            | "bool"
            | "fill"
            | "fill_left"
            | "fill_right"
            | "start"
            | "end"
            | "step"
            | "range"
    )
}

/// Whether a word, in lower case, is an operator between two expressions.
pub(super) fn is_word_operator(word: &str) -> bool {
    matches!(word, "and" | "or" | "unless" | "atan2")
}

/// Whether a word may name a metric. The others are only words of the language.
pub(super) fn may_name_metric(word: &str) -> bool {
    !matches!(word, "on" | "ignoring" | "group_left" | "group_right" | "bool" | "atan2" | "inf" | "nan")
}
