//! The notification log: what each integration of a receiver was told last of each group.
//!
//! From it follows whether there is anything to tell. What is queued stands beside what was sent, so that nothing is queued
//! twice while it waits, a restart between included.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Fingerprint;

/// Of which group, receiver and integration.
pub type LogKey = (String, String, u64);

/// Which alerts were told as firing, and which as over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sets {
    /// Firing.
    pub firing: BTreeSet<Fingerprint>,
    /// Over.
    pub resolved: BTreeSet<Fingerprint>,
}

/// What was told, and what waits to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was sent last, and when.
    pub sent: Option<(Sets, i64)>,
    /// What was queued, and when it is given up.
    pub queued: Option<(Sets, i64)>,
    /// How often something was decided: a notice queued, or what there was passed over.
    #[serde(default)]
    pub seq: u64,
    /// Which of them is the last that was sent.
    #[serde(default)]
    pub sent_seq: u64,
    /// When all of it is forgotten.
    pub expires: i64,
}

impl Entry {
    /// Whether what was told since an alert changed last does not say that it fires, and nothing waits that says anything of it.
    pub(super) fn knows_end(&self, alert: Fingerprint, updated_at: i64) -> bool {
        let says = |sets: &Sets| sets.firing.contains(&alert) || sets.resolved.contains(&alert);
        !self.queued.as_ref().is_some_and(|(queued, _)| says(queued))
            && self.sent.as_ref().is_some_and(|(sent, at)| *at >= updated_at && !sent.firing.contains(&alert))
    }
}

/// Entries at most. Of more, those that changed longest ago go: what they told may be told once more.
const ENTRIES_MAX: usize = 200_000;

/// The log, and which entries changed since they were kept.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: BTreeMap<LogKey, Entry>,
    changed: BTreeSet<LogKey>,
    /// What waited before the last decision of an entry, and which that was: for decisions that cannot be kept.
    before: BTreeMap<LogKey, (Option<(Sets, i64)>, u64)>,
    /// Entries that went as there were too many, from the start.
    limited: u64,
}

/// An entry is kept for so long after it changed, in milliseconds: longer than a group is muted, so that who has it is not told of it
/// as of something new afterwards.
const KEPT: i64 = 120 * 3_600_000;

impl Log {
    /// What was kept.
    pub fn restore(kept: impl IntoIterator<Item = (LogKey, Entry)>) -> Self {
        Self { entries: kept.into_iter().collect(), ..Self::default() }
    }

