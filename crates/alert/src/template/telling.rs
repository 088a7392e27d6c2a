//! The functions that Alertmanager adds to templates.

use std::{collections::BTreeMap, rc::Rc};

use barograph_model::Timestamp;

use super::{
    TEXT_BYTES_MAX, dates,
    functions::{count, one, two},
    value::Value,
};

/// The names of all functions of notices; those that [`call`] does not know are those of rules.
const NAMES: [&str; 20] = [
    "append",
    "date",
    "dict",
    "humanizeDuration",
    "join",
    "list",
    "match",
    "reReplaceAll",
    "safeHtml",
    "safeUrl",
    "since",
    "stringSlice",
    "title",
    "toJson",
    "toLower",
    "toUpper",
    "trimSpace",
    "tz",
    "urlUnescape",
    "now",
];

/// Whether a function may be called by this name.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function. `None` if it is none of these.
pub(super) fn call(name: &str, args: &[Value], now: Timestamp) -> Option<Result<Value, String>> {
    Some(match name {
        "join" => two(args).and_then(|(by, items)| join(by.as_text()?, items)),
        "list" | "stringSlice" => Ok(Value::List(Rc::new(args.to_vec()))),
        "append" => match args {
            [Value::List(items), more @ ..] => {
                Ok(Value::List(Rc::new(items.iter().chain(more).cloned().collect())))
            }
            _ => Err("takes a list and what is added to it".to_owned()),
        },
        "dict" => dict(args),
        "title" => one(args).and_then(|text| Ok(Value::text(title(text.as_text()?)))),
        "trimSpace" => one(args).and_then(|text| Ok(Value::text(text.as_text()?.trim()))),
        "safeUrl" => one(args).cloned(),
        "urlUnescape" => one(args).and_then(|text| Ok(Value::text(unescape(text.as_text()?)?))),
        "date" => two(args).and_then(|(layout, time)| {
            let time = dates::zoned(time).ok_or_else(|| format!("a {} is no time", time.kind()))?;
            Ok(Value::text(dates::format(&time, layout.as_text()?)))
        }),
        "tz" => two(args).and_then(|(zone, time)| {
            let found = dates::zoned(time).ok_or_else(|| format!("a {} is no time", time.kind()))?;
            let zone = zone.as_text()?;
            let there = found.in_tz(zone).map_err(|_| format!("there is no time zone {zone:?}"))?;
            Ok(Value::Zoned(Rc::new(there)))
        }),
        "since" => one(args).and_then(|time| {
            let then = dates::zoned(time).ok_or_else(|| format!("a {} is no time", time.kind()))?;
            let millis = now.millis().saturating_sub(then.timestamp().as_millisecond());
            Ok(Value::Span(millis.saturating_mul(1_000_000)))
        }),
        "now" => Ok(Value::Time(now.millis())),
        "toJson" => one(args).and_then(|value| {
            let text = serde_json::to_string(&json(value, 0)).map_err(|error| error.to_string())?;
            Ok(Value::text(text))
        }),
        _ => return None,
    })
}

fn join(by: &str, items: &Value) -> Result<Value, String> {
    let Value::List(items) = items else { return Err(format!("cannot join a {}", items.kind())) };
    let mut text = String::new();
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            text.push_str(by);
        }
        text.push_str(&item.show());
        if text.len() > TEXT_BYTES_MAX {
            return Err("the text gets too long".to_owned());
        }
    }
    Ok(Value::text(text))
}

fn dict(args: &[Value]) -> Result<Value, String> {
    if !args.len().is_multiple_of(2) {
        return Err(count(args.len() + 1, args));
    }
    let mut map = BTreeMap::new();
    for pair in args.chunks_exact(2) {
        if pair[1].depth() > 8 {
            return Err("values nest too deep".to_owned());
        }
        map.insert(pair[0].as_text()?.to_owned(), pair[1].clone());
    }
    Ok(Value::Map(Rc::new(map)))
}

/// Each word with a large letter in front and small ones after it.
fn title(text: &str) -> String {
    let mut inside = false;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        match inside {
            true => titled.extend(c.to_lowercase()),
            false => titled.extend(c.to_uppercase()),
        }
        inside = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    titled
}

/// A part of an address as it was before it was escaped.
fn unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let pair = (|| u8::try_from(digit()? * 16 + digit()?).ok())();
                pair.ok_or_else(|| format!("{text:?} is not escaped"))?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("{text:?} is no text"))
}

/// A value as JSON; what nests too deep is left out.
fn json(value: &Value, depth: usize) -> serde_json::Value {
    use serde_json::Value as Json;
    if depth > 16 {
        return Json::Null;
    }
    let texts = |texts: &BTreeMap<String, String>| {
        texts.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str()))).collect()
    };
    match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) | Value::Span(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => text.to_string().into(),
        Value::Texts(map) | Value::Pairs(map) => Json::Object(texts(map)),
        Value::Map(map) => {
            Json::Object(map.iter().map(|(name, value)| (name.clone(), json(value, depth + 1))).collect())
        }
        Value::Fields(fields) => {
            let name = |name: &&str| match *name {
                "GeneratorURL" => "generatorURL".to_owned(),
                "ExternalURL" => "externalURL".to_owned(),
                name => name[..1].to_lowercase() + &name[1..],
            };
            Json::Object(fields.iter().map(|(key, value)| (name(key), json(value, depth + 1))).collect())
        }
        Value::List(items) => Json::Array(items.iter().map(|item| json(item, depth + 1)).collect()),
        Value::Time(ms) => Timestamp(*ms).to_rfc3339().into(),
        Value::Zoned(time) => dates::format(time, "2006-01-02T15:04:05Z07:00").into(),
    }
}
