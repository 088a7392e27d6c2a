//! What was learned of a target's series, so that it is learned once.
//!
//! The text of a series on a page leads to the labels it is stored under, or to nothing where a rule drops it. A
//! series is *live* from a scrape that had it until one that has not, which ends it with a staleness marker. What a
//! complete page does not mention is forgotten, so the cache is never larger than two pages.

use std::collections::{HashMap, HashSet};

use barograph_model::{Labels, Metadata};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

/// The series and families of one target.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    by_text: HashMap<Box<str>, SeriesId, Xxh3DefaultBuilder>,
    entries: Vec<Entry>,
    free: Vec<SeriesId>,
    /// Live series whose text is not known any more.
    orphans: Vec<Ended>,
    families: HashMap<String, Family>,
    page: u64,
}

/// A series that ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ended {
    /// Which.
    pub(super) labels: Labels,
    /// Whether its last sample was a native histogram.
    pub(super) native: bool,
}

/// An index into the entries of a cache.
pub(super) type SeriesId = usize;

#[derive(Debug, Default)]
struct Entry {
    /// `None` where relabelling drops the series.
    labels: Option<Labels>,
    /// The page that had it last.
    seen: u64,
    /// Whether that page had it without a time of its own.
    tracked: bool,
    /// Whether it ends with a staleness marker when it is gone.
    live: bool,
    /// Whether a page that had it was good.
    proven: bool,
    /// Whether its last sample was a native histogram.
    native: bool,
}

impl Entry {
    fn ended(&self) -> Option<Ended> {
        let labels = self.labels.clone()?;
        Some(Ended { labels, native: self.native })
    }
}

#[derive(Debug, Default)]
struct Family {
    metadata: Metadata,
    seen: u64,
    changed: bool,
}

impl SeriesCache {
    /// A page is about to be read.
    pub(super) fn begin(&mut self) {
        self.page += 1;
    }

    pub(super) fn find(&self, text: &str) -> Option<SeriesId> {
        self.by_text.get(text).copied()
    }

    /// Remembers what a text stands for, `None` for nothing.
    pub(super) fn insert(&mut self, text: &str, labels: Option<Labels>) -> SeriesId {
        let entry = Entry { labels, ..Entry::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        };
        self.by_text.insert(text.into(), id);
        id
    }

    /// How many texts are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_text.len()
    }

    /// The labels of a series, `None` where a rule drops it.
    pub(super) fn labels(&self, id: SeriesId) -> Option<&Labels> {
        self.entries[id].labels.as_ref()
    }

    /// The page has this series, as a histogram if it is `native`, and it is to be marked when it goes if it is `tracked`.
    pub(super) fn see(&mut self, id: SeriesId, tracked: bool, native: bool) {
        let page = self.page;
        let entry = &mut self.entries[id];
        entry.native = native;
        entry.tracked = tracked && entry.labels.is_some();
        entry.seen = page;
    }

    /// The page says something of a family.
    pub(super) fn see_family(&mut self, name: &str, change: impl FnOnce(&mut Metadata)) {
        if !self.families.contains_key(name) {
            self.families.insert(name.to_owned(), Family::default());
        }
        let page = self.page;
        if let Some(family) = self.families.get_mut(name) {
            let before = family.metadata.clone();
            change(&mut family.metadata);
            family.changed |= before != family.metadata;
            family.seen = page;
        }
    }

    /// The families that changed since this was last asked.
    pub(super) fn take_changed_families(&mut self) -> Vec<(String, Metadata)> {
        let mut changed = Vec::new();
        for (name, family) in &mut self.families {
            if std::mem::take(&mut family.changed) {
                changed.push((name.clone(), family.metadata.clone()));
            }
        }
        changed
    }

    /// The page was read to its end and is good: the series that ended.
    pub(super) fn complete(&mut self) -> Vec<Ended> {
        let mut ended = std::mem::take(&mut self.orphans);
        let Self { by_text, entries, free, page, .. } = self;
        by_text.retain(|_, id| {
            let entry = &mut entries[*id];
            if entry.seen == *page {
                entry.live = entry.tracked;
                entry.proven = true;
                return true;
            }
            let gone = std::mem::take(entry);
            ended.extend(gone.ended().filter(|_| gone.live));
            free.push(*id);
            false
        });
        self.families.retain(|_, family| family.seen == self.page);
        if !ended.is_empty() {
            // Another text, or a new rule, may lead to the same labels.
            let present: HashSet<_> = self
                .entries
                .iter()
                .filter(|entry| entry.live)
                .filter_map(|entry| entry.labels.as_ref())
                .collect();
            ended.retain(|gone| !present.contains(&gone.labels));
        }
        ended
    }

    /// The page failed, or there will be none: all live series end. What only the failed page had is forgotten.
    pub(super) fn fail(&mut self) -> Vec<Ended> {
        let mut ended = std::mem::take(&mut self.orphans);
        let Self { by_text, entries, free, families, .. } = self;
        by_text.retain(|_, id| {
            let entry = &mut entries[*id];
            if std::mem::take(&mut entry.live) {
                ended.extend(entry.ended());
            }
            if !entry.proven {
                *entry = Entry::default();
                free.push(*id);
            }
            entry.proven
        });
        families.clear();
        ended
    }

    /// The rules changed: what texts stand for has to be learned again.
    pub(super) fn forget_texts(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.orphans.extend(entries.iter().filter(|entry| entry.live).filter_map(Entry::ended));
        self.by_text.clear();
        self.free.clear();
    }
}
