//! Regular expressions as matchers have them: anchored at both ends, `.` matching line ends too, as Prometheus has it.
//!
//! Reading and compiling one takes time and memory that its length does not tell, and a query may have many. So all
//! patterns of a query share one budget of bytes, which is charged before the bytes are taken.

use std::fmt;

#[cfg(feature = "regex")]
pub(crate) use crate::automaton::Pattern;

/// All patterns of one query may take this many bytes; to compile so much takes some milliseconds.
pub const PATTERNS_BYTES_MAX: usize = 1 << 20;
/// A byte of a pattern takes at most about so many while it is read.
const READ_BYTES: usize = 32;
/// A class of characters such as `\w` is a list of hundreds of ranges.
const CLASS_BYTES: usize = 4 << 10;
/// What any pattern takes that needs an automaton.
const PATTERN_BYTES: usize = 4 << 10;
/// A longer pattern is cut in messages.
const SHOWN_BYTES_MAX: usize = 256;

/// What the patterns of one query may still take.
#[derive(Clone, Debug)]
pub struct PatternBudget {
    pub(crate) left: usize,
}

impl Default for PatternBudget {
    /// [`PATTERNS_BYTES_MAX`].
    fn default() -> Self {
        Self { left: PATTERNS_BYTES_MAX }
    }
}

impl PatternBudget {
    /// Charges what it takes to read a pattern, before it is read.
    ///
    /// # Errors
    /// There is not so much left.
    pub fn read(&mut self, pattern: &str) -> Result<(), MatcherError> {
        let classes = pattern.as_bytes().windows(2).filter(|pair| match *pair {
            [b'\\', c] => c.is_ascii_alphabetic(),
            _ => false,
        });
        let bytes = PATTERN_BYTES + READ_BYTES * pattern.len() + CLASS_BYTES * classes.count();
        self.take(bytes).ok_or_else(|| MatcherError::too_large(pattern))
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }
}

/// A regular expression that does not compile, or takes too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatcherError {
    /// The pattern, as given; its beginning, if it is long.
    pub pattern: String,
    /// What is wrong with it, in one line.
    pub reason: String,
}

impl fmt::Display for MatcherError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pattern, reason } = self;
        write!(f, "error parsing regexp {pattern}: {reason}")
    }
}

impl std::error::Error for MatcherError {}

impl MatcherError {
    pub(crate) fn new(pattern: &str, reason: String) -> Self {
        let mut shown = pattern.to_owned();
        if shown.len() > SHOWN_BYTES_MAX {
            shown.truncate(shown.floor_char_boundary(SHOWN_BYTES_MAX));
            shown.push('…');
        }
        Self { pattern: shown, reason }
    }

    pub(crate) fn too_large(pattern: &str) -> Self {
        let reason =
            format!("regular expressions of one query may take {PATTERNS_BYTES_MAX} bytes when compiled");
        Self::new(pattern, reason)
    }
}

/// No pattern that there could be: those that need an automaton need the feature `regex`.
#[cfg(not(feature = "regex"))]
#[derive(Debug)]
pub(crate) enum Pattern {}

#[cfg(not(feature = "regex"))]
impl Pattern {
    pub(crate) fn compile(pattern: &str, budget: &mut PatternBudget) -> Result<Self, MatcherError> {
        budget.read(pattern)?;
        Err(MatcherError::new(pattern, "it needs the feature `regex` of barograph-model".to_owned()))
    }

    pub(crate) fn matches(&self, _: &str) -> bool {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(pattern: &str, budget: &mut PatternBudget) -> Result<(), String> {
        Pattern::compile(pattern, budget).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn what_takes_much_is_refused_before_it_does() {
        let check = |pattern: &str, compiles: bool| {
            let got = compile(pattern, &mut PatternBudget::default());
            assert_eq!(got.is_ok(), compiles, "{got:?}");
            assert!(got.is_ok() || got.unwrap_err().len() < 512);
        };
        check(r"(foo|bar)-\w+\.[a-z]{20}", true);
        check(&vec!["node-[0-9]+.*"; 500].join("|"), true);
        check("((a{100}){100}){100}", false);
        check(&r"\w".repeat(1_000), false);
        check(&r"\pL".repeat(500_000), false);
        check(&"(?i)x+y".repeat(100_000), false);
    }

    #[test]
    fn patterns_of_a_query_share_what_there_is() {
        let mut budget = PatternBudget::default();
        let compiled =
            (0..1_000).take_while(|i| compile(&format!(r"[a-z]{{20}}\w{{{i}}}"), &mut budget).is_ok());
        assert!((3..16).contains(&compiled.count()));
        let mut budget = PatternBudget::default();
        let compiled = (0..10_000).take_while(|i| compile(&format!("a+b{i}"), &mut budget).is_ok());
        assert!((64..256).contains(&compiled.count()));
    }
}
