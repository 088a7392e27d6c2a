//! Patterns compiled to automata.

use regex_automata::{meta::Regex, nfa::thompson::WhichCaptures};
use regex_syntax::hir::{Hir, Look};

use crate::pattern::{MatcherError, PatternBudget};

/// What a search of a pattern may remember, in bytes; with less memory it is slower, never wrong.
const SEARCH_BYTES_MAX: usize = 256 << 10;

/// A pattern that needs an automaton.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub(crate) fn compile(pattern: &str, budget: &mut PatternBudget) -> Result<Self, MatcherError> {
        budget.read(pattern)?;
        let read = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).build().parse(pattern);
        let read = read.map_err(|error| {
            // The last line of the library's many-line message says what is wrong.
            let text = error.to_string();
            let line = text.lines().last().unwrap_or_default();
            MatcherError::new(pattern, line.strip_prefix("error: ").unwrap_or(line).to_owned())
        })?;
        let anchored = Hir::concat(vec![Hir::look(Look::Start), read, Hir::look(Look::End)]);
        // Whole automata ahead of the first search take ten times as long to make as most patterns are ever run.
        let config = Regex::config()
            .nfa_size_limit(Some(budget.left))
            .hybrid_cache_capacity(SEARCH_BYTES_MAX)
            .which_captures(WhichCaptures::None)
            .dfa(false)
            .onepass(false);
        let built = Regex::builder().configure(config).build_from_hir(&anchored);
        let too_large = || MatcherError::too_large(pattern);
        let regex = built.map_err(|_| too_large())?;
        budget.take(regex.memory_usage()).ok_or_else(too_large)?;
        Ok(Self(regex))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
