//! The caches of moka.
//!
//! Any of them can be wrapped. One that is built by [`InstrumentedCache::moka`] or
//! [`InstrumentedCache::moka_future`] also tells what leaves by itself, for lack of room or for age; moka finds
//! out about that while it does its chores, so it may come a little later.

use std::{
    convert::Infallible,
    future::ready,
    hash::{BuildHasher, Hash},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use moka::{future, notification::RemovalCause, sync};

use super::{AsyncCacheBackend, CacheBackend, Caches, Eviction, Hook, InstrumentedCache};

impl<K, V, S> CacheBackend for sync::Cache<K, V, S>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Clone + Send + Sync + 'static,
{
    type Key = K;
    type Value = V;
    type Error = Infallible;

    fn get(&self, key: &K) -> Result<Option<V>, Infallible> {
        Ok(self.get(key))
    }

    fn set(&self, key: K, value: V) -> Result<(), Infallible> {
        self.insert(key, value);
        Ok(())
    }

    fn delete(&self, key: &K) -> Result<bool, Infallible> {
        Ok(self.remove(key).is_some())
    }
}

impl<K, V, S> AsyncCacheBackend for future::Cache<K, V, S>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Clone + Send + Sync + 'static,
{
    type Key = K;
    type Value = V;
    type Error = Infallible;

    async fn get(&self, key: &K) -> Result<Option<V>, Infallible> {
        Ok(self.get(key).await)
    }

    async fn set(&self, key: K, value: V) -> Result<(), Infallible> {
        self.insert(key, value).await;
        Ok(())
    }

    async fn delete(&self, key: &K) -> Result<bool, Infallible> {
        Ok(self.remove(key).await.is_some())
    }
}

/// A cache of moka that records by itself what leaves it.
#[derive(Clone, Debug)]
pub struct Listened<C>(C);

impl<C> Listened<C> {
    /// The cache, for what only it can do.
    pub fn cache(&self) -> &C {
        &self.0
    }
}

impl<C: CacheBackend> CacheBackend for Listened<C> {
    type Key = C::Key;
    type Value = C::Value;
    type Error = C::Error;

    fn get(&self, key: &C::Key) -> Result<Option<C::Value>, C::Error> {
        self.0.get(key)
    }

    fn set(&self, key: C::Key, value: C::Value) -> Result<(), C::Error> {
        self.0.set(key, value)
    }

    fn delete(&self, key: &C::Key) -> Result<bool, C::Error> {
        self.0.delete(key)
    }

    fn records_deletions(&self) -> bool {
        true
    }
}

impl<C: AsyncCacheBackend> AsyncCacheBackend for Listened<C> {
    type Key = C::Key;
    type Value = C::Value;
    type Error = C::Error;

    fn get(&self, key: &C::Key) -> impl Future<Output = Result<Option<C::Value>, C::Error>> + Send {
        self.0.get(key)
    }

    fn set(&self, key: C::Key, value: C::Value) -> impl Future<Output = Result<(), C::Error>> + Send {
        self.0.set(key, value)
    }

    fn delete(&self, key: &C::Key) -> impl Future<Output = Result<bool, C::Error>> + Send {
        self.0.delete(key)
    }

    fn records_deletions(&self) -> bool {
        true
    }
}

impl<K, V> InstrumentedCache<Listened<sync::Cache<K, V>>>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Builds a cache of moka that is tracked in [`Caches::global`]. The eviction listener is ours.
    pub fn moka(name: &str, builder: sync::CacheBuilder<K, V, sync::Cache<K, V>>) -> Self {
        Self::moka_tracked_by(Caches::global(), name, builder)
    }

    /// The same, tracked in these.
    pub fn moka_tracked_by(
        caches: &Caches,
        name: &str,
        builder: sync::CacheBuilder<K, V, sync::Cache<K, V>>,
    ) -> Self {
        let hook = caches.known_as(name);
        let builder = builder.eviction_listener(move |_, _, cause| note(&hook, cause));
        Self::tracked_by(caches, name, Listened(builder.build()))
    }
}

impl<K, V> InstrumentedCache<Listened<future::Cache<K, V>>>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Builds an async cache of moka that is tracked in [`Caches::global`]. The eviction listener is ours.
    pub fn moka_future(name: &str, builder: future::CacheBuilder<K, V, future::Cache<K, V>>) -> Self {
        Self::moka_future_tracked_by(Caches::global(), name, builder)
    }

    /// The same, tracked in these.
    pub fn moka_future_tracked_by(
        caches: &Caches,
        name: &str,
        builder: future::CacheBuilder<K, V, future::Cache<K, V>>,
    ) -> Self {
        let hook = caches.known_as(name);
        let builder = builder.async_eviction_listener(move |_, _, cause| {
            note(&hook, cause);
            Box::pin(ready(()))
        });
        Self::tracked_by(caches, name, Listened(builder.build()))
    }
}

fn note(hook: &Arc<Hook>, cause: RemovalCause) {
    let eviction = match cause {
        RemovalCause::Expired => Eviction::Expired,
        RemovalCause::Explicit => Eviction::Explicit,
        RemovalCause::Size => Eviction::Size,
        RemovalCause::Replaced => return,
    };
    if hook.tracked.load(Relaxed) {
        hook.meter.evicted(eviction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, exposition::Format};

    fn check(registry: &Registry, cause: &str, count: u64) {
        let text = registry.expose(Format::Text004);
        let line = format!("cache_evictions_total{{cache=\"moka\",cause=\"{cause}\"}} {count}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }

    #[test]
    fn what_leaves_a_cache_is_counted_by_cause() {
        let registry = Registry::new();
        let caches = Caches::register(&registry).unwrap();
        let cache =
            InstrumentedCache::moka_tracked_by(&caches, "moka", sync::Cache::builder().max_capacity(10));
        for key in 0..30 {
            cache.set(key, key);
        }
        cache.backend().cache().run_pending_tasks();
        check(&registry, "size", 20);
        let key = *cache.backend().cache().iter().next().unwrap().0;
        cache.set(key, 7);
        assert_eq!(cache.get(&key), Some(7));
        assert!(cache.delete(&key) && cache.get(&key).is_none());
        check(&registry, "explicit", 1);
        check(&registry, "expired", 0);
        assert_eq!((cache.figures().hits, cache.figures().misses), (1, 1));
        assert!(registry.expose(Format::Text004).contains("cache_hit_rate{cache=\"moka\"} 0.5\n"));
    }

    #[tokio::test]
    async fn an_async_cache() {
        let registry = Registry::new();
        let caches = Caches::register(&registry).unwrap();
        let cache = InstrumentedCache::moka_future_tracked_by(
            &caches,
            "moka",
            future::Cache::builder().time_to_live(std::time::Duration::ZERO),
        );
        assert!(cache.set_async("a", 1).await);
        assert_eq!(cache.get_async(&"a").await, None);
        cache.backend().cache().run_pending_tasks().await;
        check(&registry, "expired", 1);

        let plain = InstrumentedCache::tracked_by(&caches, "moka", future::Cache::new(10));
        plain.set_async("a", 1).await;
        assert_eq!(plain.get_async(&"a").await, Some(1));
        assert!(plain.delete_async(&"a").await);
        check(&registry, "explicit", 1);
    }
}
