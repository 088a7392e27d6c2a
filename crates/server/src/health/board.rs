//! What is known of checks and components, and what changes as runs come in.
//!
//! Plain data: runs go in with the time, documents and transitions come out. A component is as its worst required check; an
//! optional one only degrades it, and so does one that is slow. Where a component that it depends on is unhealthy, that is
//! named as the cause, so that one cause makes one alert. A check that was not heard of for three intervals tells nothing.

use std::{collections::BTreeMap, time::Duration};

use barograph_model::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    check::{Finding, Plan},
    judge::Judge,
    messages::{CheckResult, ComponentHealth, HealthCheck, Node, Status},
    score::{Part, Score},
};

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// With this.
    Found(Finding),
    /// It panicked, with this text.
    Panicked(String),
    /// Not in its time.
    Late(Duration),
}

/// All that is known.
pub(super) struct Board {
    node: String,
    checks: BTreeMap<String, Known>,
    components: BTreeMap<String, (Status, Timestamp)>,
}

/// What is known of one check.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) component: String,
    pub(super) plan: Plan,
    /// The other node it looks at.
    pub(super) of_node: Option<String>,
    judge: Judge,
    pub(super) last: Option<HealthCheck>,
    last_at: Timestamp,
    message: Option<String>,
}

/// A status that became another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: Status,
    pub(super) to: Status,
}

/// What a run changed.
pub(super) struct Taken {
    pub(super) check: HealthCheck,
    pub(super) check_change: Option<Change>,
    pub(super) component: ComponentHealth,
    pub(super) component_change: Option<Change>,
    /// Whether the component is unhealthy because another is.
    pub(super) caused: bool,
    pub(super) essential: bool,
    /// The other node that was looked at.
    pub(super) of_node: Option<String>,
}

