//! Who is asked after whom: policies, and the targets they name.
//!
//! Level 1 is asked when it begins to fire. Whoever does not acknowledge within the delay of a level makes the next be asked.
//! After the last level all are asked again, `repeat` times; then it ends, or the last level is asked again and again.
//!
//! In a configuration:
//!
//! ```yaml
//! escalation_policies:
//!   payments:
//!     levels:
//!       - delay: 5m
//!         targets: [schedule:payments]
//!       - delay: 15m
//!         targets: [user:ann, receiver:managers]
//!         channels: [sms]
//!     repeat: 1
//!     then: stop
//!     ack_timeout: 2h
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};

use barograph_yaml::{
    section::{Findings, Section, count},
    tree::Node,
    units::parse_duration,
};
use serde::{Deserialize, Serialize};

use crate::{channels::KINDS, routing::Severity};

/// How long somebody has to acknowledge unless a policy says otherwise.
const DELAY: Duration = Duration::from_secs(15 * 60);
/// The name of the policy that holds where none is named.
pub(super) const DEFAULT: &str = "default";
/// The name that asks nobody.
const NONE: &str = "none";
/// More levels than this are refused.
const LEVELS_MAX: usize = 20;
/// More targets of a level are refused.
const TARGETS_MAX: usize = 50;
/// More rounds are refused.
const REPEAT_MAX: u64 = 100;

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Target {
    /// The receiver of the route, which is told as soon as the group is.
    Route,
    /// The receiver of the root route.
    Root,
    /// A person: the receiver of that name.
    User(String),
    /// Whoever is on call by that schedule.
    Schedule(String),
    /// A receiver.
    Receiver(String),
    /// Channels of that kind of the route's receiver.
    Channel(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route => f.write_str("route"),
            Self::Root => f.write_str("root"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Schedule(name) => write!(f, "schedule:{name}"),
            Self::Receiver(name) => write!(f, "receiver:{name}"),
            Self::Channel(name) => write!(f, "channel:{name}"),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected `user:NAME`, `schedule:NAME`, `receiver:NAME`, `channel:KIND`, `route` or `root`, found `{text}`"
            )
        };
        match (text, text.split_once(':')) {
            ("route", _) => Ok(Self::Route),
            ("root", _) => Ok(Self::Root),
            (_, None | Some((_, ""))) => Err(wrong()),
            (_, Some((kind, name))) => match kind {
                "user" => Ok(Self::User(name.to_owned())),
                "schedule" => Ok(Self::Schedule(name.to_owned())),
                "receiver" => Ok(Self::Receiver(name.to_owned())),
                "channel" => channel_kind(name).map(Self::Channel),
                _ => Err(wrong()),
            },
        }
    }
}

/// The names of the policies there are without any being configured.
pub fn built_in_policies() -> [String; 2] {
    [DEFAULT.to_owned(), NONE.to_owned()]
}

/// One step of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// How long those of this level have before the next is asked, in milliseconds.
    pub delay_ms: i64,
    /// Who is asked.
    pub targets: Vec<Target>,
    /// Kinds of channels that are used; all of them if none is named.
    #[serde(default)]
    pub channels: Vec<String>,
}

/// What follows the last round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// Nobody is asked any more.
    #[default]
    Stop,
    /// The last level is asked again after each of its delays.
    Last,
}

/// Who is asked after whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The steps; level 1 is the first. At least one.
    pub levels: Vec<Level>,
    /// How often all are asked again after the last.
    pub repeat: u32,
    /// What follows that.
    pub then: Then,
    /// How long an acknowledgement holds, in milliseconds; `None` until it is over.
    pub ack_timeout_ms: Option<i64>,
}

impl Policy {
    /// The one that holds where none is named: the route's receiver, and the root's after 15 minutes.
    pub fn built_in() -> Self {
        let level = |target| Level { delay_ms: millis(DELAY), targets: vec![target], channels: Vec::new() };
        let levels = vec![level(Target::Route), level(Target::Root)];
        Self { levels, repeat: 0, then: Then::Stop, ack_timeout_ms: None }
    }

