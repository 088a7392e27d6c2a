//! What tests expect of notices and escalations: all there were since the test before, and no others.

use std::{fmt::Write, time::Duration};

use barograph_model::Labels;
use barograph_query::duration_text;

/// Notices that have to be sent after the test before this and up to its time, and no others.
#[derive(Clone, Debug)]
pub struct NoticeTest {
    /// After the start.
    pub eval_time: Duration,
    /// The notices.
    pub expected: Vec<ExpectedNotice>,
}

/// A notice that is expected.
#[derive(Clone, Debug)]
pub struct ExpectedNotice {
    /// Who is told.
    pub receiver: String,
    /// Whether all of it is over.
    pub resolved: bool,
    /// The labels of the group; any if it does not say.
    pub group: Option<Labels>,
    /// The labels of its alerts; any if it does not say.
    pub alerts: Option<Vec<Labels>>,
}

/// Levels that have to be asked after the test before this and up to its time, and no others.
#[derive(Clone, Debug)]
pub struct EscalationTest {
    /// After the start.
    pub eval_time: Duration,
    /// The levels.
    pub expected: Vec<ExpectedEscalation>,
}

/// A level that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedEscalation {
    /// Which, from 1.
    pub level: u32,
    /// Who is told, in any order.
    pub to: Vec<String>,
}

/// A notice that was sent.
#[derive(Clone, Debug)]
pub(super) struct Noticed {
    /// In milliseconds after the start.
    pub(super) at: i64,
    pub(super) receiver: String,
    pub(super) resolved: bool,
    pub(super) group: Labels,
    /// Sorted.
    pub(super) alerts: Vec<Labels>,
}

impl ExpectedNotice {
    pub(super) fn is(&self, noticed: &Noticed) -> bool {
        let alerts = self.alerts.clone().map(|mut alerts| {
            alerts.sort();
            alerts
        });
        self.receiver == noticed.receiver
            && self.resolved == noticed.resolved
            && self.group.as_ref().is_none_or(|group| *group == noticed.group)
            && alerts.is_none_or(|alerts| alerts == noticed.alerts)
    }

    pub(super) fn line(&self) -> String {
        line(&self.receiver, self.resolved, self.group.as_ref(), self.alerts.as_deref())
    }
}

impl Noticed {
    pub(super) fn line(&self) -> String {
        let line = line(&self.receiver, self.resolved, Some(&self.group), Some(&self.alerts));
        format!("{line}, at {}", duration_text(self.at))
    }
}

fn line(receiver: &str, resolved: bool, group: Option<&Labels>, alerts: Option<&[Labels]>) -> String {
    let mut line = format!("receiver: {receiver}, status: {}", if resolved { "resolved" } else { "firing" });
    if let Some(group) = group {
        let _ = write!(line, ", group: {group}");
    }
    if let Some(alerts) = alerts {
        let alerts: Vec<String> = alerts.iter().map(ToString::to_string).collect();
        let _ = write!(line, ", alerts: [{}]", alerts.join(", "));
    }
    line
}

impl ExpectedEscalation {
    pub(super) fn line(&self) -> String {
        let mut to = self.to.clone();
        to.sort();
        format!("level: {}, to: [{}]", self.level, to.join(", "))
    }
}

/// Takes what is expected out of what there was; whether nothing is left of either.
pub(super) fn are_same<E, G>(expected: &[E], got: &[&G], is: impl Fn(&E, &G) -> bool) -> bool {
    let mut left: Vec<&G> = got.to_vec();
    let all = expected.iter().all(|expected| match left.iter().position(|got| is(expected, got)) {
        Some(index) => {
            left.remove(index);
            true
        }
        None => false,
    });
    all && left.is_empty()
}
