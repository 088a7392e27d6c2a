//! Decoded indexes and columns of blocks, within a limit of bytes.
//!
//! Two generations: what is used is in the young one; when that holds half of the limit it becomes the old one, and
//! what was in the old one and not used since is gone. So looking up costs a hash and no list is kept in order.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use barograph_codec::rollups::Times;

use super::{BlockMetrics, Index, windows::WindowPage};

/// See the module.
pub(crate) struct Cache {
    generations: Mutex<Generations>,
    half: AtomicUsize,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What is cached: of a block, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Index(u64),
    Metrics(u64),
    Timestamps(u64, u32),
    Values(u64, u32),
    Times(u64, u32),
    Windows(u64, u32),
}

#[derive(Clone)]
pub(crate) enum Entry {
    Index(Arc<Index>),
    Metrics(Arc<BlockMetrics>),
    Timestamps(Arc<[i64]>),
    Values(Arc<[f64]>),
    Times(Arc<Times>),
    Windows(Arc<WindowPage>),
}

#[derive(Default)]
struct Generations {
    young: Entries,
    young_bytes: usize,
    old: Entries,
    old_bytes: usize,
}

type Entries = HashMap<Key, Entry, BuildHasherDefault<KeyHasher>>;

/// Keys are small numbers of our own making: to multiply and rotate spreads them well enough, at a tenth of the cost
/// of a hash that resists an enemy.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes its bits from both ends; those at the low end are weak.
        self.0.rotate_left(32) ^ self.0
    }
}

impl Entry {
    /// Bytes it takes, with what the cache needs to find it.
    fn memory(&self) -> usize {
        const OVERHEAD: usize = 96;
        OVERHEAD
            + match self {
                Self::Index(index) => index.memory(),
                Self::Metrics(metrics) => metrics.memory(),
                Self::Timestamps(column) => column.len() * 8,
                Self::Values(column) => column.len() * 8,
                Self::Times(times) => times.memory(),
                Self::Windows(page) => page.memory(),
            }
    }
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { generations: Mutex::default(), half: AtomicUsize::new(bytes_max / 2), hits, misses }
    }

    pub(crate) fn find(&self, key: Key) -> Option<Entry> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match generations.young.get(&key) {
            Some(entry) => Some(entry.clone()),
            None => generations.old.remove(&key).inspect(|entry| {
                generations.old_bytes -= entry.memory();
                generations.put(key, entry.clone(), self.half());
            }),
        };
        drop(generations);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn put(&self, key: Key, entry: Entry) {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner).put(key, entry, self.half());
    }

    /// Holds `bytes_max` at most from now on.
    pub(crate) fn set_limit(&self, bytes_max: usize) {
        self.half.store(bytes_max / 2, Ordering::Relaxed);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.old_bytes > bytes_max / 2 {
            generations.old = Entries::default();
            generations.old_bytes = 0;
        }
        if generations.young_bytes > bytes_max / 2 {
            generations.young = Entries::default();
            generations.young_bytes = 0;
        }
    }

    fn half(&self) -> usize {
        self.half.load(Ordering::Relaxed)
    }

    /// Forgets everything of a block.
    pub(crate) fn forget(&self, seq: u64) {
        let keep = |key: &Key| {
            let of = match key {
                Key::Index(of) | Key::Metrics(of) => of,
                Key::Timestamps(of, _) | Key::Values(of, _) | Key::Times(of, _) | Key::Windows(of, _) => of,
            };
            *of != seq
        };
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, young_bytes, old, old_bytes } = &mut *generations;
        for (entries, bytes) in [(young, young_bytes), (old, old_bytes)] {
            entries.retain(|key, _| keep(key));
            *bytes = entries.values().map(Entry::memory).sum();
        }
    }

    /// Bytes held, hits and misses.
    pub(crate) fn counts(&self) -> (usize, u64, u64) {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = generations.young_bytes + generations.old_bytes;
        (bytes, self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

impl Generations {
    fn put(&mut self, key: Key, entry: Entry, half: usize) {
        let memory = entry.memory();
        // What would fill a generation alone would drive out everything else.
        if memory > half {
            return;
        }
        if self.young_bytes + memory > half {
            self.old = mem::take(&mut self.young);
            self.old_bytes = mem::take(&mut self.young_bytes);
        }
        self.young_bytes += memory;
        if let Some(before) = self.young.insert(key, entry) {
            self.young_bytes -= before.memory();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_within_its_limit() {
        let cache = Cache::new(4 * (96 + 80) + 10);
        let key = |number| Key::Timestamps(1, number);
        for number in 0..100 {
            cache.put(key(number), Entry::Timestamps(vec![0; 10].into()));
            assert!(cache.find(key(0)).is_some(), "after {number}");
            assert!(cache.counts().0 <= 4 * (96 + 80));
        }
        assert!(cache.find(key(50)).is_none());
        cache.put(Key::Values(2, 0), Entry::Values(vec![0.0; 1000].into()));
        assert!(cache.find(Key::Values(2, 0)).is_none(), "too large to be kept");
        cache.set_limit(2 * (96 + 80));
        assert!(cache.counts().0 <= 2 * (96 + 80));
        cache.forget(1);
        assert_eq!(cache.counts().0, 0);
    }
}
