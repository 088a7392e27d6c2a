//! Counting tests: what passed, what failed and why, what was skipped and why.

use anyhow::Result;

/// The outcome so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    suite: String,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Tally {
    /// What follows belongs to this suite.
    pub(crate) fn enter(&mut self, suite: &str) {
        suite.clone_into(&mut self.suite);
    }

    /// Counts one test and prints it.
    pub(crate) fn check(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => {
                println!("ok      {}: {name}", self.suite);
                self.passed += 1;
            }
            Err(error) => self.fail(format!("{}: {name}: {error:#}", self.suite)),
        }
    }

    /// Counts one test that was not run.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        let line = format!("{}: {name}: {why}", self.suite);
        println!("skipped {line}");
        self.skipped.push(line);
    }

    /// Adds what another program counted and printed itself.
    pub(crate) fn add(&mut self, passed: usize, failed: Vec<String>, skipped: Vec<String>) {
        self.passed += passed;
        self.failed.extend(failed.into_iter().map(|name| format!("{}: {name}", self.suite)));
        self.skipped.extend(skipped.into_iter().map(|name| format!("{}: {name}", self.suite)));
    }

    /// Where nothing may be skipped, each skip is a failure.
    pub(crate) fn forbid_skips(&mut self) {
        let skipped = std::mem::take(&mut self.skipped);
        self.failed.extend(skipped.into_iter().map(|line| format!("{line} (nothing may be skipped here)")));
    }

    /// Names what failed and what was skipped, then the closing line.
    pub(crate) fn print(&self) {
        println!();
        self.failed.iter().for_each(|line| println!("FAILED  {line}"));
        self.skipped.iter().for_each(|line| println!("skipped {line}"));
        println!("{}", self.closing_line());
    }

    pub(crate) fn closing_line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    fn fail(&mut self, line: String) {
        println!("FAILED  {line}");
        self.failed.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_count_as_failures_where_they_are_forbidden() {
        let mut tally = Tally::default();
        tally.enter("suite");
        tally.check("a", Ok(()));
        tally.skip("b", "nothing to run it with");
        assert_eq!(tally.closing_line(), "1 passed, 0 failed, 1 skipped");
        tally.forbid_skips();
        assert_eq!(tally.closing_line(), "1 passed, 1 failed, 0 skipped");
        assert!(tally.has_failed());
    }
}
