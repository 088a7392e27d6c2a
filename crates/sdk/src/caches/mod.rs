//! Caches: hits, misses, evictions by cause, and the share of hits.
//!
//! A cache is measured from outside: [`InstrumentedCache`] wraps any [`CacheBackend`] or [`AsyncCacheBackend`], among
//! them a `HashMap` behind a lock and, with the feature `moka`, the caches of moka, whose evictions by size and age
//! are heard of. A cache that measures itself records into its [`CacheMeter`].
//!
//! Whether a wrapped cache is tracked is a switch ([`Caches::hook`], [`Caches::auto_hook`], [`Caches::unhook_all`]):
//! the cache works the same either way. A backend that fails is no error to the caller: a look-up misses, and
//! [`CacheState::available`] tells.
//!
//! A look-up costs one counter beside the look-up.

mod backend;
mod instrumented;
#[cfg(feature = "moka")]
mod moka;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

#[cfg(feature = "moka")]
pub use self::moka::Listened;
pub use backend::{AsyncCacheBackend, CacheBackend};
pub use instrumented::InstrumentedCache;

use crate::{Counter, Error, Family, Registry, Telemetry, Unit};

/// How many names of caches are known; those beyond share the name [`OVERFLOW`](crate::OVERFLOW) and are always
/// tracked.
pub const CACHES_MAX: usize = 1_000;

/// The instruments of all caches, and which of them are tracked. Cloning is cheap, and clones are the same.
///
/// | metric | |
/// |---|---|
/// | `cache_hits_total{cache}`, `cache_misses_total{cache}` | look-ups |
/// | `cache_evictions_total{cache,cause}` | removals: `size`, `expired` or `explicit`, never replacement |
/// | `cache_errors_total{cache}` | operations in which the cache failed |
/// | `cache_hit_rate{cache}` | hits of all look-ups, 0 to 1; 0 before the first |
#[derive(Clone)]
#[doc(alias = "CacheMetricsHook")]
pub struct Caches(Arc<Shared>);

struct Shared {
    registry: Registry,
    hits: Family<Counter, 1>,
    misses: Family<Counter, 1>,
    evictions: Family<Counter, 2>,
    errors: Family<Counter, 1>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    caches: BTreeMap<String, Arc<Hook>>,
    /// Names that are to be tracked once there is a cache of that name.
    wanted: BTreeSet<String>,
}

/// The switch of the caches of one name.
#[derive(Debug)]
struct Hook {
    tracked: AtomicBool,
    available: AtomicBool,
    meter: CacheMeter,
}

/// Why an entry left a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// There was no room for it.
    Size,
    /// Its time was over.
    Expired,
    /// It was deleted.
    Explicit,
}

impl Eviction {
    const ALL: [Self; 3] = [Self::Size, Self::Expired, Self::Explicit];

    /// The value of the label `cause`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Expired => "expired",
            Self::Explicit => "explicit",
        }
    }
}

/// The instruments of one cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheMeter {
    hits: Counter,
    misses: Counter,
    evictions: [Counter; 3],
    errors: Counter,
}

impl CacheMeter {
    /// Counts a look-up that found something.
    #[inline]
    pub fn hit(&self) {
        self.hits.inc();
    }

    /// Counts a look-up that found nothing.
    #[inline]
    pub fn miss(&self) {
        self.misses.inc();
    }

    /// Counts an entry that left, not one that was replaced.
    #[inline]
    pub fn evicted(&self, cause: Eviction) {
        self.evictions[cause as usize].inc();
    }

    /// Counts an operation in which the cache failed.
    pub fn failed(&self) {
        self.errors.inc();
    }

    /// Takes over what a cache counts by itself, as it stands: totals since the start. Evictions count as for want of room.
    /// For one caller at a time.
    pub fn observe(&self, totals: CacheFigures) {
        let raise = |counter: Counter, total: u64| counter.add(total.saturating_sub(counter.value()));
        raise(self.hits, totals.hits);
        raise(self.misses, totals.misses);
        raise(self.evictions[Eviction::Size as usize], totals.evictions);
        raise(self.errors, totals.errors);
    }

