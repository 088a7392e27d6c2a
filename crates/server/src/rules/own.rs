//! Rules that were made by API: kept in the state database, beside those of files.
//!
//! Each has an id, a version that counts its changes, and what it said in each of them. What is answered for is durable. They
//! are evaluated in groups of one interval and tenant, which to `manager` are the groups of one more file, called [`FILE`].
//! A rule that a newer version cannot read is kept, told and not evaluated.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_alert::{
    GroupSpec, RuleFile,
    file::{OneRule, parse_one},
};
use barograph_model::Timestamp;
use barograph_state::{Bounds, Error as StateError, Event, History, State, Table};
use barograph_yaml::units::format_duration;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_64;

use crate::errors::chain;

/// What stands for the file of these rules.
pub(crate) const FILE: &str = "api";
/// So many rules are kept.
pub(crate) const OWN_RULES_MAX: usize = 2_000;
/// Versions of one rule that are kept, and of all.
const VERSIONS: Bounds = Bounds { per_subject: 100, total: 20_000, age_ms: 10 * 365 * 86_400_000 };

const RULES: Table<String, Kept> = Table::new("own_rules");
const HISTORY: History<Version> = History::new("own_rule_versions");

/// A rule as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// As it was given, or written from a document.
    pub(crate) text: String,
    /// Counts its changes, from 1.
    pub(crate) version: u64,
    pub(crate) enabled: bool,
    /// Whose series it asks; `None` is the default tenant.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) created_by: String,
    pub(crate) changed_at: i64,
    pub(crate) changed_by: String,
}

/// What a rule said at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: u64,
    pub(crate) by: String,
    /// `made`, `changed`, `switched on`, `switched off` or `removed`.
    pub(crate) what: String,
    pub(crate) enabled: bool,
    pub(crate) text: String,
    /// When, in milliseconds since the epoch; beside the row, not in it.
    #[serde(skip)]
    pub(crate) at: i64,
}

/// A rule made by API.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) id: String,
    pub(crate) kept: Kept,
    /// What it says, or why that cannot be read.
    pub(crate) rule: Result<OneRule, String>,
}

impl Own {
    fn of(id: String, kept: Kept) -> Self {
        let rule = parse_one(&kept.text, "the rule").map_err(|faults| faults.to_string());
        Self { id, kept, rule }
    }

    /// What its alerts are called; its id if it cannot be read.
    pub(crate) fn name(&self) -> &str {
        self.rule.as_ref().map_or(&self.id, |rule| rule.spec.name())
    }

    /// The group in which it is evaluated.
    pub(crate) fn group(&self) -> String {
        let interval = self.rule.as_ref().ok().and_then(|rule| rule.interval);
        group_name(interval, self.kept.tenant.as_deref())
    }
}

/// What the group of such rules is called.
pub(crate) fn group_name(interval: Option<Duration>, tenant: Option<&str>) -> String {
    let every =
        interval.map_or("default".to_owned(), |interval| format!("every {}", format_duration(interval)));
    match tenant {
        Some(tenant) => format!("{every} of {tenant}"),
        None => every,
    }
}

/// Who changes something, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub(crate) who: &'a str,
    pub(crate) now: Timestamp,
}

/// A rule as somebody gives it.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) rule: OneRule,
    pub(crate) text: String,
    pub(crate) tenant: Option<String>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is a rule `{0}` already; give this one another name, or change that one")]
    Taken(String),
    #[error("there are {OWN_RULES_MAX} rules made by API already; remove some, or put rules into files")]
    TooMany,
    #[error("there is no rule {0:?} that can be changed here")]
    Missing(String),
    #[error("it could not be stored")]
    NotStored(#[from] StateError),
}

/// All of them.
pub(crate) struct OwnRules {
    state: Arc<State>,
    /// Held by who changes something, until that is durable.
    turn: Mutex<()>,
    all: Mutex<BTreeMap<String, Arc<Own>>>,
    /// Told when something changed.
    changed: Notify,
}

impl OwnRules {
    /// What was kept. Blocks on the disk.
    pub(crate) fn load(state: Arc<State>) -> Self {
        let kept = state.read(|view| view.all(&RULES)).unwrap_or_else(|error| {
            tracing::error!(
                error = chain(&error),
                "rules made by API cannot be read; there are none for now"
            );
            Vec::new()
        });
        let own = |(id, kept): (String, Kept)| {
            let own = Own::of(id.clone(), kept);
            if let Err(error) = &own.rule {
                tracing::error!(rule = id, error, "a rule made by API cannot be used");
            }
            (id, Arc::new(own))
        };
        let all = kept.into_iter().map(own).collect();
        Self { state, turn: Mutex::default(), all: Mutex::new(all), changed: Notify::new() }
    }

