//! Upkeep that was interrupted claims no more than it did: what it left is found in the log, and what it deleted may
//! come back without being believed.

mod support;

use std::sync::Arc;

use barograph_disk::{Disk, Fault, MemoryDisk};
use barograph_model::{Metadata, Source, Timestamp};
use barograph_tsdb::{Options, Store};
use support::*;

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
