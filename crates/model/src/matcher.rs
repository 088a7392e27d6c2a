//! One condition on a label.
//!
//! A `Matcher` that exists is valid: its regular expression compiled within limits. Regular expressions are RE2
//! syntax, anchored at both ends, `.` matches a line end too, as Prometheus has it.

use std::{fmt, sync::Arc};

use regex::{Regex, RegexBuilder};

use crate::labels::quote;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on the value of one label. An absent label has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: Box<str>,
    op: MatchOp,
    value: Box<str>,
    test: Test,
}

/// What a regular expression comes down to. Most are a few literals, or one with something before or after it,
/// which need no automaton: neither the time to compile one nor that to run it.
#[derive(Clone, Debug)]
enum Test {
    Is,
    OneOf(Arc<[Box<str>]>),
    Within(Within),
    Pattern(Arc<Regex>),
}

/// A regular expression that does not compile, or is too large when compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp {pattern}: {reason}")]
pub struct MatcherError {
    /// The pattern, as given.
    pub pattern: String,
    /// What is wrong with it, in one line.
    pub reason: String,
}

/// A compiled pattern may take this many bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Matcher {
    /// A matcher on the label `name`. Fails only for a regular expression that does not compile within 1 MiB.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Is,
            MatchOp::Regex | MatchOp::NotRegex => match literals(value) {
                Some(literals) => Test::OneOf(literals.into()),
                None => match Within::parse(value) {
                    Some(within) => Test::Within(within),
                    None => Test::Pattern(Arc::new(compile(value)?)),
                },
            },
        };
        Ok(Self { name: name.into(), op, value: value.into(), test })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), test: Test::Is }
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// What it compares with: a value, or a pattern as it was written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value passes. Pass `""` for an absent label.
    pub fn matches(&self, value: &str) -> bool {
        let same = match &self.test {
            Test::Is => *self.value == *value,
            Test::OneOf(values) => values.iter().any(|v| **v == *value),
            Test::Within(within) => within.matches(value),
            Test::Pattern(pattern) => pattern.is_match(value),
        };
        same == matches!(self.op, MatchOp::Equal | MatchOp::Regex)
    }

    /// Whether a series without the label passes.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    /// The finite set of values a positive matcher (`=`, `=~`) allows, if it is one: `a|b|c`. An index looks
    /// these up instead of trying all values.
    pub fn allowed_values(&self) -> Option<Vec<&str>> {
        match (self.op, &self.test) {
            (MatchOp::Equal, _) => Some(vec![&self.value]),
            (MatchOp::Regex, Test::OneOf(values)) => Some(values.iter().map(|v| &**v).collect()),
            _ => None,
        }
    }
}

/// Compiles a pattern as Prometheus does: anchored, with `.` matching line ends, its automaton limited.
fn compile(pattern: &str) -> Result<Regex, MatcherError> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    // The pattern alone first, so that `a)(b` cannot borrow the parentheses of the anchors.
    let failed = |error: regex::Error| MatcherError { pattern: pattern.into(), reason: reason(&error) };
    build(pattern).map_err(failed)?;
    build(&format!("^(?s:{pattern})$")).map_err(failed)
}

/// The last line of the library's many-line message says what is wrong.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The alternatives of a pattern that is only literals: `a`, `a|b`. `None` if any part is more than that.
fn literals(pattern: &str) -> Option<Vec<Box<str>>> {
    (!pattern.contains(special)).then(|| pattern.split('|').map(Box::from).collect())
}

/// Whether a character means something else than itself in a pattern, alternatives aside.
fn special(c: char) -> bool {
    r"\.+*?()[]{}^$".contains(c)
}

/// A literal with something before it, after it, or both: `a.*`, `.+a`, `.*a.*`.
#[derive(Clone, Debug)]
struct Within {
    before: Wild,
    literal: Box<str>,
    after: Wild,
}

/// What may stand beside a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wild {
    Nothing,
    /// `.*`
    Anything,
    /// `.+`
    Something,
}

impl Wild {
    fn matches(self, text: &str) -> bool {
        match self {
            Self::Nothing => text.is_empty(),
            Self::Anything => true,
            Self::Something => !text.is_empty(),
        }
    }
}

