//! The commands of a script: `clear`, `load`, `eval`; of our own `keep`, which lets a tier hold a span of time alone, and
//! `tier`, which names the tier that answers from there on.

use barograph_model::{Labels, Tier, TimeRange, Timestamp};
use regex::Regex;

use super::items::{Item, items, labels_end, offsets, series_line};
use crate::syntax::{parse_duration, parse_labels, unquote};

/// A command and the line it starts on, from 1.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) line: usize,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    Clear,
    Load {
        step: i64,
        series: Vec<(Labels, Vec<Item>)>,
        /// Offsets of start times from the samples of a series.
        starts: Vec<(Labels, Vec<Option<i64>>)>,
        /// Whether classic buckets are native histograms too.
        from_buckets: bool,
    },
    Eval(Box<Eval>),
    /// A tier holds the samples or windows of a span of time.
    Keep(Tier, TimeRange),
    /// A tier answers, or the one that suits.
    Tier(Option<Tier>),
}

/// An evaluation and what is expected of it.
#[derive(Debug)]
pub(super) struct Eval {
    pub(super) expr: String,
    pub(super) when: When,
    pub(super) expected: Expected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Instant(i64),
    Range { from: i64, to: i64, step: i64 },
}

#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) fail: Option<Text>,
    pub(super) warn: Notes,
    pub(super) info: Notes,
    pub(super) ordered: bool,
    pub(super) string: Option<String>,
    pub(super) scalar: Option<f64>,
    /// From, to and step of a range vector that an instant query gives.
    pub(super) matrix: Option<(i64, i64, i64)>,
    pub(super) series: Vec<(Labels, Vec<Item>)>,
}

/// What is expected of one kind of annotations.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) none: bool,
    pub(super) some: bool,
    pub(super) texts: Vec<Text>,
}

/// A text that is expected.
#[derive(Debug)]
pub(super) enum Text {
    Any,
    Exactly(String),
    Matching(Regex),
}

impl Text {
    pub(super) fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(expected) => expected == text,
            Self::Matching(regex) => regex.is_match(text),
        }
    }
}

/// A line that is no command.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) message: String,
}

/// All commands of a script, and the lines that are none.
pub(super) fn commands(text: &str) -> (Vec<Command>, Vec<Mistake>) {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())).collect();
    let blank = |line: &str| line.is_empty() || line.starts_with('#');
    let (mut commands, mut mistakes) = (Vec::new(), Vec::new());
    for block in lines.split(|pair| blank(pair.1)).filter(|block| !block.is_empty()) {
        // Commands may follow each other without a blank line only after `clear`.
        let mut block = block;
        while let [(line, "clear"), rest @ ..] = block {
            commands.push(Command { line: *line, action: Action::Clear });
            block = rest;
        }
        let Some(&(line, head)) = block.first() else { continue };
        match command(head, &block[1..]) {
            Ok(action) => commands.push(Command { line, action }),
            Err(message) => mistakes.push(Mistake { line, text: head.to_owned(), message }),
        }
    }
    (commands, mistakes)
}

fn command(head: &str, body: &[(usize, &str)]) -> Result<Action, String> {
    let (word, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
    match word {
        "keep" => return keep(rest.trim()),
        "tier" => return Ok(Action::Tier(tier(rest.trim())?)),
        _ => {}
    }
    if word == "load" || word == "load_with_nhcb" {
        return load(duration(rest.trim())?, word == "load_with_nhcb", body);
    }
    let mut expected = Expected::default();
    match word {
        "eval" => {}
        "eval_fail" => expected.fail = Some(Text::Any),
        "eval_warn" => expected.warn.some = true,
        "eval_info" => expected.info.some = true,
        "eval_ordered" => expected.ordered = true,
        _ => return Err("unknown command".into()),
    }
    let (when, expr) = when(rest.trim())?;
    for (_, line) in body {
        expectation(line, &mut expected)?;
    }
    Ok(Action::Eval(Box::new(Eval { expr: expr.to_owned(), when, expected })))
}

/// `TIER from A to B`
fn keep(text: &str) -> Result<Action, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, "from", from, "to", to] = words.as_slice() else {
        return Err(format!("bad keep {text:?}"));
    };
    let range = TimeRange::new(Timestamp(duration(from)?), Timestamp(duration(to)?));
    Ok(Action::Keep(tier(name)?.ok_or("a tier is needed")?, range))
}

