//! Methods that are called: a table of a bounded number of names, found without a lock.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    cells::{Calls, Count},
    failure::CATEGORIES,
};
use crate::{Family, Histogram};

/// The name of all that is beyond a limit of names.
pub const OTHER: &str = "__other__";

/// Methods that are counted apart for each client; the calls of others are together.
pub const METHODS_PER_CLIENT: usize = 32;

/// A method that clients call: `pkg.Service/Method`, or `GET /users/{id}`. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Method(pub(super) Arc<MethodCells>);

impl Method {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

#[derive(Debug)]
pub(super) struct MethodCells {
    pub(super) name: Arc<str>,
    id: u32,
    pub(super) calls: Calls,
    pub(super) errors: [Count; CATEGORIES],
    duration: Histogram,
}

impl MethodCells {
    #[inline]
    pub(super) fn note(&self, ok: bool, took: Duration, micros: u64, bytes_in: u64, bytes_out: u64) {
        self.calls.note(ok, micros, bytes_in, bytes_out);
        self.duration.record_duration(took);
    }
}

/// All methods. A slot that is filled stays so, and is read without a lock; a name is at the first slot from its hash on
/// that was free when it came. Past the limit each look-up takes the lock.
#[derive(Debug)]
pub(super) struct Methods {
    slots: Box<[OnceLock<Method>]>,
    hasher: RandomState,
    used: Mutex<usize>,
    max: usize,
    /// Look-ups that found no room.
    pub(super) refused: AtomicU64,
    durations: Family<Histogram, 1>,
    other: OnceLock<Method>,
}

impl Methods {
    pub(super) fn new(max: usize, durations: Family<Histogram, 1>) -> Self {
        let slots = (max.max(1) * 2).next_power_of_two();
        Self {
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
            hasher: RandomState::new(),
            used: Mutex::new(0),
            max,
            refused: AtomicU64::new(0),
            durations,
            other: OnceLock::new(),
        }
    }

    /// The method of this name, or the one that stands for all others.
    pub(super) fn find(&self, name: &str) -> &Method {
        let hash = self.hasher.hash_one(name);
        match self.probe(name, hash) {
            Ok(method) => method,
            Err(_) => self.add(name, hash),
        }
    }

    /// The method, or the slot where it would be.
    fn probe(&self, name: &str, hash: u64) -> Result<&Method, usize> {
        let mask = self.slots.len() - 1;
        let mut at = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0) & mask;
        // At most half of the slots are ever used, so there is always a free one to stop at.
        while let Some(method) = self.slots[at].get() {
            if &*method.0.name == name {
                return Ok(method);
            }
            at = (at + 1) & mask;
        }
        Err(at)
    }

    #[cold]
    fn add(&self, name: &str, hash: u64) -> &Method {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        match self.probe(name, hash) {
            Ok(method) => method,
            Err(at) if *used < self.max => {
                *used += 1;
                self.slots[at].get_or_init(|| self.make(name, u32::try_from(at).unwrap_or(u32::MAX)))
            }
            Err(_) => {
                self.refused.fetch_add(1, Relaxed);
                self.other.get_or_init(|| self.make(OTHER, u32::MAX))
            }
        }
    }

    fn make(&self, name: &str, id: u32) -> Method {
        let duration = self.durations.with([name]);
        Method(Arc::new(MethodCells {
            name: name.into(),
            id,
            calls: Calls::default(),
            errors: Default::default(),
            duration,
        }))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &MethodCells> {
        self.slots.iter().chain([&self.other]).filter_map(|slot| slot.get().map(|method| &*method.0))
    }

    /// The name by the mark of [`Usage`].
    fn name(&self, mark: u32) -> Option<Arc<str>> {
        let slot = usize::try_from(mark.checked_sub(1)?).ok()?;
        let method = self.slots.get(slot).unwrap_or(&self.other).get()?;
        Some(method.0.name.clone())
    }
}

/// The calls of one client by method.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// The method of each slot, by its id and 1; 0 is none.
    marks: [AtomicU32; METHODS_PER_CLIENT],
    calls: [Count; METHODS_PER_CLIENT],
    others: Count,
    last: AtomicU32,
}

impl Usage {
    /// The client began a call of this.
    #[inline]
    pub(super) fn called(&self, method: &Method) {
        self.last.store(mark(method), Relaxed);
    }