    /// All, by id.
    pub(crate) fn all(&self) -> Vec<Arc<Own>> {
        lock(&self.all).values().cloned().collect()
    }

    /// The one of an id.
    pub(crate) fn one(&self, id: &str) -> Option<Arc<Own>> {
        lock(&self.all).get(id).cloned()
    }

    /// Those that are evaluated, as a file of groups.
    pub(super) fn file(&self) -> (String, RuleFile) {
        let mut groups: BTreeMap<String, GroupSpec> = BTreeMap::new();
        for own in self.all().iter().filter(|own| own.kept.enabled) {
            let Ok(rule) = &own.rule else { continue };
            let name = own.group();
            let group = groups.entry(name.clone()).or_insert_with(|| GroupSpec {
                name,
                tenant: own.kept.tenant.clone(),
                interval: rule.interval,
                query_offset: None,
                limit: 0,
                rules: Vec::new(),
            });
            group.rules.push(rule.spec.clone());
        }
        (FILE.to_owned(), RuleFile { groups: groups.into_values().collect() })
    }

    /// Waits until something changed that was not told yet.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Adds a rule. Durable when it returns; blocks on the disk.
    pub(crate) fn add(&self, given: Given, by: By<'_>) -> Result<Arc<Own>, Refusal> {
        let _turn = lock(&self.turn);
        let id = {
            let all = lock(&self.all);
            if all.len() >= OWN_RULES_MAX {
                return Err(Refusal::TooMany);
            }
            check_name(&all, None, &given)?;
            let name = given.rule.spec.name();
            let id = |salt: u64| {
                let text = format!("{name}\0{}\0{}\0{salt}", given.tenant.as_deref().unwrap_or(""), by.now.0);
                format!("rule_{:016x}", xxh3_64(text.as_bytes()))
            };
            (0..).map(id).find(|id| !all.contains_key(id)).unwrap_or_default()
        };
        let kept = Kept {
            text: given.text,
            version: 1,
            enabled: given.rule.enabled.unwrap_or(true),
            tenant: given.tenant,
            created_at: by.now.0,
            created_by: by.who.to_owned(),
            changed_at: by.now.0,
            changed_by: by.who.to_owned(),
        };
        self.put(id, kept, "made", by)
    }

    /// Gives a rule another text. Durable when it returns; blocks on the disk.
    pub(crate) fn change(&self, id: &str, given: Given, by: By<'_>) -> Result<Arc<Own>, Refusal> {
        let _turn = lock(&self.turn);
        let before = self.one(id).ok_or_else(|| Refusal::Missing(id.to_owned()))?;
        check_name(&lock(&self.all), Some(id), &given)?;
        let enabled = given.rule.enabled.unwrap_or(before.kept.enabled);
        if before.kept.text == given.text && before.kept.enabled == enabled {
            return Ok(before);
        }
        let kept = Kept { text: given.text, enabled, ..before.kept.clone() };
        self.put(id.to_owned(), next(kept, by), "changed", by)
    }

    /// Has a rule evaluated, or not. Durable when it returns; blocks on the disk.
    pub(crate) fn enable(&self, id: &str, enabled: bool, by: By<'_>) -> Result<Arc<Own>, Refusal> {
        let _turn = lock(&self.turn);
        let before = self.one(id).ok_or_else(|| Refusal::Missing(id.to_owned()))?;
        if before.kept.enabled == enabled {
            return Ok(before);
        }
        let what = if enabled { "switched on" } else { "switched off" };
        let kept = Kept { enabled, ..before.kept.clone() };
        self.put(id.to_owned(), next(kept, by), what, by)
    }

    /// Removes a rule; its versions stay. Durable when it returns; blocks on the disk.
    pub(crate) fn remove(&self, id: &str, by: By<'_>) -> Result<Arc<Own>, Refusal> {
        let _turn = lock(&self.turn);
        let before = self.one(id).ok_or_else(|| Refusal::Missing(id.to_owned()))?;
        let kept = next(Kept { enabled: false, ..before.kept.clone() }, by);
        self.state.write(|batch| {
            batch.remove(&RULES, &id.to_owned())?;
            note(batch, id, &kept, "removed", by)
        })?;
        lock(&self.all).remove(id);
        self.changed.notify_one();
        Ok(before)
    }

    /// What a rule said, the newest first. Blocks on the disk.
    pub(crate) fn versions(&self, id: &str) -> Result<Vec<Version>, StateError> {
        let events =
            self.state.read(|view| HISTORY.of(view, id, i64::MIN..i64::MAX, VERSIONS.per_subject))?;
        Ok(events.into_iter().rev().map(|event| Version { at: event.at, ..event.value }).collect())
    }