fn tier(name: &str) -> Result<Option<Tier>, String> {
    if name == "auto" { Ok(None) } else { name.parse().map(Some).map_err(|_| format!("bad tier {name:?}")) }
}

fn load(step: i64, from_buckets: bool, body: &[(usize, &str)]) -> Result<Action, String> {
    let mut series: Vec<(Labels, Vec<Item>)> = Vec::with_capacity(body.len());
    let mut starts = Vec::new();
    for (_, line) in body {
        let (labels, values) = line.split_at(labels_end(line));
        if let Some(values) = values.strip_prefix("@st") {
            let labels = parse_labels(labels.trim()).map_err(|error| error.to_string())?;
            starts.push((labels, offsets(values)?));
            continue;
        }
        let (labels, items) = series_line(line)?;
        match series.iter_mut().find(|pair| pair.0 == labels) {
            Some(same) => same.1 = items,
            None => series.push((labels, items)),
        }
    }
    Ok(Action::Load { step, series, starts, from_buckets })
}

fn duration(word: &str) -> Result<i64, String> {
    parse_duration(word).ok_or_else(|| format!("bad duration {word:?}"))
}

/// `instant at 5m EXPR` or `range from 0 to 5m step 1m EXPR`
fn when(text: &str) -> Result<(When, &str), String> {
    let bad = || format!("bad eval {text:?}");
    if let Some(rest) = text.strip_prefix("instant at ") {
        let (at, expr) = rest.trim_start().split_once(char::is_whitespace).ok_or_else(bad)?;
        return Ok((When::Instant(duration(at)?), expr.trim()));
    }
    let rest = text.strip_prefix("range ").ok_or_else(bad)?;
    let (from, to, step, expr) = range(rest).ok_or_else(bad)?;
    Ok((When::Range { from: duration(from)?, to: duration(to)?, step: duration(step)? }, expr))
}

/// `from A to B step S REST`
fn range(text: &str) -> Option<(&str, &str, &str, &str)> {
    let mut rest = text.trim();
    let mut value = |key: &str| {
        let after = rest.strip_prefix(key)?.trim_start();
        let (word, after) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
        rest = after.trim_start();
        Some(word)
    };
    let (from, to, step) = (value("from ")?, value("to ")?, value("step ")?);
    Some((from, to, step, rest))
}

fn expectation(line: &str, expected: &mut Expected) -> Result<(), String> {
    if let Some(rest) = line.strip_prefix("expect ") {
        return expect(rest.trim(), expected);
    }
    if let Some(text) = line.strip_prefix("expected_fail_message ") {
        expected.fail = Some(Text::Exactly(text.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
        expected.fail = Some(matching(pattern.trim())?);
        return Ok(());
    }
    if let Ok([Item::Float(value)]) = items(line).as_deref() {
        expected.scalar = Some(*value);
        return Ok(());
    }
    expected.series.push(series_line(line)?);
    Ok(())
}

fn expect(text: &str, expected: &mut Expected) -> Result<(), String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match word {
        "fail" => expected.fail = Some(text_of(rest)?),
        "warn" => note(&mut expected.warn, rest)?,
        "info" => note(&mut expected.info, rest)?,
        "no_warn" => expected.warn.none = true,
        "no_info" => expected.info.none = true,
        "ordered" => expected.ordered = true,
        "string" => {
            let bytes = unquote(rest).ok_or_else(|| format!("bad string {rest}"))?;
            expected.string = Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        "range" => {
            let bad = || format!("bad expectation {text:?}");
            let (from, to, step, _) = range(rest.strip_prefix("vector").ok_or_else(bad)?).ok_or_else(bad)?;
            expected.matrix = Some((duration(from)?, duration(to)?, duration(step)?));
        }
        _ => return Err(format!("unknown expectation {text:?}")),
    }
    Ok(())
}

fn note(notes: &mut Notes, rest: &str) -> Result<(), String> {
    notes.some = true;
    match text_of(rest)? {
        Text::Any => {}
        text => notes.texts.push(text),
    }
    Ok(())
}

fn text_of(rest: &str) -> Result<Text, String> {
    if rest.is_empty() {
        return Ok(Text::Any);
    }
    match rest.split_once(':') {
        Some(("msg", text)) => Ok(Text::Exactly(text.trim().to_owned())),
        Some(("regex", pattern)) => matching(pattern.trim()),
        _ => Err(format!("bad expectation {rest:?}")),
    }
}

fn matching(pattern: &str) -> Result<Text, String> {
    Regex::new(pattern).map(Text::Matching).map_err(|error| error.to_string())
}
