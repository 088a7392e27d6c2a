//! Which stored metrics a name stands for.
//!
//! A query names metrics as they were given, `flow.execution.duration`; stored is the Prometheus spelling, with
//! underscores and perhaps a unit and `_total` at the end. A name that is stored as it stands means itself; else the one
//! stored name it was translated to, and if there are several, the query has to say which. A histogram of buckets is
//! found by the name without `_bucket`, `_sum` and `_count`.

use std::collections::BTreeSet;

use barograph_model::{METRIC_NAME, MatchOp, Matcher, PatternBudget};

/// Units that names end with.
const UNITS: &str = "seconds|milliseconds|microseconds|nanoseconds|minutes|hours|days|bytes|kilobytes|kibibytes|\
    megabytes|mebibytes|gigabytes|gibibytes|bits|ratio|percent|celsius|hertz|volts|amperes|joules|watts|meters|grams";

/// How long a pattern of names may be.
const PATTERN_BYTES_MAX: usize = 1 << 10;

/// A metric, or a pattern of names, in a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Names {
    /// One metric.
    One(String),
    /// All metrics whose names match.
    Pattern(Pattern),
}

/// A pattern of names.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As it was written.
    text: String,
    test: Matcher,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Names {
    /// Reads what a list of metrics holds: a name, a glob with `*` and `?`, or `/a regular expression/`.
    ///
    /// # Errors
    /// The pattern is none, or too long.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::within(text, &mut PatternBudget::default())
    }

    /// As [`Names::read`], within what other patterns of the same query left.
    pub(super) fn within(text: &str, budget: &mut PatternBudget) -> Result<Self, String> {
        if let Some(pattern) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            return Pattern::regex(pattern, budget).map(Self::Pattern);
        }
        if text.contains(['*', '?']) {
            return Pattern::glob(text, budget).map(Self::Pattern);
        }
        Ok(Self::One(text.to_owned()))
    }

    /// As it is written in a list of metrics.
    pub fn text(&self) -> &str {
        match self {
            Self::One(name) => name,
            Self::Pattern(pattern) => &pattern.text,
        }
    }

    /// Whether a result of these may be called so.
    pub(super) fn stands_for(&self, name: &str) -> bool {
        match self {
            Self::One(own) => own == name,
            Self::Pattern(pattern) => pattern.text == name || pattern.matches(name),
        }
    }
}

impl Pattern {
    /// A regular expression, which has to match all of a name as stored, or as it is with dots for underscores.
    pub(super) fn regex(pattern: &str, budget: &mut PatternBudget) -> Result<Self, String> {
        Self::compiled(format!("/{pattern}/"), pattern, budget)
    }

    /// `*` stands for any characters, `?` for one; dots and dashes are the underscores they are stored as.
    fn glob(glob: &str, budget: &mut PatternBudget) -> Result<Self, String> {
        let part = |c: char| match c {
            '*' => ".*".to_owned(),
            '?' => ".".to_owned(),
            c => regex::escape(&stored(c).to_string()),
        };
        let pattern: String = glob.chars().map(part).collect();
        Self::compiled(glob.to_owned(), &format!("{pattern}(_({UNITS}))?(_total)?"), budget)
    }

    fn compiled(text: String, pattern: &str, budget: &mut PatternBudget) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let test = Matcher::within(METRIC_NAME, MatchOp::Regex, pattern, budget);
        Ok(Self { text, test: test.map_err(|e| format!("is no pattern: {}", e.reason))? })
    }

    fn matches(&self, name: &str) -> bool {
        self.test.matches(name) || self.test.matches(&name.replace(['.', '-'], "_")) || {
            name.contains('_') && self.test.matches(&name.replace('_', "."))
        }
    }
}

/// A character as names are stored with it.
fn stored(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }
}

/// What is stored of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stored {
    /// Series of this name.
    Series(String),
    /// A histogram of buckets: series of this name with `_bucket`, `_sum` and `_count` behind it.
    Histogram(String),
    /// Series of this name that are native histograms.
    Native(String),
}

impl Stored {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Series(name) | Self::Histogram(name) | Self::Native(name) => name,
        }
    }

    /// The name of series that have all the labels it has.
    pub(super) fn with_labels(&self) -> String {
        match self {
            Self::Series(name) | Self::Native(name) => name.clone(),
            Self::Histogram(base) => format!("{base}_count"),
        }
    }

    /// The names its series have.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Series(name) | Self::Native(name) => vec![name.clone()],
            Self::Histogram(base) => ["bucket", "sum", "count"].map(|part| format!("{base}_{part}")).to_vec(),
        }
    }
}

/// The names that are stored.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    names: BTreeSet<String>,
    histograms: BTreeSet<String>,
}

