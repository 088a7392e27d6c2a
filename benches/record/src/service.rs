//! What measuring a service takes beside single calls: many threads at once, a snapshot, memory, records by name one by
//! one and in batches.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use barograph::{
    Registry, Requests, Static,
    record::{MetricRecord, RecordKind},
    scope::Attributes,
    statistics::{Local, StatisticsProvider},
};

use crate::{
    allocations,
    common::{median, on_processor},
    ours::NAME,
};

static CROWDED: Static<barograph::Histogram> =
    Static::histogram("crowded_seconds", "Values of many threads.");

const THREADS: u32 = 16;
const CALLS: u32 = 1_000_000;
/// Requests that lie in the window.
const REQUESTS: u64 = 10_000;
const BATCH: usize = 100;
const ROUNDS: usize = 51;

pub fn measure() {
    row("histogram", THREADS, crowded(), "ns");
    let before = allocations::bytes();
    let registry = Registry::new();
    let requests = Requests::register(&registry).expect("the names are free");
    for i in 0..REQUESTS {
        requests.record("GET", "/users/{id}", 200, Duration::from_micros(500 + i * 7 % 90_000));
    }
    row("10,000 requests, all that is kept", 1, (allocations::bytes() - before) as f64, "bytes");
    row("snapshot of 10,000 requests", 1, usual(|| drop(black_box(requests.figures()))), "ns");
    let (one, batch) = by_name();
    row("record by name", 1, one, "ns");
    row("record by name, a hundred at once", 1, batch, "ns");
}

fn row(name: &str, threads: u32, value: f64, unit: &str) {
    println!("{name}\t{threads}\t{NAME}\t{value:.3}\t{unit}");
}

/// Nanoseconds on a processor a call, of more threads than processors.
fn crowded() -> f64 {
    let work = || {
        (0..1000).for_each(|i| CROWDED.record(f64::from(i) * 1e-4));
        let before = on_processor();
        for i in 0..CALLS {
            CROWDED.record(f64::from(i & 1023) * 1e-4);
        }
        on_processor() - before
    };
    let all: Duration = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no record panics")).sum()
    });
    all.as_secs_f64() * 1e9 / f64::from(THREADS * CALLS)
}

/// A record one by one, and of a batch.
fn by_name() -> (f64, f64) {
    let local = Local::new(&Registry::new());
    let attributes = Attributes::from([("step", "parse"), ("flow", "import")]);
    let record = MetricRecord::new(RecordKind::Counter, "rows.read", 1.0).attributes(attributes.clone());
    let one = usual(|| {
        for _ in 0..BATCH {
            let _ = black_box(local.record_counter("rows.read", 1, &attributes));
        }
    });
    let batch = usual(|| drop(black_box(local.batch_record(vec![record.clone(); BATCH]))));
    (one / BATCH as f64, batch / BATCH as f64)
}

/// Nanoseconds that something usually takes.
fn usual(mut work: impl FnMut()) -> f64 {
    let times = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1e9
        })
        .collect();
    median(times)
}
