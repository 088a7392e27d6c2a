//! How often rules fired in the last day, kept across restarts.
//!
//! Of each rule, by the name of its alerts, there are counts of ten minutes each: how many alerts began, how many of these came
//! again soon after they were over, and how many were over soon. They are written with the alerts that they count.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use barograph_alert::routing::Alert;
use barograph_state::{Batch, Error as StateError, Table, View};
use serde::{Deserialize, Serialize};

const DAYS: Table<String, Day> = Table::new("rule_firings");
/// What is counted together, in milliseconds.
const SLOT_MS: i64 = 600_000;
/// A day.
const DAY_MS: i64 = 86_400_000;
/// An alert that fires again within this after it was over came again.
const SOON_MS: i64 = 15 * 60_000;
/// An alert that is over within this was brief.
const BRIEF_MS: i64 = 5 * 60_000;
/// Rules that are counted; those beyond are not.
const RULES_MAX: usize = 10_000;
/// So many alerts that came again within an hour are flapping.
const FLAPPING: u32 = 3;
/// Fewer firings a day are no noise.
const NOISY: u32 = 10;

/// What one rule did of late.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Day(Vec<Slot>);

/// What it did in one stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    at: i64,
    fired: u32,
    again: u32,
    brief: u32,
}

/// How often a rule fired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fired {
    /// Alerts that began to fire in the last 24 hours.
    pub(crate) in_a_day: u32,
    /// Whether it fires and stops again and again, now.
    pub(crate) flapping: bool,
    /// Why it is noise, if it is.
    pub(crate) noisy: Option<String>,
}

/// The counts of all rules.
#[derive(Debug, Default)]
pub(super) struct Firings(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_rule: BTreeMap<String, Day>,
    /// Those that are not written as they are.
    changed: BTreeSet<String>,
}

