//! What one question may cost, and the way to stop it.
//!
//! The one who asks makes a budget; whoever reads samples for it charges them. The budget knows no clock: the
//! edge that does cancels it when time is up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The limits of one query, shared by all that work on it.
#[derive(Debug)]
pub struct Budget {
    samples_max: u64,
    samples: AtomicU64,
    cancelled: AtomicBool,
}

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
}

impl Budget {
    /// A budget of `samples_max` samples.
    pub const fn new(samples_max: u64) -> Self {
        Self { samples_max, samples: AtomicU64::new(0), cancelled: AtomicBool::new(false) }
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

    /// Makes every later charge fail with [`BudgetError::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// How many samples were charged so far.
    pub fn spent(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
