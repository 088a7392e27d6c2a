//! Patterns that need an automaton, which the feature `regex` brings.
//!
//! Without it, as in applications that only record, a pattern that is more than literals is refused.

#[cfg(feature = "regex")]
pub(crate) use automaton::Pattern;
#[cfg(not(feature = "regex"))]
pub(crate) use refused::Pattern;

#[cfg(feature = "regex")]
mod automaton {
    use regex::{Regex, RegexBuilder};

    use crate::MatcherError;

    /// A compiled pattern may take this many bytes.
    const PATTERN_BYTES_MAX: usize = 1 << 20;
    /// One that takes more than these is large.
    const LARGE_PATTERN_BYTES: usize = 64 << 10;
    /// What a search of a pattern may remember, in bytes; with less memory it is slower, never wrong.
    const SEARCH_BYTES_MAX: usize = 256 << 10;

    /// A compiled pattern.
    #[derive(Debug)]
    pub(crate) struct Pattern {
        regex: Regex,
        large: bool,
    }

    impl Pattern {
        /// Compiles a pattern as Prometheus does: anchored, with `.` matching line ends, its automaton limited.
        pub(crate) fn compile(pattern: &str) -> Result<Self, MatcherError> {
            let build = |text: &str, limit: usize| {
                RegexBuilder::new(text).size_limit(limit).dfa_size_limit(SEARCH_BYTES_MAX).build()
            };
            // The pattern alone first, so that `a)(b` cannot borrow the parentheses of the anchors.
            let anchored =
                |limit| build(pattern, limit).and_then(|_| build(&format!("^(?s:{pattern})$"), limit));
            match anchored(LARGE_PATTERN_BYTES) {
                Ok(regex) => Ok(Self { regex, large: false }),
                Err(regex::Error::CompiledTooBig(_)) => match anchored(PATTERN_BYTES_MAX) {
                    Ok(regex) => Ok(Self { regex, large: true }),
                    Err(error) => Err(MatcherError { pattern: pattern.into(), reason: reason(&error) }),
                },
                Err(error) => Err(MatcherError { pattern: pattern.into(), reason: reason(&error) }),
            }
        }

        pub(crate) fn matches(&self, value: &str) -> bool {
            self.regex.is_match(value)
        }

        pub(crate) fn is_large(&self) -> bool {
            self.large
        }
    }

    /// The last line of the library's many-line message says what is wrong.
    fn reason(error: &regex::Error) -> String {
        let text = error.to_string();
        let line = text.lines().last().unwrap_or_default();
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    }
}

#[cfg(not(feature = "regex"))]
mod refused {
    use crate::MatcherError;

    /// None that there could be.
    #[derive(Debug)]
    pub(crate) enum Pattern {}

    impl Pattern {
        pub(crate) fn compile(pattern: &str) -> Result<Self, MatcherError> {
            let reason = "patterns need the feature `regex` of barograph-model".to_owned();
            Err(MatcherError { pattern: pattern.to_owned(), reason })
        }

        pub(crate) fn matches(&self, _: &str) -> bool {
            match *self {}
        }

        pub(crate) fn is_large(&self) -> bool {
            match *self {}
        }
    }
}
