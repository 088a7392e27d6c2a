//! Conditions on the labels of an alert, in both syntaxes that Alertmanager takes.
//!
//! The older one has names of letters, digits and `_`, and values that need no quotes; the newer one takes any name, in quotes
//! where it has to be. A text that is valid in both means what it meant in the older one. A set that exists is sorted, and its
//! expressions compiled within limits; they are anchored at both ends.

use std::{cmp::Ordering, fmt};

use barograph_model::{MatchOp, Matcher, PatternBudget};
use serde::{Deserialize, Serialize};

use super::LabelSet;

/// A text of matchers may be so long.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Matchers in one set at most.
const MATCHERS_MAX: usize = 256;

/// Conditions that must all hold.
#[derive(Clone, Debug, Default)]
pub struct Matchers(Vec<Matcher>);

/// A condition as documents have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatcherDocument {
    /// The label.
    pub name: String,
    /// The value or pattern.
    pub value: String,
    /// Whether `value` is a pattern.
    pub is_regex: bool,
    /// Whether it has to match, or must not.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

const fn yes() -> bool {
    true
}

impl Matchers {
    /// Of single conditions.
    pub fn new(mut all: Vec<Matcher>) -> Self {
        let key = |m: &Matcher| (m.name().to_owned(), m.value().to_owned(), m.op() as u8);
        all.sort_by_cached_key(key);
        Self(all)
    }

    /// Reads `a="b",c=~"d"`, in braces or not.
    ///
    /// # Errors
    /// It is neither syntax; the text says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("it is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let parts = classic(text).or_else(|_| any(text))?;
        if parts.len() > MATCHERS_MAX {
            return Err(format!("there are more than {MATCHERS_MAX} matchers"));
        }
        let mut budget = PatternBudget::default();
        let compile = |(name, op, value): (String, MatchOp, String)| {
            Matcher::within(&name, op, &value, &mut budget).map_err(|error| format!("{value:?}: {error}"))
        };
        Ok(Self::new(parts.into_iter().map(compile).collect::<Result<_, _>>()?))
    }

    /// Of documents.
    ///
    /// # Errors
    /// A name is empty, or an expression is not valid.
    pub fn of_documents(documents: &[MatcherDocument]) -> Result<Self, String> {
        if documents.len() > MATCHERS_MAX {
            return Err(format!("there are more than {MATCHERS_MAX} matchers"));
        }
        let mut budget = PatternBudget::default();
        let compile = |document: &MatcherDocument| {
            let op = match (document.is_regex, document.is_equal) {
                (false, true) => MatchOp::Equal,
                (false, false) => MatchOp::NotEqual,
                (true, true) => MatchOp::Regex,
                (true, false) => MatchOp::NotRegex,
            };
            if document.name.is_empty() {
                return Err("a matcher needs a name".to_owned());
            }
            Matcher::within(&document.name, op, &document.value, &mut budget)
                .map_err(|error| format!("{:?}: {error}", document.value))
        };
        Ok(Self::new(documents.iter().map(compile).collect::<Result<_, _>>()?))
    }

    /// As documents.
    pub fn documents(&self) -> Vec<MatcherDocument> {
        let document = |m: &Matcher| MatcherDocument {
            name: m.name().to_owned(),
            value: m.value().to_owned(),
            is_regex: matches!(m.op(), MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(m.op(), MatchOp::Equal | MatchOp::Regex),
        };
        self.0.iter().map(document).collect()
    }

    /// Whether all hold of these labels; one that is absent has the empty value.
    pub fn matches(&self, labels: &LabelSet) -> bool {
        self.0.iter().all(|m| m.matches(labels.get(m.name()).map_or("", String::as_str)))
    }

    /// Whether one of them fails for labels that are absent: only then does a set select some and not all.
    pub fn is_selective(&self) -> bool {
        self.0.iter().any(|m| !m.matches_absent())
    }

    /// The single conditions.
    pub fn all(&self) -> &[Matcher] {
        &self.0
    }

    /// With those of another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        Self::new(self.0)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let key = |m: &Matcher| (m.name().to_owned(), m.value().to_owned(), m.op() as u8);
        self.0.iter().map(key).cmp(other.0.iter().map(key))
    }
}

impl PartialEq for Matchers {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, m) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}", shown(m))?;
        }
        f.write_str("}")
    }
}

/// One condition as group keys have it.
pub fn shown(m: &Matcher) -> String {
    let op = m.op().as_str();
    if m.name().chars().any(is_reserved) {
        return format!("{}{op}{}", quoted(m.name()), quoted(m.value()));
    }
    let value = m.value().replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
    format!("{}{op}\"{value}\"", m.name())
}

/// A text in double quotes, with what cannot be printed escaped, as Go quotes it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

type Part = (String, MatchOp, String);

fn operator(text: &str) -> Option<(MatchOp, &str)> {
    let ops =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    ops.iter().find_map(|(sign, op)| text.strip_prefix(sign).map(|rest| (*op, rest)))
}