    /// What was counted. Hits are read before misses.
    pub fn figures(&self) -> CacheFigures {
        CacheFigures {
            hits: self.hits.value(),
            misses: self.misses.value(),
            evictions: self.evictions.iter().map(|counter| counter.value()).sum(),
            errors: self.errors.value(),
        }
    }
}

/// What was counted of one cache, or of all, since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Look-ups that found something.
    pub hits: u64,
    /// Look-ups that found nothing.
    pub misses: u64,
    /// Entries that left, by size, age or deletion.
    pub evictions: u64,
    /// Operations in which the cache failed.
    pub errors: u64,
}

impl CacheFigures {
    /// Hits of all look-ups, 0 to 1; 0 before the first.
    pub fn hit_rate(&self) -> f64 {
        match self.hits + self.misses {
            0 => 0.0,
            lookups => self.hits as f64 / lookups as f64,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            misses: self.misses + other.misses,
            evictions: self.evictions + other.evictions,
            errors: self.errors + other.errors,
        }
    }
}

/// A cache as diagnostics show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheState {
    /// Its name.
    pub name: String,
    /// Whether it is tracked.
    pub tracked: bool,
    /// Whether its last operation succeeded; `true` before the first.
    pub available: bool,
    /// What was counted.
    pub figures: CacheFigures,
}

impl Caches {
    /// Registers the instruments.
    ///
    /// # Errors
    /// A metric of the same name that is another.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name, help| registry.counter(name).help(help);
        Ok(Self(Arc::new(Shared {
            registry: registry.clone(),
            hits: counter("cache_hits_total", "Look-ups that found something.").family(["cache"])?,
            misses: counter("cache_misses_total", "Look-ups that found nothing.").family(["cache"])?,
            evictions: counter("cache_evictions_total", "Entries that left, by cause; not those replaced.")
                .family(["cache", "cause"])?,
            errors: counter("cache_errors_total", "Operations in which the cache failed.")
                .family(["cache"])?,
            known: Mutex::default(),
        })))
    }

    /// Those of [`Telemetry::global`].
    pub fn global() -> &'static Self {
        Telemetry::global().caches()
    }

    /// The instruments of the caches of this name, which are tracked from now on.
    pub fn cache(&self, name: &str) -> CacheMeter {
        let hook = self.known_as(name);
        hook.tracked.store(true, Relaxed);
        hook.meter
    }

    /// Tracks the caches of this name, those that are yet to come as well.
    pub fn hook(&self, name: &str) {
        if !self.auto_hook(name) {
            let mut known = self.known();
            if known.wanted.len() < CACHES_MAX {
                known.wanted.insert(name.to_owned());
            }
        }
    }

    /// Tracks the caches of this name; `false` if there is none.
    pub fn auto_hook(&self, name: &str) -> bool {
        let known = self.known();
        let hook = known.caches.get(name);
        hook.inspect(|hook| hook.tracked.store(true, Relaxed)).is_some()
    }

    /// Tracks no cache any more; they go on working, and what was counted stays.
    pub fn unhook_all(&self) {
        let mut known = self.known();
        known.wanted.clear();
        known.caches.values().for_each(|hook| hook.tracked.store(false, Relaxed));
    }

    /// All known caches, by name.
    #[doc(alias = "cache_hooks")]
    pub fn states(&self) -> Vec<CacheState> {
        let state = |(name, hook): (&String, &Arc<Hook>)| CacheState {
            name: name.clone(),
            tracked: hook.tracked.load(Relaxed),
            available: hook.available.load(Relaxed),
            figures: hook.meter.figures(),
        };
        self.known().caches.iter().map(state).collect()
    }

    /// What was counted of all caches.
    pub fn figures(&self) -> CacheFigures {
        let known = self.known();
        known
            .caches
            .values()
            .map(|hook| hook.meter.figures())
            .fold(CacheFigures::default(), CacheFigures::and)
    }

    /// The switch of this name, made if it is new: off, unless the name is wanted.
    fn known_as(&self, name: &str) -> Arc<Hook> {
        let mut known = self.known();
        let full = known.caches.len() >= CACHES_MAX && !known.caches.contains_key(name);
        let name = if full { crate::OVERFLOW } else { name };
        if let Some(hook) = known.caches.get(name) {
            return Arc::clone(hook);
        }
        let meter = CacheMeter {
            hits: self.0.hits.with([name]),
            misses: self.0.misses.with([name]),
            evictions: Eviction::ALL.map(|cause| self.0.evictions.with([name, cause.as_str()])),
            errors: self.0.errors.with([name]),
        };
        let tracked = known.wanted.remove(name) || full;
        let hook =
            Arc::new(Hook { tracked: AtomicBool::new(tracked), available: AtomicBool::new(true), meter });
        known.caches.insert(name.to_owned(), Arc::clone(&hook));
        drop(known);
        let rate = self.0.registry.gauge("cache_hit_rate").unit(Unit::None).label("cache", name);
        let rate = rate.help("Hits of all look-ups, 0 to 1.").observe(move || meter.figures().hit_rate());
        if let Err(problem) = rate {
            self.0.registry.note_problem(problem);
        }
        hook
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caches({})", self.known().caches.len())
    }
}