impl Firings {
    /// What was kept.
    pub(super) fn load(view: &View) -> Result<Self, StateError> {
        let by_rule = view.all(&DAYS)?.into_iter().collect();
        Ok(Self(Mutex::new(Counts { by_rule, changed: BTreeSet::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of an alert, if a rule raised it and it began or ended; whether there was room for that.
    pub(super) fn note(&self, before: Option<&Alert>, after: &Alert, now: i64) -> bool {
        let over = |alert: &Alert| alert.ends_at.filter(|end| *end <= now);
        let was_over = before.and_then(over);
        let mut slot = Slot { at: now.div_euclid(SLOT_MS) * SLOT_MS, ..Slot::default() };
        match over(after) {
            None if before.is_none_or(|before| before.starts_at != after.starts_at) => {
                slot.fired = 1;
                slot.again = u32::from(was_over.is_some_and(|end| after.starts_at - end <= SOON_MS));
            }
            Some(end) if before.is_some() && was_over.is_none() => {
                slot.brief = u32::from(end - after.starts_at < BRIEF_MS);
            }
            _ => return true,
        }
        if after.cause.is_none() {
            return true;
        }
        let mut counts = self.lock();
        if counts.by_rule.len() >= RULES_MAX && !counts.by_rule.contains_key(after.name()) {
            counts.forget(now);
            if counts.by_rule.len() >= RULES_MAX {
                return false;
            }
        }
        counts.by_rule.entry(after.name().to_owned()).or_default().add(slot, now);
        counts.changed.insert(after.name().to_owned());
        true
    }

    /// Writes what is not written yet; returns what [`Firings::kept`] takes.
    pub(super) fn store(&self, batch: &mut Batch<'_>) -> Result<BTreeSet<String>, StateError> {
        let counts = self.lock();
        for name in &counts.changed {
            match counts.by_rule.get(name) {
                Some(day) => batch.put(&DAYS, name, day)?,
                None => drop(batch.remove(&DAYS, name)?),
            }
        }
        Ok(counts.changed.clone())
    }

    /// What was written is durable.
    pub(super) fn kept(&self, names: &BTreeSet<String>) {
        self.lock().changed.retain(|name| !names.contains(name));
    }

    /// How often a rule fired.
    pub(super) fn of(&self, name: &str, now: i64) -> Fired {
        self.lock().by_rule.get(name).map(|day| day.told(now)).unwrap_or_default()
    }
}

impl Counts {
    /// Forgets rules that did nothing for a day.
    fn forget(&mut self, now: i64) {
        let old = |day: &Day| day.0.iter().all(|slot| slot.at <= now - DAY_MS);
        let gone: Vec<_> =
            self.by_rule.iter().filter(|(_, day)| old(day)).map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.by_rule.remove(&name);
            self.changed.insert(name);
        }
    }
}

impl Day {
    fn add(&mut self, slot: Slot, now: i64) {
        // A clock that was set back leaves what is ahead of it behind.
        self.0.retain(|old| old.at > now - DAY_MS && old.at <= now);
        match self.0.iter_mut().find(|old| old.at == slot.at) {
            Some(old) => {
                old.fired = old.fired.saturating_add(slot.fired);
                old.again = old.again.saturating_add(slot.again);
                old.brief = old.brief.saturating_add(slot.brief);
            }
            None => self.0.push(slot),
        }
    }

    fn told(&self, now: i64) -> Fired {
        let since = |ms: i64, of: fn(&Slot) -> u32| {
            let slots = self.0.iter().filter(|slot| slot.at > now - ms && slot.at <= now);
            slots.map(of).fold(0u32, u32::saturating_add)
        };
        let fired = since(DAY_MS, |slot| slot.fired);
        let short = since(DAY_MS, |slot| slot.again.saturating_add(slot.brief));
        let flapping = since(3_600_000, |slot| slot.again) >= FLAPPING;
        let noisy = if flapping {
            Some("it fires and stops again and again; a longer `for`, a `keep_firing_for` or a `clear_threshold` would help".to_owned())
        } else if fired >= NOISY && short >= fired / 2 {
            Some(format!(
                "it fired {fired} times in 24 hours, and mostly for less than 5 minutes; a longer `for` or another threshold would help"
            ))
        } else {
            None
        };
        Fired { in_a_day: fired, flapping, noisy }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_alert::routing::Cause;
    use barograph_disk::MemoryDisk;
    use barograph_state::State;

    use super::*;

    const MINUTE: i64 = 60_000;
    const START: i64 = 1_700_000_400_000;

    fn alert(starts_at: i64, ends_at: Option<i64>) -> Alert {
        Alert {
            labels: [("alertname".to_owned(), "A".to_owned())].into(),
            annotations: Default::default(),
            starts_at,
            ends_at,
            timeout: false,
            updated_at: starts_at,
            generator_url: String::new(),
            cause: Some(Cause::default()),
        }
    }

    /// Fires for `length` every `every`, so many times; the last time that was told.
    fn play(firings: &Firings, times: i64, every: i64, length: i64) -> i64 {
        let mut before: Option<Alert> = None;
        for index in 0..times {
            let at = START + index * every;
            let fires = alert(at, None);
            firings.note(before.as_ref(), &fires, at);
            // Told again, it is the same.
            firings.note(Some(&fires), &fires, at + 1);
            let over = alert(at, Some(at + length));
            firings.note(Some(&fires), &over, at + length);
            before = Some(over);
        }
        START + (times - 1) * every + length
    }

    #[test]
    fn what_flaps_and_what_is_noise_is_told_from_what_is_not() {
        let check = |times, every, length, expected: (u32, bool, bool)| {
            let firings = Firings::default();
            let now = play(&firings, times, every, length);
            let found = firings.of("A", now);
            assert_eq!((found.in_a_day, found.flapping, found.noisy.is_some()), expected);
        };
        check(2, 60 * MINUTE, 30 * MINUTE, (2, false, false));
        check(5, 10 * MINUTE, 3 * MINUTE, (5, true, true));
        check(12, 60 * MINUTE, 2 * MINUTE, (12, false, true));
        check(12, 60 * MINUTE, 30 * MINUTE, (12, false, false));
        // A day later it is forgotten.
        check(30, 120 * MINUTE, 60 * MINUTE, (12, false, false));
        assert_eq!(Firings::default().of("A", START), Fired::default());
    }

    #[test]
    fn what_was_written_comes_back_and_what_was_posted_is_not_counted() {
        let state = Arc::new(State::open(Arc::new(MemoryDisk::new())).unwrap());
        let firings = Firings::default();
        let now = play(&firings, 3, MINUTE, 1_000);
        let posted = Alert { cause: None, ..alert(START, None) };
        firings.note(None, &posted, now);
        let names = state.write(|batch| firings.store(batch)).unwrap();
        firings.kept(&names);
        assert!(firings.lock().changed.is_empty());
        let again = state.read(Firings::load).unwrap();
        assert_eq!(again.of("A", now), firings.of("A", now));
        assert_eq!(again.of("A", now).in_a_day, 3);
    }
}
