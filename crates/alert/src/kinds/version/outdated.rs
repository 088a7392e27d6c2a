//! Versions that should not be in use any more.

use std::cmp::Ordering;

use barograph_model::{Labels, MatchOp, Matcher, MatcherError};
use barograph_query::Datum;
use serde_json::{Value, json};

use super::{super::Finding, order};

/// Which versions should not be in use any more. What says that one is, is that the expression of the rule has an answer of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outdated {
    /// The label that bears the version.
    pub label: String,
    /// The oldest version that is still right.
    pub at_least: Option<String>,
    /// Patterns of versions that are not.
    pub deprecated: Vec<Pattern>,
}

/// A pattern that a whole version has to match, as one of a label in PromQL.
#[derive(Clone, Debug)]
pub struct Pattern(Matcher);

impl Pattern {
    /// A pattern as it is written.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn new(text: &str) -> Result<Self, MatcherError> {
        Matcher::new("version", MatchOp::Regex, text).map(Self)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        self.0.value()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Outdated {
    /// What is told of a series whose version should not be in use.
    pub(crate) fn finding(&self, labels: Labels, datum: &Datum) -> Option<Finding> {
        let (evidence, text) = self.evidence(&labels)?;
        let value = datum.float().unwrap_or(0.0);
        Some(Finding { labels, value, threshold: None, evidence, annotation: Some(("verdict", text)) })
    }

    /// Why the version of a series should not be in use; `None` if it may, or there is none.
    fn evidence(&self, labels: &Labels) -> Option<(Value, String)> {
        let version = labels.value(&self.label).filter(|version| !version.is_empty())?;
        if let Some(pattern) = self.deprecated.iter().find(|pattern| pattern.0.matches(version)) {
            let evidence = json!({"verdict": "deprecated", "version": version, "deprecated": pattern.text()});
            return Some((
                evidence,
                format!("deprecated: {version} is in use, which matches {}", pattern.text()),
            ));
        }
        let least = self.at_least.as_deref()?;
        if order::compare(version, least) != Ordering::Less {
            return None;
        }
        let evidence = json!({"verdict": "outdated", "version": version, "at_least": least});
        Some((evidence, format!("outdated: {version} is in use, and {least} is the oldest that should be")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_deprecated_is_told() {
        let rule = Outdated {
            label: "version".to_owned(),
            at_least: Some("1.10".to_owned()),
            deprecated: vec![Pattern::new("2\\.0\\..*").unwrap()],
        };
        let told = |version: &str| {
            let labels = Labels::from_pairs([("job", "api"), ("version", version)]).unwrap();
            rule.evidence(&labels).map(|(evidence, _)| evidence["verdict"].as_str().unwrap().to_owned())
        };
        assert_eq!(told("1.9.7").as_deref(), Some("outdated"));
        assert_eq!(told("2.0.3").as_deref(), Some("deprecated"));
        assert_eq!(["1.10", "1.10.1", "2.1", "12.0.3", ""].map(told), [const { None }; 5]);
        assert_eq!(rule.evidence(&Labels::empty()), None);
    }
}
