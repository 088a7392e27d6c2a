//! Threads and the shards they record into.
//!
//! A shard is a slab of counter cells and one of distribution cells. While a thread lives it owns one shard: only
//! it writes there, by a relaxed load and a store, and anyone may read. A sum over all shards is therefore exact
//! once writers are done, and never goes back while they are at it: each cell has one writer and only grows.
//!
//! When a thread ends its shard goes, with what it counted, to the next thread that comes; nothing is folded or
//! lost, and there are never more shards than there were threads at a time. The lock around the free list orders
//! the writes of the old owner before the reads of the new one. Beyond [`SHARDS_MAX`] threads at a time, and while
//! a thread tears down its thread-locals, recording goes to one shared shard, with atomic read-modify-writes.

use std::{
    cell::Cell,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use crate::{distribution::DistributionSlot, slab::Slab};

/// How many threads at a time have a shard of their own.
pub(crate) const SHARDS_MAX: usize = 128;

pub(crate) type CounterCells = Slab<AtomicU64, 512, 512>;
pub(crate) type DistributionCells = Slab<DistributionSlot, 256, 256>;

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

static THREADS: Mutex<Threads> = Mutex::new(Threads { all: Vec::new(), free: Vec::new() });
static SHARED: LazyLock<&'static Shard> = LazyLock::new(|| Shard::new(true));

thread_local! {
    /// Has no destructor, so reading it is one load, at any time of a thread's life.
    static CURRENT: Cell<Option<&'static Shard>> = const { Cell::new(None) };
    static LEASE: Lease = const { Lease(Cell::new(None)) };
}

/// Gives the thread's shard back when the thread ends.
struct Lease(Cell<Option<&'static Shard>>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(shard) = self.0.take() {
            CURRENT.set(Some(*SHARED));
            threads().free.push(shard);
        }
    }
}

/// The shard to record into on this thread.
#[inline]
pub(crate) fn current() -> &'static Shard {
    CURRENT.get().unwrap_or_else(adopt)
}

/// All shards, to be summed.
pub(crate) fn all() -> Vec<&'static Shard> {
    let mut shards = threads().all.clone();
    shards.push(*SHARED);
    shards
}

#[cold]
fn adopt() -> &'static Shard {
    let leased = LEASE.try_with(|lease| {
        let shard = take_free();
        lease.0.set(shard);
        shard
    });
    let shard = leased.ok().flatten().unwrap_or(*SHARED);
    CURRENT.set(Some(shard));
    shard
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

fn threads() -> MutexGuard<'static, Threads> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    #[test]
    fn a_thread_keeps_its_shard_and_a_later_one_takes_it_over() {
        let address = || {
            let shard = std::ptr::from_ref(current());
            assert_eq!(shard, std::ptr::from_ref(current()));
            (shard as usize, current().shared)
        };
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            seen.insert(thread::spawn(address).join().unwrap());
        }
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
                    let shared = current().shared;
                    barrier.wait();
                    shared
                })
            };
            let threads: Vec<_> = (0..together).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|shared| *shared).count()
        });
        assert!(shared >= 8, "{shared} threads share");
        assert!(all().len() <= SHARDS_MAX + 1);
    }
}
