//! What one question may cost, and the way to stop it.
//!
//! The one who asks makes a budget; whoever reads samples for it charges them. The budget knows no clock: the
//! edge that does cancels it when time is up.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// What one query may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples that it reads, and points that it makes.
    pub samples: u64,
    /// Series that it reads, those that several parts of it read as often as they do.
    pub series: u64,
    /// Bytes that it holds in memory.
    pub bytes: u64,
}

impl Limits {
    /// No limits at all.
    pub const NONE: Self = Self { samples: u64::MAX, series: u64::MAX, bytes: u64::MAX };
}

/// What is left of the limits of one query, shared by all that work on it.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    samples: AtomicU64,
    series: AtomicU64,
    cancelled: AtomicBool,
    /// Where its memory comes from besides, and how much it took.
    pool: Option<Arc<MemoryPool>>,
    reserved: AtomicU64,
}

/// Bytes that all running queries share. What is reserved goes back when the query's budget is dropped.
#[derive(Debug)]
pub struct MemoryPool {
    bytes_max: u64,
    bytes: AtomicU64,
    /// The most that was reserved since someone asked.
    peak: AtomicU64,
}

impl MemoryPool {
    /// A pool of `bytes_max` bytes.
    pub const fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    /// Bytes that are reserved now.
    pub fn reserved(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many bytes were given back since the most were reserved, of what was reserved since this was asked last.
    pub fn take_given_back(&self) -> u64 {
        let now = self.reserved();
        self.peak.swap(now, Ordering::Relaxed).saturating_sub(now)
    }

    fn reserve(&self, bytes: u64) -> Result<(), BudgetError> {
        let add = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        let before = taken.map_err(|_| BudgetError::OutOfMemory { limit: self.bytes_max })?;
        self.peak.fetch_max(before.saturating_add(bytes), Ordering::Relaxed);
        Ok(())
    }
}

/// Bytes of a sample that a query holds: its time and its value.
const SAMPLE_BYTES: u64 = 16;
/// Bytes that a query holds of a series beside its labels and its samples, about.
const SERIES_BYTES: u64 = 96;

/// Why a query has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetError {
    /// The one who asked went away, or time was up.
    Cancelled,
    /// The query would read more samples than it may.
    TooManySamples {
        /// How many samples one query may read.
        limit: u64,
    },
    /// The query would read more series than it may.
    TooManySeries {
        /// How many series one query may read.
        limit: u64,
    },
    /// The query would hold more memory than one may.
    TooManyBytes {
        /// How many bytes one query may hold.
        limit: u64,
    },
    /// All queries together would take more memory than they may. It may do later, or with less asked for.
    OutOfMemory {
        /// How many bytes all queries may hold together.
        limit: u64,
    },
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("query was cancelled"),
            Self::TooManySamples { limit } => write!(
                f,
                "query processing would load too many samples into memory in query execution (limit {limit})"
            ),
            Self::TooManySeries { limit } => write!(f, "query would read too many series (limit {limit})"),
            Self::TooManyBytes { limit } => {
                write!(f, "query would take too much memory (limit {limit} bytes)")
            }
            Self::OutOfMemory { limit } => write!(
                f,
                "query would take more memory than is left for queries (limit {limit} bytes for all)"
            ),
        }
    }
}

impl std::error::Error for BudgetError {}

impl Budget {
    /// A budget of `samples_max` samples.
    pub const fn new(samples_max: u64) -> Self {
        Self::of(Limits { samples: samples_max, ..Limits::NONE }, None)
    }

    /// A budget within limits, that takes memory from a pool if there is one.
    pub const fn of(limits: Limits, pool: Option<Arc<MemoryPool>>) -> Self {
        Self {
            limits,
            samples: AtomicU64::new(0),
            series: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            pool,
            reserved: AtomicU64::new(0),
        }
    }

    /// One with the same limits of which nothing is spent, for one of many parts of a query that hold nothing together.
    /// Cancelling does not reach it, and what it spends is charged by whoever asked.
    pub fn anew(&self) -> Self {
        Self::of(self.limits, self.pool.clone())
    }