    fn put(&self, id: String, kept: Kept, what: &str, by: By<'_>) -> Result<Arc<Own>, Refusal> {
        self.state.write(|batch| {
            batch.put(&RULES, &id, &kept)?;
            note(batch, &id, &kept, what, by)
        })?;
        let own = Arc::new(Own::of(id.clone(), kept));
        lock(&self.all).insert(id, own.clone());
        self.changed.notify_one();
        Ok(own)
    }
}

fn next(kept: Kept, by: By<'_>) -> Kept {
    Kept { version: kept.version + 1, changed_at: by.now.0, changed_by: by.who.to_owned(), ..kept }
}

fn note(
    batch: &mut barograph_state::Batch<'_>,
    id: &str,
    kept: &Kept,
    what: &str,
    by: By<'_>,
) -> Result<(), StateError> {
    let value = Version {
        version: kept.version,
        by: by.who.to_owned(),
        what: what.to_owned(),
        enabled: kept.enabled,
        text: kept.text.clone(),
        at: by.now.0,
    };
    HISTORY.push(batch, &Event { subject: id.to_owned(), at: by.now.0, value })?;
    HISTORY.prune(batch, VERSIONS, by.now.0).map(drop)
}

/// A name is of one rule of a tenant.
fn check_name(all: &BTreeMap<String, Arc<Own>>, but: Option<&str>, given: &Given) -> Result<(), Refusal> {
    let name = given.rule.spec.name();
    let same = |own: &&Arc<Own>| {
        own.name() == name && own.kept.tenant == given.tenant && but.is_none_or(|id| id != own.id)
    };
    match all.values().find(same) {
        Some(_) => Err(Refusal::Taken(name.to_owned())),
        None => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;

    fn given(text: &str) -> Given {
        let rule = parse_one(text, "r").unwrap();
        Given { rule, text: text.to_owned(), tenant: None }
    }

    fn by(now: i64) -> By<'static> {
        By { who: "ann", now: Timestamp(now) }
    }

    #[test]
    fn rules_and_what_they_said_come_back() {
        let disk = Arc::new(MemoryDisk::new());
        let id = {
            let state = Arc::new(State::open(disk.clone()).unwrap());
            let rules = OwnRules::load(state.clone());
            let one = rules.add(given("{alert: A, expr: m > 1}"), by(1)).unwrap();
            rules.change(&one.id, given("{alert: A, expr: m > 2}"), by(2)).unwrap();
            // Nothing new is no version.
            rules.change(&one.id, given("{alert: A, expr: m > 2}"), by(3)).unwrap();
            rules.enable(&one.id, false, by(4)).unwrap();
            assert!(rules.file().1.groups.is_empty());
            rules.enable(&one.id, true, by(5)).unwrap();
            state.close();
            one.id.clone()
        };
        let rules = OwnRules::load(Arc::new(State::open(disk).unwrap()));
        let one = rules.one(&id).unwrap();
        assert_eq!((one.name(), one.kept.version, one.kept.created_at, one.kept.changed_at), ("A", 4, 1, 5));
        assert_eq!(rules.file().1.groups[0].rules[0].expr.to_string(), "m > 2");
        rules.remove(&id, by(6)).unwrap();
        let told: Vec<_> =
            rules.versions(&id).unwrap().into_iter().map(|it| (it.version, it.at, it.what)).collect();
        let expected = [
            (5, 6, "removed"),
            (4, 5, "switched on"),
            (3, 4, "switched off"),
            (2, 2, "changed"),
            (1, 1, "made"),
        ];
        assert_eq!(told, expected.map(|(version, at, what)| (version, at, what.to_owned())));
    }

    #[test]
    fn a_name_is_of_one_rule_of_a_tenant_and_groups_have_one_interval() {
        let rules = OwnRules::load(Arc::new(State::open(Arc::new(MemoryDisk::new())).unwrap()));
        let one = rules.add(given("{alert: A, expr: m}"), by(1)).unwrap();
        assert!(matches!(rules.add(given("{alert: A, expr: n}"), by(1)), Err(Refusal::Taken(_))));
        rules.add(Given { tenant: Some("t".to_owned()), ..given("{alert: A, expr: m}") }, by(1)).unwrap();
        rules.add(given("{alert: B, expr: m, interval: 15s}"), by(1)).unwrap();
        assert!(matches!(rules.change(&one.id, given("{alert: B, expr: m}"), by(2)), Err(Refusal::Taken(_))));
        let groups: Vec<_> =
            rules.file().1.groups.into_iter().map(|group| (group.name, group.tenant)).collect();
        let expected = [("default", None), ("default of t", Some("t")), ("every 15s", None)];
        assert_eq!(groups, expected.map(|(name, tenant)| (name.to_owned(), tenant.map(str::to_owned))));
        assert!(matches!(rules.remove("rule_x", by(3)), Err(Refusal::Missing(_))));
    }
}
