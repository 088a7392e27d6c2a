//! A cache that is measured.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{AsyncCacheBackend, CacheBackend, CacheFigures, CacheMeter, Caches, Eviction, Hook};

/// A cache that is measured. What it stores and finds is what the backend does; if that fails, look-ups miss.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use barograph::caches::InstrumentedCache;
///
/// let users = InstrumentedCache::new("users", Mutex::new(HashMap::new()));
/// users.set(7, "Ada");
/// assert_eq!((users.get(&7), users.get(&8)), (Some("Ada"), None));
/// assert_eq!(users.figures().hit_rate(), 0.5);
/// ```
pub struct InstrumentedCache<C> {
    backend: C,
    hook: Arc<Hook>,
}

impl<C> InstrumentedCache<C> {
    /// Tracks a cache in [`Caches::global`]. Caches of the same name count together.
    pub fn new(name: &str, backend: C) -> Self {
        Self::tracked_by(Caches::global(), name, backend)
    }

    /// Tracks a cache in these.
    pub fn tracked_by(caches: &Caches, name: &str, backend: C) -> Self {
        let cache = Self::known_to(caches, name, backend);
        cache.hook.tracked.store(true, Relaxed);
        cache
    }

    /// A cache that is known and not tracked until [`Caches::hook`] or [`Caches::auto_hook`] says so.
    pub fn known_to(caches: &Caches, name: &str, backend: C) -> Self {
        Self { backend, hook: caches.known_as(name) }
    }

    /// The cache itself, past all measuring.
    pub fn backend(&self) -> &C {
        &self.backend
    }

    /// What was counted of the caches of this name.
    pub fn figures(&self) -> CacheFigures {
        self.hook.meter.figures()
    }

    /// Takes what the backend gave: records it if that is to be, and what failed is `None`.
    fn take<T, E>(&self, given: Result<T, E>, record: impl FnOnce(CacheMeter, Option<&T>)) -> Option<T> {
        if self.hook.available.load(Relaxed) != given.is_ok() {
            self.hook.available.store(given.is_ok(), Relaxed);
        }
        let tracked = self.hook.tracked.load(Relaxed);
        if tracked {
            if given.is_err() {
                self.hook.meter.failed();
            }
            record(self.hook.meter, given.as_ref().ok());
        }
        given.ok()
    }

    fn looked_up<T, E>(&self, found: Result<Option<T>, E>) -> Option<T> {
        let record = |meter: CacheMeter, found: Option<&Option<T>>| match found.and_then(Option::as_ref) {
            Some(_) => meter.hit(),
            None => meter.miss(),
        };
        self.take(found, record).flatten()
    }

    fn deleted<E>(&self, deleted: Result<bool, E>, recorded: bool) -> bool {
        let record = |meter: CacheMeter, deleted: Option<&bool>| {
            if deleted == Some(&true) && !recorded {
                meter.evicted(Eviction::Explicit);
            }
        };
        self.take(deleted, record).unwrap_or(false)
    }
}

impl<C: CacheBackend> InstrumentedCache<C> {
    /// The entry, if it is there.
    pub fn get(&self, key: &C::Key) -> Option<C::Value> {
        self.looked_up(self.backend.get(key))
    }

    /// Makes or replaces the entry; whether the cache took it.
    pub fn set(&self, key: C::Key, value: C::Value) -> bool {
        self.take(self.backend.set(key, value), |_, _| ()).is_some()
    }

    /// Deletes the entry; whether there was one.
    pub fn delete(&self, key: &C::Key) -> bool {
        self.deleted(self.backend.delete(key), self.backend.records_deletions())
    }
}

impl<C: AsyncCacheBackend> InstrumentedCache<C> {
    /// The entry, if it is there.
    pub async fn get_async(&self, key: &C::Key) -> Option<C::Value> {
        self.looked_up(self.backend.get(key).await)
    }

    /// Makes or replaces the entry; whether the cache took it.
    pub async fn set_async(&self, key: C::Key, value: C::Value) -> bool {
        self.take(self.backend.set(key, value).await, |_, _| ()).is_some()
    }

    /// Deletes the entry; whether there was one.
    pub async fn delete_async(&self, key: &C::Key) -> bool {
        self.deleted(self.backend.delete(key).await, self.backend.records_deletions())
    }
}

impl<C> fmt::Debug for InstrumentedCache<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstrumentedCache").field("hook", &self.hook).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        collections::HashMap,
        sync::{Mutex, RwLock},
    };

    use super::*;
    use crate::Registry;

    fn caches() -> Caches {
        Caches::register(&Registry::new()).unwrap()
    }

    fn check<C>(cache: &InstrumentedCache<C>, hits: u64, misses: u64, evictions: u64, errors: u64) {
        assert_eq!(cache.figures(), CacheFigures { hits, misses, evictions, errors });
    }

    #[test]
    fn a_map_behind_a_lock() {
        let cache = InstrumentedCache::tracked_by(&caches(), "map", RwLock::new(HashMap::new()));
        assert_eq!(cache.get(&1), None);
        assert!(cache.set(1, "one") && cache.set(1, "eins"));
        assert_eq!(cache.get(&1), Some("eins"));
        assert!(cache.delete(&1) && !cache.delete(&1));
        check(&cache, 1, 1, 1, 0);
    }

    #[test]
    fn an_unhooked_cache_works_and_its_counts_stand_still() {
        let caches = caches();
        let cache = InstrumentedCache::tracked_by(&caches, "map", Mutex::new(HashMap::new()));
        cache.set(1, 1);
        cache.get(&1);
        caches.unhook_all();
        assert_eq!((cache.get(&1), cache.get(&2), cache.delete(&1)), (Some(1), None, true));
        check(&cache, 1, 0, 0, 0);
        assert!(caches.auto_hook("map"));
        cache.get(&2);
        check(&cache, 1, 1, 0, 0);
    }

    /// A cache elsewhere, which can be out of reach.
    #[derive(Default)]
    struct Remote {
        down: Cell<bool>,
        entries: Mutex<HashMap<u8, u8>>,
    }

    impl CacheBackend for Remote {
        type Key = u8;
        type Value = u8;
        type Error = &'static str;

        fn get(&self, key: &u8) -> Result<Option<u8>, &'static str> {
            if self.down.get() {
                Err("out of reach")
            } else {
                Ok(CacheBackend::get(&self.entries, key).unwrap())
            }
        }

        fn set(&self, key: u8, value: u8) -> Result<(), &'static str> {
            if self.down.get() {
                Err("out of reach")
            } else {
                CacheBackend::set(&self.entries, key, value).unwrap();
                Ok(())
            }
        }

        fn delete(&self, key: &u8) -> Result<bool, &'static str> {
            if self.down.get() {
                Err("out of reach")
            } else {
                Ok(CacheBackend::delete(&self.entries, key).unwrap())
            }
        }
    }

    #[test]
    fn a_cache_out_of_reach_is_no_error_to_the_caller() {
        let caches = caches();
        let cache = InstrumentedCache::tracked_by(&caches, "remote", Remote::default());
        cache.set(1, 1);
        cache.backend().down.set(true);
        assert_eq!((cache.get(&1), cache.set(2, 2), cache.delete(&1)), (None, false, false));
        check(&cache, 0, 1, 0, 3);
        assert!(!caches.states()[0].available);
        cache.backend().down.set(false);
        assert_eq!(cache.get(&1), Some(1));
        assert!(caches.states()[0].available);
    }
}
