//! The functions that Go's templates have by themselves.

use std::{cmp::Ordering, rc::Rc};

use super::{
    format,
    functions::{count, one, two},
    links,
    value::Value,
};

/// `and` and `or` are not in the list of [`call`]: they look at no more arguments than they need.
const NAMES: [&str; 18] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice", "print", "printf",
    "println", "html", "js", "urlquery",
];

pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function. `None` if it is none of these.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, String>> {
    let compared = |fits: fn(Ordering) -> bool| {
        two(args).and_then(|(a, b)| Ok(Value::Bool(compare(a, b)?.is_some_and(fits))))
    };
    Some(match name {
        "not" => one(args).map(|arg| Value::Bool(!arg.is_true())),
        "eq" => equal_to_any(args).map(Value::Bool),
        "ne" => two(args).and_then(|(a, b)| Ok(Value::Bool(!equal(a, b)?))),
        "lt" => compared(Ordering::is_lt),
        "le" => compared(Ordering::is_le),
        "gt" => compared(Ordering::is_gt),
        "ge" => compared(Ordering::is_ge),
        "len" => one(args).and_then(len),
        "index" => match args {
            [] => Err(count(1, args)),
            [first, keys @ ..] => keys.iter().try_fold(first.clone(), |value, key| index(&value, key)),
        },
        "slice" => slice(args),
        "print" => Ok(Value::text(format::print(args))),
        "println" => {
            let texts: Vec<_> = args.iter().map(Value::show).collect();
            Ok(Value::text(format!("{}\n", texts.join(" "))))
        }
        "printf" => match args {
            [] => Err(count(1, args)),
            [format, rest @ ..] => format.as_text().map(|format| Value::text(format::printf(format, rest))),
        },
        "html" => Ok(Value::text(escape_html(&format::print(args)))),
        "js" => Ok(Value::text(escape_js(&format::print(args)))),
        "urlquery" => Ok(Value::text(links::query_escape(&format::print(args)))),
        _ => return None,
    })
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.kind(), b.kind())
}

fn equal_to_any(args: &[Value]) -> Result<bool, String> {
    let [first, others @ ..] = args else { return Err(count(2, args)) };
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    others.iter().try_fold(false, |found, other| Ok(found || equal(first, other)?))
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Nil, _) | (_, Value::Nil) => Ok(a == b),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        _ => Ok(compare(a, b)? == Some(Ordering::Equal)),
    }
}

fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) | (Value::Span(a), Value::Span(b)) => Ok(Some(a.cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        _ => Err(incompatible(a, b)),
    }
}

fn len(value: &Value) -> Result<Value, String> {
    let len = match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Texts(texts) | Value::Pairs(texts) => texts.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("a {} has no length", other.kind())),
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Texts(_) | Value::Map(_), Value::Text(name)) => value.field(name),
        (Value::Pairs(texts), Value::Text(name)) => {
            Ok(Value::text(texts.get(&**name).map(String::as_str).unwrap_or_default()))
        }
        (Value::List(list), Value::Int(at)) => {
            let item = usize::try_from(*at).ok().and_then(|at| list.get(at));
            item.cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        (Value::Text(text), Value::Int(at)) => {
            let byte = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
            byte.map(|byte| Value::Int((*byte).into())).ok_or_else(|| format!("index out of range: {at}"))
        }
        _ => Err(format!("cannot index a {} by a {}", value.kind(), key.kind())),
    }
}

fn slice(args: &[Value]) -> Result<Value, String> {
    let [value, bounds @ ..] = args else { return Err(count(1, args)) };
    let bound = |index: usize, otherwise: usize| match bounds.get(index) {
        None => Ok(otherwise),
        Some(Value::Int(at)) => usize::try_from(*at).map_err(|_| format!("index out of range: {at}")),
        Some(other) => Err(format!("cannot index by a {}", other.kind())),
    };
    let out_of_range = || "index out of range".to_owned();
    match value {
        Value::Text(text) => {
            let range = bound(0, 0)?..bound(1, text.len())?;
            text.get(range).map(Value::text).ok_or_else(out_of_range)
        }
        Value::List(list) => {
            let range = bound(0, 0)?..bound(1, list.len())?;
            let part = list.get(range).ok_or_else(out_of_range)?;
            Ok(Value::List(Rc::new(part.to_vec())))
        }
        other => Err(format!("cannot slice a {}", other.kind())),
    }
}

pub(super) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\0' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

fn escape_js(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => escaped.extend(['\\', c]),
            '<' | '>' | '&' | '=' => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}
