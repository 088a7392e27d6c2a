//! Instruments as one holds them: a small `Copy` index each, recording into the calling thread's shard.
//!
//! Handles come from a [`Registry`](crate::Registry), a [`Family`](crate::Family) or a
//! [`Static`](crate::Static), and stay good for the life of the process. Reading one back sums all threads.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use crate::{
    distribution::{self, Distribution},
    shard::{self, CounterCells, Shard},
    sizes,
    slab::Slab,
    sync::{self, AtomicU32, AtomicU64},
};

/// A count that only grows. Wraps past 2^64 − 1.
///
/// Adding is a load and a store in a cell that only this thread writes, 1 to 3 ns; reading adds up the cells of all threads.
#[derive(Clone, Copy, Debug)]
pub struct Counter(pub(crate) u32);

/// A sum that only grows, of amounts that are no whole numbers, in the metric's own unit. It costs what a [`Counter`] costs.
#[derive(Clone, Copy, Debug)]
pub struct FloatCounter(pub(crate) u32);

/// A count that goes up and down by differences, such as what is in flight. It costs what a [`Counter`] costs.
#[derive(Clone, Copy, Debug)]
pub struct UpDownCounter(pub(crate) u32);

/// A value that is set, in the metric's own unit; all threads share one. Setting is one store, some 2 ns; adding is a loop of
/// compare and exchange, which threads that add at the same time repeat.
#[derive(Clone, Copy, Debug)]
pub struct Gauge(pub(crate) u32);

/// A distribution of values in the metric's own unit: their count, sum, least, greatest, sketch and classic buckets.
///
/// Recording writes cells that only this thread writes, 3 to 6 ns, and takes about 1.5 KB a thread; reading adds up and copies
/// the buckets of all threads, some microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Histogram(pub(crate) u32);

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(self, n: u64) {
        add_cell(self.0, n);
    }

    /// The sum over all threads.
    pub fn value(self) -> u64 {
        sum_cells(self.0, &shard::all())
    }
}

impl FloatCounter {
    /// Adds `amount`. Amounts that are negative, infinite or no number are left out: they would spoil the sum.
    #[inline]
    pub fn add(self, amount: f64) {
        if amount > 0.0 && amount.is_finite() {
            let plus = |bits: u64| (f64::from_bits(bits) + amount).to_bits();
            match shard::own_counter(self.0) {
                Some(cell) => cell.store(plus(cell.load(Relaxed)), Relaxed),
                None => self.add_first(amount),
            }
        }
    }

    #[cold]
    fn add_first(self, amount: f64) {
        let (cell, _) = shard::counter(self.0);
        let plus = |bits: u64| (f64::from_bits(bits) + amount).to_bits();
        let _ = cell.fetch_update(Relaxed, Relaxed, |bits| Some(plus(bits)));
    }

    /// The sum over all threads.
    pub fn value(self) -> f64 {
        sum_float_cells(self.0, &shard::all())
    }
}

impl UpDownCounter {
    /// Adds `n`, which may be negative.
    #[inline]
    pub fn add(self, n: i64) {
        add_cell(self.0, n.cast_unsigned());
    }

    /// Adds one.
    #[inline]
    pub fn inc(self) {
        self.add(1);
    }

    /// Takes one away.
    #[inline]
    pub fn dec(self) {
        self.add(-1);
    }

    /// Adds one now and takes it away when the guard is dropped, on whichever thread and path that is.
    #[must_use = "the count goes down again when the guard is dropped"]
    pub fn hold(self) -> Held {
        self.inc();
        Held(self)
    }

    /// The sum over all threads. While they record it may be off by what one adds and another takes away just then.
    pub fn value(self) -> i64 {
        sum_cells(self.0, &shard::all()).cast_signed()
    }
}

/// Keeps an [`UpDownCounter`] up by one while it lives.
#[derive(Debug)]
pub struct Held(UpDownCounter);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

