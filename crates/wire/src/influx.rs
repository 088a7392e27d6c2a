//! InfluxDB line protocol, read: points with tags and fields.
//!
//! ```text
//! measurement[,tag=value...] field=value[,field=value...] [time]
//! ```
//!
//! [`read`] yields a point a line, or an error that names the line and what was expected; after an error it goes on with the
//! next line. A backslash takes the meaning of the blank, comma, equals sign or quote after it; a text may go over lines.
//! The grammar is that of <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>.

use std::{borrow::Cow, fmt};

/// A longer line is an error.
pub const LINE_BYTES_MAX: usize = 1 << 20;
const TOO_LONG: &str = "the line is too long";
/// A point has no more tags than this.
pub const TAGS_MAX: usize = 256;
/// A point has no more fields than this.
pub const FIELDS_MAX: usize = 4_096;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A float or a whole number.
    Number(f64),
    /// A truth.
    Bool(bool),
    /// A text, which is passed over.
    Text,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// The number of its line, from 1.
    pub line: usize,
    /// What was measured.
    pub measurement: Cow<'a, str>,
    /// Names and values, in the order sent.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// At least one.
    pub fields: Vec<(Cow<'a, str>, Value)>,
    /// The time in the unit that the request says, if there is one.
    pub at: Option<i64>,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The beginning of the line.
    pub text: String,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: unable to parse '{}': {}", self.line, self.text, self.what)
    }
}

impl std::error::Error for LineError {}

/// The points of a text.
pub fn read(text: &[u8]) -> Points<'_> {
    Points { text, at: 0, line: 1 }
}

/// See [`read`].
#[derive(Clone, Debug)]
pub struct Points<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Iterator for Points<'a> {
    type Item = Result<Point<'a>, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.skip(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
            match self.peek()? {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                }
                b'#' => self.at = self.line_end(),
                _ => break,
            }
        }
        let (start, line) = (self.at, self.line);
        let end = self.line_end();
        let read = match end - start {
            len if len > LINE_BYTES_MAX => Err(TOO_LONG),
            _ => self.point(start, line),
        };
        if read.is_err() {
            // What was a text may have gone over lines; the next line is that after where it began.
            (self.at, self.line) = (end, line);
        } else {
            let passed = self.text[start..self.at].iter().filter(|&&byte| byte == b'\n').count();
            self.line += passed;
        }
        let shown = || {
            let shown = &self.text[start..end.min(start + 80)];
            String::from_utf8_lossy(shown).trim_end().to_owned()
        };
        Some(read.map_err(|what| LineError { line, text: shown(), what }))
    }
}

