//! Upkeep that was interrupted claims no more than it did: what it left is found in the log, and what it deleted may
//! come back without being believed.

use std::sync::Arc;

use crate::support::*;
use barograph_disk::{Disk, Fault, MemoryDisk};
use barograph_model::{
    Budget, METRIC_NAME, Matcher, Metadata, Parts, Rollups, Selection, Source, Tier, TimeRange, Timestamp,
};
use barograph_tsdb::{Options, Row, Store};

#[test]
fn a_flush_after_a_cut_that_failed() {
    for (failed_at, ended_at) in (4..24).flat_map(|call| (4..40).map(move |end| (call, end))) {
        let disk = MemoryDisk::new();
        let (store, _) = open(&disk);
        put(&store, &[(&series("a", 1), START, 1.0), (&series("a", 2), START + 3 * HOUR, 2.0)]);
        store.commit().unwrap();
        let whole = content(&store);
        disk.fail(failed_at, 3, Fault::Full);
        let _ = store.maintain(Timestamp(START + 9 * HOUR));
        disk.heal();
        disk.fail(ended_at, u64::MAX, Fault::Io);
        let _ = store.flush(Timestamp(START + 9 * HOUR));
        let (store, _) = open(&disk.kill());
        assert_eq!(content(&store), whole, "failed at {failed_at}, ended at {ended_at}");
    }
}

#[test]
fn a_cut_that_failed_and_the_next_that_waits() {
    for failed_at in 4..24 {
        let disk = MemoryDisk::new();
        let (store, _) = open(&disk);
        put(&store, &[(&series("a", 1), START, 1.0)]);
        store.flush(Timestamp(START)).unwrap();
        put(&store, &[(&series("a", 2), START + 1, 2.0)]);
        store.commit().unwrap();
        disk.fail(failed_at, 3, Fault::Full);
        let _ = store.maintain(Timestamp(START + 9 * HOUR));
        disk.heal();
        // The window takes a sample now, so the next cut leaves it alone; windows of tiers are made all the same.
        let now = Timestamp(START + 9 * HOUR + 1);
        let labels = series("b", 1);
        let row = Row { labels: labels.as_bytes(), at: START + 2, value: 3.0 };
        assert_eq!(store.append(&[row], now).unwrap().stored, 1);
        store.commit().unwrap();
        let whole = content(&store);
        store.maintain(now).unwrap();
        let (store, _) = open(&disk.kill());
        assert_eq!(content(&store), whole, "failed at {failed_at}");
    }
}

#[test]
fn what_a_failed_cut_left_is_deleted_too() {
    for (failed_at, times) in (0..24).flat_map(|call| (1..8).map(move |times| (call, times))) {
        let disk = MemoryDisk::new();
        let (store, _) = open(&disk);
        put(&store, &[(&series("a", 1), START, 1.0), (&series("b", 1), START, 1.0)]);
        store.commit().unwrap();
        disk.fail(failed_at, times, Fault::Io);
        let _ = store.flush(Timestamp(START));
        disk.heal();
        let named = Matcher::equal(METRIC_NAME, "a");
        store.delete(&[named], TimeRange::ALL, Timestamp(START)).unwrap();
        let left = content(&store);
        let (store, _) = open(&disk.kill());
        assert_eq!(content(&store), left, "failed at {failed_at}, {times} times");
    }
}

/// How many windows of a tier there are.
fn windows(store: &Store, tier: Tier) -> usize {
    let (budget, mut found) = (Budget::unlimited(), Rollups::default());
    let selection = Selection { matchers: &[], range: TimeRange::ALL };
    let mut cursor = store.rollups(tier, Parts::ALL, &selection, &budget).expect("tiers can be read");
    while cursor.next_series().expect("tiers can be read").is_some() {
        while cursor.next_batch(&mut found).expect("tiers can be read") {}
    }
    found.len()
}

#[test]
fn a_flipped_bit_ends_no_tier() {
    for flipped_at in 0..150 {
        let disk = MemoryDisk::new();
        let (store, _) = open(&disk);
        for day in 0..3 {
            put(&store, &[(&series("a", day), START + i64::try_from(day).unwrap() * 24 * HOUR, 1.0)]);
        }
        store.commit().unwrap();
        let now = Timestamp(START + 99 * HOUR);
        disk.fail(flipped_at, 1, Fault::FlippedRead);
        let _ = store.maintain(now);
        disk.heal();
        let aside = store.stats().set_aside;
        store.maintain(now).unwrap();
        if aside == 0 && store.stats().blocks_damaged == 0 {
            for tier in Tier::ROLLED {
                assert_eq!(windows(&store, tier), 3, "{tier:?}, flipped at {flipped_at}");
            }
        }
    }
}

#[test]
fn a_description_of_old_does_not_come_back_with_its_segment() {
    let disk = MemoryDisk::new();
    let mut options = Options::default();
    options.segment_bytes = 1;
    let open = |disk: &MemoryDisk| {
        Store::open(Arc::new(disk.clone()), options.clone(), Timestamp(START)).expect("the store opens").0
    };
    let describe = |store: &Store, help: &str, at: i64| {
        store.set_metadata("a", &Metadata { help: help.to_owned(), ..Metadata::default() });
        put(store, &[(&series(help, 1), at, 1.0)]);
        store.commit().unwrap();
    };
    let help = |store: &Store| store.metadata(Some("a"))[0].1.help.clone();
    let store = open(&disk);
    describe(&store, "old", START);
    describe(&store, "new", START);
    let first = "wal/00000001-00.wal";
    let old = disk.read_whole(first).unwrap();
    store.maintain(Timestamp(START + 9 * HOUR)).unwrap();
    assert_eq!(files(&disk, "wal").len(), 0);
    disk.write_whole(first, &old).unwrap();
    let disk = disk.kill();
    let store = open(&disk);
    assert_eq!(help(&store), "new");
    describe(&store, "newest", START + 9 * HOUR);
    assert_eq!(
        help(&open(&disk.kill())),
        "newest",
        "its segment has a number that the catalog does not cover"
    );
}
