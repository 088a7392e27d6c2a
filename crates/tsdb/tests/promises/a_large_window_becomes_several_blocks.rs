//! What is cut is written in parts that bounded memory suffices for: together they hold everything, whatever moment a
//! process ends at, and they are merged where their indexes fit together.

use crate::support::*;
use barograph_disk::MemoryDisk;
use barograph_model::Timestamp;
use barograph_tsdb::Options;

const SERIES: usize = 40;

fn bounded(index_bytes_max: usize) -> Options {
    let mut options = options();
    options.index_bytes_max = index_bytes_max;
    options
}

fn fill(store: &barograph_tsdb::Store, minutes: std::ops::Range<i64>) {
    for minute in minutes {
        for number in 0..SERIES {
            put(store, &[(&series("m", number), START + minute * 60_000, minute as f64)]);
        }
    }
    store.commit().expect("the disk takes it");
}

#[test]
fn a_cut_is_written_in_parts() {
    let disk = MemoryDisk::new();
    let (store, _) = open_with(&disk, bounded(2000));
    fill(&store, 0..5);
    let before = content(&store);
    store.shed(std::time::Duration::from_secs(60), Timestamp(START + 5 * 60_000)).expect("the disk takes it");
    let blocks = store.stats().blocks;
    assert!((3..SERIES).contains(&blocks), "{blocks}");
    assert_eq!(content(&store), before);
    drop(store);
    let (store, recovery) = open_with(&disk.kill(), bounded(2000));
    assert_eq!((content(&store), recovery.blocks), (before, blocks));
    fill(&store, 5..8);
}

#[test]
fn a_kill_between_parts_loses_nothing() {
    let undisturbed = MemoryDisk::new();
    let (store, _) = open_with(&undisturbed, bounded(2000));
    fill(&store, 0..3);
    let (before, calls) = (content(&store), undisturbed.calls());
    store.shed(std::time::Duration::ZERO, Timestamp(START)).expect("the disk takes it");
    let calls = calls..undisturbed.calls();
    assert!(calls.clone().count() > 20);
    for call in calls {
        let disk = MemoryDisk::new();
        let (store, _) = open_with(&disk, bounded(2000));
        fill(&store, 0..3);
        disk.fail(call, u64::MAX, barograph_disk::Fault::Io);
        let _ = store.shed(std::time::Duration::ZERO, Timestamp(START));
        disk.heal();
        for disk in [disk.kill(), disk.crash(call)] {
            let (store, _) = open_with(&disk, bounded(2000));
            assert_eq!(content(&store), before, "at {call}");
            let late = append(&store, &[(&series("m", 0), START + 60_000, 7.0)]).expect("rows are taken");
            assert_eq!(late.new_series, 0, "at {call}: the series are known");
        }
    }
}

#[test]
fn parts_are_merged_where_they_fit_together() {
    for (index_bytes_max, merged) in [(2000, true), (150, false)] {
        let disk = MemoryDisk::new();
        let (store, _) = open_with(&disk, bounded(index_bytes_max));
        fill(&store, 0..3);
        let before = content(&store);
        let done = store.maintain(Timestamp(START + 5 * HOUR)).expect("the disk takes it");
        assert!(done.blocks_cut > 2, "{done:?}");
        assert_eq!(done.blocks_merged > 0, merged, "{done:?}");
        assert_eq!(content(&store), before);
    }
}
