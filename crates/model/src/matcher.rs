//! One condition on a label.
//!
//! A `Matcher` that exists is valid: its regular expression compiled within limits. Regular expressions are RE2
//! syntax, anchored at both ends, `.` matches a line end too, as Prometheus has it.

use std::{fmt, sync::Arc};

use crate::{
    labels::quote,
    pattern::{MatcherError, Pattern, PatternBudget},
};

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
    Pattern(Arc<Pattern>),
}

impl Matcher {
    /// A matcher on the label `name`. Fails only for a regular expression that does not compile, or not within a
    /// [`PatternBudget`] of its own.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        Self::within(name, op, value, &mut PatternBudget::default())
    }

    /// As [`Matcher::new`], within what other patterns of the same query left.
    pub fn within(
        name: &str,
        op: MatchOp,
        value: &str,
        budget: &mut PatternBudget,
    ) -> Result<Self, MatcherError> {
        let test = match op {
            MatchOp::Equal | MatchOp::NotEqual => Test::Is,
            MatchOp::Regex | MatchOp::NotRegex => match literals(value) {
                Some(mut literals) => {
                    literals.sort_unstable();
                    Test::OneOf(literals.into())
                }
                None => match Within::parse(value) {
                    Some(within) => Test::Within(within),
                    None => Test::Pattern(Arc::new(Pattern::compile(value, budget)?)),
                },
            },
        };
        Ok(Self { name: name.into(), op, value: value.into(), test })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), test: Test::Is }
    }

    /// `name!=""`: series that have the label.
    pub fn present(name: &str) -> Self {
        Self { name: name.into(), op: MatchOp::NotEqual, value: "".into(), test: Test::Is }
    }

    /// The same condition on another label, without compiling it again.
    pub fn on(&self, name: &str) -> Self {
        Self { name: name.into(), ..self.clone() }
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
            Test::OneOf(values) => values.binary_search_by(|v| (**v).cmp(value)).is_ok(),
            Test::Within(within) => within.matches(value),
            Test::Pattern(pattern) => pattern.matches(value),
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

/// The alternatives of a pattern that is only literals: `a`, `a|b`, `a[12]`, `a\.b`. `None` if any part is more than
/// that.
fn literals(pattern: &str) -> Option<Vec<Box<str>>> {
    // An escaped bar leaves a backslash at the end of a part, which is no literal.
    let parts: Option<Vec<_>> = pattern.split('|').map(spelled_out).collect();
    Some(parts?.into_iter().flatten().collect())
}

/// A pattern with classes is spelled out to this many literals at most.
const SPELLED_OUT_MAX: usize = 32;

/// All texts that a pattern of characters and small classes such as `[a-c5]` stands for. `None` for any other.
fn spelled_out(pattern: &str) -> Option<Vec<Box<str>>> {
    let mut texts = vec![String::new()];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some(class) = rest.strip_prefix('[') {
            let (members, after) = class.split_once(']')?;
            let members = members_of(members)?;
            if texts.len() * members.len() > SPELLED_OUT_MAX {
                return None;
            }
            let longer = |text: &String| members.iter().map(|&c| format!("{text}{c}")).collect::<Vec<_>>();
            texts = texts.iter().flat_map(longer).collect();
            rest = after;
        } else if c == '\\' {
            // What is escaped stands for itself, if it means anything else at all without.
            let escaped = rest[1..].chars().next().filter(|&c| special(c) || "|-#&~".contains(c))?;
            texts.iter_mut().for_each(|text| text.push(escaped));
            rest = &rest[1 + escaped.len_utf8()..];
        } else if special(c) || c == '|' {
            return None;
        } else {
            texts.iter_mut().for_each(|text| text.push(c));
            rest = &rest[c.len_utf8()..];
        }
    }
    Some(texts.into_iter().map(String::into_boxed_str).collect())
}