impl Catalog {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names: BTreeSet<String> = names.into_iter().collect();
        let bases = names.iter().filter_map(|name| name.strip_suffix("_bucket"));
        let whole =
            |base: &&str| ["_sum", "_count"].iter().all(|end| names.contains(&format!("{base}{end}")));
        let histograms = bases.filter(whole).map(str::to_owned).collect();
        Self { names, histograms }
    }

    /// What one name stands for; `None` if nothing of it is stored.
    pub(super) fn one(&self, name: &str) -> Result<Option<Stored>, String> {
        let plain: String = name.chars().map(stored).collect();
        for spelling in [name, &plain] {
            if self.names.contains(spelling) {
                return Ok(Some(Stored::Series(spelling.to_owned())));
            }
            if self.histograms.contains(spelling) {
                return Ok(Some(Stored::Histogram(spelling.to_owned())));
            }
        }
        let of = |names: &BTreeSet<String>, make: fn(String) -> Stored| -> Vec<Stored> {
            let from = format!("{plain}_");
            let near = names.range(from.clone()..).take_while(|name| name.starts_with(&from));
            near.filter(|name| is_suffix(&name[from.len()..])).cloned().map(make).collect()
        };
        let mut found = of(&self.names, Stored::Series);
        found.extend(of(&self.histograms, Stored::Histogram));
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => {
                let names: Vec<&str> = found.iter().map(Stored::name).collect();
                Err(format!("{name:?} may be any of {}; name the one you mean", names.join(", ")))
            }
        }
    }

    /// What a pattern stands for; of a histogram, the whole.
    pub(super) fn all(&self, pattern: &Pattern) -> Vec<Stored> {
        let part = |name: &str| {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            base.is_some_and(|base| self.histograms.contains(base))
        };
        let matches = |name: &&String| pattern.matches(name);
        let series = self.names.iter().filter(matches).filter(|name| !part(name)).cloned();
        let mut found: Vec<Stored> = series.map(Stored::Series).collect();
        found.extend(self.histograms.iter().filter(matches).cloned().map(Stored::Histogram));
        found
    }
}

/// Whether this is what a translation of a name adds: a unit, `total`, or both.
fn is_suffix(text: &str) -> bool {
    let unit = |word: &str| UNITS.split('|').any(|unit| unit == word);
    text == "total" || unit(text) || text.strip_suffix("_total").is_some_and(unit)
}

/// What names of attributes have in common however they are spelled: `flowId`, `flow_id`, `flow.id`.
pub(super) fn folded(attribute: &str) -> String {
    let plain = attribute.chars().filter(|c| c.is_alphanumeric());
    plain.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let names = [
            "flow_execution_duration_seconds",
            "flow_data_volume",
            "flow_data_volume_bytes",
            "api_requests_total",
            "up",
            "a.b",
            "x_bucket",
            "x_sum",
            "x_count",
            "y_seconds_bucket",
            "y_seconds_sum",
            "y_seconds_count",
            "q_seconds",
            "q_bytes",
            "flow_step_duration_seconds",
        ];
        Catalog::new(names.map(str::to_owned))
    }

    #[test]
    fn a_name_means_one_metric() {
        let series = |name: &str| Ok(Some(Stored::Series(name.to_owned())));
        let check = |name: &str, expected| assert_eq!(catalog().one(name), expected, "{name}");
        check("up", series("up"));
        check("a.b", series("a.b"));
        check("flow.execution.duration", series("flow_execution_duration_seconds"));
        check("flow.data.volume", series("flow_data_volume"));
        check("api.requests", series("api_requests_total"));
        check("api.requests.total", series("api_requests_total"));
        check("x", Ok(Some(Stored::Histogram("x".into()))));
        check("y", Ok(Some(Stored::Histogram("y_seconds".into()))));
        check("x_sum", series("x_sum"));
        check("flow", Ok(None));
        let error = catalog().one("q").unwrap_err();
        assert_eq!(error, "\"q\" may be any of q_bytes, q_seconds; name the one you mean");
    }

    #[test]
    fn a_pattern_means_all_that_match() {
        let check = |text: &str, expected: &[&str]| {
            let Names::Pattern(pattern) = Names::read(text).unwrap() else { panic!("{text} is a pattern") };
            let found = catalog().all(&pattern);
            assert_eq!(found.iter().map(Stored::name).collect::<Vec<_>>(), expected, "{text}");
        };
        check("flow.*.duration", &["flow_execution_duration_seconds", "flow_step_duration_seconds"]);
        check("u?", &["up"]);
        check("/up|a\\.b/", &["a.b", "up"]);
        check("/flow\\.data\\..*/", &["flow_data_volume", "flow_data_volume_bytes"]);
        check("?", &["q_bytes", "q_seconds", "x", "y_seconds"]);
        assert!(Names::read("/a(/").unwrap_err().starts_with("is no pattern: "));
        assert!(Names::read("/a)|(b/").is_err());
    }

    #[test]
    fn attributes_are_told_by_their_letters() {
        for name in ["flowId", "flow_id", "FlowId", "flow.id", "FLOW-ID"] {
            assert_eq!(folded(name), "flowid");
        }
    }
}
