//! What a histogram records: for each thread and series a cell of bucket counts, read and summed at collection.
//!
//! Of the buckets at scale 5 (see [`Sketch`]) a cell counts those between 2^-28 and 2^36, in octaves of 32 counts
//! that are made when first hit: 4 ns to 68 s in seconds, a byte to 64 GiB in bytes. What lies outside (negative,
//! tiny, huge) goes to a sketch of the series behind a lock, and so is slower by the price of the lock. Values that
//! are not finite belong to no distribution; they are counted apart.
//!
//! *Classic buckets are exact.* A classic bound either ends a bucket or lies inside one. The count of values up to
//! the bound is then that of all lower buckets, plus those of that one bucket that are not above the bound. Only
//! these are compared with it: the bucket is *divided*, and its count has a bit that tells.
//!
//! *Counts do not wrap.* One that reaches [`CARRY`] moves it to the series, under its lock. Who sums holds that
//! lock, and so sees the carry and the emptied count together.
//!
//! *A reading makes sense by itself.* The count of a bucket is stored last, with release, and read first, with acquire:
//! whoever sees a value counted sees it in the sum, the least and greatest value, and at the classic bounds. These may
//! be ahead of the count by what is being recorded just then.

mod layout;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, PoisonError,
        atomic::Ordering::{Acquire, Relaxed, Release},
    },
};

use barograph_model::{Sketch, place};

use crate::{
    shard::{self, DistributionCells, Shard},
    sizes::{self, CARRY, FIRST_EXPONENT, OCTAVES},
    slab::Slab,
    sync::{self, AtomicU32, AtomicU64, Mutex, MutexGuard, OnceLock},
};

use layout::Counts;
pub(crate) use layout::Layout;
pub use layout::SECONDS_BOUNDS;

/// The first octave that cells count, as a biased exponent.
const FIRST_OCTAVE: u32 = 1023u32.saturating_add_signed(FIRST_EXPONENT);
const BUCKETS: usize = OCTAVES * 32;
/// The index in a sketch of the first bucket of the first octave.
const FIRST_INDEX: i32 = FIRST_EXPONENT * 32;

/// Set in the count of a bucket that has a classic bound inside: the same comparison that finds a carry finds it.
const DIVIDED: u32 = 1 << 31;

/// The place of a series' cell in a shard; the cell is made when the thread first records.
#[derive(Default)]
pub(crate) struct DistributionSlot(OnceLock<Box<Cell>>);

/// What one thread recorded of one series.
#[repr(align(128))]
struct Cell {
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
    zeros: AtomicU64,
    /// Made when they are first hit.
    octaves: [OnceLock<Box<Octave>>; OCTAVES],
    /// For each classic bound inside a bucket, how many values of that bucket are not above it.
    within: Box<[AtomicU64]>,
    series: &'static Series,
}

/// The counts of an octave's buckets, with [`DIVIDED`].
#[derive(Default)]
#[repr(align(128))]
struct Octave([AtomicU32; 32]);

/// What the cells of a series share.
struct Series {
    layout: Arc<Layout>,
    rest: Mutex<Rest>,
}

/// What of a series is in no cell.
#[derive(Default)]
struct Rest {
    /// Values outside the octaves that cells count.
    outside: Sketch,
    /// The same by classic bucket, not cumulative; empty until there are any.
    outside_classic: Vec<u64>,
    /// Counts moved here by carries, by place in the octaves.
    carried: BTreeMap<usize, u64>,
    not_finite: u64,
}

/// A reading of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// All values by bucket, with their exact count, sum, least and greatest.
    pub sketch: Sketch,
    /// For each classic bound, how many values are no greater: exact, ascending, without `+Inf`.
    pub classic: Vec<(f64, u64)>,
    /// How many values were left out because they were infinite or no number.
    pub not_finite: u64,
}

/// The bucket of a value, counted from the first of the first octave, if cells count it.
fn bucket_of(value: f64) -> Option<usize> {
    let (octave, bucket) = place(value.to_bits().wrapping_sub(1));
    let octave = octave.wrapping_sub(FIRST_OCTAVE) as usize;
    (octave < OCTAVES).then_some(octave * 32 + bucket as usize)
}

/// The index in a sketch of a bucket that cells count.
fn index_of_bucket(bucket: usize) -> i32 {
    i32::try_from(bucket).expect("cells count few buckets") + FIRST_INDEX
}

sync::statics! {
    static SERIES: Slab<OnceLock<Series>, { sizes::SERIES.0 }, { sizes::SERIES.1 }> = Slab::new();
}
static SECONDS: LazyLock<Arc<Layout>> = LazyLock::new(|| Arc::new(Layout::new(&SECONDS_BOUNDS)));

