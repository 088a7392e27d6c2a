//! The guard: how many series there may be, in total and of a metric, and how many values a label of a metric has.
//!
//! Only a series that is not in the head comes by here. It is admitted or not in one step under the lock of its metric's
//! shard, so that no number of threads gets past a limit. A series that is not admitted is told the label whose value
//! should become [`OVERFLOW`]; under that name it comes again, and collapses with others into one series.
//!
//! A hundredth of each limit of series is kept for overflow series, half of that for those with no other value left, and
//! one value of each label for [`OVERFLOW`], so overflow finds room when nothing else does and the limit holds with it.
//! Values are told apart by 64 bits of hash; no text of a value is kept.

mod book;
mod overflow;
mod owners;
mod report;
mod top;

use std::sync::{
    Mutex, MutexGuard, PoisonError, RwLock,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use barograph_model::{Labels, Timestamp};

use book::{Book, hash_of_metric};
pub use overflow::{Limit, Overflow};
pub(crate) use overflow::{Overflows, Tally};
pub use owners::OwnerLimits;
use owners::Owners;
pub(crate) use report::Seen;
pub use report::{Cardinality, LabelValues, MetricLabel, MetricSeries, PairSeries};

use crate::{Options, Reason, limits::SeriesLimits};

/// The value that stands in for those a limit keeps out.
pub const OVERFLOW: &str = "__overflow__";

/// Metrics are split over so many locks.
const SHARDS: usize = 16;

/// Label names of one metric at most: more make a metric's series as costly as its values do.
const LABEL_NAMES_MAX: usize = 1024;

/// See the module.
pub(crate) struct Guard {
    limits: RwLock<SeriesLimits>,
    /// Bytes of the series themselves, at most.
    series_bytes_max: usize,
    series: AtomicUsize,
    /// Bytes of the series themselves, without their chunks.
    series_bytes: AtomicUsize,
    shards: [Mutex<Book>; SHARDS],
    owners: Owners,
    /// The time of the last append, for the growth of metrics.
    now: AtomicI64,
    pub(crate) overflows: Overflows,
}

/// Why a series was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It may come again when the label at this index has the value [`OVERFLOW`].
    Label { index: usize, limit: Limit },
    /// No value of it helps.
    Hopeless(Reason),
}

/// How much of a series is overflow already, and so which part of a limit is open to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Ordinary,
    PartlyOverflow,
    OnlyOverflow,
}

impl Room {
    fn of(labels: &Labels, owner: &[u8]) -> Self {
        let (mut overflow, mut others) = (0, 0);
        for label in book::but_the_name(labels).filter(|label| label.name != owner) {
            *(if label.value == OVERFLOW.as_bytes() { &mut overflow } else { &mut others }) += 1;
        }
        match (overflow, others) {
            (0, _) => Self::Ordinary,
            (_, 0) => Self::OnlyOverflow,
            _ => Self::PartlyOverflow,
        }
    }

    /// How many of `limit` series may be there before this one.
    fn within(self, limit: usize) -> usize {
        let reserve = (limit / 100).max(1).min(limit / 2);
        match self {
            Self::Ordinary => limit - reserve,
            Self::PartlyOverflow => limit - reserve / 2,
            Self::OnlyOverflow => limit,
        }
    }
}