    /// A call of this is over.
    #[inline]
    pub(super) fn note(&self, method: &Method) {
        let mark = mark(method);
        for (place, calls) in self.marks.iter().zip(&self.calls) {
            let mut there = place.load(Relaxed);
            if there == 0 {
                there =
                    place.compare_exchange(0, mark, Relaxed, Relaxed).map_or_else(|other| other, |_| mark);
            }
            if there == mark {
                return calls.add(1);
            }
        }
        self.others.add(1);
    }

    /// The method that was called last.
    pub(super) fn last(&self, methods: &Methods) -> Option<Arc<str>> {
        methods.name(self.last.load(Relaxed))
    }

    pub(super) fn by_method(&self, methods: &Methods) -> Vec<(Arc<str>, u64)> {
        let marks = self.marks.iter().map(|mark| methods.name(mark.load(Relaxed)));
        let calls = self.calls.iter().map(Count::get);
        let named = marks.zip(calls).filter_map(|(name, calls)| Some((name?, calls)));
        let mut by: Vec<_> = named.filter(|(_, calls)| *calls > 0).collect();
        let others = self.others.get();
        if others > 0 {
            match by.iter_mut().find(|(name, _)| &**name == OTHER) {
                Some((_, calls)) => *calls += others,
                None => by.push((OTHER.into(), others)),
            }
        }
        by.sort_unstable();
        by
    }
}

fn mark(method: &Method) -> u32 {
    method.0.id.saturating_add(1)
}

/// Calls that ended in each clock minute, of which only the one that goes on and the greatest are of interest.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    /// The minute in the upper half, its calls in the lower.
    current: AtomicU64,
    peak: AtomicU64,
}

impl Minutes {
    #[inline]
    pub(super) fn note(&self, wall_ms: u64) {
        let minute = (wall_ms / 60_000) << 32;
        let add = |current: u64| {
            // One that ends while others already count the next minute counts with them.
            Some(if current >= minute { current + 1 } else { minute + 1 })
        };
        let before = self.current.fetch_update(Relaxed, Relaxed, add).unwrap_or_default();
        let calls = if before >= minute { (before & u64::from(u32::MAX)) + 1 } else { 1 };
        if calls > self.peak.load(Relaxed) {
            self.peak.fetch_max(calls, Relaxed);
        }
    }

    /// The most calls of one minute.
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, Unit};

    fn methods(max: usize) -> Methods {
        let registry = Registry::new();
        let durations = registry.histogram("calls").unit(Unit::Seconds).family(["method"]).unwrap();
        Methods::new(max, durations)
    }

    #[test]
    fn names_are_found_again_up_to_the_limit() {
        let methods = methods(3);
        for name in ["a", "b", "a", "c"] {
            assert_eq!(methods.find(name).name(), name);
        }
        assert!(Arc::ptr_eq(&methods.find("b").0, &methods.find("b").0));
        assert_eq!((methods.find("d").name(), methods.find("e").name()), (OTHER, OTHER));
        assert_eq!((methods.iter().count(), methods.refused.load(Relaxed)), (4, 2));
    }

    #[test]
    fn threads_agree_on_methods() {
        let methods = methods(64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..64).for_each(|i| assert_ne!(methods.find(&i.to_string()).name(), OTHER)));
            }
        });
        assert_eq!((methods.iter().count(), *methods.used.lock().unwrap()), (64, 64));
    }

    #[test]
    fn a_client_has_some_methods_of_its_own() {
        let (methods, usage) = (methods(100), Usage::default());
        for i in 0..METHODS_PER_CLIENT + 2 {
            usage.note(methods.find(&format!("m{i:02}")));
        }
        usage.note(methods.find("m01"));
        usage.called(methods.find("m05"));
        let by = usage.by_method(&methods);
        assert_eq!(by.len(), METHODS_PER_CLIENT + 1);
        assert_eq!(by[0], (OTHER.into(), 2));
        assert_eq!(by[2], ("m01".into(), 2));
        assert_eq!(usage.last(&methods).as_deref(), Some("m05"));
    }

    #[test]
    fn the_busiest_minute_is_kept() {
        let minutes = Minutes::default();
        for at in [0, 1, 59_999, 60_000, 61_000, 120_000] {
            minutes.note(at);
        }
        assert_eq!(minutes.peak(), 3);
    }
}
