//! Methods of what a notice is about: alerts, labels and times, as Alertmanager documents them.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    dates,
    functions::{count, one},
    value::Value,
};

/// A method without arguments, or a field.
pub(super) fn field(value: &Value, name: &str) -> Result<Value, String> {
    match (value, name) {
        (Value::Pairs(texts), "SortedPairs") => Ok(pairs(texts)),
        (Value::Pairs(texts), "Names") => Ok(list(texts.keys().map(Value::text))),
        (Value::Pairs(texts), "Values") => Ok(list(texts.values().map(Value::text))),
        (Value::Pairs(texts), name) => {
            Ok(Value::text(texts.get(name).map(String::as_str).unwrap_or_default()))
        }
        (Value::List(items), "Firing") => Ok(of_status(items, "firing")),
        (Value::List(items), "Resolved") => Ok(of_status(items, "resolved")),
        (Value::List(items), "Names") => each(items, "Name"),
        (Value::List(items), "Values") => each(items, "Value"),
        (Value::Time(_), "UTC") => Ok(value.clone()),
        (Value::Zoned(time), "UTC") => Ok(Value::Time(time.timestamp().as_millisecond())),
        (Value::Time(ms), "Unix") => Ok(Value::Int(ms.div_euclid(1000))),
        (Value::Zoned(time), "Unix") => Ok(Value::Int(time.timestamp().as_second())),
        (Value::Time(ms), "IsZero") => Ok(Value::Bool(*ms == dates::ZERO_MS)),
        #[expect(clippy::cast_precision_loss, reason = "spans are told roughly")]
        (Value::Span(ns), unit @ ("Seconds" | "Minutes" | "Hours")) => {
            let seconds = *ns as f64 / 1e9;
            Ok(Value::Float(match unit {
                "Seconds" => seconds,
                "Minutes" => seconds / 60.0,
                _ => seconds / 3600.0,
            }))
        }
        (Value::Time(_) | Value::Zoned(_) | Value::Span(_), "String") => Ok(Value::text(value.show())),
        _ => Err(format!("a {} has no field `.{name}`", value.kind())),
    }
}

/// A method with arguments.
pub(super) fn call(value: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    match (value, name) {
        (Value::Pairs(texts), "Remove") => {
            let Value::List(names) = one(args)? else {
                return Err("`.Remove` takes a list of names".to_owned());
            };
            let mut left = BTreeMap::clone(texts);
            for name in names.iter() {
                left.remove(name.as_text()?);
            }
            Ok(Value::Pairs(Rc::new(left)))
        }
        (Value::Time(_) | Value::Zoned(_), "Format") => {
            let time = dates::zoned(value).ok_or("the time is out of range")?;
            Ok(Value::text(dates::format(&time, one(args)?.as_text()?)))
        }
        (Value::Time(_) | Value::Zoned(_), "Before" | "After" | "Sub") => {
            let millis = |value: &Value| dates::zoned(value).map(|time| time.timestamp().as_millisecond());
            let (Some(a), Some(b)) = (millis(value), millis(one(args)?)) else {
                return Err(format!("`.{name}` takes a time"));
            };
            Ok(match name {
                "Before" => Value::Bool(a < b),
                "After" => Value::Bool(a > b),
                _ => Value::Span(a.saturating_sub(b).saturating_mul(1_000_000)),
            })
        }
        _ if args.is_empty() => field(value, name),
        _ => Err(format!("`.{name}` of a {}: {}", value.kind(), count(0, args))),
    }
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::List(Rc::new(items.collect()))
}

/// Pairs by name, but that of the alert goes first.
fn pairs(texts: &BTreeMap<String, String>) -> Value {
    let pair = |(name, value): (&String, &String)| {
        let fields = [("Name", Value::text(name)), ("Value", Value::text(value))];
        Value::Fields(Rc::new(BTreeMap::from(fields)))
    };
    let first = texts.get_key_value("alertname");
    list(first.into_iter().chain(texts.iter().filter(|(name, _)| *name != "alertname")).map(pair))
}

fn of_status(items: &[Value], status: &str) -> Value {
    let fits = |item: &&Value| item.field("Status").is_ok_and(|found| found.show() == status);
    list(items.iter().filter(fits).cloned())
}

fn each(items: &[Value], field: &str) -> Result<Value, String> {
    Ok(Value::List(Rc::new(items.iter().map(|item| item.field(field)).collect::<Result<_, _>>()?)))
}
