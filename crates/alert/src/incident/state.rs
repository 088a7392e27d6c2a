//! One incident, and how it changes.
//!
//! ```text
//!            ┌─ un-acknowledge, lapse, escalate by hand ─┐
//!            ▼                                           │
//!   fires ► open ──────── acknowledge ──────────► acknowledged
//!            │ deadline: next level                      │
//!            └──────────────► resolved ◄─────────────────┘
//! ```
//!
//! Only an open incident has a deadline of an escalation, and one of which all alerts are muted waits without.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Change, Page, Policy, Refused, Row,
    timeline::{Kind, NOBODY},
};
use crate::routing::{Alert, Fingerprint, LabelSet, Severity};

/// More rows of a timeline are not kept, but for those of state.
const ROWS_MAX: u64 = 1_000;
/// More escalations of an incident are not listed.
const ESCALATIONS_MAX: usize = 50;
/// A longer message is refused.
const TEXT_BYTES_MAX: usize = 4_096;
/// A longer name is refused.
const NAME_BYTES_MAX: usize = 256;

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody took it.
    Open,
    /// Somebody did.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    /// As documents call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// That somebody took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The alert that was acknowledged.
    pub alert_id: String,
    /// Who: a person, a service, or the rule that says so.
    pub by: String,
    /// What they said.
    pub message: String,
    /// Whether a rule did.
    pub auto: bool,
    /// When, in milliseconds since the epoch.
    pub at: i64,
}

/// That others were asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// The alert that nobody took.
    pub alert_id: String,
    /// The level that is asked, from 1.
    pub level: u32,
    /// Who.
    pub to: Vec<String>,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since the epoch.
    pub at: i64,
}

/// An alert of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// What is known of it; `None` of those that are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Box<Alert>>,
    /// Since when it fires.
    pub starts_at: i64,
    /// Since when it does not any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
}

/// When the next level is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The time, in milliseconds since the epoch.
    pub at: i64,
    /// How long it was from when it was set: a clock that is set back does not make it longer.
    pub after_ms: i64,
}

impl Deadline {
    /// That long from now.
    pub(super) fn after(after_ms: i64, now: i64) -> Self {
        Self { at: now.saturating_add(after_ms), after_ms }
    }

    /// Whether it has passed; one that a clock has moved out of reach is set anew.
    fn passed(&mut self, now: i64) -> bool {
        if self.at.saturating_sub(now) > self.after_ms {
            *self = Self::after(self.after_ms, now);
        }
        self.at <= now
    }
}

/// The time in which a group of a route fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// What tells it apart.
    pub id: String,
    /// Counts incidents in the order in which they began.
    #[serde(default)]
    pub number: u64,
    /// Path of the route and labels of the group.
    pub group_key: String,
    /// Labels that all its alerts have by grouping.
    pub group_labels: LabelSet,
    /// The receiver of the route.
    pub receiver: String,
    /// What it is, in a line.
    pub title: String,
    /// The worst of its alerts.
    pub severity: Severity,
    /// The rule of that one, by its name.
    pub rule: String,
    /// Who is asked after whom, by name.
    pub policy: String,
    /// Where it stands.
    pub state: State,
    /// Since when the first of its alerts fires.
    pub fired_at: i64,
    /// Since when it is known.
    pub opened_at: i64,
    /// When it was acknowledged first.
    pub acknowledged_at: Option<i64>,
    /// When it was over.
    pub resolved_at: Option<i64>,
    /// Whether a person said that it is over, while alerts fire.
    #[serde(default)]
    pub by_hand: bool,
    /// Who has it.
    pub ack: Option<Ack>,
    /// Whose it is to mend.
    pub assignee: Option<String>,
    /// The level that was asked last, from 1.
    pub level: u32,
    /// How often all levels were asked before.
    pub round: u32,
    /// When the next is asked.
    pub due: Option<Deadline>,
    /// When the acknowledgement holds no longer.
    pub lapse: Option<Deadline>,
    /// Whether it waits since all of its alerts are muted.
    #[serde(default)]
    pub held: bool,
    /// Its alerts, those that are over included.
    pub members: BTreeMap<Fingerprint, Member>,
    /// Alerts that are not held, as there are too many.
    #[serde(default)]
    pub more: usize,
    /// Who was asked besides.
    pub escalations: Vec<Escalation>,
    /// Rows of its timeline so far.
    pub rows: u64,
    /// Rows that were not kept.
    #[serde(default)]
    pub rows_dropped: u64,
}

