//! What one question may cost, and the way to stop it.
//!
//! The one who asks makes a budget; whoever reads samples for it charges them. The budget knows no clock: the
//! edge that does cancels it when time is up.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// The limits of one query, shared by all that work on it.
#[derive(Debug)]
pub struct Budget {
    samples_max: u64,
    samples: AtomicU64,
    cancelled: AtomicBool,
    /// Where its memory comes from, and how much it took.
    pool: Option<Arc<MemoryPool>>,
    reserved: AtomicU64,
}

/// Bytes that all running queries share. What is reserved goes back when the query's budget is dropped.
#[derive(Debug)]
pub struct MemoryPool {
    bytes_max: u64,
    bytes: AtomicU64,
}

impl MemoryPool {
    /// A pool of `bytes_max` bytes.
    pub const fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: AtomicU64::new(0) }
    }

    /// Bytes that are reserved now.
    pub fn reserved(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: u64) -> Result<(), BudgetError> {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        taken.map(drop).map_err(|_| BudgetError::OutOfMemory { limit: self.bytes_max })
    }
}

/// Bytes of a sample that a query holds: its time and its value.
const SAMPLE_BYTES: u64 = 16;

/// Why a query has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// The one who asked went away, or time was up.
    #[error("query was cancelled")]
    Cancelled,
    /// The query would read more samples than it may.
    #[error("query processing would load too many samples into memory in query execution (limit {limit})")]
    TooManySamples {
        /// How many samples one query may read.
        limit: u64,
    },
    /// All queries together would take more memory than they may. It may do later, or with less asked for.
    #[error("query would take more memory than is left for queries (limit {limit} bytes for all)")]
    OutOfMemory {
        /// How many bytes all queries may hold together.
        limit: u64,
    },
}

impl Budget {
    /// A budget of `samples_max` samples.
    pub const fn new(samples_max: u64) -> Self {
        Self {
            samples_max,
            samples: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            pool: None,
            reserved: AtomicU64::new(0),
        }
    }

    /// A budget of `samples_max` samples that takes memory from a pool.
    pub const fn within(samples_max: u64, pool: Arc<MemoryPool>) -> Self {
        Self {
            samples_max,
            samples: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            pool: Some(pool),
            reserved: AtomicU64::new(0),
        }
    }

    /// A budget that only cancellation ends.
    pub const fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Takes `samples` from the budget; an error when it is spent or cancelled.
    pub fn charge(&self, samples: usize) -> Result<(), BudgetError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(BudgetError::Cancelled);
        }
        let spent = self.samples.fetch_add(samples as u64, Ordering::Relaxed) + samples as u64;
        if spent > self.samples_max {
            return Err(BudgetError::TooManySamples { limit: self.samples_max });
        }
        Ok(())
    }

    /// Takes samples that stay in memory until the query is over; to be asked for before they are allocated.
    pub fn hold(&self, samples: usize) -> Result<(), BudgetError> {
        self.charge(samples)?;
        self.reserve((samples as u64).saturating_mul(SAMPLE_BYTES))
    }

    /// Reserves memory until the query is over.
    pub fn reserve(&self, bytes: u64) -> Result<(), BudgetError> {
        if let Some(pool) = &self.pool {
            pool.reserve(bytes)?;
        }
        self.reserved.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Makes every later charge fail with [`BudgetError::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// How many bytes it holds.
    pub fn held_bytes(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }

    /// How many samples were charged so far.
    pub fn spent(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.bytes.fetch_sub(*self.reserved.get_mut(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_and_given_back() {
        let pool = Arc::new(MemoryPool::new(160));
        let (one, two) = (Budget::within(100, pool.clone()), Budget::within(100, pool.clone()));
        assert_eq!(one.hold(6), Ok(()));
        assert_eq!(two.hold(5), Err(BudgetError::OutOfMemory { limit: 160 }));
        assert_eq!((two.reserve(64), pool.reserved()), (Ok(()), 160));
        assert_eq!(one.charge(50), Ok(()), "what is only read takes none");
        drop(one);
        assert_eq!((two.hold(6), pool.reserved()), (Ok(()), 160));
        drop(two);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn refuses_past_its_limit() {
        let budget = Budget::new(10);
        assert_eq!(budget.charge(10), Ok(()));
        assert_eq!(budget.charge(1), Err(BudgetError::TooManySamples { limit: 10 }));
    }

    #[test]
    fn cancelled_is_over() {
        let budget = Budget::unlimited();
        budget.cancel();
        assert_eq!(budget.charge(0), Err(BudgetError::Cancelled));
    }
}