impl<'a> Points<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, which: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&which) {
            self.at += 1;
        }
    }

    /// Where the line ends that this stands in.
    fn line_end(&self) -> usize {
        memchr::memchr(b'\n', &self.text[self.at..]).map_or(self.text.len(), |len| self.at + len)
    }

    fn point(&mut self, start: usize, line: usize) -> Result<Point<'a>, &'static str> {
        let measurement = self.word(b", ")?;
        if measurement.is_empty() {
            return Err("missing measurement");
        }
        let mut tags = Vec::new();
        while self.peek() == Some(b',') {
            self.at += 1;
            let name = self.word(b",= ")?;
            if self.peek() != Some(b'=') || name.is_empty() {
                return Err("missing tag key or value");
            }
            self.at += 1;
            let value = self.word(b",= ")?;
            if self.peek() == Some(b'=') {
                return Err("a tag value has an unescaped `=`");
            }
            if value.is_empty() {
                return Err("missing tag value");
            }
            if tags.len() == TAGS_MAX {
                return Err("too many tags");
            }
            tags.push((name, value));
        }
        self.skip(|byte| byte == b' ');
        let mut fields = Vec::new();
        loop {
            let name = self.word(b",= ")?;
            if self.peek() != Some(b'=') || name.is_empty() {
                return Err(if fields.is_empty() { "missing fields" } else { "invalid field format" });
            }
            self.at += 1;
            if fields.len() == FIELDS_MAX {
                return Err("too many fields");
            }
            fields.push((name, self.value(start)?));
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.skip(|byte| byte == b' ');
        let from = self.at;
        self.at = self.line_end();
        let rest = std::str::from_utf8(&self.text[from..self.at]).map_err(|_| "bad timestamp")?.trim_end();
        let at = match rest {
            "" => None,
            digits => Some(digits.parse().map_err(|_| "bad timestamp")?),
        };
        if self.at - start > LINE_BYTES_MAX {
            return Err(TOO_LONG);
        }
        Ok(Point { line, measurement, tags, fields, at })
    }

    /// A name or a value of a tag: what comes before one of `ends` or the end of the line.
    fn word(&mut self, ends: &[u8]) -> Result<Cow<'a, str>, &'static str> {
        let from = self.at;
        let mut escaped = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => break,
                // The backslash before anything else is itself.
                b'\\'
                    if self.text.get(self.at + 1).is_some_and(|&next| matches!(next, b',' | b'=' | b' ')) =>
                {
                    escaped = true;
                    self.at += 1;
                }
                byte if ends.contains(&byte) => break,
                _ => {}
            }
            self.at += 1;
        }
        let word = std::str::from_utf8(&self.text[from..self.at]).map_err(|_| "not UTF-8")?;
        let word = word.trim_end_matches('\r');
        if !escaped {
            return Ok(Cow::Borrowed(word));
        }
        let mut plain = String::with_capacity(word.len());
        let mut chars = word.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\\', Some(&(',' | '=' | ' '))) => plain.extend(chars.next()),
                _ => plain.push(c),
            }
        }
        Ok(Cow::Owned(plain))
    }

    fn value(&mut self, start: usize) -> Result<Value, &'static str> {
        if self.peek() == Some(b'"') {
            return self.quoted(start);
        }
        let from = self.at;
        self.skip(|byte| !matches!(byte, b',' | b' ' | b'\n'));
        let text = std::str::from_utf8(&self.text[from..self.at]).map_err(|_| "not UTF-8")?;
        let text = text.trim_end_matches('\r');
        match text {
            "" => return Err("missing field value"),
            "t" | "T" | "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
            "f" | "F" | "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
            _ => {}
        }
        let whole = |number: Option<f64>| number.map(Value::Number).ok_or("invalid number");
        match text.as_bytes().last() {
            Some(b'i') => whole(text[..text.len() - 1].parse::<i64>().ok().map(|number| number as f64)),
            Some(b'u') => whole(text[..text.len() - 1].parse::<u64>().ok().map(|number| number as f64)),
            // What Rust reads besides, `inf` and `nan`, is none here.
            Some(b'0'..=b'9' | b'.') => whole(text.parse().ok().filter(|number: &f64| number.is_finite())),
            _ => Err("invalid number"),
        }
    }

    fn quoted(&mut self, start: usize) -> Result<Value, &'static str> {
        self.at += 1;
        while let Some(byte) = self.peek() {
            if self.at - start > LINE_BYTES_MAX {
                return Err(TOO_LONG);
            }
            match byte {
                b'\\' => self.at += 1,
                b'"' => {
                    self.at += 1;
                    return match self.peek() {
                        None | Some(b',' | b' ' | b'\n' | b'\r') => Ok(Value::Text),
                        _ => Err("unbalanced quotes"),
                    };
                }
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.text.len());
        Err("unbalanced quotes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Result<&str, (usize, &str)>]) {
        let got: Vec<_> = read(text.as_bytes())
            .map(|point| {
                let point = point.map_err(|error| (error.line, error.what))?;
                let tags: String =
                    point.tags.iter().map(|(name, value)| format!(",{name}:{value}")).collect();
                let fields: Vec<_> =
                    point.fields.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                Ok(format!("{}: {}{tags} {} {:?}", point.line, point.measurement, fields.join(" "), point.at))
            })
            .collect();
        let got: Vec<_> = got.iter().map(|line| line.as_deref().map_err(|error| *error)).collect();
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn points_are_read() {
        check("a b=1", &[Ok("1: a b=Number(1.0) None")]);
        check(
            "# c\n\n a,x=1,y=z b=1i,c=2u,d=t 17\r\n",
            &[Ok("3: a,x:1,y:z b=Number(1.0) c=Number(2.0) d=Bool(true) Some(17)")],
        );
        check(r"a\,b\ c,d\=e=f\ g h\,i=-1.5e3 -4", &[Ok("1: a,b c,d=e:f g h,i=Number(-1500.0) Some(-4)")]);
        check(
            "a b=\"x, =\\\" y\n# z\",c=1\nd e=False",
            &[Ok("1: a b=Text c=Number(1.0) None"), Ok("3: d e=Bool(false) None")],
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_the_rest_is_read() {
        check(
            "a b=1\na\na,b c=1\na b=x\na b=1 x\na b=\"q\na b=2",
            &[
                Ok("1: a b=Number(1.0) None"),
                Err((2, "missing fields")),
                Err((3, "missing tag key or value")),
                Err((4, "invalid number")),
                Err((5, "bad timestamp")),
                Err((6, "unbalanced quotes")),
                Ok("7: a b=Number(2.0) None"),
            ],
        );
        for number in ["inf", "nan", "1e999", "9999999999999999999i", "-1u", "1x", "i", "0x1"] {
            check(&format!("a b={number}"), &[Err((1, "invalid number"))]);
        }
        check(",a=1 b=2", &[Err((1, "missing measurement"))]);
        check("a,b= c=1", &[Err((1, "missing tag value"))]);
        check("a b=1,", &[Err((1, "invalid field format"))]);
    }

    #[test]
    fn any_bytes_end() {
        let mut chance = 1u64;
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..40)
                .map(|_| {
                    chance = chance
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    b"a,= \\\"\n#1i\xff"[usize::try_from(chance >> 33).unwrap() % 11]
                })
                .collect();
            assert!(read(&bytes).count() <= 41);
        }
    }
}
