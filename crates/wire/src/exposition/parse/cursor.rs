//! A place in a line, and the words that may stand there.

use std::borrow::Cow;

use barograph_model::{Timestamp, quote};

use super::{ParseError, series::unescape};

/// The NaN that is a value, not the staleness marker.
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// How much of what was found an error shows.
const SHOWN_CHARS_MAX: usize = 40;

/// A part of a line from `at` to `end`, with all of the line at hand for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor<'a> {
    line: &'a str,
    number: usize,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(line: &'a str, number: usize) -> Self {
        Self { line, number, at: 0, end: line.len() }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().as_bytes().first().copied()
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..self.end]
    }

    /// The part between an earlier state of this cursor and this one.
    pub(super) const fn since(&self, earlier: &Self) -> Self {
        Self { line: self.line, number: self.number, at: earlier.at, end: self.at }
    }

    pub(super) const fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Passes over blanks and tabs; whether there were any.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > start
    }

    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), ParseError> {
        if self.peek() != Some(byte) {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn expect_end(&mut self) -> Result<(), ParseError> {
        self.skip_blanks();
        if self.at < self.end { Err(self.error("the end of the line")) } else { Ok(()) }
    }

    /// Everything up to the next blank.
    pub(super) fn token(&mut self) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    pub(super) fn metric_name(&mut self) -> Result<&'a str, ParseError> {
        self.identifier(|byte| byte == b':', "a metric name")
    }

    pub(super) fn label_name(&mut self) -> Result<&'a str, ParseError> {
        self.identifier(|_| false, "a label name")
    }

    fn identifier(
        &mut self,
        also: impl Fn(u8) -> bool,
        expected: &'static str,
    ) -> Result<&'a str, ParseError> {
        let rest = self.rest();
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || also(byte);
        let len = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        if len == 0 || rest.as_bytes()[0].is_ascii_digit() {
            return Err(self.error(expected));
        }
        self.at += len;
        Ok(&rest[..len])
    }

    /// A string in double quotes, its escapes resolved.
    pub(super) fn quoted(&mut self) -> Result<Cow<'a, str>, ParseError> {
        let open = *self;
        self.skip_quoted()?;
        Ok(unescape(&self.line[open.at + 1..self.at - 1], true))
    }

    /// Passes over a string in double quotes, at whose opening quote this stands.
    pub(super) fn skip_quoted(&mut self) -> Result<(), ParseError> {
        let open = *self;
        self.expect(b'"', "a value in double quotes")?;
        loop {
            let Some(found) = memchr::memchr2(b'"', b'\\', self.rest().as_bytes()) else {
                return Err(open.error("a closing double quote"));
            };
            self.at += found + 1;
            if self.line.as_bytes()[self.at - 1] == b'"' {
                return Ok(());
            }
            // What a backslash escapes is one character, maybe of several bytes, or missing.
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
        }
    }

    /// A sample's value.
    pub(super) fn value(&mut self) -> Result<f64, ParseError> {
        let before = *self;
        let value: f64 = self.token().parse().map_err(|_| before.error("a number as value"))?;
        Ok(if value.is_nan() { NAN } else { value })
    }

    /// A time in whole milliseconds.
    pub(super) fn millis(&mut self) -> Result<Timestamp, ParseError> {
        let before = *self;
        self.token().parse().map(Timestamp).map_err(|_| before.error("a timestamp in milliseconds"))
    }

    /// A time in seconds, to the nearest millisecond.
    pub(super) fn seconds(&mut self) -> Result<Timestamp, ParseError> {
        let before = *self;
        let seconds: Option<f64> = self.token().parse().ok();
        let millis = seconds.map(|seconds| (seconds * 1e3).round()).filter(|millis| millis.abs() < 9e18);
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within the range of i64")]
        millis.map(|millis| Timestamp(millis as i64)).ok_or_else(|| before.error("a timestamp in seconds"))
    }

    /// An error at this place, which shows the word that stands here.
    #[cold]
    pub(super) fn error(&self, expected: &'static str) -> ParseError {
        let mut rest = *self;
        let found = match rest.token() {
            "" if self.rest().is_empty() => "the end of the line".to_owned(),
            "" => "a blank".to_owned(),
            word => quote(&word.chars().take(SHOWN_CHARS_MAX).collect::<String>()).into_owned(),
        };
        let column = self.line[..self.at].chars().count() + 1;
        ParseError { line: self.number, column, expected, found }
    }

    /// As [`Cursor::error`], showing `found` instead of what stands here.
    #[cold]
    pub(super) fn error_found(&self, expected: &'static str, found: &str) -> ParseError {
        ParseError { found: quote(found).into_owned(), ..self.error(expected) }
    }
}