/// Tracks the cache that the process registered as `unified_cache_service`, its main one; `false` if there is none.
pub fn auto_hook_unified_cache_service() -> bool {
    Caches::global().auto_hook("unified_cache_service")
}

/// Tracks the cache that the process registered as `intelligent_cache_service`, its second one; `false` if there is
/// none.
pub fn auto_hook_intelligent_cache_service() -> bool {
    Caches::global().auto_hook("intelligent_cache_service")
}

/// [`Caches::unhook_all`] of the process.
pub fn unhook_all() {
    Caches::global().unhook_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_hits() {
        let check = |hits, misses, expected: f64| {
            let figures = CacheFigures { hits, misses, ..CacheFigures::default() };
            assert!((figures.hit_rate() - expected).abs() < 5e-4, "{}", figures.hit_rate());
        };
        check(8742, 1205, 0.879);
        check(0, 0, 0.0);
        check(0, 5, 0.0);
    }

    #[test]
    fn hooks_are_found_by_name() {
        let caches = Caches::register(&Registry::new()).unwrap();
        let tracked =
            |name| caches.states().iter().find(|cache| cache.name == name).is_some_and(|c| c.tracked);
        assert!(!caches.auto_hook("main"));
        caches.known_as("main");
        assert!(!tracked("main"));
        assert!(caches.auto_hook("main") && tracked("main"));
        caches.hook("later");
        caches.known_as("later");
        assert!(tracked("later"));
        caches.unhook_all();
        assert!(!tracked("main") && !tracked("later"));
        for i in 0..CACHES_MAX + 10 {
            caches.cache(&format!("cache {i}")).hit();
        }
        assert_eq!((caches.states().len(), caches.figures().hits), (CACHES_MAX + 1, CACHES_MAX as u64 + 10));
    }

    #[test]
    fn what_a_cache_counts_itself_is_taken_over() {
        let meter = Caches::register(&Registry::new()).unwrap().cache("own");
        let totals = CacheFigures { hits: 5, misses: 3, evictions: 2, errors: 1 };
        [totals, totals, CacheFigures { hits: 4, ..totals }]
            .into_iter()
            .for_each(|totals| meter.observe(totals));
        assert_eq!(meter.figures(), totals);
    }

    #[test]
    fn presets_are_false_without_a_cache() {
        assert!(!auto_hook_unified_cache_service());
        Caches::global().known_as("intelligent_cache_service");
        assert!(auto_hook_intelligent_cache_service());
    }
}