/// What people do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Takes it; `alert` is the alert that was looked at.
    Ack {
        /// That alert's id.
        alert: Option<String>,
        /// Whether a rule does it.
        auto: bool,
    },
    /// Gives it back: others are asked again, a delay later.
    Unack,
    /// Takes it from who has it.
    TakeOver,
    /// Says something.
    Comment,
    /// Says whose it is to mend; `None` is nobody's.
    Assign(Option<String>),
    /// Has the next level asked now.
    Escalate,
    /// Says that it is over.
    Resolve,
}

impl Incident {
    /// Whether alerts of it are looked at for whom to ask: it is not over.
    pub fn is_live(&self) -> bool {
        self.state != State::Resolved
    }

    /// Whether a person said that it is over while something fires that has not ended since.
    pub(super) fn lingers(&self) -> bool {
        let fires = || self.members.values().any(|member| member.ends_at.is_none());
        !self.is_live() && self.by_hand && fires()
    }

    /// The alert that stands for it.
    pub fn alert_id(&self) -> String {
        let firing = self.members.iter().find(|(_, member)| member.ends_at.is_none());
        let (fingerprint, _) = firing.or_else(|| self.members.iter().next()).unzip();
        fingerprint.map(alert_id).unwrap_or_default()
    }

    /// When it has to be looked at next.
    pub fn next(&self) -> Option<i64> {
        [self.due, self.lapse].into_iter().flatten().map(|deadline| deadline.at).min()
    }

    /// A clock jumped by so much: deadlines go with it.
    pub(super) fn shift(&mut self, by: i64) {
        for deadline in [&mut self.due, &mut self.lapse].into_iter().flatten() {
            deadline.at = deadline.at.saturating_add(by);
        }
    }

    /// Whether it has to be looked at: a deadline has passed, or a clock that was set back has moved it out of reach.
    pub(super) fn is_due(&self, now: i64) -> bool {
        let due =
            |deadline: Deadline| deadline.at <= now || deadline.at.saturating_sub(now) > deadline.after_ms;
        [self.due, self.lapse].into_iter().flatten().any(due)
    }

    /// How long it took until somebody took it, in milliseconds.
    pub fn took_to_ack(&self) -> Option<i64> {
        self.acknowledged_at.map(|at| (at - self.opened_at).max(0))
    }

    /// How long it took until it was over, in milliseconds.
    pub fn took_to_resolve(&self) -> Option<i64> {
        self.resolved_at.map(|at| (at - self.opened_at).max(0))
    }

    /// What somebody does; `message` is what they say.
    pub(super) fn act(
        &mut self,
        act: Act,
        (by, message): (&str, &str),
        policy: &Policy,
        now: i64,
        change: &mut Change,
    ) -> Result<(), Refused> {
        check_text("the name of who does it", by, NAME_BYTES_MAX)?;
        if message.len() > TEXT_BYTES_MAX {
            return Err(Refused::TooLong { what: "the message", limit: TEXT_BYTES_MAX });
        }
        if !self.is_live() && act != Act::Comment {
            return Err(Refused::Over);
        }
        match act {
            Act::Ack { alert, auto } => self.acknowledge(alert, auto, (by, message), policy, now, change),
            Act::Unack => {
                let Some(ack) = self.ack.take() else { return Err(Refused::NotAcknowledged) };
                self.reopen(policy, now);
                let text = with_message(&format!("{by} gave back what {} had", ack.by), message);
                self.row(change, now, Kind::Unacknowledged, by, text, json!({"had": ack.by}));
                Ok(())
            }
            Act::TakeOver => {
                let before = self.ack.as_ref().map(|ack| ack.by.clone());
                match before {
                    None => self.acknowledge(None, false, (by, message), policy, now, change),
                    Some(before) if before == by => Ok(()),
                    Some(before) => {
                        self.take(None, false, (by, message), policy, now, change);
                        let text = with_message(&format!("{by} took it over from {before}"), message);
                        self.row(change, now, Kind::TakenOver, by, text, json!({"from": before}));
                        Ok(())
                    }
                }
            }
            Act::Comment => {
                check_text("a comment", message, TEXT_BYTES_MAX)?;
                if self.rows >= ROWS_MAX {
                    return Err(Refused::Full);
                }
                self.row(change, now, Kind::Commented, by, message.to_owned(), json!(null));
                Ok(())
            }
            Act::Assign(assignee) => {
                if let Some(name) = &assignee {
                    check_text("the name of an assignee", name, NAME_BYTES_MAX)?;
                }
                let text = match &assignee {
                    Some(name) => format!("{by} gave it to {name}"),
                    None => format!("{by} took it from its assignee"),
                };
                let data = json!({"assignee": assignee});
                self.assignee = assignee;
                self.row(change, now, Kind::Assigned, by, with_message(&text, message), data);
                Ok(())
            }
            Act::Escalate => {
                // Whoever has it asks for more: it is nobody's until one of those takes it.
                self.ack = None;
                self.lapse = None;
                self.state = State::Open;
                let (level, round) = policy.after(self.level, self.round).unwrap_or((self.level, self.round));
                let reason = with_message(&format!("Escalated by {by}"), message);
                self.ask((level, round), reason, by, policy, now, change);
                Ok(())
            }
            Act::Resolve => {
                self.by_hand = true;
                self.finish(now, change);
                let text = with_message(&format!("{by} says that it is over"), message);
                self.row(change, now, Kind::Resolved, by, text, json!({"by_hand": true}));
                Ok(())
            }
        }
    }