/// Makes the series at `index`, which no one else makes.
pub(crate) fn create(index: u32, layout: Arc<Layout>) {
    SERIES.cell(index).get_or_init(|| Series { layout, rest: Mutex::default() });
}

fn series(index: u32) -> &'static Series {
    let series = || Series { layout: Arc::clone(&SECONDS), rest: Mutex::default() };
    SERIES.cell(index).get_or_init(series)
}

/// Records a value in the calling thread's cell of a series.
///
/// The usual case alone is here, and changes nothing before it is sure to be the case; all others start again in
/// [`record_slowly`], so that nothing needs to be kept across a call.
#[inline]
pub(crate) fn record(index: u32, value: f64) {
    // Zero and negative values, infinities and NaN all have an octave far off.
    let (octave, bucket) = place(value.to_bits().wrapping_sub(1));
    let (octave, bucket) = (octave.wrapping_sub(FIRST_OCTAVE) as usize, bucket as usize & 31);
    let usual = shard::own_distribution(index).and_then(|slot| {
        let cell = slot.0.get()?;
        let count = &cell.octaves.get(octave)?.get()?.0[bucket];
        let next = count.load(Relaxed) + 1;
        (next < CARRY).then_some((cell, count, next))
    });
    match usual {
        Some((cell, count, next)) => {
            cell.add_moments(value);
            count.store(next, Release);
        }
        None => record_slowly(index, value),
    }
}

/// Records any value in any cell.
#[inline(never)]
fn record_slowly(index: u32, value: f64) {
    let (slot, shared) = shard::distribution(index);
    let cell = slot.0.get_or_init(|| Box::new(Cell::new(series(index))));
    match bucket_of(value) {
        Some(bucket) if shared => cell.record_shared(bucket, value),
        Some(bucket) => cell.record_own(bucket, value),
        None => cell.record_outside(value, shared),
    }
}

impl Cell {
    fn new(series: &'static Series) -> Self {
        Self {
            sum: AtomicU64::new(0f64.to_bits()),
            min: AtomicU64::new(f64::INFINITY.to_bits()),
            max: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
            zeros: AtomicU64::new(0),
            octaves: sync::each![OnceLock::new(); OCTAVES],
            within: series.layout.dividing.iter().map(|_| AtomicU64::new(0)).collect(),
            series,
        }
    }

    /// Sum, least and greatest, by the only thread that writes here.
    #[inline]
    fn add_moments(&self, value: f64) {
        let sum = f64::from_bits(self.sum.load(Relaxed)) + value;
        self.sum.store(sum.to_bits(), Relaxed);
        if value < f64::from_bits(self.min.load(Relaxed)) {
            self.min.store(value.to_bits(), Relaxed);
        }
        if value > f64::from_bits(self.max.load(Relaxed)) {
            self.max.store(value.to_bits(), Relaxed);
        }
    }

    /// The same by one of several threads.
    fn add_moments_shared(&self, value: f64) {
        let update = |cell: &AtomicU64, with: fn(f64, f64) -> f64| {
            let next = |bits| Some(with(f64::from_bits(bits), value).to_bits());
            let _ = cell.fetch_update(Relaxed, Relaxed, next);
        };
        update(&self.sum, |sum, value| sum + value);
        update(&self.min, f64::min);
        update(&self.max, f64::max);
    }

    /// The counts of an octave.
    fn octave(&self, octave: usize) -> &Octave {
        self.octaves[octave].get_or_init(|| {
            let counts = Box::<Octave>::default();
            for at in self.series.layout.dividing.iter().filter(|at| at.bucket / 32 == octave) {
                counts.0[at.bucket % 32].store(DIVIDED, Relaxed);
            }
            counts
        })
    }

    /// Adds one for each classic bound inside the bucket that the value is not above.
    fn divide(&self, bucket: usize, value: f64, add: impl Fn(&AtomicU64)) {
        let dividing = &self.series.layout.dividing;
        let first = dividing.partition_point(|at| at.bucket < bucket);
        let inside = dividing[first..].iter().take_while(|at| at.bucket == bucket);
        for (_, within) in inside.zip(&self.within[first..]).filter(|(at, _)| value <= at.bound) {
            add(within);
        }
    }

    fn record_own(&self, bucket: usize, value: f64) {
        let count = &self.octave(bucket / 32).0[bucket % 32];
        let next = count.load(Relaxed) + 1;
        let divided = next & DIVIDED;
        if divided != 0 {
            self.divide(bucket, value, |within| within.store(within.load(Relaxed) + 1, Relaxed));
        }
        self.add_moments(value);
        if next - divided < CARRY {
            count.store(next, Release);
        } else {
            self.series.carry(bucket, || count.store(divided, Relaxed));
        }
    }

