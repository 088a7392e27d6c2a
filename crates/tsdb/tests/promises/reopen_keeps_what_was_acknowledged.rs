//! After a kill, everything up to the ticket of the last commit is there; after a power loss, too.

use std::sync::Arc;

use crate::support::*;
use barograph_disk::{Fault, MemoryDisk, RealDisk};
use barograph_model::{Metadata, MetricType, Source, Timestamp, stale_marker};
use barograph_tsdb::Store;

#[test]
fn killed_after_a_commit() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let all: Vec<_> = (0..50).map(|n| series("a", n)).collect();
    let gauge = Metadata { kind: MetricType::Gauge, unit: "bytes".into(), help: "Used.".into() };
    store.set_metadata("a", &gauge);
    for at in 0..20 {
        let samples: Vec<_> = all.iter().map(|labels| (labels, START + at * 1000, at as f64 / 3.0)).collect();
        put(&store, &samples);
    }
    let ticket = put(&store, &[(&all[0], START + 60_000, stale_marker())]);
    assert!(store.commit().unwrap() >= ticket);
    let before = content(&store);
    put(&store, &[(&all[1], START + 60_000, 1.0)]);

    for disk in [disk.kill(), disk.crash(1), disk.crash(2)] {
        let (store, recovery) = open(&disk);
        assert_eq!(content(&store), before);
        assert_eq!((recovery.samples, recovery.series), (1001, 50));
        assert_eq!((recovery.set_aside, recovery.orphans), (vec![], 0));
        assert_eq!(store.metadata(None), [("a".to_owned(), gauge.clone())]);
        // And the next generation goes on from there.
        let ticket = put(&store, &[(&all[1], START + 60_000, 1.0)]);
        assert!(store.commit().unwrap() >= ticket);
        let (again, _) = open(&disk.kill());
        assert_eq!(content(&again), content(&store));
    }
}

#[test]
fn on_a_real_disk_and_held_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = Arc::new(RealDisk::open(folder.path()).unwrap());
        Store::open(disk, options(), Timestamp(START))
    };
    let (store, _) = open().unwrap();
    put(&store, &[(&series("a", 1), START, 1.0)]);
    store.commit().unwrap();
    let error = open().err().unwrap();
    assert!(error.is_locked());
    assert!(error.to_string().contains("in use by another server"), "{error}");
    let before = content(&store);
    drop(store);
    assert_eq!(content(&open().unwrap().0), before);
}

#[test]
fn a_failed_sync_acknowledges_nothing_that_is_not_kept() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let a = series("a", 1);
    put(&store, &[(&a, START, 1.0)]);
    store.commit().unwrap();
    put(&store, &[(&a, START + 1, 1.0)]);
    // The append goes through, its sync does not: the same records go to another file.
    disk.fail(1, 1, Fault::Io);
    let ticket = put(&store, &[(&a, START + 2, 1.0)]);
    assert!(store.commit().unwrap() >= ticket);
    for seed in 0..20 {
        let (again, recovery) = open(&disk.crash(seed));
        assert_eq!(content(&again), content(&store), "seed {seed}");
        assert_eq!(recovery.set_aside, []);
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let a = series("a", 1);
    put(&store, &[(&a, START, 1.0)]);
    store.commit().unwrap();
    put(&store, &[(&a, START + 1, 1.0)]);
    for fault in [Fault::Full, Fault::ShortWrite] {
        disk.fail(0, u64::MAX, fault);
        for _ in 0..5 {
            assert!(store.commit().unwrap_err().is_full());
        }
        assert!(append(&store, &[(&a, START + 2, 1.0)]).is_err());
        assert_eq!(content(&store)[&a.to_string()].len(), 2, "reads go on");
    }
    disk.heal();
    store.commit().unwrap();
    put(&store, &[(&a, START + 2, 1.0)]);
    store.commit().unwrap();
    assert!(files(&disk, "wal").len() <= 3, "{:?}", files(&disk, "wal"));
    for seed in 0..20 {
        assert_eq!(content(&open(&disk.crash(seed)).0), content(&store));
    }
}

#[test]
fn killed_before_a_sync_then_repeated_then_without_power() {
    // The first process ends after each of its calls in turn.
    for calls in 0..8 {
        let disk = MemoryDisk::new();
        let (store, _) = open(&disk);
        put(&store, &[(&series("a", 1), START, 1.0)]);
        disk.fail(calls, u64::MAX, Fault::Io);
        let acknowledged = store.commit().is_ok();
        let disk = disk.kill();
        // The next process reads it from the page cache, so for it the same row is nothing new.
        let (store, _) = open(&disk);
        let ticket = put(&store, &[(&series("a", 1), START, 1.0)]);
        assert!(store.commit().unwrap() >= ticket);
        for seed in 0..20 {
            let (store, _) = open(&disk.crash(seed));
            assert_eq!(content(&store).len(), 1, "{calls} calls, acknowledged at once: {acknowledged}");
        }
    }
}