    fn acknowledge(
        &mut self,
        alert: Option<String>,
        auto: bool,
        (by, message): (&str, &str),
        policy: &Policy,
        now: i64,
        change: &mut Change,
    ) -> Result<(), Refused> {
        match &self.ack {
            // Whoever presses twice means it once.
            Some(ack) if ack.by == by => return Ok(()),
            Some(ack) => return Err(Refused::Taken(ack.by.clone())),
            None => {}
        }
        self.take(alert, auto, (by, message), policy, now, change);
        let text = with_message(&format!("{by} acknowledged"), message);
        let ack = json!({"auto_ack": auto, "alert_id": self.ack.as_ref().map(|ack| &ack.alert_id)});
        self.row(change, now, Kind::Acknowledged, by, text, ack);
        Ok(())
    }

    fn take(
        &mut self,
        alert: Option<String>,
        auto: bool,
        (by, message): (&str, &str),
        policy: &Policy,
        now: i64,
        change: &mut Change,
    ) {
        let alert_id = alert.unwrap_or_else(|| self.alert_id());
        let ack = Ack { alert_id, by: by.to_owned(), message: message.to_owned(), auto, at: now };
        self.state = State::Acknowledged;
        self.acknowledged_at.get_or_insert(now);
        self.due = None;
        self.lapse = policy.ack_timeout_ms.map(|timeout| Deadline::after(timeout, now));
        change.cancel = true;
        change.acks.push(ack.clone());
        self.ack = Some(ack);
    }

    fn reopen(&mut self, policy: &Policy, now: i64) {
        self.state = State::Open;
        self.ack = None;
        self.lapse = None;
        self.wait(policy, now);
    }

    /// Sets the deadline of the level that was asked last, if another follows.
    pub(super) fn wait(&mut self, policy: &Policy, now: i64) {
        self.due = None;
        if self.state == State::Open && !self.held && policy.after(self.level, self.round).is_some() {
            let delay = policy.level(self.level).or(policy.levels.last()).map(|level| level.delay_ms);
            self.due = delay.map(|delay| Deadline::after(delay, now));
        }
    }

    /// It is over: nobody is asked any more.
    pub(super) fn finish(&mut self, now: i64, change: &mut Change) {
        self.state = State::Resolved;
        self.resolved_at = Some(now);
        (self.due, self.lapse) = (None, None);
        self.held = false;
        change.cancel = true;
    }

