//! The section `admission`: how many requests are at work at once when more come than can be answered.

use std::time::Duration;

use super::{
    section::{Findings, Section, count},
    settings::positive_duration,
    tree::Node,
};

/// How many requests are at work at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// Requests of all classes that are at work before lower classes are refused; 1,000 by default.
    pub total: usize,
    /// How long a request waits for a place; 1 second by default.
    pub wait: Duration,
    /// Samples that come in.
    pub ingest: ClassLimits,
    /// Storing takes too long from here on, and fewer are let in; 5 seconds by default.
    pub ingest_timeout: Duration,
    /// Questions.
    pub query: ClassLimits,
}

/// Between which numbers the limit of a class finds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassLimits {
    /// It is never lower; 20 by default.
    pub min: usize,
    /// It is never higher; 1,000 by default.
    pub max: usize,
    /// Where it begins; 200 by default.
    pub initial: usize,
    /// How many wait for a place at most; 200 by default.
    pub queue: usize,
}

impl Default for ClassLimits {
    fn default() -> Self {
        Self { min: 20, max: 1_000, initial: 200, queue: 200 }
    }
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            total: 1_000,
            wait: Duration::from_secs(1),
            ingest: ClassLimits::default(),
            ingest_timeout: Duration::from_secs(5),
            query: ClassLimits::default(),
        }
    }
}

pub(super) fn read_admission(node: &Node, findings: &mut Findings) -> AdmissionConfig {
    let mut config = AdmissionConfig::default();
    let mut section = Section::open(node, "`admission`", findings);
    section.set("total", &mut config.total, number, findings);
    section.set("wait", &mut config.wait, positive_duration, findings);
    section.set("ingest_timeout", &mut config.ingest_timeout, positive_duration, findings);
    for (key, limits) in [("ingest", &mut config.ingest), ("query", &mut config.query)] {
        if let Some(node) = section.node(key) {
            read_class(node, limits, findings);
        }
    }
    section.finish(&[], findings);
    config
}

fn read_class(node: &Node, limits: &mut ClassLimits, findings: &mut Findings) {
    let mut section = Section::open(node, "a class of `admission`", findings);
    section.set("min", &mut limits.min, number, findings);
    section.set("max", &mut limits.max, number, findings);
    let initial = section.value("initial", number, findings);
    section.set("queue", &mut limits.queue, any_number, findings);
    if limits.min > limits.max {
        findings.add(section.place_of("max"), "`max` is lower than `min`; raise it");
        limits.max = limits.min;
    }
    limits.initial = initial.unwrap_or(limits.initial).clamp(limits.min, limits.max);
    section.finish(&[], findings);
}

/// No number here is larger.
const MOST: u64 = 1_000_000;

fn number(text: &str) -> Result<usize, String> {
    match any_number(text)? {
        0 => Err("expected more than 0".to_owned()),
        number => Ok(number),
    }
}

fn any_number(text: &str) -> Result<usize, String> {
    let number = usize::try_from(count(text)?.min(MOST + 1)).unwrap_or(usize::MAX);
    if number as u64 > MOST { Err(format!("expected at most {MOST}")) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<AdmissionConfig, String> {
        let read = barograph_yaml::read(yaml, "test.yml", |root, findings| read_admission(&root, findings));
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn limits_are_read() {
        let config = read("{total: 50, wait: 2s, query: {min: 1, max: 4, queue: 0}}").unwrap();
        assert_eq!(config.query, ClassLimits { min: 1, max: 4, initial: 4, queue: 0 });
        assert_eq!((config.total, config.ingest), (50, ClassLimits::default()));
        assert_eq!(read("").unwrap(), AdmissionConfig::default());
        assert!(read("{query: {min: 5, max: 4}}").unwrap_err().contains("raise it"));
        assert!(read("{total: 0}").unwrap_err().contains("more than 0"));
        assert!(read("{totl: 1}").unwrap_err().contains("did you mean `total`"));
    }
}