    /// The one that asks nobody.
    pub fn silent() -> Self {
        let level = Level { delay_ms: 0, targets: vec![Target::Route], channels: Vec::new() };
        Self { levels: vec![level], repeat: 0, then: Then::Stop, ack_timeout_ms: None }
    }

    /// The one of a name: what is configured, else the built-in ones.
    pub fn named(name: &str, configured: &BTreeMap<String, Self>) -> Self {
        match configured.get(name) {
            Some(policy) => policy.clone(),
            None if name == NONE => Self::silent(),
            None => Self::built_in(),
        }
    }

    /// The name of the policy that holds without one: of what nobody needs to act on, nobody is asked twice.
    pub fn of_severity(severity: Severity) -> &'static str {
        match severity {
            Severity::Info => NONE,
            Severity::Warning | Severity::Critical => DEFAULT,
        }
    }

    /// A level, from 1.
    pub fn level(&self, number: u32) -> Option<&Level> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.levels.get(index)
    }

    /// The level after another with the round it is in, both from where they are; `None` if nobody is asked any more.
    pub fn after(&self, level: u32, round: u32) -> Option<(u32, u32)> {
        let last = u32::try_from(self.levels.len()).unwrap_or(u32::MAX);
        match () {
            () if level < last => Some((level + 1, round)),
            () if round < self.repeat => Some((1, round + 1)),
            () if self.then == Then::Last => Some((last, round)),
            () => None,
        }
    }

    /// Reads the value of a key of `escalation_policies`; what is wrong goes to the findings.
    pub fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let mut section = Section::open(node, "an escalation policy", findings);
        let nodes = section.items("levels", findings);
        let place = section.place_of("levels");
        if nodes.is_empty() || nodes.len() > LEVELS_MAX {
            findings.add(
                place,
                format!("an escalation policy has 1 to {LEVELS_MAX} `levels`; give who is asked first"),
            );
        }
        let levels: Vec<_> =
            nodes.iter().take(LEVELS_MAX).filter_map(|node| read_level(node, findings)).collect();
        let repeat = section.value("repeat", few, findings).unwrap_or_default();
        let then = section.value("then", then, findings).unwrap_or_default();
        let ack_timeout = section.value("ack_timeout", some_time, findings);
        section.finish(&[], findings);
        let ack_timeout_ms = ack_timeout.map(millis);
        (!levels.is_empty()).then_some(Self { levels, repeat, then, ack_timeout_ms })
    }

    /// The schedules and receivers it needs that are not there, in words, each once. `people` are those of a schedule.
    pub fn missing<'a>(
        &self,
        people: impl Fn(&str) -> Option<BTreeSet<&'a str>>,
        receiver: impl Fn(&str) -> bool,
    ) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        for target in self.levels.iter().flat_map(|level| &level.targets) {
            match target {
                Target::Schedule(name) => match people(name) {
                    Some(people) => missing
                        .extend(people.into_iter().filter(|person| !receiver(person)).map(no_receiver_of)),
                    None => {
                        missing.insert(format!("there is no schedule `{name}`; add it to `schedules`"));
                    }
                },
                Target::User(name) if !receiver(name) => {
                    missing.insert(no_receiver_of(name));
                }
                Target::Receiver(name) if !receiver(name) => {
                    missing.insert(format!("there is no receiver `{name}`; add it to `receivers`"));
                }
                _ => {}
            }
        }
        missing
    }

    /// Whether it asks whoever is on call by a schedule.
    pub fn asks(&self, schedule: &str) -> bool {
        let mut targets = self.levels.iter().flat_map(|level| &level.targets);
        targets.any(|target| matches!(target, Target::Schedule(name) if name == schedule))
    }
}

fn no_receiver_of(user: &str) -> String {
    format!("there is no receiver `{user}` by which the user `{user}` is told; add it to `receivers`")
}

fn read_level(node: &Node, findings: &mut Findings) -> Option<Level> {
    let mut section = Section::open(node, "a level", findings);
    let delay = section.value("delay", some_time, findings).unwrap_or(DELAY);
    let targets = section.values("targets", str::parse, findings);
    let channels = section.values("channels", channel_kind, findings);
    let place = section.place_of("targets");
    section.finish(&[], findings);
    if targets.is_empty() || targets.len() > TARGETS_MAX {
        findings.add(
            place,
            format!("a level has 1 to {TARGETS_MAX} `targets`; give one such as `schedule:NAME`"),
        );
        return None;
    }
    Some(Level { delay_ms: millis(delay), targets, channels })
}

