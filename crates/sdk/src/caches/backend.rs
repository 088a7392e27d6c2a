//! What a cache has to do to be wrapped.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Display,
    hash::{BuildHasher, Hash},
    sync::{Mutex, PoisonError, RwLock},
};

/// A cache that answers at once.
pub trait CacheBackend {
    /// What entries are found by.
    type Key;
    /// What they are.
    type Value;
    /// How it may fail; `Infallible` for a cache in memory.
    type Error: Display;

    /// The entry.
    ///
    /// # Errors
    /// The cache cannot be asked.
    fn get(&self, key: &Self::Key) -> Result<Option<Self::Value>, Self::Error>;

    /// Makes or replaces the entry.
    ///
    /// # Errors
    /// The cache cannot be told.
    fn set(&self, key: Self::Key, value: Self::Value) -> Result<(), Self::Error>;

    /// Deletes the entry; whether there was one.
    ///
    /// # Errors
    /// The cache cannot be told.
    fn delete(&self, key: &Self::Key) -> Result<bool, Self::Error>;

    /// Whether the cache itself records what is deleted.
    fn records_deletions(&self) -> bool {
        false
    }
}

/// A cache that has to be waited for.
pub trait AsyncCacheBackend {
    /// What entries are found by.
    type Key;
    /// What they are.
    type Value;
    /// How it may fail.
    type Error: Display;

    /// The entry, or that the cache cannot be asked.
    fn get(&self, key: &Self::Key) -> impl Future<Output = Result<Option<Self::Value>, Self::Error>> + Send;

    /// Makes or replaces the entry.
    fn set(&self, key: Self::Key, value: Self::Value)
    -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Deletes the entry; whether there was one.
    fn delete(&self, key: &Self::Key) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Whether the cache itself records what is deleted.
    fn records_deletions(&self) -> bool {
        false
    }
}

macro_rules! locked_map {
    ($($lock:ident: $read:ident, $write:ident;)*) => {$(
        impl<K: Eq + Hash, V: Clone, S: BuildHasher> CacheBackend for $lock<HashMap<K, V, S>> {
            type Key = K;
            type Value = V;
            type Error = Infallible;

            fn get(&self, key: &K) -> Result<Option<V>, Infallible> {
                Ok(self.$read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
            }

            fn set(&self, key: K, value: V) -> Result<(), Infallible> {
                self.$write().unwrap_or_else(PoisonError::into_inner).insert(key, value);
                Ok(())
            }

            fn delete(&self, key: &K) -> Result<bool, Infallible> {
                Ok(self.$write().unwrap_or_else(PoisonError::into_inner).remove(key).is_some())
            }
        }
    )*};
}

locked_map! {
    Mutex: lock, lock;
    RwLock: read, write;
}