    /// A budget that only cancellation ends.
    pub const fn unlimited() -> Self {
        Self::of(Limits::NONE, None)
    }

    /// An error if the query was cancelled. To be asked now and then by whoever works long without reading.
    #[inline]
    pub fn check(&self) -> Result<(), BudgetError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(BudgetError::Cancelled) } else { Ok(()) }
    }

    /// Takes `samples` from the budget; an error when it is spent or cancelled.
    pub fn charge(&self, samples: usize) -> Result<(), BudgetError> {
        self.check()?;
        let samples = samples as u64;
        let spent = self.samples.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        if spent > self.limits.samples {
            return Err(BudgetError::TooManySamples { limit: self.limits.samples });
        }
        Ok(())
    }

    /// Takes a series whose labels have so many bytes, which stay until the query is over.
    pub fn charge_series(&self, label_bytes: usize) -> Result<(), BudgetError> {
        self.check()?;
        if self.series.fetch_add(1, Ordering::Relaxed) >= self.limits.series {
            return Err(BudgetError::TooManySeries { limit: self.limits.series });
        }
        self.reserve(label_bytes as u64 + SERIES_BYTES)
    }

    /// Takes samples that stay in memory until the query is over; to be asked for before they are allocated.
    pub fn hold(&self, samples: usize) -> Result<(), BudgetError> {
        self.charge(samples)?;
        self.reserve((samples as u64).saturating_mul(SAMPLE_BYTES))
    }

    /// Reserves memory until the query is over.
    pub fn reserve(&self, bytes: u64) -> Result<(), BudgetError> {
        let held = self.reserved.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let refused = match &self.pool {
            _ if held > self.limits.bytes => BudgetError::TooManyBytes { limit: self.limits.bytes },
            None => return Ok(()),
            Some(pool) => match pool.reserve(bytes) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
        };
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
        Err(refused)
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
        let limits = Limits { samples: 100, ..Limits::NONE };
        let [one, two] = [0; 2].map(|_| Budget::of(limits, Some(pool.clone())));
        assert_eq!(one.hold(6), Ok(()));
        assert_eq!(two.hold(5), Err(BudgetError::OutOfMemory { limit: 160 }));
        assert_eq!((two.reserve(64), pool.reserved()), (Ok(()), 160));
        assert_eq!(one.charge(50), Ok(()), "what is only read takes none");
        drop(one);
        assert_eq!((two.hold(6), pool.reserved()), (Ok(()), 160));
        drop(two);
        assert_eq!(pool.reserved(), 0);
        assert_eq!([pool.take_given_back(), pool.take_given_back()], [160, 0]);
    }

    #[test]
    fn refuses_past_its_limit() {
        let budget = Budget::new(10);
        assert_eq!(budget.charge(10), Ok(()));
        assert_eq!(budget.charge(1), Err(BudgetError::TooManySamples { limit: 10 }));
    }

    #[test]
    fn series_and_bytes_have_limits_of_their_own() {
        let budget = Budget::of(Limits { samples: 1_000, series: 2, bytes: 500 }, None);
        assert_eq!((budget.charge_series(4), budget.charge_series(0)), (Ok(()), Ok(())));
        assert_eq!(budget.charge_series(0), Err(BudgetError::TooManySeries { limit: 2 }));
        let held = budget.held_bytes();
        assert_eq!(budget.hold(100), Err(BudgetError::TooManyBytes { limit: 500 }));
        assert_eq!((budget.held_bytes(), budget.hold(10)), (held, Ok(())), "what is refused is not held");
        assert_eq!(budget.held_bytes(), 4 + 2 * SERIES_BYTES + 160);
    }

    #[test]
    fn cancelled_is_over() {
        let budget = Budget::unlimited();
        budget.cancel();
        assert_eq!(budget.charge(0), Err(BudgetError::Cancelled));
    }
}
