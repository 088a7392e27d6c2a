//! What cells of distributions promise, thread by thread.

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

/// What 32 bits do not hold is in the series, and whoever reads adds it up.
#[test]
fn counts_go_on_past_32_bits() {
    const { assert!(CARRY <= DIVIDED / 2, "late threads may count on while one of them carries") };
    let index = series_of(&[3.0]);
    // As if so many had been recorded before, all but one carry of 2^32.
    let bucket = bucket_of(2.5).unwrap();
    series(index).rest().carried.insert(bucket, (1 << 32) - u64::from(CARRY));
    let mut last = 0;
    for _ in 0..u64::from(CARRY) + 5 {
        record(index, 2.5);
        let count = reading(index).sketch.count();
        assert!(count > last);
        last = count;
    }
    let read = reading(index);
    assert_eq!(read.sketch.count(), (1 << 32) + 5);
    assert_eq!(read.sketch.positive(), [(index_of_bucket(bucket), (1 << 32) + 5)]);
    assert_eq!(read.classic, [(3.0, (1 << 32) + 5)]);
    // Those of a late thread, too.
    let slot = shard::all().last().copied().unwrap().distributions.cell(index);
    let cell = slot.0.get_or_init(|| Box::new(Cell::new(series(index))));
    (0..2 * CARRY + 3).for_each(|_| cell.record_shared(bucket, 2.5));
    assert_eq!(reading(index).sketch.count(), (1 << 32) + 8 + 2 * u64::from(CARRY));
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