impl Board {
    pub(super) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), checks: BTreeMap::new(), components: BTreeMap::new() }
    }

    /// Takes a check in; `false` if there is one of that name.
    pub(super) fn add(&mut self, name: &str, component: &str, of_node: Option<&str>, plan: Plan) -> bool {
        if self.checks.contains_key(name) {
            return false;
        }
        let known = Known {
            component: component.to_owned(),
            plan,
            of_node: of_node.map(str::to_owned),
            judge: Judge::default(),
            last: None,
            last_at: Timestamp(0),
            message: None,
        };
        self.checks.insert(name.to_owned(), known);
        true
    }

    /// Forgets a check, and its component with its last one.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(known) = self.checks.remove(name)
            && self.of_component(&known.component).next().is_none()
        {
            self.components.remove(&known.component);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.checks.len()
    }

    /// Takes one run of a check that is known.
    pub(super) fn take(&mut self, name: &str, ended: Ended, took: Duration, now: Timestamp) -> Option<Taken> {
        let known = self.checks.get_mut(name)?;
        let slow = known.plan.slow.filter(|slow| took > *slow);
        let (result, found, message, details) = match ended {
            Ended::Found(mut finding) => {
                if let (Status::Healthy, Some(slow)) = (finding.status, slow) {
                    finding.status = Status::Degraded;
                    finding.message = Some(format!("it took longer than {} ms", slow.as_millis()));
                }
                let failed = finding.status == Status::Unhealthy;
                let result = if failed { CheckResult::Fail } else { CheckResult::Pass };
                (result, finding.status, finding.message, finding.details)
            }
            Ended::Panicked(text) => (
                CheckResult::Fail,
                Status::Unhealthy,
                Some(format!("the check panicked: {text}")),
                Map::new(),
            ),
            Ended::Late(timeout) => {
                let text = format!("the check did not end within {} ms", timeout.as_millis());
                (CheckResult::Timeout, Status::Unhealthy, Some(text), Map::new())
            }
        };
        let mut details = details;
        if let (true, Some(message)) = (result == CheckResult::Pass, &message) {
            details.entry("message").or_insert_with(|| message.clone().into());
        }
        let check = HealthCheck {
            check_name: name.to_owned(),
            node: self.node.clone(),
            result,
            duration_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
            details,
            error: message.clone().filter(|_| result != CheckResult::Pass),
            timestamp: now.to_rfc3339(),
        };
        let from = known.judge.status();
        let to = known.judge.take(found, &known.plan);
        (known.last, known.last_at, known.message) = (Some(check.clone()), now, message);
        let (component, essential) = (known.component.clone(), known.plan.essential);
        let of_node = known.of_node.clone();

        let before = self.components.get(&component).map_or(Status::Unknown, |(status, _)| *status);
        let status = self.status_of(&component, now);
        if before != status || !self.components.contains_key(&component) {
            self.components.insert(component.clone(), (status, now));
        }
        Some(Taken {
            check,
            check_change: (from != to).then_some(Change { from, to }),
            caused: !self.causes(&component, now).is_empty(),
            component: self.component(&component, now)?,
            component_change: (before != status).then_some(Change { from: before, to: status }),
            essential,
            of_node,
        })
    }

    /// All checks with their names and statuses.
    pub(super) fn checks(&self, now: Timestamp) -> impl Iterator<Item = (&str, &Known, Status)> {
        self.checks.iter().map(move |(name, known)| (name.as_str(), known, known.status(now)))
    }

    /// The names of all components.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.checks.values().map(|known| known.component.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A component as it is now.
    pub(super) fn component(&self, name: &str, now: Timestamp) -> Option<ComponentHealth> {
        let checks: Vec<_> = self.of_component(name).collect();
        let last =
            checks.iter().filter(|(_, known)| known.last.is_some()).map(|(_, known)| known.last_at).max();
        checks.first()?;
        let mut details = Map::new();
        for check in checks.iter().filter_map(|(_, known)| known.last.as_ref()) {
            for (key, value) in &check.details {
                details.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        let worst = checks.iter().max_by_key(|(_, known)| (known.status(now), !known.plan.optional));
        if let Some(message) = worst.and_then(|(_, known)| known.message.as_ref()) {
            details.insert("message".into(), message.clone().into());
        }
        let state = |(name, known): &(&str, &Known)| ((*name).to_owned(), known.status(now).as_str().into());
        details.insert("checks".into(), Value::Object(checks.iter().map(state).collect()));
        if checks.iter().any(|(_, known)| known.judge.flapping()) {
            details.insert("flapping".into(), true.into());
        }
        let causes = self.causes(name, now);
        if !causes.is_empty() {
            details.insert("caused_by".into(), causes.into());
        }
        if let Some((_, since)) = self.components.get(name) {
            details.insert("since".into(), since.to_rfc3339().into());
        }
        let score = score_of(&checks, now);
        details.insert("score".into(), json!(score.score));
        details.insert("score_parts".into(), json!(score.parts));
        Some(ComponentHealth {
            component: name.to_owned(),
            node: self.node.clone(),
            status: self.status_of(name, now),
            details,
            last_check: last.map(Timestamp::to_rfc3339),
            timestamp: now.to_rfc3339(),
        })
    }

    /// The status of all that is this node's own, and what is worst about it.
    pub(super) fn overall(&self, now: Timestamp) -> (Status, Option<String>) {
        let mut components: BTreeMap<&str, Vec<(&Known, Status)>> = BTreeMap::new();
        for known in self.checks.values().filter(|known| known.of_node.is_none()) {
            components.entry(&known.component).or_default().push((known, known.status(now)));
        }
        let mut worst = (Status::Healthy, None);
        for (name, checks) in components {
            let essential = checks.iter().any(|(known, _)| known.plan.essential);
            let ran = checks.iter().any(|(known, _)| known.last.is_some());
            let status = rolled_up(checks.iter().map(|(known, status)| (*status, known.plan.optional)));
            let counts = match status {
                Status::Unhealthy if essential => Status::Unhealthy,
                Status::Unhealthy | Status::Degraded => Status::Degraded,
                Status::Unknown if essential && ran => Status::Degraded,
                _ => continue,
            };
            if counts > worst.0 {
                let message = checks.iter().max_by_key(|(known, status)| (*status, !known.plan.optional));
                let message = message.and_then(|(known, _)| known.message.as_deref());
                let message = message.unwrap_or("nothing was heard of it for a while");
                worst = (counts, Some(format!("{name}: {message}")));
            }
        }
        worst
    }

    /// The checks without which the server is not healthy: name, status, whether it ran.
    pub(super) fn essential(&self, now: Timestamp) -> Vec<(String, Status)> {
        let essential = self.checks.iter().filter(|(_, known)| known.plan.essential && !known.plan.optional);
        essential.map(|(name, known)| (name.clone(), known.status(now))).collect()
    }

    /// The nodes, this one first.
    pub(super) fn nodes(&self, now: Timestamp) -> Vec<Node> {
        let own = Node { name: self.node.clone(), status: self.overall(now).0, reachable: true };
        let others = self.checks.values().filter_map(|known| {
            let status = known.status(now);
            // It answered if the run ended with a finding that says so.
            let answered = known.last.as_ref().is_some_and(|last| last.details.contains_key("node_status"));
            let reachable = answered || status != Status::Unhealthy;
            Some(Node { name: known.of_node.clone()?, status, reachable })
        });
        std::iter::once(own).chain(others).collect()
    }

    fn of_component<'b>(&'b self, component: &str) -> impl Iterator<Item = (&'b str, &'b Known)> {
        let of = self.checks.iter().filter(move |(_, known)| known.component == component);
        of.map(|(name, known)| (name.as_str(), known))
    }

    fn status_of(&self, component: &str, now: Timestamp) -> Status {
        rolled_up(self.of_component(component).map(|(_, known)| (known.status(now), known.plan.optional)))
    }

    /// Components that this one depends on and that are unhealthy, while it is.
    fn causes(&self, component: &str, now: Timestamp) -> Vec<String> {
        if self.status_of(component, now) != Status::Unhealthy {
            return Vec::new();
        }
        let named = self.of_component(component).flat_map(|(_, known)| known.plan.depends_on.iter());
        let mut causes: Vec<String> =
            named.filter(|name| self.status_of(name, now) == Status::Unhealthy).cloned().collect();
        causes.sort_unstable();
        causes.dedup();
        causes
    }
}

