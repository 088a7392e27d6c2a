//! Where something stands in the text of a query, and what is wrong there.

use std::{fmt, ops::Range};

/// A half-open range of bytes of the query's text, with the line and the column of its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
    /// The line of the first byte, from 1; zero for what stands in no text.
    pub line: u32,
    /// Its column in bytes, from 1.
    pub column: u32,
}

impl Span {
    /// From the start of this one to the end of `last`.
    pub(crate) fn to(self, last: Self) -> Self {
        Self { end: last.end, ..self }
    }

    /// The range for slicing the text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl fmt::Display for Span {
    /// Line and column, as messages name a place: `1:5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A query that is no PromQL, with the place of the mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line of the mistake, from 1.
    pub line: usize,
    /// The column of the mistake in bytes, from 1.
    pub column: usize,
    /// The bytes the mistake covers; empty at the end of the text.
    pub bytes: Range<usize>,
    /// What is wrong, in the words of Prometheus.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(span: Span, message: String) -> Self {
        let (line, column) = (span.line.max(1) as usize, span.column.max(1) as usize);
        Self { line, column, bytes: span.range(), message }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}