type GaugeCells = Slab<AtomicU64, { sizes::GAUGES.0 }, { sizes::GAUGES.1 }>;

sync::statics! {
    /// The values of all gauges; the first belongs to no one.
    static GAUGES: GaugeCells = Slab::new();
}

impl Gauge {
    /// Sets the value.
    #[inline]
    pub fn set(self, value: f64) {
        GAUGES.cell(self.0).store(value.to_bits(), Relaxed);
    }

    /// Adds to the value, as one step. Where differences are frequent an [`UpDownCounter`] is cheaper.
    pub fn add(self, difference: f64) {
        let plus = |bits| Some((f64::from_bits(bits) + difference).to_bits());
        let _ = GAUGES.cell(self.0).fetch_update(Relaxed, Relaxed, plus);
    }

    /// Takes one away, as one step, unless less than one is left.
    pub(crate) fn lower(self) {
        let minus = |bits| {
            Some(f64::from_bits(bits)).filter(|value| *value >= 1.0).map(|value| (value - 1.0).to_bits())
        };
        let _ = GAUGES.cell(self.0).fetch_update(Relaxed, Relaxed, minus);
    }

    /// The value set last; 0 before that.
    pub fn value(self) -> f64 {
        f64::from_bits(GAUGES.cell(self.0).load(Relaxed))
    }
}

impl Histogram {
    /// Records a value in the histogram's own unit. Infinite values and NaN are counted apart, not recorded.
    #[inline]
    pub fn record(self, value: f64) {
        distribution::record(self.0, value);
    }

    /// Records a duration in seconds.
    #[inline]
    pub fn record_duration(self, duration: Duration) {
        self.record(duration.as_secs_f64());
    }

    /// What was recorded by all threads.
    pub fn read(self) -> Distribution {
        distribution::read(self.0, &shard::all())
    }
}

#[inline]
fn add_cell(index: u32, n: u64) {
    match shard::own_counter(index) {
        Some(cell) => cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed),
        None => add_first(index, n),
    }
}

/// The first of the thread on a page of cells, and each of a thread that has no cells of its own.
#[cold]
#[inline(never)]
fn add_first(index: u32, n: u64) {
    let (cell, _) = shard::counter(index);
    cell.fetch_add(n, Relaxed);
}

pub(crate) fn sum_cells(index: u32, shards: &[&'static Shard]) -> u64 {
    let cells = shards.iter().filter_map(|shard| shard.counters.peek(index));
    cells.fold(0, |sum, cell| sum.wrapping_add(cell.load(Relaxed)))
}

pub(crate) fn sum_float_cells(index: u32, shards: &[&'static Shard]) -> f64 {
    let cells = shards.iter().filter_map(|shard| shard.counters.peek(index));
    cells.map(|cell| f64::from_bits(cell.load(Relaxed))).sum()
}

/// Gives out the indices of one kind of cell, each once. The first is the sink: what is recorded there is
/// never shown.
pub(crate) struct Indices {
    next: AtomicU32,
    max: u32,
}

sync::statics! {
    pub(crate) static COUNTER_INDICES: Indices = Indices::new(CounterCells::CELLS_MAX);
    pub(crate) static GAUGE_INDICES: Indices = Indices::new(GaugeCells::CELLS_MAX);
    pub(crate) static HISTOGRAM_INDICES: Indices = Indices::new(distribution::SERIES_MAX);
}

/// The index of the sink of each kind.
pub(crate) const SINK: u32 = 0;

impl Indices {
    sync::constructor! {
        fn new(max: u32) -> Self {
            Self { next: AtomicU32::new(SINK + 1), max }
        }
    }

    /// How many there can be.
    pub(crate) fn max(&self) -> u32 {
        self.max
    }

    /// The next index, `None` when the process has used all.
    pub(crate) fn take(&self) -> Option<u32> {
        self.next.fetch_update(Relaxed, Relaxed, |next| (next < self.max).then_some(next + 1)).ok()
    }
}
