//! Threads that come and go: what they recorded stays, what they recorded with is used again.

use std::{
    collections::BTreeSet,
    fs,
    sync::mpsc,
    thread::{self, ThreadId},
    time::Duration,
};

use barograph::{Registry, exposition::Format};

/// Resident memory of this process in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn ten_thousand_short_ones() {
    let registry = Registry::new();
    let counter = registry.counter("short_total").register().unwrap();
    let family = registry.counter("kinds_total").family(["kind"]).unwrap();
    let histogram = registry.histogram("short_size").bounds(&[1.5, 3.0]).register().unwrap();
    let level = registry.up_down_counter("short_level").register().unwrap();
    let (rounds, together) = if cfg!(miri) { (3usize, 4usize) } else { (1_250, 8) };
    let mut early = None;
    for round in 0..rounds {
        let start = |i| {
            let family = family.clone();
            thread::spawn(move || {
                counter.add(2);
                family.with([["a", "b", "c", "d"][i % 4]]).inc();
                histogram.record(if i % 2 == 0 { 1.25 } else { 40.0 });
                level.add(if i % 2 == 0 { 1 } else { -1 });
            })
        };
        let threads: Vec<_> = (0..together).map(start).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        if round == rounds / 10 {
            early = resident();
        }
    }
    let all = (rounds * together) as u64;
    assert_eq!((counter.value(), level.value()), (2 * all, 0));
    for kind in ["a", "b", "c", "d"] {
        assert_eq!(family.with([kind]).value(), all / 4);
    }
    let read = histogram.read();
    assert_eq!(read.sketch.count(), all);
    assert_eq!(read.sketch.sum(), (all / 2) as f64 * 41.25);
    assert_eq!(read.classic, [(1.5, all / 2), (3.0, all / 2)]);
    assert!(registry.expose(Format::Text004).contains(&format!("short_total {}", 2 * all)));
    if let (Some(early), Some(late)) = (early, resident()) {
        assert!(late < early + 8 * 1024, "{early} KiB became {late} KiB");
    }
}

/// The threads of tokio for work that blocks end soon after they have nothing to do.
#[test]
#[cfg_attr(miri, ignore = "Miri has no poll of the system")]
fn of_a_pool_of_tokio() {
    let registry = Registry::new();
    let counter = registry.counter("blocking_total").register().unwrap();
    let histogram = registry.histogram("blocking_size").register().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_micros(1))
        .build()
        .unwrap();
    let mut threads: BTreeSet<String> = BTreeSet::new();
    let mut recorded = 0;
    let name = |id: ThreadId| format!("{id:?}");
    while threads.len() < 100 && recorded < 100_000 {
        let work = move || {
            counter.inc();
            histogram.record(0.5);
            thread::current().id()
        };
        let tasks: Vec<_> = (0..8).map(|_| runtime.spawn_blocking(work)).collect();
        for task in tasks {
            threads.insert(name(runtime.block_on(task).unwrap()));
            recorded += 1;
        }
    }
    assert!(threads.len() >= 100, "{} threads", threads.len());
    assert_eq!((counter.value(), histogram.read().sketch.count()), (recorded, recorded));

    // The runtime goes while some are still at it.
    let (done, wait) = mpsc::channel();
    for _ in 0..8 {
        let done = done.clone();
        runtime.spawn_blocking(move || {
            (0..1_000).for_each(|_| counter.inc());
            done.send(()).unwrap();
        });
    }
    // Those that have not begun are dropped.
    wait.recv().unwrap();
    runtime.shutdown_background();
    drop(done);
    let finished = 1 + wait.iter().count() as u64;
    assert_eq!(counter.value(), recorded + finished * 1_000);
}
