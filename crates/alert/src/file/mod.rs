//! Rule files, as Prometheus has them.
//!
//! A file holds groups, a group holds rules that are evaluated one after the other, and a rule records a series or watches
//! for a condition. What is read here is checked: expressions parse, templates parse, names are names, and no two groups
//! of a file are called the same.

mod duplicates;
mod one;
mod read;
mod written;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barograph_query::ast::Expr;

use crate::{
    kinds::{Kind, Missing, Threshold},
    template::Template,
};

pub use duplicates::{Duplicate, duplicates};
pub use one::{OneRule, RULE_BYTES_MAX, parse_one, read_one};
pub use read::parse;
pub use written::yaml;

/// A rule file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleFile {
    /// Its groups, in the order of the file; their names differ.
    pub groups: Vec<GroupSpec>,
}

impl RuleFile {
    /// How many rules there are in all groups.
    pub fn rules(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }
}

/// Rules that are evaluated at the same time, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// What it is called.
    pub name: String,
    /// Time from one evaluation to the next; `None` is what holds for all.
    pub interval: Option<Duration>,
    /// How far in the past its expressions are asked; `None` is what holds for all.
    pub query_offset: Option<Duration>,
    /// Series that one rule may record, or alerts that it may have, at most; 0 is no limit.
    pub limit: usize,
    /// The tenant whose series they ask and record, where there are tenants; `None` is the default one.
    pub tenant: Option<String>,
    /// Its rules in order, the labels of the group among theirs.
    pub rules: Vec<Arc<RuleSpec>>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSpec {
    /// What becomes of its answers.
    pub kind: RuleKind,
    /// What is asked.
    pub expr: Expr,
}

/// What becomes of the answers of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    /// They are stored as series.
    Recording {
        /// The name of the series.
        name: String,
        /// Labels they get; an empty value takes a label away.
        labels: BTreeMap<String, String>,
    },
    /// Each series is a condition that holds.
    Alerting(Box<AlertSpec>),
}

/// What is particular to a rule that watches for a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSpec {
    /// What its alerts are called.
    pub name: String,
    /// How long a condition has to hold before its alert fires.
    pub hold: Duration,
    /// How long an alert goes on firing after its condition is over.
    pub keep_firing: Duration,
    /// Labels that its alerts get.
    pub labels: BTreeMap<String, Template>,
    /// What is told of its alerts besides.
    pub annotations: BTreeMap<String, Template>,
    /// What it watches for.
    pub watches: Kind,
    /// The number that it holds something against, if that is what its expression does.
    pub threshold: Option<Threshold>,
    /// What it means for an alert that its series is missing.
    pub missing: Missing,
    /// What is done with its alerts, beyond what Prometheus knows.
    pub handling: Handling,
}

/// What is done with the alerts of a rule, beyond what Prometheus knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// The policy by which somebody is asked; `None` is what the route says.
    pub escalation: Option<String>,
    /// Where it is written what to do.
    pub runbook_url: Option<String>,
    /// Whether its alerts are acknowledged as soon as they fire, by the rule.
    pub auto_ack: bool,
    /// How long an alert that is over does not fire again.
    pub cooldown: Duration,
}

impl RuleSpec {
    /// The name of the series or of the alerts.
    pub fn name(&self) -> &str {
        match &self.kind {
            RuleKind::Recording { name, .. } => name,
            RuleKind::Alerting(alert) => &alert.name,
        }
    }

    /// The labels that the rule gives, as they are written.
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        match &self.kind {
            RuleKind::Recording { labels, .. } => {
                labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
            }
            RuleKind::Alerting(alert) => {
                alert.labels.iter().map(|(name, value)| (name.as_str(), value.text())).collect()
            }
        }
    }

    /// Whether what it measures is asked as a whole, not only where its condition holds.
    pub(crate) fn measured(&self) -> Option<&Threshold> {
        let alert = self.alerting()?;
        let threshold = alert.threshold.as_ref()?;
        (threshold.clear.is_some() || alert.missing != Missing::Resolve).then_some(threshold)
    }

    /// What is particular to an alerting rule.
    pub fn alerting(&self) -> Option<&AlertSpec> {
        match &self.kind {
            RuleKind::Recording { .. } => None,
            RuleKind::Alerting(alert) => Some(alert),
        }
    }
}
