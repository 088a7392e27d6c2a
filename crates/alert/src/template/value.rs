//! What flows through a template.

use std::{collections::BTreeMap, rc::Rc};

use barograph_model::Labels;
use barograph_query::go_float;

use super::{TEXT_BYTES_MAX, dates, format, humanize, methods};

/// A value. Which operations take which kinds follows Go.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// Texts by name, such as labels; one that is not there is empty.
    Texts(Rc<BTreeMap<String, String>>),
    /// Labels of what is told, which know their names, values and pairs.
    Pairs(Rc<BTreeMap<String, String>>),
    /// Values by name, such as the arguments of a template.
    Map(Rc<BTreeMap<String, Value>>),
    /// Fields, all of which are there.
    Fields(Rc<BTreeMap<&'static str, Value>>),
    /// Values in order.
    List(Rc<Vec<Value>>),
    /// A point in time, in milliseconds since the epoch.
    Time(i64),
    /// A point in time at a place.
    Zoned(Rc<jiff::Zoned>),
    /// A span of time, in nanoseconds.
    Span(i64),
}

impl Value {
    /// A text.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// The labels of a series.
    pub(super) fn labels(labels: &Labels) -> Self {
        let texts = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self::Texts(Rc::new(texts))
    }

    /// What it is, as Go calls it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Texts(_) | Self::Pairs(_) | Self::Map(_) => "map",
            Self::Fields(_) => "struct",
            Self::List(_) => "list",
            Self::Time(_) | Self::Zoned(_) => "time",
            Self::Span(_) => "duration",
        }
    }

    /// Whether it counts as true: it is not empty and not zero.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Span(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Texts(texts) | Self::Pairs(texts) => !texts.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Fields(_) | Self::Time(_) | Self::Zoned(_) => true,
        }
    }

    /// A field or an entry.
    pub(super) fn field(&self, name: &str) -> Result<Self, String> {
        match self {
            Self::Texts(texts) => Ok(Self::text(texts.get(name).map(String::as_str).unwrap_or_default())),
            Self::Map(map) => Ok(map.get(name).cloned().unwrap_or(Self::Nil)),
            Self::Fields(fields) => match fields.get(name) {
                Some(value) => Ok(value.clone()),
                None => {
                    let known: Vec<_> = fields.keys().map(|name| format!(".{name}")).collect();
                    Err(format!("there is no field `.{name}`; there are {}", known.join(", ")))
                }
            },
            other => methods::field(other, name),
        }
    }

    /// How deep maps of values nest in it.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Map(map) => 1 + map.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// As Go prints it.
    pub(super) fn show(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// As Go prints it, until the text is too long to be used: values that hold each other many times over stop there.
    fn write(&self, out: &mut String) {
        if out.len() > TEXT_BYTES_MAX {
            return;
        }
        let mut list = |open: &str, items: &mut dyn Iterator<Item = (&str, &Self)>, close: &str| {
            out.push_str(open);
            for (i, (name, value)) in items.enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                if !name.is_empty() {
                    out.push_str(name);
                    out.push(':');
                }
                value.write(out);
            }
            out.push_str(close);
        };
        match self {
            Self::Map(map) => list("map[", &mut map.iter().map(|(name, value)| (name.as_str(), value)), "]"),
            Self::Fields(fields) => list("{", &mut fields.values().map(|value| ("", value)), "}"),
            Self::List(items) => list("[", &mut items.iter().map(|item| ("", item)), "]"),
            Self::Texts(texts) | Self::Pairs(texts) => {
                let entries: Vec<_> = texts.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                out.push_str(&format!("map[{}]", entries.join(" ")));
            }
            Self::Nil => out.push_str("<nil>"),
            Self::Bool(value) => out.push_str(&value.to_string()),
            Self::Int(value) => out.push_str(&value.to_string()),
            Self::Float(value) => out.push_str(&go_float(*value)),
            Self::Text(text) => out.push_str(text),
            Self::Time(ms) => out.push_str(&humanize::time_text(*ms)),
            Self::Zoned(time) => out.push_str(&dates::format(time, dates::SHOWN)),
            Self::Span(ns) => out.push_str(&format::span_text(*ns)),
        }
    }

    /// As a number, where it is or names one; a span counts in seconds.
    pub(super) fn number(&self) -> Result<f64, String> {
        match self {
            Self::Float(value) => Ok(*value),
            #[expect(clippy::cast_precision_loss, reason = "numbers are floats here")]
            Self::Int(value) => Ok(*value as f64),
            #[expect(clippy::cast_precision_loss, reason = "numbers are floats here")]
            Self::Span(ns) => Ok(*ns as f64 / 1e9),
            Self::Text(text) => go_number(text).ok_or_else(|| format!("{text:?} is no number")),
            other => Err(format!("a {} is no number", other.kind())),
        }
    }

    /// As a text, if it is one.
    pub(super) fn as_text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("expected a string, found a {}", other.kind())),
        }
    }
}

/// A number as Go reads it.
fn go_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let named = ["inf", "infinity", "nan"].iter().any(|name| digits.eq_ignore_ascii_case(name));
    let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if named || plain { text.parse().ok() } else { None }
}
