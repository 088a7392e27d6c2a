//! Series by whose they are, where a label says that: so many of each, exactly.
//!
//! The label is told by [`Options::owner_label`](crate::Options::owner_label); a series without it is that of the owner with no
//! name. Only series that are new come by here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use barograph_model::Labels;

/// How many series each owner may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerLimits {
    /// Of those that are named here.
    pub named: BTreeMap<String, usize>,
    /// Of each of the others.
    pub others: usize,
}

impl Default for OwnerLimits {
    fn default() -> Self {
        Self { named: BTreeMap::new(), others: usize::MAX }
    }
}

impl OwnerLimits {
    fn of(&self, owner: &str) -> usize {
        self.named.get(owner).copied().unwrap_or(self.others)
    }
}

/// See the module.
pub(super) struct Owners {
    label: Option<String>,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    limits: OwnerLimits,
    series: HashMap<Box<str>, usize>,
}

impl Owners {
    pub(super) fn new(label: Option<String>) -> Self {
        Self { label, counted: Mutex::default() }
    }

    /// The bytes of the label's name; no label has none.
    pub(super) fn label(&self) -> &[u8] {
        self.label.as_deref().unwrap_or_default().as_bytes()
    }

    pub(super) fn limit(&self, limits: OwnerLimits) {
        self.counted().limits = limits;
    }

    /// Counts a series if its owner has room for it; `within` says how much of a limit is open to it.
    pub(super) fn admit(&self, labels: &Labels, within: impl Fn(usize) -> usize) -> bool {
        let Some(label) = &self.label else { return true };
        let owner = labels.value(label).unwrap_or_default();
        let mut counted = self.counted();
        let most = within(counted.limits.of(owner));
        let room = counted.series.get(owner).copied().unwrap_or(0) < most;
        if room {
            counted.add(owner);
        }
        room
    }

    /// Counts a series whatever the limits say.
    pub(super) fn count(&self, labels: &Labels) {
        if let Some(label) = &self.label {
            self.counted().add(labels.value(label).unwrap_or_default());
        }
    }

    pub(super) fn release(&self, gone: &[Labels]) {
        let Some(label) = &self.label else { return };
        let mut counted = self.counted();
        for labels in gone {
            let owner = labels.value(label).unwrap_or_default();
            if let Some(series) = counted.series.get_mut(owner) {
                *series -= 1;
                if *series == 0 {
                    counted.series.remove(owner);
                }
            }
        }
    }

    /// How many series each owner has.
    pub(super) fn series(&self) -> Vec<(String, usize)> {
        self.counted().series.iter().map(|(owner, series)| (owner.to_string(), *series)).collect()
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn add(&mut self, owner: &str) {
        match self.series.get_mut(owner) {
            Some(series) => *series += 1,
            None => drop(self.series.insert(owner.into(), 1)),
        }
    }
}
