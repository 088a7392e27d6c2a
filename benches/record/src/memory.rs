//! What 10,000 series of a histogram take, once 16 threads have recorded into all of them.

use std::thread;

use barograph::{Histogram, Registry};

use crate::{allocations, ours, peers};

const SERIES: usize = 10_000;
const THREADS: usize = 16;
/// Values that each thread records into each series, all within a factor of eight.
const VALUES: usize = 8;

pub fn measure() {
    let before = allocations::bytes();
    let registry = Registry::new();
    let family = registry.histogram("memory_seconds").series_max(SERIES).family(["series"]).expect("names");
    let record = |series: usize, value: f64| {
        let histogram: Histogram = family.with([&series.to_string()]);
        histogram.record(value);
    };
    row(ours::NAME, &record, before);
    let before = allocations::bytes();
    row(peers::PROMETHEUS, &peers::histogram_vector(), before);
}

fn row(contender: &str, record: &(impl Fn(usize, f64) + Sync), before: i64) {
    let work = || {
        let before = allocations::bytes();
        for i in 0..SERIES * VALUES {
            record(i % SERIES, 0.002 * (1 + i / SERIES) as f64);
        }
        allocations::bytes() - before
    };
    let by_threads: i64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no record panics")).sum()
    });
    let all = by_threads + allocations::bytes() - before;
    println!("10,000 histograms\t{THREADS}\t{contender}\t{all}\tbytes");
}
