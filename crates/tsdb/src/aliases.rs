//! Label bytes that mean another series than they say: unusual spellings, and series that are over a limit.
//!
//! Remembered so that a row that comes again and again is parsed once. What does not fit is parsed each time.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use barograph_model::Labels;
use hashbrown::HashTable;

use crate::{guard::Tally, head::hash_of};

/// See the module.
pub(crate) struct Aliases {
    entries: Mutex<Entries>,
    /// How many there are, to be read without the lock.
    count: AtomicUsize,
    bytes_max: usize,
}

#[derive(Default)]
struct Entries {
    table: HashTable<Alias>,
    /// Grows whenever series that were over a limit may have room again.
    round: u64,
    bytes: usize,
}

struct Alias {
    hash: u64,
    bytes: Box<[u8]>,
    meant: Meant,
}

/// The series that label bytes mean.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    pub(crate) labels: Labels,
    /// Whose overflow it is, if it is.
    pub(crate) tally: Option<Tally>,
}

impl Aliases {
    /// Room for `bytes_max` bytes of them.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { entries: Mutex::default(), count: AtomicUsize::new(0), bytes_max }
    }

    /// Whether there is an alias for label bytes of this hash.
    pub(crate) fn has(&self, hash: u64, bytes: &[u8]) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.entries().find(hash, bytes).is_some()
    }

    /// What label bytes mean, if they are an alias.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<Meant> {
        self.entries().find(hash_of(bytes), bytes).cloned()
    }

    /// The round that [`Aliases::set`] wants to know of an overflow; to be asked for before the guard is.
    pub(crate) fn round(&self) -> u64 {
        self.entries().round
    }

    /// Remembers what label bytes mean, if there is room, and if no series left the head since `round`.
    pub(crate) fn set(&self, bytes: &[u8], meant: Meant, round: u64) {
        let hash = hash_of(bytes);
        let mut entries = self.entries();
        if meant.tally.is_some() && entries.round != round {
            return;
        }
        if let Some(known) = entries.find_mut(hash, bytes) {
            *known = meant;
            return;
        }
        let alias = Alias { hash, bytes: bytes.into(), meant };
        if entries.bytes + alias.memory() <= self.bytes_max {
            entries.bytes += alias.memory();
            entries.table.insert_unique(hash, alias, |alias| alias.hash);
            self.count.store(entries.table.len(), Ordering::Relaxed);
        }
    }

    /// Forgets all overflow, so that what was over a limit is judged again.
    pub(crate) fn forget_overflow(&self) {
        let mut entries = self.entries();
        entries.round += 1;
        entries.table.retain(|alias| alias.meant.tally.is_none());
        entries.table.shrink_to_fit(|alias| alias.hash);
        entries.bytes = entries.table.iter().map(Alias::memory).sum();
        self.count.store(entries.table.len(), Ordering::Relaxed);
    }

    /// Bytes it takes, roughly.
    pub(crate) fn memory(&self) -> usize {
        self.entries().bytes
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Alias {
    fn memory(&self) -> usize {
        size_of::<Self>() * 3 / 2 + self.bytes.len() + self.meant.labels.as_bytes().len()
    }
}

impl Entries {
    fn find(&self, hash: u64, bytes: &[u8]) -> Option<&Meant> {
        self.table.find(hash, |alias| *alias.bytes == *bytes).map(|alias| &alias.meant)
    }

    fn find_mut(&mut self, hash: u64, bytes: &[u8]) -> Option<&mut Meant> {
        self.table.find_mut(hash, |alias| *alias.bytes == *bytes).map(|alias| &mut alias.meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_within_its_limit() {
        let aliases = Aliases::new(2 * (size_of::<Alias>() * 3 / 2 + 1));
        let meant = |tally| Meant { labels: Labels::empty(), tally };
        assert!(!aliases.has(hash_of(b"a"), b"a"));
        aliases.set(b"a", meant(None), 0);
        aliases.set(b"b", meant(None), 0);
        aliases.set(b"c", meant(None), 0);
        assert!(aliases.has(hash_of(b"a"), b"a") && aliases.find(b"b").is_some());
        assert!(aliases.find(b"c").is_none());
        assert!(aliases.memory() > 0);
    }

    #[test]
    fn overflow_is_forgotten_when_there_may_be_room() {
        let overflows = crate::guard::Overflows::default();
        let at = barograph_model::Timestamp(0);
        let tally = overflows.tally("m", "l", crate::guard::Limit::Series, "v", at);
        let aliases = Aliases::new(1 << 20);
        let over = Meant { labels: Labels::empty(), tally: Some(tally) };
        let round = aliases.round();
        aliases.set(b"a", over.clone(), round);
        aliases.set(b"b", Meant { labels: Labels::empty(), tally: None }, round);
        aliases.forget_overflow();
        assert!(aliases.find(b"a").is_none() && aliases.find(b"b").is_some());
        aliases.set(b"a", over, round);
        assert!(aliases.find(b"a").is_none(), "it was judged before there was room");
    }
}
