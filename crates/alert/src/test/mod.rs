//! Unit tests of rules, in the form of `promtool test rules`: series that are given, rules evaluated over them at a pace, and
//! what then has to be there.
//!
//! A file is read by [`parse`] and run by [`run`], which needs no store, no clock and no files: the rule files that it
//! names are given along, and so is how alerts are routed ([`TestFile::config`]) where notices and escalations are tested. As with promtool, every evaluation and every query at the end sees the samples up to the
//! evaluation before it, and an alert is looked at as it was at the evaluation before its time.

mod expected;
mod read;
mod run;
mod travel;

use std::{fmt, sync::Arc, time::Duration};

use barograph_model::{Labels, Timestamp};
use barograph_query::{FloatHistogram, ast::Expr};

use crate::{config::Config, file::RuleFile};
pub use expected::{EscalationTest, ExpectedEscalation, ExpectedNotice, NoticeTest};
pub use read::parse;
pub use run::run;

/// A file of tests.
#[derive(Clone, Debug, Default)]
pub struct TestFile {
    /// Patterns of the rule files that are tested, relative to the file.
    pub rule_files: Vec<String>,
    /// Time from one evaluation of all rules to the next; a minute by default.
    pub evaluation_interval: Duration,
    /// Names of groups in the order in which they are evaluated; the others come before them.
    pub group_eval_order: Vec<String>,
    /// Whether floats that are neighbours count as the same.
    pub fuzzy_compare: bool,
    /// The file that says how alerts are routed, relative to the file.
    pub alertmanager_config: Option<String>,
    /// What it says: for whoever reads files to set. Without, all alerts go to the dashboard.
    pub config: Arc<Config>,
    /// The tests.
    pub tests: Vec<Case>,
}

/// A test: what is given, and what is expected.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called; `unnamed#0`, with its number, if nobody said.
    pub name: String,
    /// The time of the first sample and of the first evaluation; the epoch by default.
    pub start: Timestamp,
    /// Time from one sample of a series to the next.
    pub interval: Duration,
    /// What is given: series and their values, still as text.
    pub input_series: Vec<(String, String)>,
    /// Labels that templates know as those of the server.
    pub external_labels: Labels,
    /// What templates know as the address of the server.
    pub external_url: String,
    /// Alerts that have to fire.
    pub alerts: Vec<AlertTest>,
    /// Queries that have to be answered.
    pub queries: Vec<QueryTest>,
    /// Notices that have to be sent, in the order of their times.
    pub notices: Vec<NoticeTest>,
    /// Levels that have to be asked, in the order of their times.
    pub escalations: Vec<EscalationTest>,
}

/// The alerts of one name that have to fire at a time, and no others.
#[derive(Clone, Debug)]
pub struct AlertTest {
    /// After the start.
    pub eval_time: Duration,
    /// The name of the rule.
    pub alertname: String,
    /// Labels and annotations.
    pub expected: Vec<Told>,
}

/// An alert as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// Its labels.
    pub labels: Labels,
    /// Its annotations, by name.
    pub annotations: Labels,
}

/// A query, and what it has to answer.
#[derive(Clone, Debug)]
pub struct QueryTest {
    /// The query as it is written.
    pub text: String,
    /// The same, parsed.
    pub expr: Expr,
    /// After the start.
    pub eval_time: Duration,
    /// Every sample of the answer.
    pub expected: Vec<Expected>,
}

/// A sample that is expected.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its labels.
    pub labels: Labels,
    /// Its value, where that is a float.
    pub value: f64,
    /// Its value, where that is a native histogram.
    pub histogram: Option<Box<FloatHistogram>>,
}

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReport {
    /// What it is called.
    pub name: String,
    /// What was not as expected; nothing if all was.
    pub failures: Vec<Failure>,
}

/// Something that was not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was looked at: an alert or a query at a time, a rule that failed.
    pub what: String,
    /// What was expected and what there was, each line by line; `None` where it could not be looked at.
    pub difference: Option<(Vec<String>, Vec<String>)>,
}

impl fmt::Display for Failure {
    /// As promtool tells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    {}", self.what)?;
        if let Some((expected, got)) = &self.difference {
            for (word, lines) in [("exp", expected), ("got", got)] {
                write!(f, ",\n        {word}: [")?;
                for (i, line) in lines.iter().enumerate() {
                    write!(f, "{}\n            {i}: {line}", if i > 0 { "," } else { "" })?;
                }
                f.write_str(if lines.is_empty() { "]" } else { "\n        ]" })?;
            }
        }
        Ok(())
    }
}

/// The rule files of a test file, read.
pub type RuleFiles = [(String, RuleFile)];

#[cfg(test)]
mod tests;