    fn record_shared(&self, bucket: usize, value: f64) {
        self.divide(bucket, value, |within| {
            within.fetch_add(1, Relaxed);
        });
        self.add_moments_shared(value);
        let count = &self.octave(bucket / 32).0[bucket % 32];
        if (count.fetch_add(1, Release) & !DIVIDED) + 1 == CARRY {
            self.series.carry(bucket, || {
                count.fetch_sub(CARRY, Relaxed);
            });
        }
    }

    /// Records a value that belongs to no octave of cells.
    fn record_outside(&self, value: f64, shared: bool) {
        if value != 0.0 {
            return self.series.record_outside(value);
        }
        if shared {
            self.add_moments_shared(0.0);
        } else {
            self.add_moments(0.0);
        }
        self.zeros.fetch_add(1, Release);
    }
}

impl Series {
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn carry(&self, bucket: usize, empty: impl FnOnce()) {
        let mut rest = self.rest();
        *rest.carried.entry(bucket).or_default() += u64::from(CARRY);
        empty();
    }

    fn record_outside(&self, value: f64) {
        let mut rest = self.rest();
        if !value.is_finite() {
            rest.not_finite += 1;
            return;
        }
        rest.outside.add(value);
        let bounds = &self.layout.bounds;
        rest.outside_classic.resize(bounds.len() + 1, 0);
        rest.outside_classic[bounds.partition_point(|bound| *bound < value)] += 1;
    }
}

/// Adds all of a sketch to a series, under its lock. Of its values classic buckets know no more than the buckets of
/// the sketch, so counts up to a bound may be off by one of these.
pub(crate) fn merge(index: u32, sketch: &Sketch) {
    let series = series(index);
    let mut rest = series.rest();
    let bounds = &series.layout.bounds;
    rest.outside.merge(sketch);
    rest.outside_classic.resize(bounds.len() + 1, 0);
    let middle = |index: i32| Sketch::middle_of(index, sketch.scale());
    let negative = sketch.negative().iter().map(|(index, count)| (-middle(*index), *count));
    let positive = sketch.positive().iter().map(|(index, count)| (middle(*index), *count));
    for (value, count) in negative.chain(positive).chain([(0.0, sketch.zeros())]) {
        rest.outside_classic[bounds.partition_point(|bound| *bound < value)] += count;
    }
}

/// Sums a series over all shards.
pub(crate) fn read(index: u32, shards: &[&'static Shard]) -> Distribution {
    let series = series(index);
    let rest = series.rest();
    let mut buckets = vec![0u64; BUCKETS];
    let mut within = vec![0u64; series.layout.dividing.len()];
    let mut sketch = Sketch::new();
    let cells = shards.iter().filter_map(|shard| shard.distributions.peek(index)?.0.get());
    for cell in cells {
        for (octave, counts) in cell.octaves.iter().enumerate() {
            let Some(counts) = counts.get() else { continue };
            for (bucket, count) in buckets[octave * 32..].iter_mut().zip(&counts.0) {
                *bucket += u64::from(count.load(Acquire) & !DIVIDED);
            }
        }
        sketch.add_zeros(cell.zeros.load(Acquire));
        for (sum, cell) in within.iter_mut().zip(&cell.within) {
            *sum += cell.load(Relaxed);
        }
        let [sum, min, max] =
            [&cell.sum, &cell.min, &cell.max].map(|bits| f64::from_bits(bits.load(Relaxed)));
        sketch.add_moments(sum, min, max);
    }
    for (bucket, count) in &rest.carried {
        buckets[*bucket] += count;
    }
    let (zeros, outside) = (sketch.zeros(), &rest.outside_classic);
    let classic = series.layout.classic(&Counts { buckets: &buckets, within: &within, zeros, outside });
    for (bucket, count) in buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
        sketch.add_bucket(false, index_of_bucket(bucket), *count);
    }
    sketch.merge(&rest.outside);
    Distribution { sketch, classic, not_finite: rest.not_finite }
}

/// Which classic bucket of a series a value belongs to, `+Inf` being the last, and how many there are.
pub(crate) fn classic_bucket(index: u32, value: f64) -> (usize, usize) {
    let bounds = &series(index).layout.bounds;
    (bounds.partition_point(|bound| *bound < value), bounds.len() + 1)
}

