//! Cells of distributions.
//!
//! Cells count two octaves, 1 to 4, and carry a count of two to the series.

use std::sync::Arc;

use crate::{
    Histogram,
    distribution::{self, Distribution, Layout},
    play,
    sync::thread::{join_all, spawn},
};

const HISTOGRAM: Histogram = Histogram(1);

/// Bounds of which 1.5 and 1.51 lie inside a bucket, and 2 ends one.
const BOUNDS: [f64; 3] = [1.5, 1.51, 2.0];

/// Plays a model that has the histogram.
fn with_histogram(model: impl Fn() + Send + Sync + 'static) {
    play(move || {
        distribution::create(1, Arc::new(Layout::new(&BOUNDS)));
        model();
    });
}

fn record<const N: usize>(values: [f64; N]) {
    values.into_iter().for_each(|value| HISTOGRAM.record(value));
}

/// A reading makes sense by itself: what it counts has a least and a greatest value among those recorded, a sum, and
/// classic counts that are no more.
fn whole(read: &Distribution, values: &[f64]) -> u64 {
    let sketch = &read.sketch;
    let counts = read.classic.iter().map(|(_, count)| *count);
    assert!(counts.clone().is_sorted() && counts.max() <= Some(sketch.count()), "{read:?}");
    if let (Some(min), Some(max)) = (sketch.min(), sketch.max()) {
        assert!(values.contains(&min) && values.contains(&max) && min <= max, "{read:?}");
        assert!(sketch.sum() >= min * sketch.count() as f64, "{read:?}");
    }
    sketch.count()
}

/// All that was recorded is there once recording rests: counts, sum and classic buckets.
fn exact(values: &[f64]) {
    let read = HISTOGRAM.read();
    let below = |bound: f64| values.iter().filter(|value| **value <= bound).count() as u64;
    assert_eq!(whole(&read, values), values.len() as u64);
    assert_eq!(read.sketch.sum(), values.iter().sum::<f64>());
    assert_eq!(read.classic, BOUNDS.map(|bound| (bound, below(bound))));
}

/// A reading beside a thread that records is whole, and never less than one before it.
pub fn are_read_whole() {
    with_histogram(|| {
        let values = [1.505, 3.0, 1.75];
        let thread = spawn(move || record(values));
        let first = whole(&HISTOGRAM.read(), &values);
        assert!(whole(&HISTOGRAM.read(), &values) >= first);
        thread.join();
        exact(&values);
    });
}

/// The same where two threads record.
pub fn of_two_threads_are_read_whole() {
    with_histogram(|| {
        let threads = [1.505, 3.0].map(|value| spawn(move || HISTOGRAM.record(value)));
        whole(&HISTOGRAM.read(), &[1.505, 3.0]);
        join_all(threads);
        exact(&[1.505, 3.0]);
    });
}

/// Zeros are counted apart, and read as whole.
pub fn read_zeros_whole() {
    with_histogram(|| {
        let thread = spawn(|| record([0.0, 0.0]));
        whole(&HISTOGRAM.read(), &[0.0]);
        thread.join();
        exact(&[0.0, 0.0]);
    });
}

/// A count that is carried to the series is seen once, by whoever reads meanwhile.
pub fn carry_once() {
    with_histogram(|| {
        // A shard that is not there yet when a reading begins has not recorded so much when it ends; but two are not much.
        spawn(|| HISTOGRAM.record(1.5)).join();
        let thread = spawn(|| record([1.5; 4]));
        let first = whole(&HISTOGRAM.read(), &[1.5]);
        let second = whole(&HISTOGRAM.read(), &[1.5]);
        assert!(0 < first && first <= second && second <= 5, "{first} {second}");
        thread.join();
        exact(&[1.5; 5]);
    });
}

/// Threads without a shard of their own share a cell, make its octaves at once, and lose nothing; nor when a count of
/// theirs is carried.
pub fn of_late_threads_lose_nothing() {
    with_histogram(|| {
        // The one shard there is.
        crate::Counter(1).inc();
        let threads = [1.5, 1.49].map(|value| spawn(move || HISTOGRAM.record(value)));
        join_all(threads);
        exact(&[1.5, 1.49]);
    });
}

/// The shared cell is read whole, too.
pub fn of_late_threads_are_read_whole() {
    with_histogram(|| {
        crate::Counter(1).inc();
        // Of the same octave, so that no lock is between the second and who reads it.
        let thread = spawn(|| record([1.5, 1.75]));
        whole(&HISTOGRAM.read(), &[1.5, 1.75]);
        thread.join();
        exact(&[1.5, 1.75]);
    });
}

/// One of them carries while another goes on counting.
pub fn of_late_threads_carry_once() {
    with_histogram(|| {
        crate::Counter(1).inc();
        spawn(|| HISTOGRAM.record(3.0)).join();
        let threads = [3.0; 2].map(|value| spawn(move || HISTOGRAM.record(value)));
        join_all(threads);
        exact(&[3.0; 3]);
    });
}

/// Octaves that are made at once are one and the same.
pub fn of_late_threads_have_places() {
    with_histogram(|| {
        crate::Counter(1).inc();
        let threads = [1.5, 3.0].map(|value| spawn(move || HISTOGRAM.record(value)));
        join_all(threads);
        exact(&[1.5, 3.0]);
    });
}

/// A cell goes to the next thread with what it counts.
pub fn survive_their_thread() {
    with_histogram(|| {
        let first = spawn(|| HISTOGRAM.record(1.5));
        let second = spawn(|| HISTOGRAM.record(3.0));
        first.join();
        second.join();
        spawn(|| HISTOGRAM.record(1.505)).join();
        exact(&[1.5, 1.505, 3.0]);
    });
}
