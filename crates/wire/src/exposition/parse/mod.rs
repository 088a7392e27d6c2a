//! A page read line by line, where it lies.
//!
//! [`parse`] yields an item a line that says something, or an error that names the line and column and what was
//! expected there. After an error it goes on with the next line: a scrape stops at the first one, an import keeps
//! the good lines and reports the bad.
//!
//! The labels of a sample are left as text ([`SeriesText`]) until asked for. A scraper sees the same texts again
//! and again, and looks up what became of them the first time.
//!
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>. Where OpenMetrics is stricter about blanks and comments
//! than the older format, pages are read as generously as the older format allows.

mod cursor;
mod series;

use std::{borrow::Cow, fmt};

use barograph_model::{MetricType, Timestamp};
use cursor::Cursor;

pub use series::{ExemplarText, Pairs, SeriesText, encode_pairs};

/// A longer line is an error. It has room for 64 labels of the greatest length with every character escaped.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Which of the formats a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Prometheus text, 0.0.4 or 1.0.0 (they differ only in the names a writer may use): times in milliseconds.
    Text,
    /// OpenMetrics, 1.0.0 or 0.0.1: times in seconds, exemplars, `# UNIT`, and `# EOF` at the end.
    OpenMetrics,
}

impl Dialect {
    /// The dialect a `Content-Type` names, `None` for one that is no exposition text.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") {
            Some(Self::OpenMetrics)
        } else if media_type.eq_ignore_ascii_case("text/plain") {
            Some(Self::Text)
        } else {
            None
        }
    }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// `# TYPE`: the type of a family.
    Type {
        /// The family.
        name: Cow<'a, str>,
        /// Its type.
        kind: MetricType,
    },
    /// `# HELP`: the description of a family.
    Help {
        /// The family.
        name: Cow<'a, str>,
        /// The description, its escapes resolved.
        help: Cow<'a, str>,
    },
    /// `# UNIT`: the unit of a family (OpenMetrics).
    Unit {
        /// The family.
        name: Cow<'a, str>,
        /// The unit, empty for none.
        unit: &'a str,
    },
    /// A sample of a series.
    Sample(Sample<'a>),
}

/// A sample as its line gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name and labels.
    pub series: SeriesText<'a>,
    /// The value. Every `NaN` is the one Prometheus uses for an ordinary NaN.
    pub value: f64,
    /// The time on the line, if there is one.
    pub at: Option<Timestamp>,
    /// The exemplar on the line (OpenMetrics).
    pub exemplar: Option<ExemplarText<'a>>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What should have been there.
    pub expected: &'static str,
    /// What was there instead, quoted and cut short.
    pub found: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, expected, found } = self;
        write!(f, "line {line}, column {column}: expected {expected}, found {found}")
    }
}

impl std::error::Error for ParseError {}

/// Reads a page.
pub fn parse(text: &[u8], dialect: Dialect) -> Parser<'_> {
    Parser { rest: text, dialect, line: 0, seen_end: false, done: false }
}

/// See [`parse`].
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    rest: &'a [u8],
    dialect: Dialect,
    line: usize,
    seen_end: bool,
    done: bool,
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Item<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(line) = self.next_line() {
            if let Some(item) = self.read(line).transpose() {
                return Some(item);
            }
        }
        self.check_end().err().map(Err)
    }
}