    /// The entry of a key.
    pub fn entry(&self, key: &LogKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Whether an integration has to be told now.
    pub fn wants(&self, key: &LogKey, now_sets: &Sets, send_resolved: bool, repeat: i64, now: i64) -> bool {
        let entry = self.entries.get(key);
        if self.waits(key, now_sets, now) {
            return false;
        }
        // What waits will be told, however late: so its end has to be told as well.
        let waits = |queued: &Sets| !queued.firing.is_disjoint(&now_sets.resolved);
        let waits = entry.and_then(|entry| entry.queued.as_ref()).is_some_and(|(queued, _)| waits(queued));
        let Some((sent, at)) = entry.and_then(|entry| entry.sent.as_ref()) else {
            return !now_sets.firing.is_empty() || waits;
        };
        if !now_sets.firing.is_subset(&sent.firing) {
            return true;
        }
        if now_sets.firing.is_empty() {
            return !sent.firing.is_empty() || waits;
        }
        if send_resolved && !now_sets.resolved.is_subset(&sent.resolved) {
            return true;
        }
        at.saturating_add(repeat) < now
    }

    /// Whether just that waits to be sent already.
    pub fn waits(&self, key: &LogKey, now_sets: &Sets, now: i64) -> bool {
        let queued = self.entries.get(key).and_then(|entry| entry.queued.as_ref());
        queued.is_some_and(|(queued, until)| queued == now_sets && now < *until)
    }

    /// Whether what is queued says only what was sent before.
    pub fn repeats(&self, key: &LogKey) -> bool {
        let Some(entry) = self.entries.get(key) else { return false };
        let (Some((queued, _)), Some((sent, _))) = (&entry.queued, &entry.sent) else { return false };
        !queued.firing.is_empty()
            && queued.firing.is_subset(&sent.firing)
            && queued.resolved.is_subset(&sent.resolved)
    }

    /// Notes that something waits to be sent, and is given up at a time.
    pub fn queued(&mut self, key: &LogKey, sets: Sets, deadline: i64) {
        let entry = self.entries.entry(key.clone()).or_default();
        self.before.insert(key.clone(), (entry.queued.replace((sets, deadline)), entry.seq));
        entry.seq += 1;
        entry.expires = entry.expires.max(deadline.saturating_add(KEPT));
        self.changed.insert(key.clone());
    }

    /// Notes what was sent.
    pub fn sent(&mut self, key: &LogKey, sets: Sets, at: i64) {
        let entry = self.entries.entry(key.clone()).or_default();
        (entry.sent, entry.queued, entry.expires) = (Some((sets, at)), None, at.saturating_add(KEPT));
        entry.sent_seq = entry.seq;
        self.changed.insert(key.clone());
    }

    /// Notes what an earlier notice said than the last that was decided. One that waits behind it says more; what it says holds no
    /// longer if a later one was sent, or there was nothing more to tell.
    pub fn sent_late(&mut self, key: &LogKey, seq: u64, sets: Sets, at: i64) {
        // It may be noted again where that could not be kept.
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.sent_seq <= seq) {
            (entry.sent, entry.sent_seq) = (Some((sets, at)), seq);
            entry.expires = entry.expires.max(at.saturating_add(KEPT));
            self.changed.insert(key.clone());
        }
    }

    /// Notes that there is nothing to tell of what is over, as nobody hears of that.
    pub fn passed_over(&mut self, key: &LogKey, sets: Sets, at: i64) {
        self.entries.entry(key.clone()).or_default().seq += 1;
        self.sent(key, sets, at);
    }

    /// From now on decisions count as kept.
    pub fn kept(&mut self) {
        self.before.clear();
    }

    /// Takes a decision back that could not be kept: what waited before it waits, unless it was sent since.
    pub fn taken_back(&mut self, key: &LogKey) {
        if let (Some((queued, seq)), Some(entry)) = (self.before.remove(key), self.entries.get_mut(key)) {
            entry.queued = queued.filter(|_| entry.sent_seq < seq);
            entry.seq = seq;
            self.changed.insert(key.clone());
        }
    }