impl Guard {
    pub(crate) fn new(options: &Options) -> Self {
        let limits = RwLock::new(SeriesLimits::of(options));
        let series_bytes_max = options.series_bytes_max;
        let shards = std::array::from_fn(|_| Mutex::default());
        let (series, series_bytes, now) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicI64::new(0));
        let owners = Owners::new(options.owner_label.clone());
        let overflows = Overflows::default();
        Self { limits, series_bytes_max, series, series_bytes, shards, owners, now, overflows }
    }

    /// Holds what comes from now on to these limits.
    pub(crate) fn limit(&self, limits: SeriesLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// The limits that hold now.
    pub(crate) fn limits(&self) -> SeriesLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many series there are.
    pub(crate) fn series(&self) -> usize {
        self.series.load(Ordering::Relaxed)
    }

    /// Limits the series of each owner from now on.
    pub(crate) fn limit_owners(&self, limits: OwnerLimits) {
        self.owners.limit(limits);
    }

    /// How many series each owner has.
    pub(crate) fn series_of_owners(&self) -> Vec<(String, usize)> {
        self.owners.series()
    }

    /// Learns what time it is.
    pub(crate) fn set_now(&self, now: Timestamp) {
        self.now.store(now.millis(), Ordering::Relaxed);
    }

    /// Counts a series that is about to come to the head, if every limit allows it.
    pub(crate) fn admit(&self, labels: &Labels) -> Result<(), Excess> {
        self.let_in(labels, Some(self.now.load(Ordering::Relaxed)))
    }

    /// Counts a series that a block holds and that is about to be known to the head, if every limit allows it.
    pub(crate) fn admit_known(&self, labels: &Labels) -> Result<(), Excess> {
        self.let_in(labels, None)
    }

    fn let_in(&self, labels: &Labels, created_at: Option<i64>) -> Result<(), Excess> {
        let name = labels.metric_name().unwrap_or_default();
        let hash = hash_of_metric(name);
        let (room, limits) = (Room::of(labels, self.owners.label()), self.limits());
        let mut book = self.shard(hash);
        let look = book.look(hash, name, labels, limits.values_per_label, self.owners.label());
        if look.names > LABEL_NAMES_MAX {
            return Err(Excess::Hopeless(Reason::TooManyLabels));
        }
        if let Some(index) = look.full {
            return Err(Excess::Label { index, limit: Limit::ValuesPerLabel });
        }
        let over = |limit| match look.widest {
            Some(index) => Excess::Label { index, limit },
            None => Excess::Hopeless(Reason::TooManySeries),
        };
        if look.series >= room.within(limits.series_per_metric) {
            return Err(over(Limit::SeriesPerMetric));
        }
        if self.series_bytes.load(Ordering::Relaxed) >= room.within(self.series_bytes_max) {
            return Err(over(Limit::Series));
        }
        if !self.owners.admit(labels, |limit| room.within(limit)) {
            return Err(over(Limit::SeriesPerOwner));
        }
        let most = room.within(limits.series);
        let add = |count| (count < most).then_some(count + 1);
        if self.series.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
            self.owners.release(std::slice::from_ref(labels));
            return Err(over(Limit::Series));
        }
        self.series_bytes.fetch_add(bytes_of(labels), Ordering::Relaxed);
        book.add(hash, name, labels, created_at);
        Ok(())
    }

    /// Counts a series that is there whatever the limits say: one that was acknowledged before a restart.
    pub(crate) fn count(&self, labels: &Labels) {
        let name = labels.metric_name().unwrap_or_default();
        let hash = hash_of_metric(name);
        self.shard(hash).add(hash, name, labels, None);
        self.owners.count(labels);
        self.series.fetch_add(1, Ordering::Relaxed);
        self.series_bytes.fetch_add(bytes_of(labels), Ordering::Relaxed);
    }

    /// Gives the room of series back that left the head.
    pub(crate) fn release(&self, gone: &[Labels]) {
        for labels in gone {
            let name = labels.metric_name().unwrap_or_default();
            let hash = hash_of_metric(name);
            self.shard(hash).remove(hash, name, labels);
        }
        self.owners.release(gone);
        self.series.fetch_sub(gone.len(), Ordering::Relaxed);
        self.series_bytes.fetch_sub(gone.iter().map(bytes_of).sum(), Ordering::Relaxed);
    }

    /// Bytes of all series without their chunks, and of counting them, roughly.
    pub(crate) fn memory(&self) -> usize {
        let books: usize = (0..SHARDS).map(|number| self.book(number).memory()).sum();
        books + self.series_bytes.load(Ordering::Relaxed)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Book> {
        self.book(usize::try_from(hash >> 60).unwrap_or(0))
    }

    fn book(&self, number: usize) -> MutexGuard<'_, Book> {
        self.shards[number % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that a series takes in the head without its chunks, roughly: its labels, its slot, its place in the table, and
/// its places in the postings.
fn bytes_of(labels: &Labels) -> usize {
    const SERIES: usize = 24 + 88 + 16;
    const POSTING: usize = 8;
    const OWN_VALUE: usize = 64;
    SERIES + labels.as_bytes().len() + labels.len() * POSTING + OWN_VALUE
}

#[cfg(test)]
mod tests;
