//! Transactions: started, retried, committed, aborted, and how long they took.
//!
//! A [`Transaction`] is a guard around any optimistic or database transaction. It ends once: by
//! [`Transaction::commit`], or else it was aborted, also when its code panics or its future is dropped.

use std::{sync::LazyLock, time::Instant};

use crate::{Counter, Error, Family, Histogram, Registry, Unit, clock, global::group};

/// Bounds of the distribution of retries.
const RETRIES: [f64; 9] = [0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0];

/// The instruments of all transactions, by method: what runs them. Cloning is cheap, and clones are the same.
///
/// | metric | |
/// |---|---|
/// | `tx_started_total{method}` | transactions begun; a retry begins none |
/// | `tx_committed_total{method}`, `tx_aborted_total{method}` | how they ended |
/// | `tx_retries_total{method}` | attempts beyond the first |
/// | `tx_duration_seconds{method}` | from begin to end, all attempts together |
/// | `tx_retries_per_commit{method}` | retries of those that were committed |
#[derive(Clone, Debug)]
pub struct Transactions {
    started: Family<Counter, 1>,
    committed: Family<Counter, 1>,
    aborted: Family<Counter, 1>,
    retries: Family<Counter, 1>,
    duration: Family<Histogram, 1>,
    retries_per_commit: Family<Histogram, 1>,
}

/// What was counted of the transactions of one method since start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionFigures {
    /// What runs them.
    pub method: String,
    /// Transactions begun.
    pub started: u64,
    /// Those committed.
    pub committed: u64,
    /// Those aborted.
    pub aborted: u64,
    /// Attempts beyond the first of each.
    pub retries: u64,
    /// Seconds that those which are over took on average; `None` before the first.
    pub average_duration: Option<f64>,
    /// Retries of those committed, on average; `None` before the first.
    pub average_retries_per_commit: Option<f64>,
}

impl Transactions {
    /// Registers the instruments.
    ///
    /// # Errors
    /// A metric of the same name that is another.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name, help| registry.counter(name).help(help).family(["method"]);
        Ok(Self {
            started: counter("tx_started_total", "Transactions begun.")?,
            committed: counter("tx_committed_total", "Transactions committed.")?,
            aborted: counter("tx_aborted_total", "Transactions aborted.")?,
            retries: counter("tx_retries_total", "Attempts of transactions beyond the first.")?,
            duration: registry
                .histogram("tx_duration")
                .unit(Unit::Seconds)
                .help("How long transactions took, all attempts together.")
                .family(["method"])?,
            retries_per_commit: registry
                .histogram("tx_retries_per_commit")
                .help("Retries of transactions that were committed.")
                .bounds(&RETRIES)
                .family(["method"])?,
        })
    }

    /// Those of the global registry.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Transactions> = LazyLock::new(|| group(Transactions::register));
        &GLOBAL
    }

    /// The instruments of the transactions of one method. Looks them up; keep what it gives.
    pub fn method(&self, name: &str) -> TransactionMeter {
        TransactionMeter {
            started: self.started.with([name]),
            committed: self.committed.with([name]),
            aborted: self.aborted.with([name]),
            retries: self.retries.with([name]),
            duration: self.duration.with([name]),
            retries_per_commit: self.retries_per_commit.with([name]),
        }
    }

    /// What was counted, by method. Takes a lock.
    pub fn figures(&self) -> Vec<TransactionFigures> {
        let methods = self.started.series().into_iter();
        let mut figures: Vec<_> = methods.map(|([method], _)| self.method(&method).figures(method)).collect();
        figures.sort_unstable_by(|a, b| a.method.cmp(&b.method));
        figures
    }
}

/// The instruments of the transactions of one method.
#[derive(Clone, Copy, Debug)]
pub struct TransactionMeter {
    started: Counter,
    committed: Counter,
    aborted: Counter,
    retries: Counter,
    duration: Histogram,
    retries_per_commit: Histogram,
}

impl TransactionMeter {
    /// Begins a transaction.
    #[must_use = "a transaction that is dropped was aborted"]
    pub fn begin(&self) -> Transaction {
        self.started.inc();
        Transaction { meter: *self, begun: clock::monotonic(), retries: 0, committed: false }
    }

    fn figures(&self, method: String) -> TransactionFigures {
        let average = |of: Histogram| {
            let sketch = of.read().sketch;
            (sketch.count() > 0).then(|| sketch.sum() / sketch.count() as f64)
        };
        let (committed, aborted) = (self.committed.value(), self.aborted.value());
        TransactionFigures {
            method,
            started: self.started.value(),
            committed,
            aborted,
            retries: self.retries.value(),
            average_duration: average(self.duration),
            average_retries_per_commit: average(self.retries_per_commit),
        }
    }
}

/// A transaction that runs while this lives; dropped without a commit it was aborted.
#[derive(Debug)]
pub struct Transaction {
    meter: TransactionMeter,
    begun: Instant,
    retries: u32,
    committed: bool,
}

impl Transaction {
    /// The attempt met a conflict, and another one begins.
    pub fn retry(&mut self) {
        self.retries += 1;
        self.meter.retries.inc();
    }

    /// How many attempts there were beyond the first.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// It was committed.
    pub fn commit(mut self) {
        self.committed = true;
    }

    /// It was aborted.
    pub fn abort(self) {}
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let meter = self.meter;
        meter.duration.record_duration(clock::monotonic().saturating_duration_since(self.begun));
        if self.committed {
            meter.retries_per_commit.record(f64::from(self.retries));
            meter.committed.inc();
        } else {
            meter.aborted.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transaction_ends_once() {
        let transactions = Transactions::register(&Registry::new()).unwrap();
        let method = transactions.method("transfer");
        let mut first = method.begin();
        first.retry();
        first.retry();
        assert_eq!(first.retries(), 2);
        first.commit();
        method.begin().commit();
        method.begin().abort();
        let panicked = std::panic::catch_unwind(|| {
            let mut transaction = method.begin();
            transaction.retry();
            panic!("as a transaction would");
        });
        assert!(panicked.is_err());
        let _open = method.begin();
        let figures = transactions.figures();
        let TransactionFigures { started, committed, aborted, retries, .. } = figures[0];
        assert_eq!((figures.len(), started, committed, aborted, retries), (1, 5, 2, 2, 3));
        assert_eq!(figures[0].average_retries_per_commit, Some(1.0));
        assert!(figures[0].average_duration.is_some());
    }
}