    /// Notes that what was queued will not be sent.
    pub fn dropped(&mut self, key: &LogKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.queued = None;
            self.changed.insert(key.clone());
        }
    }

    /// Entries that went as there were too many, from the start.
    pub fn limited(&self) -> u64 {
        self.limited
    }

    /// Forgets what is too old to matter, and what is too much.
    pub fn prune(&mut self, now: i64) {
        self.prune_to(ENTRIES_MAX, now);
    }

    fn prune_to(&mut self, most: usize, now: i64) {
        let old: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.expires <= now)
            .map(|(key, _)| key.clone())
            .collect();
        old.into_iter().for_each(|key| self.forget(key));
        let over = self.entries.len().saturating_sub(most);
        if over > 0 {
            let mut by_age: Vec<(i64, LogKey)> =
                self.entries.iter().map(|(key, entry)| (entry.expires, key.clone())).collect();
            by_age.sort_unstable();
            by_age.into_iter().take(over).for_each(|(_, key)| self.forget(key));
            self.limited += over as u64;
        }
    }

    fn forget(&mut self, key: LogKey) {
        self.entries.remove(&key);
        self.changed.insert(key);
    }

    /// What is to be kept since this was asked last; `None` is an entry that is forgotten.
    pub fn changes(&mut self) -> Vec<(LogKey, Option<Entry>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key.clone(), self.entries.get(&key).cloned())).collect()
    }

    /// What was to be kept could not be: it is to be kept still.
    pub fn unkept(&mut self, keys: impl IntoIterator<Item = LogKey>) {
        self.changed.extend(keys);
    }

    /// The wall clock jumped: what is counted from goes with it.
    pub fn shift(&mut self, by: i64) {
        for entry in self.entries.values_mut() {
            entry.sent.iter_mut().for_each(|(_, at)| *at = at.saturating_add(by));
            entry.queued.iter_mut().for_each(|(_, deadline)| *deadline = deadline.saturating_add(by));
            entry.expires = entry.expires.saturating_add(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(firing: &[u64], resolved: &[u64]) -> Sets {
        let set = |all: &[u64]| all.iter().copied().map(Fingerprint).collect();
        Sets { firing: set(firing), resolved: set(resolved) }
    }

    #[test]
    fn five_rules_say_whether_to_send() {
        let key = || ("g".to_owned(), "r".to_owned(), 0);
        let cases: [(Option<Sets>, Sets, bool, i64, bool); 10] = [
            (None, sets(&[1], &[]), true, 0, true),
            (None, sets(&[], &[1]), true, 0, false),
            (Some(sets(&[1], &[])), sets(&[1, 2], &[]), true, 1, true),
            (Some(sets(&[1], &[])), sets(&[], &[1]), false, 1, true),
            (Some(sets(&[], &[1])), sets(&[], &[1, 2]), true, 1, false),
            (Some(sets(&[1, 2], &[])), sets(&[1], &[2]), true, 1, true),
            (Some(sets(&[1, 2], &[])), sets(&[1], &[2]), false, 1, false),
            (Some(sets(&[1], &[2])), sets(&[1], &[2]), true, 1, false),
            (Some(sets(&[1], &[])), sets(&[1], &[]), true, 100, false),
            (Some(sets(&[1], &[])), sets(&[1], &[]), true, 101, true),
        ];
        for (sent, now_sets, send_resolved, now, expected) in cases {
            let mut log = Log::default();
            if let Some(sent) = sent.clone() {
                log.sent(&key(), sent, 0);
            }
            assert_eq!(
                log.wants(&key(), &now_sets, send_resolved, 100, now),
                expected,
                "{sent:?} {now_sets:?}"
            );
        }
    }

    #[test]
    fn of_too_many_entries_the_oldest_go() {
        let mut log = Log::default();
        let key = |group: i64| (format!("g{group}"), "r".to_owned(), 0);
        (0..10).for_each(|group| log.sent(&key(group), sets(&[1], &[]), 100 - group));
        log.changes();
        log.prune_to(7, 100);
        let gone: Vec<_> = log.changes().into_iter().map(|(key, entry)| (key, entry.is_none())).collect();
        assert_eq!(gone, [(key(7), true), (key(8), true), (key(9), true)]);
        assert_eq!(log.limited(), 3);
        log.unkept(gone.iter().map(|(key, _)| key.clone()));
        assert_eq!(log.changes().len(), 3);
    }

    #[test]
    fn what_is_queued_is_not_queued_again() {
        let key = ("g".to_owned(), "r".to_owned(), 0);
        let mut log = Log::default();
        log.queued(&key, sets(&[1], &[]), 50);
        let mut log = Log::restore(log.changes().into_iter().filter_map(|(key, entry)| Some((key, entry?))));
        assert!(!log.wants(&key, &sets(&[1], &[]), true, 100, 49));
        assert!(log.wants(&key, &sets(&[1, 2], &[]), true, 100, 49));
        assert!(log.wants(&key, &sets(&[1], &[]), true, 100, 50));
        log.sent(&key, sets(&[1], &[]), 40);
        assert!(!log.wants(&key, &sets(&[1], &[]), true, 100, 50));
        log.prune(40 + KEPT);
        assert_eq!(log.changes(), [(key, None)]);
    }
}