impl<'a> Parser<'a> {
    /// The line of the item that came last, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    fn next_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        self.line += 1;
        Some(line)
    }

    fn check_end(&mut self) -> Result<(), ParseError> {
        let complete = self.done || self.seen_end || self.dialect == Dialect::Text;
        self.done = true;
        if complete {
            return Ok(());
        }
        Err(self.error("\"# EOF\" at the end", "end of text"))
    }

    fn error(&self, expected: &'static str, found: &str) -> ParseError {
        ParseError { line: self.line.max(1), column: 1, expected, found: found.to_owned() }
    }

    fn read(&mut self, bytes: &'a [u8]) -> Result<Option<Item<'a>>, ParseError> {
        if self.seen_end {
            self.rest = &[];
            return Err(self.error("nothing after \"# EOF\"", "another line"));
        }
        if bytes.len() > LINE_BYTES_MAX {
            return Err(self.error("a line of at most 1 MiB", "a longer one"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| ParseError {
            column: String::from_utf8_lossy(&bytes[..error.valid_up_to()]).chars().count() + 1,
            ..self.error("UTF-8", "other bytes")
        })?;
        let mut cursor = Cursor::new(text, self.line);
        cursor.skip_blanks();
        match cursor.peek() {
            None => Ok(None),
            Some(b'#') => self.read_comment(cursor),
            Some(_) => read_sample(cursor, self.dialect).map(|sample| Some(Item::Sample(sample))),
        }
    }

    /// A line that begins with `#`: a comment unless one of four words follows.
    fn read_comment(&mut self, mut cursor: Cursor<'a>) -> Result<Option<Item<'a>>, ParseError> {
        cursor.advance(1);
        if !cursor.skip_blanks() {
            return Ok(None);
        }
        let word = cursor.token();
        let open_metrics = self.dialect == Dialect::OpenMetrics;
        match word {
            "TYPE" => {
                let name = read_family(&mut cursor)?;
                let before = cursor;
                let kind =
                    MetricType::from_word(cursor.token()).ok_or_else(|| before.error("a metric type"))?;
                cursor.expect_end()?;
                Ok(Some(Item::Type { name, kind }))
            }
            "HELP" => {
                let name = read_family(&mut cursor)?;
                Ok(Some(Item::Help { name, help: series::unescape(cursor.rest(), open_metrics) }))
            }
            "UNIT" if open_metrics => {
                let name = read_family(&mut cursor)?;
                let unit = cursor.token();
                cursor.expect_end()?;
                Ok(Some(Item::Unit { name, unit }))
            }
            "EOF" if open_metrics => {
                cursor.expect_end()?;
                self.seen_end = true;
                Ok(None)
            }
            _ => Ok(None),
        }
    }
}

/// The name of a family, which may be quoted, and the blanks around it.
fn read_family<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>, ParseError> {
    cursor.skip_blanks();
    let name = match cursor.peek() {
        Some(b'"') => cursor.quoted()?,
        _ => Cow::Borrowed(cursor.metric_name()?),
    };
    if !cursor.skip_blanks() && cursor.peek().is_some() {
        return Err(cursor.error("a blank after the metric name"));
    }
    Ok(name)
}

fn read_sample(mut cursor: Cursor<'_>, dialect: Dialect) -> Result<Sample<'_>, ParseError> {
    let series = SeriesText::skip(&mut cursor)?;
    cursor.skip_blanks();
    let value = cursor.value()?;
    cursor.skip_blanks();
    let at = read_time(&mut cursor, dialect)?;
    let exemplar = match cursor.peek() {
        Some(b'#') if dialect == Dialect::OpenMetrics => Some(read_exemplar(&mut cursor)?),
        _ => None,
    };
    cursor.expect_end()?;
    Ok(Sample { series, value, at, exemplar })
}

fn read_time(cursor: &mut Cursor<'_>, dialect: Dialect) -> Result<Option<Timestamp>, ParseError> {
    if matches!(cursor.peek(), None | Some(b'#')) {
        return Ok(None);
    }
    let at = match dialect {
        Dialect::Text => cursor.millis()?,
        Dialect::OpenMetrics => cursor.seconds()?,
    };
    cursor.skip_blanks();
    Ok(Some(at))
}

fn read_exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<ExemplarText<'a>, ParseError> {
    cursor.advance(1);
    cursor.skip_blanks();
    let labels = SeriesText::skip_braces(cursor)?;
    cursor.skip_blanks();
    let value = cursor.value()?;
    cursor.skip_blanks();
    let at = read_time(cursor, Dialect::OpenMetrics)?;
    Ok(ExemplarText::new(labels, value, at))
}

#[cfg(test)]
mod tests;
