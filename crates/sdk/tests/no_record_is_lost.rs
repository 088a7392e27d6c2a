//! Every record counts once, however many threads come, overlap and go.

use std::{sync::Barrier, thread};

use barograph::{Registry, exposition::Format};

/// Miri is a thousand times slower, and interested in the same things.
const RECORDS: u64 = if cfg!(miri) { 50 } else { 10_000 };
const THREADS: u64 = if cfg!(miri) { 8 } else { 64 };

#[test]
fn by_threads_at_the_same_time() {
    let registry = Registry::new();
    let counter = registry.counter("together_total").register().unwrap();
    let amount = registry.float_counter("amount_total").register().unwrap();
    let level = registry.up_down_counter("level").register().unwrap();
    let family = registry.counter("by_kind_total").family(["kind"]).unwrap();
    let histogram = registry.histogram("size").bounds(&[1.0, 3.0, 5.0]).register().unwrap();
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, family) = (&start, &family);
            scope.spawn(move || {
                start.wait();
                for i in 0..RECORDS {
                    counter.inc();
                    amount.add(0.5);
                    level.add(if i % 2 == 0 { 3 } else { -2 });
                    family.with([["a", "b", "c"][usize::try_from((thread + i) % 3).unwrap()]]).inc();
                    histogram.record((i % 10) as f64);
                }
            });
        }
    });
    let all = THREADS * RECORDS;
    assert_eq!(counter.value(), all);
    assert_eq!(amount.value(), all as f64 / 2.0);
    assert_eq!(level.value(), i64::try_from(all / 2).unwrap());
    assert_eq!(["a", "b", "c"].map(|kind| family.with([kind]).value()).iter().sum::<u64>(), all);
    let read = histogram.read();
    assert_eq!(read.sketch.count(), all);
    assert_eq!(read.sketch.sum(), all as f64 * 4.5);
    assert_eq!((read.sketch.min(), read.sketch.max()), (Some(0.0), Some(9.0)));
    assert_eq!(read.classic, [(1.0, all / 5), (3.0, all * 2 / 5), (5.0, all * 3 / 5)]);
    assert!(registry.expose(Format::Text004).contains(&format!("size_bucket{{le=\"3\"}} {}", all * 2 / 5)));
}

#[test]
fn by_threads_that_come_and_go() {
    let registry = Registry::new();
    let counter = registry.counter("short_lived_total").register().unwrap();
    let histogram = registry.histogram("short_life").register().unwrap();
    let (rounds, each) = if cfg!(miri) { (5, 2) } else { (1_000, 10) };
    for _ in 0..rounds {
        let threads: Vec<_> = (0..each)
            .map(|_| {
                thread::spawn(move || {
                    counter.inc();
                    histogram.record(0.25);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    assert_eq!(counter.value(), rounds * each);
    assert_eq!(histogram.read().sketch.count(), rounds * each);
}

/// More threads at a time than there are shards.
#[test]
#[cfg_attr(miri, ignore = "needs more threads than Miri runs in reasonable time")]
fn by_threads_that_have_to_share() {
    let registry = Registry::new();
    let counter = registry.counter("crowd_total").register().unwrap();
    let histogram = registry.histogram("crowd_size").register().unwrap();
    let crowd = 300;
    let start = Barrier::new(crowd);
    thread::scope(|scope| {
        for _ in 0..crowd {
            scope.spawn(|| {
                counter.inc();
                start.wait();
                for _ in 0..1_000 {
                    counter.inc();
                    histogram.record(0.1);
                }
            });
        }
    });
    assert_eq!(counter.value(), 300 * 1_001);
    let read = histogram.read();
    assert_eq!(read.sketch.count(), 300_000);
    assert_eq!(read.classic.iter().find(|(bound, _)| *bound == 0.1), Some(&(0.1, 300_000)));
}

/// A counter that is read while it is written never goes back.
#[test]
fn and_readings_never_go_back() {
    let registry = Registry::new();
    let counter = registry.counter("forward_total").register().unwrap();
    let histogram = registry.histogram("forward_size").register().unwrap();
    let readings = if cfg!(miri) { 5 } else { 2_000 };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for i in 0..RECORDS * 10 {
                    counter.inc();
                    histogram.record((i % 100) as f64 / 10.0);
                }
            });
        }
        let mut last = (0, 0, Vec::new());
        for _ in 0..readings {
            let read = histogram.read();
            let now = (counter.value(), read.sketch.count(), read.classic);
            assert!(now.0 >= last.0 && now.1 >= last.1);
            assert!(now.2.iter().zip(&last.2).all(|(now, last): (&(f64, u64), &(f64, u64))| now.1 >= last.1));
            assert!(now.2.is_sorted_by_key(|(_, count)| *count));
            assert!(now.2.iter().all(|(_, count)| *count <= now.1));
            last = now;
        }
    });
}
