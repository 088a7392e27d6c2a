//! The functions that Prometheus adds to templates.

use std::{collections::BTreeMap, rc::Rc};

use barograph_query::Datum;
use regex::{Regex, RegexBuilder};

use super::{Surroundings, TEXT_BYTES_MAX, builtins, humanize, links, run::Run, value::Value};

/// Patterns whose automaton would take more bytes are refused.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// How deep `args` may hold each other.
const DEPTH_MAX: usize = 8;

/// The names of all functions of this module.
const NAMES: [&str; 30] = [
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "tmpl",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "value",
];

/// Whether a function may be called by this name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name) || builtins::exists(name)
}

/// Calls a function. `None` if it is none of these.
pub(super) fn call(name: &str, args: &[Value], run: &mut Run<'_>) -> Option<Result<Value, String>> {
    let surroundings = run.surroundings;
    let answer = match name {
        "query" => one(args).and_then(|text| query(text.as_text()?, surroundings)),
        "first" => one(args).and_then(|list| match list {
            Value::List(list) if !list.is_empty() => Ok(list[0].clone()),
            Value::List(_) => Err("first() called on vector with no elements".to_owned()),
            other => Err(format!("expected the answer of a query, found a {}", other.kind())),
        }),
        "value" => one(args).and_then(|sample| sample.field("Value")),
        "label" => two(args).and_then(|(name, sample)| sample.field("Labels")?.field(name.as_text()?)),
        "strvalue" => one(args).and_then(|sample| sample.field("Labels")?.field("__value__")),
        "sortByLabel" => two(args).and_then(|(name, list)| sort_by_label(name.as_text()?, list)),
        "args" => match args.iter().map(Value::depth).max() {
            Some(DEPTH_MAX..) => Err(format!("arguments nest deeper than {DEPTH_MAX}")),
            _ => Ok(Value::Map(Rc::new(
                args.iter().enumerate().map(|(i, arg)| (format!("arg{i}"), arg.clone())).collect(),
            ))),
        },
        "tmpl" => two(args).and_then(|(name, data)| run.named(name.as_text()?, data.clone())),
        "humanize" => of_number(args, humanize::humanize),
        "humanize1024" => of_number(args, humanize::humanize_1024),
        "humanizeDuration" => of_number(args, humanize::humanize_duration),
        "humanizePercentage" => {
            of_number(args, |value| format!("{}%", humanize::significant(value * 100.0, 4)))
        }
        "humanizeTimestamp" => one(args).and_then(|arg| {
            let seconds = arg.number()?;
            if !seconds.is_finite() {
                return Ok(Value::text(humanize::significant(seconds, 4)));
            }
            Ok(Value::text(humanize::time_text(millis(seconds)?)))
        }),
        "toTime" => one(args).and_then(|arg| Ok(Value::Time(millis(arg.number()?)?))),
        "toDuration" => one(args).and_then(|arg| {
            let nanos = arg.number()? * 1e9;
            #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
            if nanos.abs() < 9.2e18 { Ok(Value::Span(nanos as i64)) } else { Err("out of range".into()) }
        }),
        "now" => none(args).map(|()| Value::Float(surroundings.now.seconds())),
        "parseDuration" => one(args).and_then(|arg| {
            let text = arg.as_text()?;
            let duration = barograph_yaml::units::parse_duration(text)?;
            Ok(Value::Float(duration.as_secs_f64()))
        }),
        "externalURL" => none(args).map(|()| Value::text(surroundings.external_url)),
        "pathPrefix" => none(args).map(|()| Value::text(links::path(surroundings.external_url))),
        "title" => of_text(args, title),
        "toUpper" => of_text(args, |text| text.chars().map(upper).collect()),
        "toLower" => of_text(args, |text| text.chars().map(lower).collect()),
        "safeHtml" => of_text(args, str::to_owned),
        "stripPort" => of_text(args, |text| links::strip_port(text).to_owned()),
        "stripDomain" => of_text(args, links::strip_domain),
        "graphLink" => of_text(args, |text| links::expression(text, 0)),
        "tableLink" => of_text(args, |text| links::expression(text, 1)),
        "urlQueryEscape" => of_text(args, links::query_escape),
        "match" => two(args).and_then(|(pattern, text)| {
            Ok(Value::Bool(regex(pattern.as_text()?)?.is_match(text.as_text()?)))
        }),
        "reReplaceAll" => match args {
            [pattern, by, text] => replace(pattern, by, text),
            _ => Err(count(3, args)),
        },
        _ => return None,
    };
    Some(answer)
}