/// The characters of a class, as far as it names letters and digits, alone or as ranges.
fn members_of(class: &str) -> Option<Vec<char>> {
    let mut members = Vec::new();
    let mut rest = class.chars();
    while let Some(first) = rest.next() {
        let last = match rest.as_str().strip_prefix('-') {
            Some(after) => {
                rest = after.chars();
                rest.next()?
            }
            None => first,
        };
        let kinds = [char::is_ascii_digit, char::is_ascii_lowercase, char::is_ascii_uppercase];
        if first > last || !kinds.iter().any(|is| is(&first) && is(&last)) {
            return None;
        }
        members.extend(first..=last);
    }
    members.sort_unstable();
    members.dedup();
    (!members.is_empty()).then_some(members)
}

/// Whether the next character would be escaped.
fn ends_escaped(pattern: &str) -> bool {
    let backslashes = pattern.len() - pattern.trim_end_matches('\\').len();
    !backslashes.is_multiple_of(2)
}

/// Whether a character means something else than itself in a pattern, alternatives aside.
fn special(c: char) -> bool {
    r"\.+*?()[]{}^$".contains(c)
}

/// One of some literals with something before it, after it, or both: `a.*`, `.+a`, `.*a[12].*`, `5..`.
#[derive(Clone, Debug)]
struct Within {
    before: Wild,
    literals: Arc<[Box<str>]>,
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
    /// So many characters: `..`
    Exactly(usize),
}

