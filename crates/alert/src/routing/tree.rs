//! The tree of routes, and which of them an alert takes.
//!
//! An alert goes down from the root: children are tried before their parent, in order, and the first that takes it is the last
//! unless it says `continue`. What a route does not say it has from its parent, but for the times at which it is muted.

use std::collections::{BTreeMap, BTreeSet};

use barograph_model::MatchOp;

use super::{LabelSet, Matchers, matcher::quoted};

/// How alerts of a route are put together.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupBy {
    /// Each alert is a group of its own.
    All,
    /// Alerts that have the same values of these are a group.
    Labels(BTreeSet<String>),
}

/// One route, with what it has from its parents.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Who is told.
    pub receiver: String,
    /// What alerts have to match.
    pub matchers: Matchers,
    /// How they are put together.
    pub group_by: GroupBy,
    /// How long a group that is new waits for more, in milliseconds.
    pub group_wait: i64,
    /// Time from one look at a group to the next, in milliseconds.
    pub group_interval: i64,
    /// How long before the same is told again, in milliseconds.
    pub repeat_interval: i64,
    /// Names of intervals in which nobody is told.
    pub mute_time_intervals: Vec<String>,
    /// Names of intervals outside of which nobody is told; none are all times.
    pub active_time_intervals: Vec<String>,
    /// Whether routes behind this one are tried as well.
    pub continues: bool,
    /// The policy by which its incidents escalate.
    pub escalation: Option<String>,
    /// The routes below.
    pub routes: Vec<Route>,
    /// Matchers from the root down, as group keys begin.
    pub path: String,
    /// Its number from the root, each before its children.
    pub number: usize,
}

/// What a route does for which it says nothing, in milliseconds.
pub const GROUP_WAIT: i64 = 30_000;
/// As [`GROUP_WAIT`].
pub const GROUP_INTERVAL: i64 = 300_000;
/// As [`GROUP_WAIT`].
pub const REPEAT_INTERVAL: i64 = 4 * 3_600_000;

impl Route {
    /// A root that sends all to one receiver.
    pub fn root(receiver: &str) -> Self {
        Self {
            receiver: receiver.to_owned(),
            matchers: Matchers::default(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait: GROUP_WAIT,
            group_interval: GROUP_INTERVAL,
            repeat_interval: REPEAT_INTERVAL,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            continues: false,
            escalation: None,
            routes: Vec::new(),
            path: "{}".to_owned(),
            number: 0,
        }
    }

    /// The routes that an alert takes, in order; none if it does not match this one.
    pub fn of(&self, labels: &LabelSet) -> Vec<&Self> {
        if !self.matchers.matches(labels) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for child in &self.routes {
            let taken = child.of(labels);
            let last = !taken.is_empty() && !child.continues;
            all.extend(taken);
            if last {
                break;
            }
        }
        if all.is_empty() { vec![self] } else { all }
    }

    /// Whether a route that an alert takes was made for it: it, or one above it, names the alert or its severity, rather than
    /// taking whatever comes.
    pub fn asks_for(&self, labels: &LabelSet) -> bool {
        let taken: Vec<usize> = self.of(labels).iter().map(|route| route.number).collect();
        self.asks(false, &taken)
    }

    fn asks(&self, above: bool, taken: &[usize]) -> bool {
        let names = self.matchers.all().iter().any(|matcher| {
            ["alertname", "severity"].contains(&matcher.name())
                && matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex)
                && !matcher.matches_absent()
        });
        let asks = above || names;
        asks && taken.contains(&self.number) || self.routes.iter().any(|route| route.asks(asks, taken))
    }

    /// This and all below, each before its children.
    pub fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        all.extend(self.routes.iter().flat_map(Self::all));
        all
    }

    /// Gives all routes their paths and numbers.
    pub fn settle(&mut self) {
        self.number_from(None, &mut 0);
    }

    fn number_from(&mut self, parent: Option<&str>, next: &mut usize) {
        self.path = match parent {
            Some(parent) => format!("{parent}/{}", self.matchers),
            None => self.matchers.to_string(),
        };
        self.number = *next;
        *next += 1;
        for child in &mut self.routes {
            child.number_from(Some(&self.path), next);
        }
    }

    /// The labels that tell the group of an alert.
    pub fn group_labels(&self, labels: &LabelSet) -> LabelSet {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => {
                let of = |name: &String| labels.get(name).map(|value| (name.clone(), value.clone()));
                names.iter().filter_map(of).collect()
            }
        }
    }

    /// The key of a group.
    pub fn group_key(&self, group: &LabelSet) -> String {
        format!("{}:{}", self.path, braced(group))
    }
}

/// `{a="1", b="2"}`
pub(super) fn braced(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