pub(super) fn count(wanted: usize, args: &[Value]) -> String {
    format!("takes {wanted} arguments, not {}", args.len())
}

fn none(args: &[Value]) -> Result<(), String> {
    if args.is_empty() { Ok(()) } else { Err(count(0, args)) }
}

pub(super) fn one(args: &[Value]) -> Result<&Value, String> {
    if let [arg] = args { Ok(arg) } else { Err(count(1, args)) }
}

pub(super) fn two(args: &[Value]) -> Result<(&Value, &Value), String> {
    if let [first, second] = args { Ok((first, second)) } else { Err(count(2, args)) }
}

fn of_number(args: &[Value], show: impl Fn(f64) -> String) -> Result<Value, String> {
    Ok(Value::text(show(one(args)?.number()?)))
}

fn of_text(args: &[Value], make: impl Fn(&str) -> String) -> Result<Value, String> {
    Ok(Value::text(make(one(args)?.as_text()?)))
}

fn millis(seconds: f64) -> Result<i64, String> {
    // By way of nanoseconds, as upstream: what is lost is lost there.
    let nanos = seconds * 1e9;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    if nanos.abs() < 9.2e18 { Ok((nanos as i64) / 1_000_000) } else { Err(format!("{seconds} is no time")) }
}

/// What a query answers, in its order.
fn query(text: &str, surroundings: &Surroundings<'_>) -> Result<Value, String> {
    let found = (surroundings.query)(text)?;
    let sample = |(labels, datum): &(_, Datum)| {
        let value = datum.float().map_or(Value::Nil, Value::Float);
        Value::Fields(Rc::new(BTreeMap::from([("Labels", Value::labels(labels)), ("Value", value)])))
    };
    Ok(Value::List(Rc::new(found.iter().map(sample).collect())))
}

fn sort_by_label(name: &str, list: &Value) -> Result<Value, String> {
    let Value::List(list) = list else { return Err(format!("cannot sort a {}", list.kind())) };
    let key = |sample: &Value| {
        let label = sample.field("Labels").and_then(|labels| labels.field(name));
        label.map(|label| label.show()).unwrap_or_default()
    };
    let mut sorted = list.to_vec();
    sorted.sort_by_key(key);
    Ok(Value::List(Rc::new(sorted)))
}

/// The large letter of a small one, where that is one letter.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    upper.next().filter(|_| upper.next().is_none()).unwrap_or(c)
}

/// The small letter of a large one, where that is one letter.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    lower.next().filter(|_| lower.next().is_none()).unwrap_or(c)
}

/// Each word with a large letter in front.
fn title(text: &str) -> String {
    let mut before = ' ';
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        if before.is_alphanumeric() || matches!(before, '_' | '\'') {
            titled.push(c);
        } else {
            titled.push(upper(c));
        }
        before = c;
    }
    titled
}

fn regex(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| format!("bad pattern {pattern:?}: {error}"))
}

fn replace(pattern: &Value, by: &Value, text: &Value) -> Result<Value, String> {
    let (by, text) = (by.as_text()?, text.as_text()?);
    let (mut replaced, mut from) = (String::new(), 0);
    for found in regex(pattern.as_text()?)?.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        replaced.push_str(&text[from..whole.start()]);
        found.expand(by, &mut replaced);
        from = whole.end();
        if replaced.len() > TEXT_BYTES_MAX {
            return Err("the text gets too long".to_owned());
        }
    }
    replaced.push_str(&text[from..]);
    Ok(Value::text(replaced))
}
