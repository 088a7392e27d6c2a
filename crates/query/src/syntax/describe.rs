//! A word as error messages show it.

use super::token::{Kind, Token, is_aggregator, is_keyword, is_word_operator};
use barograph_model::quote;

/// Longer words are cut in messages.
const SHOWN_CHARS_MAX: usize = 10;

/// `identifier "up"`, `number "5"`, `<op:+>`, `<by>`, `end of input`.
pub(super) fn describe(token: Token, text: &str) -> String {
    let word = &text[token.span.range()];
    let shown = || {
        if word.chars().count() > SHOWN_CHARS_MAX {
            let start: String = word.chars().take(SHOWN_CHARS_MAX).collect();
            format!("{}...", quote(&start))
        } else {
            quote(word).into_owned()
        }
    };
    match token.kind {
        Kind::End => "end of input".into(),
        Kind::Word => {
            let lower = word.to_ascii_lowercase();
            if is_keyword(&lower) {
                format!("<{word}>")
            } else if is_word_operator(&lower) {
                format!("<op:{word}>")
            } else if is_aggregator(&lower) {
                format!("<aggr:{word}>")
            } else {
                format!("identifier {}", quote(word))
            }
        }
        Kind::MetricWord => format!("metric identifier {}", quote(word)),
        Kind::Text => format!("string {}", shown()),
        Kind::Number => format!("number {}", shown()),
        Kind::Duration => format!("duration {}", shown()),
        kind if kind.is_operator() => format!("<op:{word}>"),
        _ => shown(),
    }
}