/// What is within braces, or the text itself.
fn without_braces(text: &str) -> Result<&str, String> {
    let text = text.trim();
    match (text.strip_prefix('{'), text.ends_with('}')) {
        (Some(rest), true) => Ok(rest.strip_suffix('}').unwrap_or(rest)),
        (Some(_), false) => Err("expected a closing brace".to_owned()),
        (None, _) => Ok(text),
    }
}

/// The older syntax.
fn classic(text: &str) -> Result<Vec<Part>, String> {
    let text = without_braces(text)?;
    let mut parts = Vec::new();
    let (mut in_quotes, mut escaped, mut from) = (false, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    if in_quotes {
        return Err("expected a closing quote".to_owned());
    }
    parts.push(&text[from..]);
    // A comma may stand behind the last one.
    if parts.last().is_some_and(|last| last.trim().is_empty()) {
        parts.pop();
    }
    parts.into_iter().map(classic_one).collect()
}

fn classic_one(text: &str) -> Result<Part, String> {
    let text = text.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("expected a label name in {text:?}"));
    }
    let (op, raw) = operator(rest.trim_start())
        .ok_or_else(|| format!("expected one of =, !=, =~ and !~ after `{name}` in {text:?}"))?;
    let raw = raw.trim();
    let quoted = raw.len() > 1 && raw.starts_with('"') && raw.ends_with('"');
    let inner = if quoted { &raw[1..raw.len() - 1] } else { raw };
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('"') => value.push('"'),
                Some('\\') => value.push('\\'),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            '"' => return Err(format!("a quote within the value of `{name}` needs a backslash before it")),
            c => value.push(c),
        }
    }
    Ok((name.to_owned(), op, value))
}

/// The newer syntax, in which any text can be a name.
fn any(text: &str) -> Result<Vec<Part>, String> {
    let mut rest = without_braces(text)?.trim_start();
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (name, after) = word(rest, "a label name")?;
        let (op, after) = operator(after.trim_start())
            .ok_or_else(|| format!("expected one of =, !=, =~ and !~ after {name:?}"))?;
        let (value, after) = word(after.trim_start(), "a value")?;
        parts.push((name, op, value));
        rest = match after.trim_start() {
            "" => "",
            after => {
                let after = after.strip_prefix(',');
                after.ok_or_else(|| "expected a comma between matchers".to_owned())?.trim_start()
            }
        };
    }
    Ok(parts)
}

/// A word with or without quotes, and what follows.
fn word<'t>(text: &'t str, what: &str) -> Result<(String, &'t str), String> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(is_reserved).unwrap_or(text.len());
        if end == 0 {
            return Err(format!("expected {what}"));
        }
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &inner[at + 1..])),
            '\\' => {
                let (_, escape) = chars.next().ok_or("expected something after the backslash")?;
                let plain = match escape {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'v' => '\x0b',
                    '\\' | '"' => escape,
                    'x' | 'u' | 'U' => {
                        let digits = match escape {
                            'x' => 2,
                            'u' => 4,
                            _ => 8,
                        };
                        let mut code = 0u32;
                        for _ in 0..digits {
                            let digit = chars.next().and_then(|(_, c)| c.to_digit(16));
                            code = code << 4 | digit.ok_or("expected a hexadecimal digit")?;
                        }
                        char::from_u32(code).ok_or("that is no character")?
                    }
                    other => return Err(format!("\\{other} means nothing; write \\\\ for a backslash")),
                };
                out.push(plain);
            }
            c => out.push(c),
        }
    }
    Err("expected a closing quote".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_syntaxes_are_read() {
        let cases = [
            ("a=b", r#"{a="b"}"#),
            (r#"{b!="x", a=~"y.*",}"#, r#"{a=~"y.*",b!="x"}"#),
            (r#"a="x,y\"z""#, r#"{a="x,y\"z"}"#),
            ("a = b c ", r#"{a="b c"}"#),
            ("a=", r#"{a=""}"#),
            ("{}", "{}"),
            (r#""a b"="c""#, r#"{"a b"="c"}"#),
            (r#"ü!~"x|y",b=c"#, r#"{b="c",ü!~"x|y"}"#),
            (r#"{"é"="\u00fc\n"}"#, "{é=\"ü\\n\"}"),
        ];
        for (text, expected) in cases {
            assert_eq!(Matchers::parse(text).map(|m| m.to_string()), Ok(expected.to_owned()), "{text}");
        }
        for text in ["a", "{a=b", "=b", r#"a="b"#, "a=~(", "ü=a b", "a b=c", r#"ü="\q""#] {
            assert!(Matchers::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn absent_labels_are_empty() {
        let labels = LabelSet::from([("a".to_owned(), "1".to_owned())]);
        let matches = |text| Matchers::parse(text).unwrap().matches(&labels);
        assert!(matches("a=1,b=") && matches(r#"b!~".+""#) && !matches("b!=") && !matches("a=~2|3"));
        assert!(!Matchers::parse("a=~.*").unwrap().is_selective());
        let again = Matchers::of_documents(&Matchers::parse("a=1,b!~x").unwrap().documents()).unwrap();
        assert_eq!(again.to_string(), r#"{a="1",b!~"x"}"#);
    }
}
