//! Spans: timed operations, each inside another, that share a trace.
//!
//! An [`OpenSpan`] is a guard. When it ends it is put into a bounded buffer, [`Spans`], which whoever sends or stores
//! them drains. A span of a trace that is not kept costs its ids alone. Attributes, events and links of a span have a
//! limit, and it says how many were left out. Times are nanoseconds since the epoch; a duration is of the monotonic
//! clock, so a span never ends before it began.
//!
//! Where a span stands is a [`SpanContext`], which travels in the headers `traceparent` and `tracestate`; [`Baggage`]
//! travels beside it.

mod baggage;
mod buffer;
mod context;
mod ids;
mod open;
mod tracestate;

use std::fmt;

pub use baggage::Baggage;
pub use buffer::{SPANS_MAX, Spans};
pub use context::SpanContext;
pub use ids::{SpanId, TraceId};
pub use open::OpenSpan;
pub use tracestate::TraceState;

use crate::{metric::VALUE_BYTES_MAX, sampling::SamplingInfo};

/// The most attributes of a span, an event or a link; more are counted as dropped.
pub const ATTRIBUTES_MAX: usize = 128;
/// The most events of a span; more are counted as dropped.
pub const EVENTS_MAX: usize = 128;
/// The most links of a span; more are counted as dropped.
pub const LINKS_MAX: usize = 128;

/// A timed operation that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace, itself, and what is handed on.
    pub context: SpanContext,
    /// The span it is inside of.
    pub parent: Option<SpanId>,
    /// What was done.
    pub name: String,
    /// On which side of a call it stands.
    pub kind: SpanKind,
    /// When it began, in nanoseconds since the epoch.
    pub start: u64,
    /// When it ended, in nanoseconds since the epoch; not before `start`.
    pub end: u64,
    /// What is to be known of it.
    pub attributes: Attributes,
    /// What happened meanwhile.
    pub events: Vec<Event>,
    /// How many events were left out.
    pub dropped_events: u32,
    /// Other spans it has to do with.
    pub links: Vec<SpanContext>,
    /// How many links were left out.
    pub dropped_links: u32,
    /// How it went.
    pub status: Status,
    /// How it was kept, and so how many it stands for.
    pub sampling: SamplingInfo,
}

/// On which side of a call a span stands, as in OpenTelemetry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Inside of a program.
    #[default]
    Internal,
    /// It answers a request.
    Server,
    /// It makes a request.
    Client,
    /// It sends what someone else takes later.
    Producer,
    /// It takes what someone else sent.
    Consumer,
}

/// How a span went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nobody said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// Not well, and why.
    Error(String),
}

/// Something that happened during a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, in nanoseconds since the epoch.
    pub time: u64,
    /// What.
    pub name: String,
    /// What is to be known of it.
    pub attributes: Attributes,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, cut after [`VALUE_BYTES_MAX`] bytes.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

/// Names and values, each name once, in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    pairs: Vec<(String, Value)>,
    dropped: u32,
}

impl Attributes {
    /// Sets an attribute, in place of an earlier one of that name. One above [`ATTRIBUTES_MAX`] is dropped.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        let room = self.pairs.len() < ATTRIBUTES_MAX;
        match self.pairs.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None if room => self.pairs.push((name.to_owned(), value)),
            None => self.dropped = self.dropped.saturating_add(1),
        }
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.pairs.iter().map(|(name, value)| (&**name, value))
    }

    /// How many were left out.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

impl<N: AsRef<str>, V: Into<Value>> FromIterator<(N, V)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut attributes = Self::default();
        pairs.into_iter().for_each(|(name, value)| attributes.set(name.as_ref(), value));
        attributes
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text[..text.floor_char_boundary(VALUE_BYTES_MAX)].to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        if text.len() > VALUE_BYTES_MAX { Self::from(&*text) } else { Self::Text(text) }
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

/// Above 2^63 − 1 it is that number.
impl From<u64> for Value {
    fn from(int: u64) -> Self {
        Self::Int(i64::try_from(int).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(float) => write!(f, "{float}"),
            Self::Bool(yes) => write!(f, "{yes}"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sampling::ConsistentSampler;

    pub(crate) fn span(end: u64) -> Span {
        Span {
            context: SpanContext::root(&ConsistentSampler::new(1.0).unwrap()),
            parent: None,
            name: "test".to_owned(),
            kind: SpanKind::Internal,
            start: 0,
            end,
            attributes: Attributes::default(),
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
            status: Status::Unset,
            sampling: SamplingInfo::ALL,
        }
    }

    #[test]
    fn attributes_are_set_once_and_bounded() {
        let mut attributes: Attributes = (0..200).map(|i| (format!("k{i}"), i64::from(i))).collect();
        attributes.set("k0", "other");
        assert_eq!((attributes.iter().count(), attributes.dropped()), (ATTRIBUTES_MAX, 72));
        assert_eq!(attributes.get("k0"), Some(&Value::Text("other".to_owned())));
        let long = Value::from("é".repeat(VALUE_BYTES_MAX));
        assert_eq!(long.to_string().len(), VALUE_BYTES_MAX);
        assert_eq!(Value::from(u64::MAX), Value::Int(i64::MAX));
    }
}
