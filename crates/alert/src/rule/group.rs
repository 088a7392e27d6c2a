//! A group with its rules, and how it takes the place of the one that was there before.

use std::{sync::Arc, time::Duration};

use barograph_model::{Labels, Timestamp};

use super::{Moment, Rule};
use crate::file::GroupSpec;

/// What holds for groups that do not say otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Time from one evaluation to the next; a minute by default.
    pub interval: Duration,
    /// How far in the past expressions are asked; not at all by default.
    pub query_offset: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60), query_offset: Duration::ZERO }
    }
}

/// A group of rules with what became of it so far.
#[derive(Clone, Debug)]
pub struct Group {
    /// The file it is from.
    pub file: Arc<str>,
    /// What the file says.
    pub spec: GroupSpec,
    /// Time from one evaluation to the next.
    pub interval: Duration,
    /// How far in the past expressions are asked, in milliseconds.
    pub offset_ms: i64,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

impl Group {
    /// A group of which nothing is known yet.
    pub fn new(file: impl Into<Arc<str>>, spec: GroupSpec, defaults: &Defaults) -> Self {
        let offset = spec.query_offset.unwrap_or(defaults.query_offset);
        let rules = spec.rules.iter().map(|rule| Rule::new(rule.clone()));
        Self {
            file: file.into(),
            interval: spec.interval.unwrap_or(defaults.interval),
            offset_ms: i64::try_from(offset.as_millis()).unwrap_or(i64::MAX),
            rules: rules.collect(),
            spec,
        }
    }

    /// How its rules are evaluated at a time; what each of them knows already is not in it ([`Rule::wants_history`]).
    pub fn moment(&self, at: Timestamp) -> Moment {
        let interval_ms = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX).max(1);
        Moment { at, offset_ms: self.offset_ms, limit: self.spec.limit, interval_ms, first: false }
    }

    /// Whether another group is the same as this one was at its beginning.
    pub fn is_like(&self, other: &Self) -> bool {
        self.file == other.file
            && self.spec == other.spec
            && self.interval == other.interval
            && self.offset_ms == other.offset_ms
    }

    /// Goes on where another version of the group ended: rules of the same kind, name and labels keep their alerts and
    /// series. What they measured and learned they keep only if they go on asking the same in the same way. Returns the series of
    /// rules that are no more, which end.
    pub fn adopt(&mut self, before: Self) -> Vec<Labels> {
        let same_times = (self.interval, self.offset_ms) == (before.interval, before.offset_ms);
        let mut before: Vec<Option<Rule>> = before.rules.into_iter().map(Some).collect();
        for rule in &mut self.rules {
            let same = |old: &&mut Option<Rule>| {
                old.as_ref().is_some_and(|old| {
                    old.spec.name() == rule.spec.name()
                        && old.spec.labels() == rule.spec.labels()
                        && old.spec.alerting().is_some() == rule.spec.alerting().is_some()
                })
            };
            if let Some(old) = before.iter_mut().find(same).and_then(Option::take) {
                rule.adopt(old, same_times);
            }
        }
        before.into_iter().flatten().flat_map(|rule| rule.given).collect()
    }

    /// The series that end with the group.
    pub fn into_series(self) -> Vec<Labels> {
        self.rules.into_iter().flat_map(|rule| rule.given).collect()
    }
}
