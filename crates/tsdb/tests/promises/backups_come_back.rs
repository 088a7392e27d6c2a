//! A backup holds everything acknowledged before it, the next one copies only what is new, and what a crash or a fault
//! leaves behind is never taken for a backup, nor for a restored directory.

use crate::support::*;
use barograph_disk::{Disk, Fault, MemoryDisk};
use barograph_model::Timestamp;
use barograph_tsdb::{
    Error, Store,
    backup::{self, BackupError, Snapshot},
    verify,
};

const NOW: Timestamp = Timestamp(START);

fn fill(store: &Store, from: i64, count: i64) {
    for at in (from..).step_by(10_000).take(usize::try_from(count).expect("memory takes it")) {
        put(store, &[(&series("a", 1), at, at as f64), (&series("b", 2), at, 0.5)]);
    }
    store.commit().expect("memory takes it");
}

fn back_up(store: &Store, target: &MemoryDisk) -> backup::Written {
    backup::write(&store.snapshot(NOW).expect("memory takes it"), target, NOW, None).expect("memory takes it")
}

fn restored(target: &MemoryDisk, id: u64) -> Content {
    let disk = MemoryDisk::new();
    backup::restore(target, id, &disk).expect("memory takes it");
    let (store, recovery) = open(&disk);
    assert_eq!(recovery.set_aside, []);
    content(&store)
}

#[test]
fn what_was_acknowledged_comes_back_and_only_new_blocks_are_copied() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 700);
    let first = content(&store);
    let written = back_up(&store, &target);
    assert_eq!((written.backup.id, written.damaged.len()), (1, 0));
    assert!(written.bytes_copied >= written.backup.bytes());

    fill(&store, START + 2 * HOUR, 30);
    let second = content(&store);
    let written = back_up(&store, &target);
    assert_eq!(written.backup.id, 2);
    assert!(written.bytes_copied < written.backup.bytes() / 2, "{written:?}");
    // Nothing new: nothing to copy.
    assert_eq!(back_up(&store, &target).bytes_copied, 0);

    assert_eq!(restored(&target, 1), first);
    assert_eq!(restored(&target, 2), second);
    assert_eq!(verify(&target).unwrap().damaged, []);
    // The store itself goes on.
    fill(&store, START + 3 * HOUR, 3);
    assert!(is_within(&second, &content(&store)));
}

#[test]
fn a_directory_that_no_server_uses_is_copied_as_it_is() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 100);
    let whole = content(&store);
    assert!(
        matches!(Snapshot::of_directory(&disk), Err(BackupError::Disk(e)) if e.to_string().contains("in use"))
    );
    drop(store);
    backup::write(&Snapshot::of_directory(&disk).unwrap(), &target, NOW, None).unwrap();
    assert_eq!(restored(&target, 1), whole);
    assert_eq!(verify(&disk).unwrap().damaged, []);
}

#[test]
fn a_store_without_room_for_blocks_is_backed_up_with_its_log() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 50);
    let whole = content(&store);
    disk.fail(0, u64::MAX, Fault::Full);
    back_up(&store, &target);
    assert_eq!(restored(&target, 1), whole);
}

#[test]
fn blocks_removed_while_they_are_copied_are_in_the_backup() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 50);
    let whole = content(&store);
    let snapshot = store.snapshot(NOW).unwrap();
    store.maintain(Timestamp(START + 400 * 24 * HOUR)).unwrap();
    assert_eq!(store.stats().blocks, 0);
    backup::write(&snapshot, &target, NOW, None).unwrap();
    assert_eq!(restored(&target, 1), whole);
}

#[test]
fn only_the_newest_are_kept() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    for round in 0..5 {
        fill(&store, START + round * 2 * HOUR, 10);
        let snapshot = store.snapshot(NOW).unwrap();
        backup::write(&snapshot, &target, NOW, Some(2)).unwrap();
    }
    let listed = backup::list(&target).unwrap();
    assert_eq!(listed.backups.iter().map(|backup| backup.id).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(restored(&target, 5), content(&store));
    let needed: std::collections::BTreeSet<_> =
        listed.backups.iter().flat_map(|backup| &backup.files).map(|file| file.hash).collect();
    assert_eq!(files(&target, "pool").len(), needed.len());
    assert!(matches!(backup::restore(&target, 1, &MemoryDisk::new()), Err(BackupError::Unknown { id: 1 })));
}

