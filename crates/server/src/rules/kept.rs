//! The state of rules in the state database: a row for each alert that is active or was over lately.
//!
//! What an evaluation of a group changed is one transaction, and nothing is written where nothing changed. It is written
//! before anybody is told, so that after a crash a rule never knows less than those who were told.

use std::{collections::HashMap, ops::Range};

use barograph_alert::{Group, Kept};
use barograph_model::Labels;
use barograph_state::{Error, State, Table};
use xxhash_rust::xxh3::xxh3_64;

/// By group, rule, and a hash of the labels.
const ALERTS: Table<Key, Kept> = Table::new("rule_alerts");

/// Alerts of one rule that changed: as they are now, or `None` if they are forgotten.
pub(super) type Changes = Vec<(Labels, Option<Kept>)>;

/// What a group is called here.
pub(super) fn key(group: &Group) -> String {
    format!("{};{}", group.file, group.spec.name)
}

/// What some rules of a group are called, in order.
pub(super) fn rules(group: &Group, wanted: Range<usize>) -> Vec<String> {
    let mut like: HashMap<String, usize> = HashMap::new();
    let mut keys = Vec::with_capacity(wanted.len());
    for (index, rule) in group.rules.iter().enumerate().take(wanted.end) {
        let number = like.entry(rule.key()).or_default();
        if index >= wanted.start {
            keys.push(format!("{};{number}", rule.key()));
        }
        *number += 1;
    }
    keys
}

/// Group, rule, and a hash of the labels.
pub(super) type Key = (String, String, u64);

/// What is kept of a group.
pub(super) fn load(state: &State, group: &str) -> Result<Vec<(Key, Kept)>, Error> {
    let next = format!("{group}\0");
    let keys = (group.to_owned(), String::new(), 0)..(next, String::new(), 0);
    state.read(|view| view.range(&ALERTS, keys, usize::MAX))
}

/// Keeps what an evaluation changed.
pub(super) fn write(state: &State, group: &str, changes: &[(String, Changes)]) -> Result<(), Error> {
    state.write(|batch| {
        for (rule, changes) in changes {
            for (labels, kept) in changes {
                let key = (group.to_owned(), rule.clone(), xxh3_64(labels.as_bytes()));
                match kept {
                    Some(kept) => batch.put(&ALERTS, &key, kept)?,
                    None => drop(batch.remove(&ALERTS, &key)?),
                }
            }
        }
        Ok(())
    })
}

/// Forgets rows.
pub(super) fn forget(state: &State, keys: &[Key]) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    state.write(|batch| keys.iter().try_for_each(|key| batch.remove(&ALERTS, key).map(drop)))
}

/// Forgets what is kept of groups that are not wanted; how many rows that were.
pub(super) fn forget_groups(state: &State, wanted: impl Fn(&str) -> bool) -> Result<usize, Error> {
    let rows = state.read(|view| view.all(&ALERTS))?;
    let gone: Vec<Key> = rows.into_iter().map(|(key, _)| key).filter(|key| !wanted(&key.0)).collect();
    forget(state, &gone)?;
    Ok(gone.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_alert::{Defaults, file};
    use barograph_disk::MemoryDisk;

    use super::*;

    fn group(rules: &str) -> Group {
        let file = file::parse(&format!("groups: [{{name: g, rules: [{rules}]}}]"), "r.yml").unwrap();
        Group::new("r.yml", file.groups[0].clone(), &Defaults::default())
    }

    #[test]
    fn rules_that_are_alike_are_told_apart() {
        let group =
            group("{alert: a, expr: up}, {alert: a, expr: down}, {alert: a, expr: up, labels: {b: c}}");
        let keys = rules(&group, 0..3);
        let numbers: Vec<_> = keys.iter().map(|key| key.rsplit(';').next().unwrap()).collect();
        assert_eq!(numbers, ["0", "1", "0"]);
        assert_ne!(keys[0], keys[2]);
        assert_eq!(rules(&group, 1..3), keys[1..]);
    }

    #[test]
    fn groups_are_told_apart() {
        let state = State::open(Arc::new(MemoryDisk::new())).unwrap();
        let kept: Kept = serde_json::from_str(
            r#"{"labels": {"alertname": "a"}, "state": "firing", "active_at": 1, "fired_at": 2, "at": 3}"#,
        )
        .unwrap();
        let changes = || [("rule".to_owned(), vec![(Labels::empty(), Some(kept.clone()))])];
        for group in ["f;g", "f;g2", "f;"] {
            write(&state, group, &changes()).unwrap();
        }
        let rows = load(&state, "f;g").unwrap();
        assert_eq!(rows.iter().map(|row| (row.0.1.as_str(), &row.1)).collect::<Vec<_>>(), [("rule", &kept)]);
        forget(&state, &[rows[0].0.clone()]).unwrap();
        assert_eq!((load(&state, "f;g").unwrap().len(), load(&state, "f;g2").unwrap().len()), (0, 1));
        assert_eq!(forget_groups(&state, |group| group == "f;").unwrap(), 1);
        write(&state, "f;", &[("rule".to_owned(), vec![(Labels::empty(), None)])]).unwrap();
        assert_eq!(load(&state, "f;").unwrap().len(), 0);
    }
}
