//! Threads and the shards they record into.
//!
//! A shard is a slab of counter cells and one of distribution cells. While a thread lives it owns one shard: only
//! it writes there, by a relaxed load and a store, and anyone may read. A sum over all shards is therefore exact
//! once writers are done, and never goes back while they are at it: each cell has one writer and only grows.
//!
//! A thread reaches its cells through thread-local tables of its shard's pages, which it fills as it goes: one load
//! and a test against null. An empty entry leads to the slow path, which finds out why: the page is not made yet,
//! the thread has no shard yet, or it has none to itself.
//!
//! When a thread ends its shard goes, with what it counted, to the next thread that comes; nothing is folded or
//! lost, and there are never more shards than there were threads at a time. The lock around the free list orders
//! the writes of the old owner before the reads of the new one. Beyond [`SHARDS_MAX`] threads at a time, and while
//! a thread tears down its thread-locals, recording goes to one shared shard, with atomic read-modify-writes.

use std::{cell::Cell, sync::PoisonError};

use crate::{
    distribution::DistributionSlot,
    sizes::{self, SHARDS_MAX},
    slab::{Page, Slab},
    sync::{self, AtomicU64, Mutex, MutexGuard, OnceLock},
};

const COUNTER_PAGE: usize = sizes::COUNTERS.0;
const COUNTER_PAGES: usize = sizes::COUNTERS.1;
const DISTRIBUTION_PAGE: usize = sizes::DISTRIBUTIONS.0;
const DISTRIBUTION_PAGES: usize = sizes::DISTRIBUTIONS.1;

pub(crate) type CounterCells = Slab<AtomicU64, COUNTER_PAGE, COUNTER_PAGES>;
pub(crate) type DistributionCells = Slab<DistributionSlot, DISTRIBUTION_PAGE, DISTRIBUTION_PAGES>;

/// The cells of one thread, or of all late ones.
pub(crate) struct Shard {
    /// Whether several threads write here.
    pub(crate) shared: bool,
    pub(crate) counters: CounterCells,
    pub(crate) distributions: DistributionCells,
}

impl Shard {
    fn new(shared: bool) -> &'static Self {
        Box::leak(Box::new(Self { shared, counters: Slab::new(), distributions: Slab::new() }))
    }
}

/// Every shard there is; shards without a thread are in `free` too.
struct Threads {
    all: Vec<&'static Shard>,
    free: Vec<&'static Shard>,
}

sync::statics! {
    static THREADS: Mutex<Threads> = Mutex::new(Threads { all: Vec::new(), free: Vec::new() });
    static SHARED: OnceLock<&'static Shard> = OnceLock::new();
}

/// The pages of a shard that its thread has touched.
type Pages<T, const LEN: usize, const PAGES: usize> = [Cell<Option<&'static Page<T, LEN>>>; PAGES];

// All but the lease have no destructor, so that reading them is a plain load at any time of a thread's life.
sync::thread_local! {
    static OWN_COUNTERS: Pages<AtomicU64, COUNTER_PAGE, COUNTER_PAGES> =
        const { [const { Cell::new(None) }; COUNTER_PAGES] };
    static OWN_DISTRIBUTIONS: Pages<DistributionSlot, DISTRIBUTION_PAGE, DISTRIBUTION_PAGES> =
        const { [const { Cell::new(None) }; DISTRIBUTION_PAGES] };
    static CURRENT: Cell<Option<&'static Shard>> = const { Cell::new(None) };
    static LEASE: Lease = const { Lease(Cell::new(None)) };
}

/// The counter cell that only the calling thread writes; `None` if it has to ask [`counter`].
#[inline]
pub(crate) fn own_counter(index: u32) -> Option<&'static AtomicU64> {
    let page = OWN_COUNTERS.with(|pages| pages[CounterCells::page_of(index)].get())?;
    Some(page.cell(index))
}

/// The distribution cell that only the calling thread writes; `None` if it has to ask [`distribution`].
#[inline]
pub(crate) fn own_distribution(index: u32) -> Option<&'static DistributionSlot> {
    let page = OWN_DISTRIBUTIONS.with(|pages| pages[DistributionCells::page_of(index)].get())?;
    Some(page.cell(index))
}

