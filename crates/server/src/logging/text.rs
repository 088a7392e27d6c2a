//! Log lines for people.
//!
//! `TIME LEVEL MESSAGE name=value …`, or a title with a line for each field. Control characters are escaped, so that what a
//! client sent never moves the cursor of whoever reads.

use std::fmt::Write;

use tracing::Level;

use super::line::{Category, Line, Value, time};

const RESET: &str = "\x1b[0m";
const FAINT: &str = "\x1b[2m";
/// Names and values in a block of the category success.
const BLUE: &str = "\x1b[34m";

fn level_color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

fn category_color(category: Category) -> &'static str {
    match category {
        Category::Success => "\x1b[32m",
        Category::Failure => "\x1b[31m",
        // Amber, which the eight basic colours do not have.
        Category::Action => "\x1b[38;5;214m",
        Category::Health => "\x1b[36m",
    }
}

/// Appends the line with its end.
pub(super) fn write(out: &mut String, line: &Line, color: bool) {
    let paint = |out: &mut String, code: &str, text: &mut dyn FnMut(&mut String)| {
        if color {
            out.push_str(code);
        }
        text(out);
        if color {
            out.push_str(RESET);
        }
    };
    paint(out, FAINT, &mut |out| out.push_str(&time(line.at)));
    out.push(' ');
    // Writing to a text does not fail.
    paint(out, level_color(line.level), &mut |out| {
        let _ = write!(out, "{:>5}", line.level.as_str());
    });
    out.push(' ');
    match line.marked {
        Some(category) => {
            paint(out, category_color(category), &mut |out| escape(out, &line.message));
        }
        None => escape(out, &line.message),
    }
    let blue = line.marked == Some(Category::Success);
    for (name, value) in &line.fields {
        if line.block {
            out.push_str("\n  ");
            let code = if blue { BLUE } else { line.marked.map_or(FAINT, category_color) };
            paint(out, code, &mut |out| {
                out.push_str(&titled(name));
                out.push_str(": ");
                write_value(out, value, false);
            });
        } else {
            out.push(' ');
            paint(out, FAINT, &mut |out| out.push_str(name));
            out.push('=');
            write_value(out, value, true);
        }
    }
    if let Some(trace) = line.trace {
        out.push_str(if line.block { "\n  " } else { " " });
        paint(out, FAINT, &mut |out| {
            let _ = write!(out, "trace_id={trace}");
        });
    }
    out.push('\n');
}

/// The name of a field at the head of a line of its own.
fn titled(name: &str) -> String {
    if name == "pid" {
        return "PID".to_owned();
    }
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn write_value(out: &mut String, value: &Value, quoted: bool) {
    let _ = match value {
        Value::Text(text) if quoted && needs_quotes(text) => {
            out.push('"');
            for c in text.chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    c => escape_char(out, c),
                }
            }
            out.push('"');
            Ok(())
        }
        Value::Text(text) => {
            escape(out, text);
            Ok(())
        }
        Value::Int(n) => write!(out, "{n}"),
        Value::Count(n) => write!(out, "{n}"),
        Value::Number(n) => write!(out, "{n}"),
        Value::Flag(flag) => write!(out, "{flag}"),
    };
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.contains([' ', '"', '=', '\\']) || text.contains(char::is_control)
}

fn escape(out: &mut String, text: &str) {
    text.chars().for_each(|c| escape_char(out, c));
}

fn escape_char(out: &mut String, c: char) {
    // Also what turns the direction of writing.
    let hidden = matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match c {
        '\n' => out.push_str("\\n"),
        c if c.is_control() || hidden => out.extend(c.escape_unicode()),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use barograph::span::TraceId;
    use barograph_model::Timestamp;

    use super::*;

    fn line(marked: Option<Category>, block: bool) -> Line {
        Line {
            at: Timestamp(1_700_000_000_050),
            level: Level::INFO,
            marked,
            message: "★ EMITTER WORKER ACTIVATION ★".to_owned(),
            fields: vec![
                ("topic", Value::Text("orders".into())),
                ("pid", Value::Count(7)),
                ("said", Value::Text("a \"b\"\n\x1b[2J".into())),
            ],
            block,
            trace: TraceId::new(0xabc),
            target: "t",
        }
    }

    fn check(line: &Line, color: bool, expected: &str) {
        let mut out = String::new();
        write(&mut out, line, color);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        check(
            &line(None, false),
            false,
            "2023-11-14T22:13:20.050Z  INFO ★ EMITTER WORKER ACTIVATION ★ topic=orders pid=7 \
             said=\"a \\\"b\\\"\\n\\u{1b}[2J\" trace_id=00000000000000000000000000000abc\n",
        );
    }

    #[test]
    fn a_block_has_a_line_for_each_field() {
        let mut plain = line(Some(Category::Success), true);
        plain.trace = None;
        plain.fields.truncate(2);
        check(
            &plain,
            false,
            "2023-11-14T22:13:20.050Z  INFO ★ EMITTER WORKER ACTIVATION ★\n  Topic: orders\n  PID: 7\n",
        );
        check(
            &plain,
            true,
            "\x1b[2m2023-11-14T22:13:20.050Z\x1b[0m \x1b[32m INFO\x1b[0m \
             \x1b[32m★ EMITTER WORKER ACTIVATION ★\x1b[0m\n  \x1b[34mTopic: orders\x1b[0m\n  \x1b[34mPID: 7\x1b[0m\n",
        );
    }

    #[test]
    fn each_category_has_its_colour() {
        for (category, code) in [
            (Category::Success, "\x1b[32m"),
            (Category::Failure, "\x1b[31m"),
            (Category::Action, "\x1b[38;5;214m"),
            (Category::Health, "\x1b[36m"),
        ] {
            let mut out = String::new();
            write(&mut out, &line(Some(category), false), true);
            assert!(out.contains(&format!("{code}★")), "{out:?}");
        }
    }
}