impl Known {
    /// The status, unless it is too old to be one.
    fn status(&self, now: Timestamp) -> Status {
        let fresh = 3 * self.plan.interval + self.plan.timeout;
        let age = now.0.saturating_sub(self.last_at.0);
        let stale = u128::try_from(age).is_ok_and(|age| age > fresh.as_millis());
        if self.last.is_none() || stale { Status::Unknown } else { self.judge.status() }
    }
}

/// The status of what has these checks; `true` of one that it can do without.
fn rolled_up(checks: impl Iterator<Item = (Status, bool)>) -> Status {
    let mut worst = Status::Healthy;
    let mut known = false;
    for (status, optional) in checks {
        let counts = match (status, optional) {
            (Status::Unhealthy, true) => Status::Degraded,
            (Status::Unknown, true) => Status::Healthy,
            (status, _) => status,
        };
        known |= status != Status::Unknown;
        worst = worst.max(counts);
    }
    if known { worst } else { Status::Unknown }
}

/// How well the checks of a component go: what each found, and how long it took where that matters.
fn score_of(checks: &[(&str, &Known)], now: Timestamp) -> Score {
    let mut parts = Vec::new();
    for (name, known) in checks {
        let value = match known.status(now) {
            Status::Healthy => Some(0.0),
            Status::Degraded => Some(0.5),
            Status::Unhealthy => Some(1.0),
            Status::Unknown => None,
        };
        let weight = if known.plan.optional { 1.0 } else { 3.0 };
        let part = Part::new(name, value, [0.0, 1.0], weight);
        parts.push(if known.plan.optional { part } else { part.critical() });
        let took = known.last.as_ref().map(|last| last.duration_ms);
        if let Some(slow) = known.plan.slow {
            let slow = slow.as_secs_f64() * 1e3;
            parts.push(Part::new(&format!("{name}_duration_ms"), took, [slow, 3.0 * slow], 1.0));
        }
    }
    Score::of(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan::new().at_once()
    }

    struct Play(Board, Timestamp);

    impl Play {
        fn new(checks: &[(&str, &str, Plan)]) -> Self {
            let mut board = Board::new("here");
            for (name, component, plan) in checks {
                assert!(board.add(name, component, None, plan.clone()));
            }
            Self(board, Timestamp(1_000_000))
        }

        fn run(&mut self, name: &str, finding: Finding) -> Taken {
            self.0.take(name, Ended::Found(finding), Duration::from_millis(2), self.1).unwrap()
        }

        fn status(&self, component: &str) -> Status {
            self.0.component(component, self.1).unwrap().status
        }
    }

    #[test]
    fn a_component_is_as_its_worst_required_check() {
        let optional = Plan { optional: true, ..plan() };
        let mut play = Play::new(&[("a", "c", plan()), ("b", "c", plan()), ("o", "c", optional)]);
        assert_eq!(play.status("c"), Status::Unknown);
        assert_eq!(play.run("a", Finding::pass()).component_change, None);
        play.run("b", Finding::pass());
        assert_eq!(play.status("c"), Status::Healthy);
        play.run("o", Finding::fail("gone"));
        assert_eq!(play.status("c"), Status::Degraded);
        let taken = play.run("b", Finding::fail("broken").with("store_id", "main"));
        let change = Change { from: Status::Degraded, to: Status::Unhealthy };
        assert_eq!(taken.component_change, Some(change));
        assert_eq!(taken.check.error.as_deref(), Some("broken"));
        let details = &taken.component.details;
        assert_eq!((&details["store_id"], &details["message"]), (&json!("main"), &json!("broken")));
        assert_eq!(details["score"], 42.9);
        assert_eq!(play.0.overall(play.1), (Status::Degraded, Some("c: broken".into())));
    }

    #[test]
    fn only_what_is_essential_makes_the_server_unhealthy() {
        let essential = Plan { essential: true, ..plan() };
        let mut play = Play::new(&[("disk", "disk", essential), ("site", "site", plan())]);
        assert_eq!(play.0.overall(play.1), (Status::Healthy, None));
        play.run("disk", Finding::pass());
        play.run("site", Finding::fail("refused"));
        assert_eq!(play.0.overall(play.1).0, Status::Degraded);
        play.run("disk", Finding::fail("full"));
        assert_eq!(play.0.overall(play.1), (Status::Unhealthy, Some("disk: full".into())));
        play.1 = Timestamp(play.1.0 + 60_000);
        assert_eq!(play.0.overall(play.1).0, Status::Degraded, "old news is no news");
    }

    #[test]
    fn one_cause_is_named() {
        let depends = Plan { depends_on: vec!["database".into()], ..plan() };
        let mut play = Play::new(&[("database", "database", plan()), ("site", "site", depends)]);
        assert!(!play.run("site", Finding::fail("500")).caused);
        play.run("database", Finding::fail("refused"));
        let taken = play.run("site", Finding::fail("500"));
        assert!(taken.caused);
        assert_eq!(taken.component.details["caused_by"], json!(["database"]));
    }

    #[test]
    fn late_and_panicking_runs_are_told_as_what_they_are() {
        let mut play = Play::new(&[("a", "a", plan())]);
        let taken =
            play.0.take("a", Ended::Late(Duration::from_secs(1)), Duration::from_secs(1), play.1).unwrap();
        assert_eq!(taken.check.result, CheckResult::Timeout);
        let taken = play.0.take("a", Ended::Panicked("boom".into()), Duration::ZERO, play.1).unwrap();
        assert_eq!(
            (taken.check.result, taken.check.error.unwrap().as_str()),
            (CheckResult::Fail, "the check panicked: boom")
        );
        let slow = Plan { slow: Some(Duration::from_millis(1)), ..plan() };
        let mut play = Play::new(&[("s", "s", slow)]);
        let taken = play.run("s", Finding::pass());
        assert_eq!((taken.check.result, play.status("s")), (CheckResult::Pass, Status::Degraded));
    }
}