impl Wild {
    fn matches(self, text: &str) -> bool {
        match self {
            Self::Nothing => text.is_empty(),
            Self::Anything => true,
            Self::Something => !text.is_empty(),
            Self::Exactly(count) => text.chars().count() == count,
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
        // After a backslash a dot is only that.
        let bare = |end: &str| rest.strip_suffix(end).filter(|rest| !ends_escaped(rest));
        let (after, literal) = match (bare(".*"), bare(".+")) {
            (Some(rest), _) => (Wild::Anything, rest),
            (_, Some(rest)) => (Wild::Something, rest),
            _ => {
                let literal = rest.trim_end_matches('.');
                // A backslash at the very end has nothing to escape.
                let literal = &rest[..(literal.len() + usize::from(ends_escaped(literal))).min(rest.len())];
                match rest.len() - literal.len() {
                    0 => (Wild::Nothing, rest),
                    count => (Wild::Exactly(count), literal),
                }
            }
        };
        // Between two ends the literal may stand in several places; with `.*` on both sides any will do.
        let one_end = before == Wild::Nothing || after == Wild::Nothing;
        let either_place = one_end || (before, after) == (Wild::Anything, Wild::Anything);
        let literals = spelled_out(literal).filter(|_| either_place)?;
        Some(Self { before, literals: literals.into(), after })
    }

    fn matches(&self, value: &str) -> bool {
        self.literals.iter().any(|literal| match (self.before, self.after) {
            (Wild::Nothing, after) => value.strip_prefix(&**literal).is_some_and(|rest| after.matches(rest)),
            (before, Wild::Nothing) => {
                value.strip_suffix(&**literal).is_some_and(|rest| before.matches(rest))
            }
            _ => value.contains(&**literal),
        })
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
    fn a_backslash_at_the_end_is_no_pattern() {
        for pattern in ["d=\\", "\\", ".*a\\", "..\\"] {
            assert!(Matcher::new("a", MatchOp::Regex, pattern).is_err(), "{pattern}");
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
        check(MatchOp::Regex, "5..", &["500", "5ßß"], &["50", "5000", "400"]);
        check(MatchOp::NotRegex, "[45]..", &["200", ""], &["404", "500"]);
        check(MatchOp::Regex, "..", &["ab", "\n\n"], &["", "a", "abc"]);
        check(MatchOp::Regex, r"a\..", &["a.b"], &["a.", "abc", "a.bc"]);
        check(MatchOp::Regex, ".*5..", &["x500"], &["50"]);
        check(MatchOp::Regex, "ab.+", &["abc"], &["ab", "xabc"]);
        check(MatchOp::Regex, ".*ab", &["ab", "xab"], &["abx"]);
        check(MatchOp::Regex, ".+ab", &["xab", "abab"], &["ab"]);
        check(MatchOp::Regex, ".*ab.*", &["ab", "xabx"], &["ax", ""]);
        check(MatchOp::Regex, ".+a.+", &["aaa", "xax"], &["aa", "xa", "ax"]);
        check(MatchOp::Regex, "a.*|b.*", &["ax", "b"], &["c"]);
        check(MatchOp::Regex, "[ab][1-3]", &["a1", "b3"], &["a", "a4", "1"]);
        check(MatchOp::Regex, "x[12].*|y", &["x1", "x2z", "y"], &["x", "x3"]);
        check(MatchOp::Regex, ".*x[12]", &["x1", "xx2"], &["x3", "x1y"]);
        check(MatchOp::Regex, ".*x[0-5].*", &["x1", "ax5b"], &["x6", "x"]);
        check(MatchOp::Regex, "x[1-4][0-9]", &["x10", "x49"], &["x50", "x1"]);
        check(MatchOp::Regex, "x[1-4][0-9].+", &["x10z"], &["x50z", "x10"]);
        check(MatchOp::Regex, "x[^1]", &["x2"], &["x1"]);
        check(MatchOp::Regex, "x[a|b]", &["xa", "x|"], &["b]"]);
        check(MatchOp::Regex, "x[0-9&&5]", &["x5"], &["x1", "x&"]);
        check(MatchOp::Regex, r"a\.*", &["a", "a.."], &["ax"]);
        check(MatchOp::Regex, r"a\.b|c\-d|e\|f", &["a.b", "c-d", "e|f"], &["axb", "e"]);
        check(MatchOp::Regex, r"a\.|b", &["a.", "b"], &["a", "ax"]);
        check(MatchOp::Regex, r"a\..*", &["a.", "a.b"], &["a", "ab"]);
        check(MatchOp::Regex, r"a\.\..", &["a..x"], &["a..", "a.xx"]);
        check(MatchOp::Regex, r"a\\.", &["a\\x"], &["a.", "a\\"]);
        check(MatchOp::Regex, r"a\\.*", &["a\\", "a\\x"], &["a."]);
        check(MatchOp::Regex, r"a\\\.", &["a\\."], &["a\\x"]);
        check(MatchOp::Regex, r".*a\.b.*", &["xa.by"], &["xaxby"]);
        check(MatchOp::Regex, r"\d+|a\x41", &["12", "aA"], &["d", "ax41"]);
    }

    #[test]
    fn refuses_what_does_not_compile() {
        assert!(Matcher::new("l", MatchOp::Regex, "a(").is_err());
        assert!(Matcher::new("l", MatchOp::Regex, "a)(b").is_err());
        assert!(Matcher::new("l", MatchOp::Regex, "a[2-1]").is_err());
        assert!(Matcher::new("l", MatchOp::Regex, "a[]").is_err());
        assert!(Matcher::new("l", MatchOp::Regex, "((a{100}){100}){100}").is_err());
    }

    #[test]
    fn knows_finite_sets() {
        let matcher = Matcher::new("l", MatchOp::Regex, "a|b").unwrap();
        assert_eq!(matcher.allowed_values(), Some(vec!["a", "b"]));
        assert_eq!(
            Matcher::new("l", MatchOp::Regex, "a[12]").unwrap().allowed_values(),
            Some(vec!["a1", "a2"])
        );
        assert_eq!(Matcher::new("l", MatchOp::NotRegex, "a|b").unwrap().allowed_values(), None);
        let matcher = Matcher::new("l", MatchOp::Regex, r"10\.0\.0\.1:9100|b").unwrap();
        assert_eq!(matcher.allowed_values(), Some(vec!["10.0.0.1:9100", "b"]));
    }
}
