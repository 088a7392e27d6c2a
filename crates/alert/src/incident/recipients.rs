//! Whom a level of a policy tells.
//!
//! Somebody is always told: where nobody is on call, or whoever is has no receiver, it is the receiver of the root route.

use std::collections::BTreeMap;

use super::{
    Schedule,
    policy::{Level, Target},
};
use crate::config::Receiver;

/// What targets are looked up in.
#[derive(Clone, Copy, Debug)]
pub struct Surrounding<'a> {
    /// The receiver of the incident's route.
    pub route: &'a str,
    /// The receiver of the root route.
    pub root: &'a str,
    /// Schedules by name.
    pub schedules: &'a BTreeMap<String, Schedule>,
    /// Receivers by name.
    pub receivers: &'a BTreeMap<String, Receiver>,
    /// The time, in milliseconds since the epoch.
    pub now: i64,
}

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// As documents name them: `user:ann`, `receiver:ops`.
    pub told: Vec<String>,
    /// Receivers with the kinds of channels that are used; none is all of them.
    pub receivers: BTreeMap<String, Vec<String>>,
    /// Schedules by which nobody is on call.
    pub vacant: Vec<String>,
    /// Who would be told, but has no receiver.
    pub unreachable: Vec<String>,
}

/// Whom a level tells. If that is nobody, since nobody is on call or whoever is has no receiver, the receiver of the root route
/// is told: a page is never lost.
pub fn recipients(level: &Level, around: Surrounding<'_>) -> Recipients {
    let mut found = Recipients::default();
    let mut add = |told: String, receiver: &str, channel: Option<&String>| {
        let channels = channel.map_or(&level.channels[..], std::slice::from_ref);
        match found.receivers.get_mut(receiver) {
            // Once all channels are meant, they stay so.
            Some(kinds) if kinds.is_empty() || channels.is_empty() => kinds.clear(),
            Some(kinds) => kinds.extend(channels.iter().cloned()),
            None => drop(found.receivers.insert(receiver.to_owned(), channels.to_vec())),
        }
        if !found.told.contains(&told) {
            found.told.push(told);
        }
    };
    let mut unreachable = Vec::new();
    let mut known = |name: &str| {
        let is_known = around.receivers.contains_key(name);
        if !is_known && !unreachable.iter().any(|it| it == name) {
            unreachable.push(name.to_owned());
        }
        is_known
    };
    for target in &level.targets {
        match target {
            Target::Route => add(format!("receiver:{}", around.route), around.route, None),
            Target::Root => add(format!("receiver:{}", around.root), around.root, None),
            Target::User(name) | Target::Receiver(name) if !known(name) => {}
            Target::User(name) | Target::Receiver(name) => add(target.to_string(), name, None),
            Target::Channel(kind) => add(target.to_string(), around.route, Some(kind)),
            Target::Schedule(name) => {
                match around.schedules.get(name).and_then(|schedule| schedule.on_call(around.now)) {
                    Some(on_call) if !known(&on_call.user) => {}
                    Some(on_call) => add(format!("user:{}", on_call.user), &on_call.user, None),
                    None => found.vacant.push(name.clone()),
                }
            }
        }
    }
    found.unreachable = unreachable;
    if found.receivers.is_empty() {
        found.told.push(format!("receiver:{}", around.root));
        found.receivers.insert(around.root.to_owned(), Vec::new());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_always_told() {
        let receiver = |name: &str| Receiver { name: name.to_owned(), channels: Vec::new() };
        let receivers = ["team", "all", "ann"].map(|name| (name.to_owned(), receiver(name))).into();
        let text = "layers: [{users: [bo], start: 2020-01-06T09:00}]";
        let schedule = barograph_yaml::read(text, "s.yml", |node, findings| Schedule::read(&node, findings));
        let schedules = BTreeMap::from([("s".to_owned(), schedule.unwrap().unwrap())]);
        let now = 1_600_000_000_000;
        let around =
            Surrounding { route: "team", root: "all", schedules: &schedules, receivers: &receivers, now };
        let level = |targets: &[&str], channels: &[&str]| Level {
            delay_ms: 1,
            targets: targets.iter().map(|target| target.parse().unwrap()).collect(),
            channels: channels.iter().map(|&kind| kind.to_owned()).collect(),
        };
        let found = recipients(&level(&["schedule:gone"], &[]), around);
        assert_eq!(
            (&found.told[..], &found.vacant[..]),
            (&["receiver:all".to_owned()][..], &["gone".to_owned()][..])
        );
        // Nobody hears of what is told to somebody without a receiver.
        let found = recipients(&level(&["schedule:s", "user:bo"], &[]), around);
        assert_eq!(
            (&found.told[..], &found.unreachable[..]),
            (&["receiver:all".to_owned()][..], &["bo".to_owned()][..])
        );
        let found = recipients(&level(&["schedule:s", "user:ann"], &[]), around);
        assert_eq!((found.told, found.unreachable.len()), (vec!["user:ann".to_owned()], 1));
        let found = recipients(&level(&["channel:sms", "channel:email", "user:ann"], &[]), around);
        assert_eq!(found.receivers["team"], ["sms", "email"]);
        assert!(found.receivers["ann"].is_empty());
        // Whoever is meant whole is told by all channels.
        let found = recipients(&level(&["channel:sms", "route"], &[]), around);
        assert!(found.receivers["team"].is_empty());
    }
}
