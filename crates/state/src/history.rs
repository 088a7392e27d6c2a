//! What happened to many subjects, each event at its time, within bounds.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Batch, Error, Table, View};

/// How much history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Events of one subject; the oldest go first.
    pub per_subject: usize,
    /// Events of all subjects together.
    pub total: usize,
    /// How old an event may become, in milliseconds.
    pub age_ms: i64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<V> {
    /// To whom.
    pub subject: String,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// What.
    pub value: V,
}

/// A table of events by subject and time.
pub struct History<V>(Table<(String, i64, u64), V>);

impl<V: Serialize + DeserializeOwned> History<V> {
    /// The history of that name.
    pub const fn new(name: &'static str) -> Self {
        Self(Table::new(name))
    }

    /// Adds an event. Those of one subject at one time are kept apart, in the order in which they came.
    ///
    /// # Errors
    /// As [`Batch::put`].
    pub fn push(&self, batch: &mut Batch<'_>, event: &Event<V>) -> Result<(), Error> {
        let mut key = (event.subject.clone(), event.at, 0);
        while batch.get(&self.0, &key)?.is_some() {
            key.2 += 1;
        }
        batch.put(&self.0, &key, &event.value)
    }

    /// The events of a subject from a time on and before another, oldest first, the last `limit` of them.
    ///
    /// # Errors
    /// As [`View::range`].
    pub fn of(
        &self,
        view: &View,
        subject: &str,
        times: std::ops::Range<i64>,
        limit: usize,
    ) -> Result<Vec<Event<V>>, Error> {
        let key = |at| (subject.to_owned(), at, 0);
        let entries = view.range(&self.0, key(times.start)..key(times.end), limit)?;
        Ok(entries.into_iter().map(|((subject, at, _), value)| Event { subject, at, value }).collect())
    }

    /// Removes what is out of bounds; how many events went.
    ///
    /// # Errors
    /// As [`Batch::remove`].
    pub fn prune(&self, batch: &mut Batch<'_>, bounds: Bounds, now: i64) -> Result<usize, Error> {
        let mut subjects: BTreeMap<String, Vec<(i64, u64)>> = BTreeMap::new();
        for (subject, at, number) in batch.keys(&self.0)? {
            subjects.entry(subject).or_default().push((at, number));
        }
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for (subject, events) in subjects {
            let over = events.len().saturating_sub(bounds.per_subject);
            for (index, (at, number)) in events.into_iter().enumerate() {
                let old = index < over || at < now.saturating_sub(bounds.age_ms);
                let place = if old { &mut gone } else { &mut kept };
                place.push((subject.clone(), at, number));
            }
        }
        kept.sort_unstable_by_key(|(_, at, number)| (*at, *number));
        gone.extend(kept.drain(..kept.len().saturating_sub(bounds.total)));
        for key in &gone {
            batch.remove(&self.0, key)?;
        }
        Ok(gone.len())
    }
}