    /// What is due at a time: at most one level is asked, however long nobody looked.
    pub(super) fn tick(&mut self, policy: &Policy, now: i64, change: &mut Change) {
        if let Some(lapse) = &mut self.lapse
            && lapse.passed(now)
        {
            let after = in_words(lapse.after_ms);
            let had = self.ack.take().map(|ack| ack.by).unwrap_or_default();
            self.reopen(policy, now);
            let text = format!("the acknowledgement of {had} lapsed after {after}");
            self.row(change, now, Kind::AckLapsed, NOBODY, text, json!({"had": had}));
            if !self.held {
                let reason = format!("Acknowledgment lapsed after {after}");
                self.ask((self.level, self.round), reason, NOBODY, policy, now, change);
            }
            return;
        }
        let Some(due) = &mut self.due else { return };
        if !due.passed(now) {
            return;
        }
        let after = in_words(due.after_ms);
        match policy.after(self.level, self.round) {
            Some(next) => {
                self.ask(next, format!("No acknowledgment after {after}"), NOBODY, policy, now, change);
            }
            None => self.due = None,
        }
    }

    /// Has a level asked.
    fn ask(
        &mut self,
        (level, round): (u32, u32),
        reason: String,
        by: &str,
        policy: &Policy,
        now: i64,
        change: &mut Change,
    ) {
        (self.level, self.round) = (level, round);
        self.wait(policy, now);
        let Some(asked) = policy.level(level) else { return };
        let to = asked.targets.iter().map(ToString::to_string).collect();
        let escalation = Escalation { alert_id: self.alert_id(), level, to, reason: reason.clone(), at: now };
        if self.escalations.len() < ESCALATIONS_MAX {
            self.escalations.push(escalation.clone());
        }
        change.pages.push(Page { level: asked.clone(), escalation });
        let data = json!({"level": level, "round": round, "targets": asked.targets});
        self.row(change, now, Kind::Escalated, by, reason, data);
        if self.due.is_none() && !self.held {
            let text = "nobody is asked after this level".to_owned();
            self.row(change, now, Kind::Exhausted, NOBODY, text, json!({"level": level}));
        }
    }

    /// Who was told in place of the targets that a page names.
    pub(super) fn told(&mut self, escalation: &Escalation) {
        let same = |it: &&mut Escalation| it.at == escalation.at && it.level == escalation.level;
        if let Some(found) = self.escalations.iter_mut().rev().find(same) {
            found.to.clone_from(&escalation.to);
        }
    }

    /// Adds a row to the timeline.
    pub(super) fn row(
        &mut self,
        change: &mut Change,
        at: i64,
        kind: Kind,
        actor: &str,
        text: String,
        data: serde_json::Value,
    ) {
        let matters = !matches!(kind, Kind::Changed | Kind::Notified | Kind::Commented | Kind::Escalated);
        if self.rows >= ROWS_MAX && !matters {
            self.rows_dropped += 1;
            return;
        }
        self.rows += 1;
        let (incident, actor) = (self.id.clone(), actor.to_owned());
        change.rows.push(Row { incident, seq: self.rows, at, kind, actor, text, data });
    }
}

/// The id of an alert: `alert_` and its fingerprint.
pub(super) fn alert_id(fingerprint: &Fingerprint) -> String {
    format!("alert_{fingerprint}")
}

fn with_message(text: &str, message: &str) -> String {
    if message.is_empty() { text.to_owned() } else { format!("{text}: {message}") }
}

fn check_text(what: &'static str, text: &str, limit: usize) -> Result<(), Refused> {
    match text {
        "" => Err(Refused::Missing(what)),
        text if text.len() > limit => Err(Refused::TooLong { what, limit }),
        _ => Ok(()),
    }
}

/// A span as people say it: `15 minutes`, `1 hour 30 minutes`.
fn in_words(ms: i64) -> String {
    const UNITS: [(&str, i64); 4] = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let mut rest = ms / 1_000;
    let mut words = Vec::new();
    for (unit, seconds) in UNITS {
        let number = rest / seconds;
        rest %= seconds;
        if number > 0 {
            words.push(format!("{number} {unit}{}", if number == 1 { "" } else { "s" }));
        }
    }
    if words.is_empty() { "no time".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_people_do() {
        let check = |ms, expected: &str| assert_eq!(in_words(ms), expected);
        check(900_000, "15 minutes");
        check(5_400_000, "1 hour 30 minutes");
        check(86_401_000, "1 day 1 second");
        check(10, "no time");
    }

    #[test]
    fn a_clock_set_back_makes_no_deadline_longer() {
        let mut deadline = Deadline::after(1_000, 1_000_000);
        assert!(!deadline.passed(500));
        assert_eq!(deadline.at, 1_500);
        assert!(deadline.passed(1_500));
    }
}
