//! Which groups there are, and how they fare.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_alert::Group;
use barograph_model::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use crate::scrape::first_wait;

/// The groups that run, by file and name.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Vec<Arc<Running>>>);

impl Board {
    /// All groups.
    pub(crate) fn groups(&self) -> Vec<Arc<Running>> {
        lock(&self.0).clone()
    }

    pub(super) fn set(&self, mut groups: Vec<Arc<Running>>) {
        groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        *lock(&self.0) = groups;
    }
}

/// A group that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// The file it is from.
    pub(crate) file: Arc<str>,
    /// What it is called.
    pub(crate) name: String,
    /// Time from one evaluation to the next.
    pub(crate) interval: Duration,
    group: Mutex<Group>,
    last: Mutex<Last>,
}

/// The last evaluation of a group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Last {
    /// Its time.
    pub(crate) at: Option<Timestamp>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Running {
    pub(super) fn new(group: Group) -> Self {
        Self {
            file: group.file.clone(),
            name: group.spec.name.clone(),
            // Less than a millisecond is no interval.
            interval: group.interval.max(Duration::from_millis(1)),
            group: Mutex::new(group),
            last: Mutex::default(),
        }
    }

    /// The group with its rules. Held for moments only, never while something is asked.
    pub(crate) fn group(&self) -> MutexGuard<'_, Group> {
        lock(&self.group)
    }

    /// How its last evaluation went.
    pub(crate) fn last(&self) -> Last {
        *lock(&self.last)
    }

    pub(super) fn note(&self, last: Last) {
        *lock(&self.last) = last;
    }

    /// Where it is between two evaluations: the same after a restart, and elsewhere for each group.
    pub(super) fn hash(&self) -> u64 {
        hash(&self.file, &self.name)
    }
}

fn hash(file: &str, name: &str) -> u64 {
    xxh3_64(format!("{file};{name}").as_bytes())
}

/// When a group of rules made by API is due first, from a time on.
pub(crate) fn first_due(from: Timestamp, interval: Duration, group: &str) -> Timestamp {
    let wait = first_wait(from, interval, hash(super::own::FILE, group));
    from.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