#[test]
fn a_fault_at_any_call_leaves_no_half_backup() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 20);
    let first = content(&store);
    back_up(&store, &target);
    fill(&store, START + 2 * HOUR, 20);
    let second = content(&store);
    let snapshot = store.snapshot(NOW).unwrap();
    for call in 0.. {
        assert!(call < 500, "a backup takes few calls");
        let target = target.kill();
        target.fail(call, 1, Fault::Io);
        let made = backup::write(&snapshot, &target, NOW, None);
        let faulted = made.is_err();
        // A power loss on top: names and sectors that were not synced may be gone.
        for target in [target.kill(), target.crash(call)] {
            let listed = backup::list(&target).unwrap();
            assert_eq!(listed.unreadable, [], "call {call}");
            assert!(made.is_err() || listed.backups.len() == 2, "call {call}");
            assert_eq!(verify(&target).unwrap().damaged, [], "call {call}");
            assert_eq!(restored(&target, 1), first);
            if listed.backups.len() == 2 {
                assert_eq!(restored(&target, 2), second, "call {call}");
            }
            // The next try succeeds whatever the one before left.
            let written = backup::write(&snapshot, &target, NOW, None).unwrap();
            assert_eq!(restored(&target, written.backup.id), second, "call {call}");
        }
        if !faulted && call > target.calls() {
            return;
        }
    }
}

#[test]
fn an_interrupted_restore_is_not_opened_and_can_be_repeated() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 20);
    let whole = content(&store);
    back_up(&store, &target);
    for call in 0.. {
        assert!(call < 500, "a restore takes few calls");
        let disk = MemoryDisk::new();
        disk.fail(call, 1, Fault::Io);
        let failed = backup::restore(&target, 1, &disk).is_err();
        for disk in [disk.kill(), disk.crash(call)] {
            let opened = Store::open(std::sync::Arc::new(disk.clone()), options(), NOW);
            match &opened {
                Err(error) => assert!(matches!(error, Error::Unfinished), "call {call}: {error}"),
                // Before the first file, or after the last: nothing, or everything.
                Ok((store, _)) if failed => assert!(content(store).is_empty() || content(store) == whole),
                Ok((store, _)) => assert_eq!(content(store), whole),
            }
            if opened.is_err() {
                assert!(matches!(Snapshot::of_directory(&disk), Err(BackupError::Unfinished)));
                backup::restore(&target, 1, &disk).unwrap();
                assert_eq!(content(&open(&disk).0), whole);
            }
        }
        if !failed {
            return;
        }
    }
}

#[test]
fn a_directory_with_files_is_not_restored_into() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 3);
    back_up(&store, &target);
    assert!(matches!(backup::restore(&target, 1, &disk), Err(BackupError::Disk(_))), "it is in use");
    drop(store);
    assert!(matches!(backup::restore(&target, 1, &disk), Err(BackupError::NotEmpty { .. })));
}

#[test]
fn damage_is_named() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 300);
    back_up(&store, &target);
    drop(store);

    let block = files(&disk, "blocks").remove(0);
    let bits = usize::try_from(disk.open(&block).unwrap().len()).unwrap() * 8;
    for bit in (0..bits).step_by(7) {
        let disk = disk.kill();
        disk.flip(&block, bit);
        let found = verify(&disk).unwrap();
        assert_eq!(found.damaged.len(), 1, "bit {bit}");
        assert_eq!(found.damaged[0].path, block);
        assert_eq!(disk.read_whole(&block).unwrap().len() * 8, bits, "nothing is changed by looking");
    }

    for pool in files(&target, "pool") {
        let target = target.kill();
        target.flip(&pool, 100);
        let found = verify(&target).unwrap();
        assert_eq!(found.damaged.len(), 1);
        assert!(found.damaged[0].path.ends_with(" of backup 1"), "{found:?}");
        let refused = backup::restore(&target, 1, &MemoryDisk::new());
        assert!(matches!(refused, Err(BackupError::Damaged { .. })), "{refused:?}");
        target.remove(&pool).unwrap();
        assert_eq!(verify(&target).unwrap().damaged.len(), 1);
    }
}

#[test]
fn a_damaged_log_is_named_and_a_torn_one_is_not() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    for round in 0..5 {
        fill(&store, START + round * 60_000, 1);
    }
    drop(store);
    let log = files(&disk, "wal").remove(0);
    let bytes = disk.read_whole(&log).unwrap();
    let torn = MemoryDisk::new();
    torn.write_whole(&log, &bytes[..bytes.len() - 3]).unwrap();
    let found = verify(&torn).unwrap();
    assert_eq!(found.damaged, []);
    assert!(found.torn_bytes > 0);
    let damaged = disk.kill();
    damaged.flip(&log, 80 * 8);
    let found = verify(&damaged).unwrap();
    assert_eq!(found.damaged.len(), 1);
    assert_eq!(found.damaged[0].path, log);
    assert_eq!(files(&damaged, "wal"), [log], "nothing is changed by looking");
}

#[test]
fn a_damaged_block_is_copied_and_named() {
    let (disk, target) = (MemoryDisk::new(), MemoryDisk::new());
    let (store, _) = open(&disk);
    fill(&store, START, 300);
    store.flush(NOW).unwrap();
    let block = files(&disk, "blocks").remove(0);
    disk.flip(&block, 40 * 8);
    let written = back_up(&store, &target);
    assert_eq!(written.damaged.len(), 1);
    assert_eq!(written.damaged[0].0, block);
}
