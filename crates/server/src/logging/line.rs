//! What a log line says, before it is spelled.

use std::fmt::{self, Write};

use barograph::span::TraceId;
use barograph_model::Timestamp;
use serde::Serialize;
use tracing::{
    Event, Level,
    field::{Field, Visit},
};

/// A longer message or value is cut, in bytes.
pub const TEXT_BYTES_MAX: usize = 8 << 10;

/// What a line is about, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Something came to life as it should: green.
    Success,
    /// Something failed or ended: red.
    Failure,
    /// Something is done: amber.
    Action,
    /// How something fares: cyan.
    Health,
}

impl Category {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Action => "action",
            Self::Health => "health",
        }
    }

    fn named(word: &str) -> Option<Self> {
        [Self::Success, Self::Failure, Self::Action, Self::Health]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Count(u64),
    Number(f64),
    Flag(bool),
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) level: Level,
    /// What it says of itself to be about, if it does.
    pub(crate) marked: Option<Category>,
    pub(crate) message: String,
    pub(crate) fields: Vec<(&'static str, Value)>,
    /// Whether text has a line for each field.
    pub(crate) block: bool,
    pub(crate) trace: Option<TraceId>,
    pub(crate) target: &'static str,
}

impl Line {
    /// Takes an event apart.
    pub(super) fn read(event: &Event<'_>, at: Timestamp, trace: Option<TraceId>) -> Self {
        let about = event.metadata();
        let mut line = Self {
            at,
            level: *about.level(),
            marked: None,
            message: String::new(),
            fields: Vec::new(),
            block: false,
            trace,
            target: about.target(),
        };
        event.record(&mut line);
        line
    }

    /// What it is about; a line that does not say is a failure if it warns, else an action.
    pub(crate) fn category(&self) -> Category {
        let warns = self.level <= Level::WARN;
        self.marked.unwrap_or(if warns { Category::Failure } else { Category::Action })
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            ("category", Value::Text(word)) => self.marked = Category::named(&word),
            ("block", Value::Flag(block)) => self.block = block,
            (name, value) => self.fields.push((name, value)),
        }
    }
}

/// Text that stops growing at the limit.
struct Cut(String);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = TEXT_BYTES_MAX - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(room.min(text.len()))]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

fn text(of: fmt::Arguments<'_>) -> Value {
    let mut cut = Cut(String::new());
    if cut.write_fmt(of).is_err() {
        cut.0.push('…');
    }
    Value::Text(cut.0)
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, text(format_args!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, text(format_args!("{value}")));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, text(format_args!("{value}")));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Count(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.add(field, i64::try_from(value).map_or_else(|_| text(format_args!("{value}")), Value::Int));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field, u64::try_from(value).map_or_else(|_| text(format_args!("{value}")), Value::Count));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no numbers that are none.
        let finite = if value.is_finite() { Value::Number(value) } else { text(format_args!("{value}")) };
        self.add(field, finite);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Flag(value));
    }
}

/// RFC 3339 with milliseconds, so that all lines are as wide.
pub(super) fn time(at: Timestamp) -> String {
    let whole = Timestamp(at.0.div_euclid(1000) * 1000).to_rfc3339();
    format!("{}.{:03}Z", whole.trim_end_matches('Z'), at.0.rem_euclid(1000))
}