/// A number that is another after something was recorded into a series: its sums and counts of what is in no bucket,
/// mixed. (A value so small beside a sum that it does not change it goes unnoticed.)
pub(crate) fn mark(index: u32, shards: &[&'static Shard]) -> u64 {
    let rest = series(index).rest();
    let cells = shards.iter().filter_map(|shard| shard.distributions.peek(index)?.0.get());
    let of_cells = cells.map(|cell| cell.sum.load(Relaxed).wrapping_add(cell.zeros.load(Relaxed)));
    let of_rest = rest.outside.count().wrapping_add(rest.not_finite);
    of_cells.fold(of_rest, |mark, cell| mark.wrapping_mul(31).wrapping_add(cell))
}

/// How many series there can be.
pub(crate) const SERIES_MAX: u32 = DistributionCells::CELLS_MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Indices that no registry gives out in unit tests, from the top down.
    fn series_of(bounds: &[f64]) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(SERIES_MAX - 1);
        let index = NEXT.fetch_sub(1, Relaxed);
        create(index, Arc::new(Layout::new(bounds)));
        index
    }

    fn reading(index: u32) -> Distribution {
        read(index, &shard::all())
    }

    #[test]
    fn counts_carry_before_they_wrap() {
        let index = series_of(&[1.0, 3.0]);
        let values = 5 * u64::from(CARRY) + 7;
        for _ in 0..values {
            record(index, 2.5);
        }
        let read = reading(index);
        assert_eq!(read.sketch.count(), values);
        assert_eq!(read.classic, [(1.0, 0), (3.0, values)]);
    }

    #[test]
    fn values_outside_the_octaves_are_counted_too() {
        let index = series_of(&[-1.0, 0.0, 1e-12, 1.0, 1e12]);
        for value in [-2.0, -1.0, 0.0, -0.0, 1e-12, 0.5, 1e11, 1e300, f64::NAN, f64::INFINITY] {
            record(index, value);
        }
        let read = reading(index);
        assert_eq!((read.sketch.count(), read.not_finite), (8, 2));
        assert_eq!(read.classic, [(-1.0, 2), (0.0, 4), (1e-12, 5), (1.0, 6), (1e12, 7)]);
        assert_eq!((read.sketch.min(), read.sketch.max()), (Some(-2.0), Some(1e300)));
    }

    #[test]
    fn every_octave_has_room() {
        let index = series_of(&[]);
        for exponent in -30..40 {
            record(index, 1.5 * 2f64.powi(exponent));
        }
        let read = reading(index);
        assert_eq!(read.sketch.count(), 70);
        assert!(read.sketch.positive().iter().all(|(_, count)| *count == 1));
    }

    #[test]
    fn a_dense_set_of_bounds_divides_one_bucket_often() {
        let index = series_of(&[1.001, 1.002, 1.003, 1.5]);
        for i in 0..5000 {
            record(index, 1.0 + f64::from(i) / 1e6);
        }
        assert_eq!(reading(index).classic, [(1.001, 1001), (1.002, 2001), (1.003, 3001), (1.5, 5000)]);
    }

    #[test]
    fn late_threads_lose_nothing_in_the_shared_cell() {
        let index = series_of(&[2.0, 3.0]);
        let shared: &'static Shard = shard::all().last().copied().unwrap();
        assert!(shared.shared);
        let slot = shared.distributions.cell(index);
        let cell = slot.0.get_or_init(|| Box::new(Cell::new(series(index))));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..4000 {
                        let value = 1.0 + f64::from(i % 4);
                        let bucket = bucket_of(value).unwrap();
                        cell.record_shared(bucket, value);
                        cell.record_outside(0.0, true);
                    }
                });
            }
        });
        let read = reading(index);
        assert_eq!(read.sketch.count(), 32_000);
        assert_eq!(read.sketch.sum(), 40_000.0);
        assert_eq!(read.classic, [(2.0, 24_000), (3.0, 28_000)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn classic_buckets_are_exact(
            mut bounds in prop::collection::btree_set(-50i32..400, 0..20),
            values in prop::collection::vec(-10.0f64..60.0, 1..300),
            on_bounds in prop::collection::vec(-50i32..400, 0..30),
        ) {
            let step = |i: i32| f64::from(i) / 7.0;
            bounds.insert(7);
            let bounds: Vec<f64> = bounds.into_iter().map(step).collect();
            let values = [values, on_bounds.into_iter().map(step).collect()].concat();
            let index = series_of(&bounds);
            values.iter().for_each(|value| record(index, *value));
            let read = reading(index);
            for (bound, count) in read.classic {
                let exact = values.iter().filter(|value| **value <= bound).count() as u64;
                prop_assert_eq!(count, exact, "le {}", bound);
            }
            let mut sketch = Sketch::new();
            values.iter().for_each(|value| sketch.add(*value));
            prop_assert_eq!(read.sketch.count(), sketch.count());
            prop_assert_eq!(read.sketch.positive(), sketch.positive());
            prop_assert_eq!(read.sketch.negative(), sketch.negative());
        }
    }
}
