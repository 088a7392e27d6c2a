//! Cut and flipped bytes: an exact prefix of the log, no sample that was never there, no panic, nothing unreported.

use crate::support::*;
use barograph_disk::{Disk, MemoryDisk};
use barograph_model::Timestamp;

/// A disk with one file.
fn disk_with(path: &str, bytes: &[u8]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.write_whole(path, bytes).expect("memory takes it");
    disk
}

#[test]
fn every_truncation_of_the_log_leaves_an_exact_prefix() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let path = "wal/00000001-00.wal";
    let mut states = vec![(0, content(&store))];
    for (n, i) in (0i64..60).enumerate() {
        put(&store, &[(&series("a", n % 7), START + i * 1000, i as f64 * 0.37)]);
        store.commit().unwrap();
        states.push((disk.open(path).unwrap().len(), content(&store)));
    }
    let bytes = disk.read_whole(path).unwrap();
    for len in 0..=bytes.len() {
        let disk = disk_with(path, &bytes[..len]);
        let (store, recovery) = open(&disk);
        let expected = states.iter().rfind(|(end, _)| *end <= len as u64).unwrap();
        assert_eq!(content(&store), expected.1, "cut to {len}");
        assert_eq!(recovery.set_aside, []);
        // What was torn is gone for good: the next start finds nothing to repair.
        drop(store);
        assert_eq!(open(&disk).1.torn_bytes, 0, "cut to {len}");
    }
}

#[test]
fn every_flipped_bit_of_the_log_is_found() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let path = "wal/00000001-00.wal";
    for (n, i) in (0i64..6).enumerate() {
        put(&store, &[(&series("a", n % 2), START + i * 1000, i as f64)]);
        store.commit().unwrap();
    }
    let (whole, bytes) = (content(&store), disk.read_whole(path).unwrap());
    for bit in 0..bytes.len() * 8 {
        let disk = disk_with(path, &bytes);
        disk.flip(path, bit);
        let (store, recovery) = open(&disk);
        let found = content(&store);
        assert!(is_within(&found, &whole), "bit {bit}");
        assert!(!recovery.set_aside.is_empty() || recovery.torn_bytes > 0, "bit {bit} was not reported");
        // A second start serves the same and finds nothing new.
        drop(store);
        let (again, recovery) = open(&disk);
        assert_eq!((content(&again), recovery.set_aside), (found, vec![]), "bit {bit}");
    }
}

#[test]
fn damage_in_the_middle_costs_what_it_hit_and_no_more() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let path = "wal/00000001-00.wal";
    let mut ends = Vec::new();
    for i in 0..10 {
        put(&store, &[(&series("a", 1), START + i * 1000, i as f64)]);
        store.commit().unwrap();
        ends.push(disk.open(path).unwrap().len());
    }
    disk.flip(path, (usize::try_from(ends[4]).unwrap() + 20) * 8);
    let (store, recovery) = open(&disk.kill());
    assert_eq!(content(&store)[&series("a", 1).to_string()].len(), 9);
    assert_eq!(recovery.set_aside.len(), 1);
    assert_eq!(recovery.set_aside[0].path, path);
    assert_eq!(store.stats().set_aside, 1);
}

#[test]
fn every_flipped_bit_of_a_block_is_found() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    for i in 0..12 {
        let at = START + i * 1000;
        put(
            &store,
            &[
                (&series("a", 1), at, i as f64),
                (&series("a", 2), at + i % 2, 0.1),
                (&series("b", 3), at, 1e9),
            ],
        );
    }
    store.flush(Timestamp(START)).unwrap();
    let path = files(&disk, "blocks").remove(0);
    let (whole, bytes) = (content(&store), disk.read_whole(&path).unwrap());
    for bit in 0..bytes.len() * 8 {
        let disk = disk_with(&path, &bytes);
        disk.flip(&path, bit);
        let (store, recovery) = open(&disk);
        let found = content(&store);
        assert!(is_within(&found, &whole), "bit {bit}");
        let stats = store.stats();
        let reported = !recovery.set_aside.is_empty() || stats.blocks_damaged > 0 || stats.set_aside > 0;
        assert!(found == whole || reported, "bit {bit} was not reported");
    }
    for len in 0..bytes.len() {
        let (store, recovery) = open(&disk_with(&path, &bytes[..len]));
        assert_eq!((recovery.set_aside.len(), content(&store).len()), (1, 0), "cut to {len}");
    }
}

#[test]
fn a_corrupt_block_is_set_aside_and_the_rest_serves() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    put(&store, &[(&series("a", 1), START, 1.0)]);
    store.flush(Timestamp(START)).unwrap();
    put(&store, &[(&series("a", 1), START + 2 * HOUR, 2.0)]);
    store.flush(Timestamp(START)).unwrap();
    put(&store, &[(&series("a", 1), START + 4 * HOUR, 3.0)]);
    store.commit().unwrap();
    let first = files(&disk, "blocks").remove(0);
    let end = usize::try_from(disk.open(&first).unwrap().len()).unwrap();
    disk.flip(&first, (end - 3) * 8);
    let disk = disk.kill();
    let (store, recovery) = open(&disk);
    let times: Vec<_> = content(&store)[&series("a", 1).to_string()].iter().map(|s| s.0).collect();
    assert_eq!(times, [START + 2 * HOUR, START + 4 * HOUR]);
    assert_eq!(recovery.set_aside[0].path, first);
    assert!(files(&disk, "blocks").contains(&format!("{first}.corrupt")));
    drop(store);
    assert_eq!(open(&disk).1.set_aside, []);
}

#[test]
fn a_corrupt_catalog_and_half_written_files_do_not_stop_a_start() {
    let disk = MemoryDisk::new();
    disk.write_whole("catalog", b"no catalog").unwrap();
    drop(disk.create("blocks/0000000009.block.tmp").unwrap());
    drop(disk.create("wal/00000003-00.wal.tmp").unwrap());
    let (_, recovery) = open(&disk);
    assert_eq!((recovery.temporary_removed, recovery.set_aside.len()), (2, 1));
    assert_eq!(files(&disk, "blocks").len() + files(&disk, "wal").len(), 0);
}
