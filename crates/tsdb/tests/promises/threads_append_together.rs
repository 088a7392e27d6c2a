//! Many threads append, one commits, one keeps up, one reads: nothing is lost, doubled or out of order, and a restart
//! makes the same of it.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::*;
use barograph_disk::MemoryDisk;
use barograph_model::{TimeRange, Timestamp};
use barograph_tsdb::Options;

const SERIES: usize = 40;
const ROUNDS: i64 = 300;

#[test]
fn on_shared_and_own_series() {
    let disk = MemoryDisk::new();
    let mut options = Options::default();
    options.segment_bytes = 4 << 10;
    let (store, _) = open_with(&disk, options);
    let done = AtomicBool::new(false);
    let stored: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let own: Vec<_> = (0..SERIES).map(|n| series(&format!("own_{writer}"), n)).collect();
                    let shared: Vec<_> = (0..SERIES).map(|n| series("shared", n)).collect();
                    let mut stored = 0;
                    for round in 0..ROUNDS {
                        let at = START + round * 30_000;
                        let rows: Vec<_> = own
                            .iter()
                            .chain(&shared)
                            .map(|labels| (labels, at, (round + writer) as f64))
                            .collect();
                        stored += append(store, &rows).expect("the log is open").stored;
                    }
                    stored
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.commit().expect("the log can be written");
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.maintain(Timestamp(START + ROUNDS * 30_000)).expect("blocks can be written");
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // Order and uniqueness are checked while reading.
                content_meanwhile(&store, &[], TimeRange::ALL);
            }
        });
        let stored = writers.into_iter().map(|writer| writer.join().expect("a writer ends well")).sum();
        done.store(true, Ordering::Relaxed);
        stored
    });
    store.commit().expect("the log can be written");
    let found = content(&store);
    let count: usize = found.values().map(Vec::len).sum();
    assert!(count <= stored, "a row that repeats another counts as stored and is there once");
    let (again, recovery) = open(&disk.crash(3));
    assert_eq!((content(&again), recovery.set_aside), (found, vec![]));
}