impl Within {
    fn parse(pattern: &str) -> Option<Self> {
        let (before, rest) = match (pattern.strip_prefix(".*"), pattern.strip_prefix(".+")) {
            (Some(rest), _) => (Wild::Anything, rest),
            (_, Some(rest)) => (Wild::Something, rest),
            _ => (Wild::Nothing, pattern),
        };
        let (after, literal) = match (rest.strip_suffix(".*"), rest.strip_suffix(".+")) {
            (Some(rest), _) => (Wild::Anything, rest),
            (_, Some(rest)) => (Wild::Something, rest),
            _ => (Wild::Nothing, rest),
        };
        // Between two ends the literal may stand in several places; with `.*` on both sides any will do.
        let one_end = before == Wild::Nothing || after == Wild::Nothing;
        let either_place = one_end || (before, after) == (Wild::Anything, Wild::Anything);
        let plain = !literal.contains(|c| special(c) || c == '|');
        (plain && either_place).then(|| Self { before, literal: literal.into(), after })
    }

    fn matches(&self, value: &str) -> bool {
        match (self.before, self.after) {
            (Wild::Nothing, after) => {
                value.strip_prefix(&*self.literal).is_some_and(|rest| after.matches(rest))
            }
            (before, Wild::Nothing) => {
                value.strip_suffix(&*self.literal).is_some_and(|rest| before.matches(rest))
            }
            _ => value.contains(&*self.literal),
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.op.as_str(), quote(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: MatchOp, pattern: &str, passes: &[&str], fails: &[&str]) {
        let matcher = Matcher::new("l", op, pattern).unwrap();
        for value in passes {
            assert!(matcher.matches(value), "{matcher} should match {value:?}");
        }
        for value in fails {
            assert!(!matcher.matches(value), "{matcher} should not match {value:?}");
        }
    }

    #[test]
    fn compares_whole_values() {
        check(MatchOp::Equal, "a", &["a"], &["", "aa"]);
        check(MatchOp::NotEqual, "a", &["", "b"], &["a"]);
        check(MatchOp::Regex, "a|b", &["a", "b"], &["", "ab", "a|b"]);
        check(MatchOp::Regex, "a.*", &["a", "abc", "a\nb"], &["ba"]);
        check(MatchOp::NotRegex, "a.+", &["a", ""], &["ab"]);
        check(MatchOp::Regex, "", &[""], &["a"]);
        check(MatchOp::Regex, "|a", &["", "a"], &["b"]);
        check(MatchOp::Regex, "(?i)ab", &["AB", "ab"], &["abc"]);
        check(MatchOp::Regex, ".*", &["", "a", "\n"], &[]);
        check(MatchOp::Regex, ".+", &["a", "\n"], &[""]);
        check(MatchOp::Regex, "ab.+", &["abc"], &["ab", "xabc"]);
        check(MatchOp::Regex, ".*ab", &["ab", "xab"], &["abx"]);
        check(MatchOp::Regex, ".+ab", &["xab", "abab"], &["ab"]);
        check(MatchOp::Regex, ".*ab.*", &["ab", "xabx"], &["ax", ""]);
        check(MatchOp::Regex, ".+a.+", &["aaa", "xax"], &["aa", "xa", "ax"]);
        check(MatchOp::Regex, "a.*|b.*", &["ax", "b"], &["c"]);
        check(MatchOp::Regex, r"a\.*", &["a", "a.."], &["ax"]);
    }

    #[test]
    fn refuses_what_does_not_compile() {
        assert!(Matcher::new("l", MatchOp::Regex, "a(").is_err());
        assert!(Matcher::new("l", MatchOp::Regex, "a)(b").is_err());
        assert!(Matcher::new("l", MatchOp::Regex, "((a{100}){100}){100}").is_err());
    }

    #[test]
    fn knows_finite_sets() {
        let matcher = Matcher::new("l", MatchOp::Regex, "a|b").unwrap();
        assert_eq!(matcher.allowed_values(), Some(vec!["a", "b"]));
        assert_eq!(Matcher::new("l", MatchOp::NotRegex, "a|b").unwrap().allowed_values(), None);
    }
}