fn channel_kind(text: &str) -> Result<String, String> {
    match KINDS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(format!("there are no channels of the kind `{text}`; there are {}", KINDS.join(", "))),
    }
}

fn few(text: &str) -> Result<u32, String> {
    let number = count(text)?;
    match u32::try_from(number) {
        Ok(few) if number <= REPEAT_MAX => Ok(few),
        _ => Err(format!("expected at most {REPEAT_MAX}, found `{text}`")),
    }
}

fn then(text: &str) -> Result<Then, String> {
    match text {
        "stop" => Ok(Then::Stop),
        "last" => Ok(Then::Last),
        _ => Err(format!("expected `stop` or `last`, found `{text}`")),
    }
}

fn some_time(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("expected more than no time".to_owned()),
        time => Ok(time),
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Policy>, String> {
        barograph_yaml::read(text, "p.yml", |node, findings| Policy::read(&node, findings))
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn policies_are_read() {
        let policy = read(
            "levels:\n- targets: [schedule:a]\n- {delay: 5m, targets: ['user:b', route], channels: [sms]}\n\
             repeat: 2\nthen: last\nack_timeout: 1h\n",
        );
        let policy = policy.unwrap().unwrap();
        assert_eq!(policy.levels[0].delay_ms, 900_000);
        assert_eq!(policy.levels[1].targets, [Target::User("b".to_owned()), Target::Route]);
        assert_eq!((policy.repeat, policy.then, policy.ack_timeout_ms), (2, Then::Last, Some(3_600_000)));
        assert_eq!(policy.missing(|_| None, |_| false).len(), 2);
        let missing = policy.missing(|_| Some(BTreeSet::from(["b", "c", "d"])), |name| name == "c");
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert!(policy.asks("a") && !policy.asks("b"));
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let check = |text: &str, expected: &str| assert_eq!(read(text).unwrap_err(), expected);
        check("levels: []", "p.yml:1:1: an escalation policy has 1 to 20 `levels`; give who is asked first");
        check(
            "levels: [{targets: [ann]}]",
            "p.yml:1:11: a level has 1 to 50 `targets`; give one such as `schedule:NAME`\n\
             p.yml:1:21: each of `targets`: expected `user:NAME`, `schedule:NAME`, `receiver:NAME`, `channel:KIND`, \
             `route` or `root`, found `ann`",
        );
        check(
            "levels: [{targets: ['channel:fax', 'channel:sms'], channels: [email, mail]}]",
            "p.yml:1:21: each of `targets`: there are no channels of the kind `fax`; there are dashboard, email, msteams, \
             opsgenie, pagerduty, slack, sms, telegram, webhook\n\
             p.yml:1:70: each of `channels`: there are no channels of the kind `mail`; there are dashboard, email, msteams, \
             opsgenie, pagerduty, slack, sms, telegram, webhook",
        );
        check("levels: [{targets: [root], delay: 0s}]", "p.yml:1:35: `delay`: expected more than no time");
        check(
            "levels: [{targets: [root]}]\nthen: end",
            "p.yml:2:7: `then`: expected `stop` or `last`, found `end`",
        );
    }

    #[test]
    fn levels_follow_each_other() {
        let policy = |repeat, then| Policy { repeat, then, ..Policy::built_in() };
        let path = |policy: Policy| {
            let mut at = Some((1, 0));
            let mut path = Vec::new();
            while let (Some((level, round)), true) = (at, path.len() < 6) {
                path.push(level);
                at = policy.after(level, round);
            }
            path
        };
        assert_eq!(path(policy(0, Then::Stop)), [1, 2]);
        assert_eq!(path(policy(1, Then::Stop)), [1, 2, 1, 2]);
        assert_eq!(path(policy(0, Then::Last)), [1, 2, 2, 2, 2, 2]);
        assert_eq!(path(Policy::silent()), [1]);
    }
}
