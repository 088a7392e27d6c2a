//! What a statistic is: its name, its kind, its unit; and the values that statistics have.
//!
//! Names are in kebab case, and the same in documents, in tests and in the programs' interface. Those with `piece` in
//! them are also known by an alias with `resource`.

use std::{borrow::Cow, fmt, sync::Arc};

/// What the low-water fields are before anything was measured: the greatest `i64`.
pub const UNMEASURED: u64 = i64::MAX.cast_unsigned();

/// How a statistic moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// It only grows.
    Counter,
    /// It goes up and down, never below 0.
    Gauge,
    /// The greatest value so far.
    HighWater,
    /// The least value so far; [`UNMEASURED`] before the first.
    LowWater,
    /// A point in time, in milliseconds since the epoch; 0 is none.
    Timestamp,
    /// A text, or none.
    Text,
}

/// How dear it is to keep a statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cost {
    /// What the operation computes anyway is written down.
    Zero,
    /// Arithmetic on what is there.
    Minimal,
    /// It has to be looked for.
    Higher,
}

/// A statistic that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// How it moves.
    pub kind: FieldKind,
    /// Its unit: `count`, `ms`, `bytes` and the like; empty for texts.
    pub unit: &'static str,
    /// One line for people.
    pub help: &'static str,
}

impl Field {
    /// What it costs to keep; all that is kept costs nothing beyond the operation itself.
    pub const fn cost(&self) -> Cost {
        Cost::Zero
    }

    /// The second name, of those that have one.
    pub fn alias(&self) -> Option<String> {
        alias(self.name)
    }
}

/// The name with `resource` in place of `piece`, if that is in it.
pub(super) fn alias(name: &str) -> Option<String> {
    let has = name.split('-').any(|word| matches!(word, "piece" | "pieces"));
    has.then(|| name.replace("piece", "resource"))
}

/// The name that an alias stands for.
pub(super) fn canonical(name: &str) -> Cow<'_, str> {
    if name.contains("resource") { name.replace("resource", "piece").into() } else { name.into() }
}

/// What a statistic is at some moment. It compares with numbers and texts, so that a test reads
/// `sessions.server_stat("server-events-sent") == 2`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A whole number: a count, milliseconds, bytes, or milliseconds since the epoch.
    Integer(u64),
    /// A text.
    Text(Arc<str>),
    /// A text that there is none of yet.
    Nothing,
    /// There is no statistic of this name, or no such client. Equal to no number and no text.
    Unknown,
}

impl Value {
    /// The number, if it is one.
    pub const fn as_integer(&self) -> Option<u64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if there is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Nothing => f.write_str("none"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<Option<Arc<str>>> for Value {
    fn from(text: Option<Arc<str>>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }
}

impl PartialEq<u64> for Value {
    fn eq(&self, other: &u64) -> bool {
        self.as_integer() == Some(*other)
    }
}

impl PartialEq<i32> for Value {
    fn eq(&self, other: &i32) -> bool {
        u64::try_from(*other).is_ok_and(|other| *self == other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_text() == Some(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_resources() {
        let check = |name: &str, expected: Option<&str>| {
            let found = alias(name);
            assert_eq!(found.as_deref(), expected);
            if let Some(found) = found {
                assert_eq!(canonical(&found), name);
            }
        };
        check("piece-events-sent", Some("resource-events-sent"));
        check("session-pieces-accessed", Some("session-resources-accessed"));
        check("api-calls-total", None);
    }

    #[test]
    fn values_compare() {
        assert_eq!(Value::Integer(2), 2);
        assert_ne!(Value::Integer(2), -2);
        assert_ne!(Value::Unknown, 0);
        assert_eq!(Value::Text("a".into()), "a");
        assert_ne!(Value::Nothing, "");
    }
}