/// The counter cell to write, and whether others may write it too.
pub(crate) fn counter(index: u32) -> (&'static AtomicU64, bool) {
    let shard = current();
    let page = shard.counters.page(CounterCells::page_of(index));
    if !shard.shared {
        OWN_COUNTERS.with(|pages| pages[CounterCells::page_of(index)].set(Some(page)));
    }
    (page.cell(index), shard.shared)
}

/// The distribution cell to write, and whether others may write it too.
pub(crate) fn distribution(index: u32) -> (&'static DistributionSlot, bool) {
    let shard = current();
    let page = shard.distributions.page(DistributionCells::page_of(index));
    if !shard.shared {
        OWN_DISTRIBUTIONS.with(|pages| pages[DistributionCells::page_of(index)].set(Some(page)));
    }
    (page.cell(index), shard.shared)
}

/// All shards, to be summed.
pub(crate) fn all() -> Vec<&'static Shard> {
    let mut shards = threads().all.clone();
    shards.push(shared());
    shards
}

/// The shard of the calling thread.
fn current() -> &'static Shard {
    CURRENT.get().unwrap_or_else(|| {
        let leased = LEASE.try_with(|lease| {
            let shard = take_free();
            lease.0.set(shard);
            shard
        });
        let shard = leased.ok().flatten().unwrap_or_else(shared);
        CURRENT.set(Some(shard));
        shard
    })
}

/// The shard of all threads that have none of their own.
fn shared() -> &'static Shard {
    SHARED.get_or_init(|| Shard::new(true))
}

/// A shard for the calling thread alone, if the cap allows one.
fn take_free() -> Option<&'static Shard> {
    let mut threads = threads();
    if let Some(shard) = threads.free.pop() {
        return Some(shard);
    }
    if threads.all.len() >= SHARDS_MAX {
        return None;
    }
    let shard = Shard::new(false);
    threads.all.push(shard);
    Some(shard)
}

/// Gives the thread's shard back when the thread ends.
struct Lease(Cell<Option<&'static Shard>>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(shard) = self.0.take() {
            // What other thread-locals record from now on must not touch the shard.
            CURRENT.set(Some(shared()));
            OWN_COUNTERS.with(|pages| pages.iter().for_each(|page| page.set(None)));
            OWN_DISTRIBUTIONS.with(|pages| pages.iter().for_each(|page| page.set(None)));
            threads().free.push(shard);
        }
    }
}

fn threads() -> MutexGuard<'static, Threads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Barrier, thread};

    use super::*;

    #[test]
    fn a_thread_keeps_its_shard_and_a_later_one_takes_it_over() {
        let address = || {
            let shard = std::ptr::from_ref(current());
            assert_eq!(shard, std::ptr::from_ref(current()));
            shard as usize
        };
        let seen: BTreeSet<_> = (0..1000).map(|_| thread::spawn(address).join().unwrap()).collect();
        // Other tests of this process hold shards too, but never a thousand.
        assert!(seen.len() <= SHARDS_MAX + 1, "{} shards", seen.len());
    }

    #[test]
    fn threads_beyond_the_cap_share_one() {
        let together = SHARDS_MAX + 8;
        let barrier = Barrier::new(together);
        let shared = thread::scope(|scope| {
            let spawn = |_| {
                scope.spawn(|| {
                    let (_, shared) = counter(0);
                    barrier.wait();
                    assert_eq!(own_counter(0).is_none(), shared);
                    shared
                })
            };
            let threads: Vec<_> = (0..together).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|shared| *shared).count()
        });
        assert!(shared >= 8, "{shared} threads share");
        assert!(all().len() <= SHARDS_MAX + 1);
    }

    #[test]
    fn recording_from_a_destructor_of_the_thread_is_counted() {
        // An index that no registry gives out in unit tests.
        const COUNTER: crate::Counter = crate::Counter(CounterCells::CELLS_MAX - 1);
        struct AtEnd;
        impl Drop for AtEnd {
            fn drop(&mut self) {
                COUNTER.inc();
            }
        }
        thread_local! {
            static BEFORE: AtEnd = const { AtEnd };
            static AFTER: AtEnd = const { AtEnd };
        }
        let record = || {
            BEFORE.with(|_| COUNTER.inc());
            AFTER.with(|_| {});
        };
        thread::spawn(record).join().unwrap();
        assert_eq!(COUNTER.value(), 3);
    }
}
