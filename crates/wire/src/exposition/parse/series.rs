//! Name and labels as a line spells them.
//!
//! `name{a="b",c="d"}`, or `{"any name","any label"="d"}` where names are more than identifiers. The end of the text
//! is found by looking for quotes and braces only; what is between is read when somebody needs it.

use std::borrow::Cow;

use barograph_model::{Labels, METRIC_NAME, Timestamp, encode_label};

use super::{ParseError, cursor::Cursor};

/// Label names and values, borrowed from the page where no escape was resolved.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The text of a series. Its quotes and braces match; the rest is unchecked until its labels are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesText<'a> {
    text: Cursor<'a>,
}

impl<'a> SeriesText<'a> {
    /// Passes over the series at which the cursor stands.
    pub(super) fn skip(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let start = *cursor;
        if cursor.peek() != Some(b'{') {
            cursor.metric_name()?;
            let mut after = *cursor;
            after.skip_blanks();
            if after.peek() != Some(b'{') {
                if after == *cursor && after.peek().is_some() {
                    return Err(cursor.error("a blank or \"{\" after the metric name"));
                }
                return Ok(Self { text: cursor.since(&start) });
            }
            *cursor = after;
        }
        Self::skip_braces(cursor)?;
        Ok(Self { text: cursor.since(&start) })
    }

    /// Passes over the braces at which the cursor stands, and all between them.
    pub(super) fn skip_braces(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let start = *cursor;
        cursor.expect(b'{', "\"{\"")?;
        loop {
            let Some(found) = memchr::memchr2(b'"', b'}', cursor.rest().as_bytes()) else {
                return Err(start.error("\"}\" after the labels"));
            };
            cursor.advance(found);
            if cursor.peek() == Some(b'}') {
                cursor.advance(1);
                return Ok(Self { text: cursor.since(&start) });
            }
            cursor.skip_quoted()?;
        }
    }

    /// The text, by which the series can be recognized when it comes again.
    pub fn as_str(&self) -> &'a str {
        self.text.rest()
    }

    /// The labels, with `__name__`, sorted, without those whose value is empty.
    ///
    /// # Errors
    /// When the text is not labels, a name stands twice, or there is no metric name.
    pub fn pairs_into(&self, pairs: &mut Pairs<'a>) -> Result<(), ParseError> {
        self.read_into(pairs)?;
        if !pairs.iter().any(|pair| pair.0 == METRIC_NAME) {
            return Err(self.text.error("a metric name"));
        }
        Ok(())
    }

    /// As [`SeriesText::pairs_into`], made a label set.
    ///
    /// # Errors
    /// As [`SeriesText::pairs_into`].
    pub fn labels(&self) -> Result<Labels, ParseError> {
        let mut pairs = Pairs::new();
        self.pairs_into(&mut pairs)?;
        Ok(to_labels(&pairs))
    }

    fn read_into(&self, pairs: &mut Pairs<'a>) -> Result<(), ParseError> {
        pairs.clear();
        let mut cursor = self.text;
        if cursor.peek() != Some(b'{') {
            pairs.push((METRIC_NAME.into(), cursor.metric_name()?.into()));
            cursor.skip_blanks();
        }
        if cursor.peek().is_some() {
            read_braces(&mut cursor, pairs)?;
        }
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(twin) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(self.text.error_found("each label name once", &twin[0].0));
        }
        pairs.retain(|pair| !pair.1.is_empty());
        Ok(())
    }
}

fn read_braces<'a>(cursor: &mut Cursor<'a>, pairs: &mut Pairs<'a>) -> Result<(), ParseError> {
    cursor.expect(b'{', "\"{\"")?;
    loop {
        cursor.skip_blanks();
        if cursor.peek() == Some(b'}') {
            break;
        }
        pairs.push(read_pair(cursor)?);
        cursor.skip_blanks();
        if cursor.peek() != Some(b'}') {
            cursor.expect(b',', "\",\" or \"}\" after a label")?;
        }
    }
    cursor.advance(1);
    cursor.expect_end()
}

/// `name="value"`, `"any name"="value"`, or the metric name in quotes.
fn read_pair<'a>(cursor: &mut Cursor<'a>) -> Result<(Cow<'a, str>, Cow<'a, str>), ParseError> {
    let start = *cursor;
    let is_quoted = cursor.peek() == Some(b'"');
    let name = if is_quoted { cursor.quoted()? } else { cursor.label_name()?.into() };
    if name.is_empty() {
        return Err(start.error("a name that is not empty"));
    }
    cursor.skip_blanks();
    if is_quoted && cursor.peek() != Some(b'=') {
        return Ok((METRIC_NAME.into(), name));
    }
    cursor.expect(b'=', "\"=\" after a label name")?;
    cursor.skip_blanks();
    Ok((name, cursor.quoted()?))
}

/// The exemplar at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExemplarText<'a> {
    labels: SeriesText<'a>,
    /// What was observed.
    pub value: f64,
    /// When, if the line says so.
    pub at: Option<Timestamp>,
}

impl<'a> ExemplarText<'a> {
    pub(super) const fn new(labels: SeriesText<'a>, value: f64, at: Option<Timestamp>) -> Self {
        Self { labels, value, at }
    }

    /// The labels beside those of the series.
    ///
    /// # Errors
    /// When the text is not labels, or a name stands twice.
    pub fn labels(&self) -> Result<Labels, ParseError> {
        let mut pairs = Pairs::new();
        self.labels.read_into(&mut pairs)?;
        Ok(to_labels(&pairs))
    }
}

fn to_labels(pairs: &Pairs<'_>) -> Labels {
    Labels::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value)))
        .expect("read_into leaves unique names that are not empty")
}

/// Appends the label bytes of pairs, in the form at the top of [`Labels`]' module.
pub fn encode_pairs(pairs: &Pairs<'_>, bytes: &mut Vec<u8>) {
    for (name, value) in pairs {
        encode_label(bytes, name, value);
    }
}

/// Resolves `\\`, `\n` and, in what was quoted, `\"`; other backslashes stand for themselves.
pub(super) fn unescape(text: &str, quoted: bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => plain.push('\n'),
            Some('\\') => plain.push('\\'),
            Some('"') if quoted => plain.push('"'),
            other => {
                plain.push('\\');
                plain.extend(other);
            }
        }
    }
    Cow::Owned(plain)
}
