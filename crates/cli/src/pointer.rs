//! A mark under the place in a query that an error speaks of.
//!
//! The server's messages carry the place as `LINE:COLUMN: ` (both from 1, the column in bytes), as Prometheus
//! writes it: `invalid parameter "query": 1:5: parse error: …`. A place that is not in the query is not drawn.

use crate::terminal::{Paint, Role};

/// A place in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 0.
    line: usize,
    /// Bytes before it on its line. Never inside a character.
    offset: usize,
}

/// The first place in `query` that `message` names.
pub(crate) fn locate(message: &str, query: &str) -> Option<Position> {
    message
        .match_indices(':')
        .filter_map(|(at, _)| numbers_around(message, at))
        .find_map(|(line, column)| place(query, line, column))
}

/// The numbers of `12:34: ` around the first colon, which is at `colon`.
fn numbers_around(message: &str, colon: usize) -> Option<(usize, usize)> {
    let (before, after) = (&message[..colon], &message[colon + 1..]);
    let digits_before = before.bytes().rev().take_while(u8::is_ascii_digit).count();
    let digits_after = after.bytes().take_while(u8::is_ascii_digit).count();
    if !after[digits_after..].starts_with(": ") {
        return None;
    }
    Some((before[before.len() - digits_before..].parse().ok()?, after[..digits_after].parse().ok()?))
}

fn place(query: &str, line: usize, column: usize) -> Option<Position> {
    let (line, mut offset) = (line.checked_sub(1)?, column.checked_sub(1)?);
    let text = query.split('\n').nth(line)?;
    if offset > text.len() {
        return None;
    }
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    Some(Position { line, offset })
}

/// The line of the query, indented, and below it the mark. Ends without a line break.
pub(crate) fn draw(query: &str, position: Position, paint: Paint) -> String {
    let text = query.split('\n').nth(position.line).unwrap_or_default();
    // A tab stays a tab, so that the mark stands where the terminal puts the character.
    let blank: String = text[..position.offset].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let margin = if query.contains('\n') { format!("{:>4} | ", position.line + 1) } else { "  ".to_owned() };
    let below = " ".repeat(margin.len());
    format!("{margin}{text}\n{below}{blank}{}", paint.of(Role::Error, "^"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, message: &str, drawn: Option<&str>) {
        let got = locate(message, query).map(|position| draw(query, position, Paint::plain()));
        assert_eq!(got.as_deref(), drawn, "{message}");
    }

    #[test]
    fn marks_the_column() {
        let message = "invalid parameter \"query\": 1:5: parse error: unexpected \")\"";
        check("sum()", message, Some("  sum()\n      ^"));
    }

    #[test]
    fn marks_the_end() {
        check("up{", "1:4: parse error: unexpected end", Some("  up{\n     ^"));
    }

    #[test]
    fn marks_the_line_of_a_long_query() {
        check("sum(\n  up +\n)", "3:1: parse error: unexpected", Some("   3 | )\n       ^"));
    }

    #[test]
    fn characters_and_tabs_keep_the_mark_in_its_column() {
        check("\té{", "1:4: parse error", Some("  \té{\n  \t ^"));
    }

    #[test]
    fn a_column_within_a_character_marks_that_character() {
        check("é", "1:2: parse error", Some("  é\n  ^"));
    }

    #[test]
    fn numbers_that_are_no_place_are_not_drawn() {
        check("up", "query timed out", None);
        check("up", "at 10:30: late", None);
        check("up", "0:0: odd", None);
    }
}
