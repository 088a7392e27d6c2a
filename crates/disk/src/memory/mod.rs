//! A disk in memory that behaves like the worst real one.
//!
//! It models a page cache: what is appended is visible at once, durable only after a sync. [`MemoryDisk::crash`] is a
//! power loss: each 512-byte sector not synced is independently kept, lost, torn or zeroed, and each change of a
//! folder not synced is independently kept or lost (later ones may survive earlier ones). [`MemoryDisk::kill`] is a
//! process that was killed: the page cache survives, and is as little durable as before. [`MemoryDisk::fail`] makes
//! the n-th call from now fail, or a read give a wrong bit. After a failed sync the sectors it should have written
//! never become durable by a later one, as on Linux.

mod calls;
mod inode;

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
};

use inode::{Inode, fresh};

use crate::Chance;

/// A way for a call to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device cannot read or write.
    Io,
    /// No space is left; reading goes on.
    Full,
    /// A write stops half-way, with no space left.
    ShortWrite,
    /// A read succeeds, with one bit wrong. Other calls are spared.
    FlippedRead,
}

/// A disk in memory; clones share it.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

type Names = BTreeMap<String, Arc<Mutex<Inode>>>;

#[derive(Default)]
struct State {
    files: Names,
    durable: Names,
    /// Changes of names since their folder was synced, in order.
    changes: Vec<Change>,
    locked: bool,
    calls: u64,
    faults: Vec<(Range<u64>, Fault)>,
}

#[derive(Clone)]
enum Change {
    Link(String, Arc<Mutex<Inode>>),
    Rename(String, String, Arc<Mutex<Inode>>),
    Remove(String),
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many calls that can fail were made so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes `count` calls fail, after `skip` more that do not. [`Fault::Full`] spares calls that need no space.
    pub fn fail(&self, skip: u64, count: u64, fault: Fault) {
        let mut state = self.state();
        let start = state.calls.saturating_add(skip);
        state.faults.push((start..start.saturating_add(count), fault));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<String> {
        self.state().files.keys().cloned().collect()
    }

    /// Flips one bit of a file, durably.
    pub fn flip(&self, path: &str, bit: usize) {
        lock(&self.state().files[path]).flip(bit);
    }

    /// The disk as the next process finds it after this one was killed.
    pub fn kill(&self) -> Self {
        let state = self.state();
        let mut copies: HashMap<*const Mutex<Inode>, Arc<Mutex<Inode>>> = HashMap::new();
        let mut copy = |inode: &Arc<Mutex<Inode>>| {
            let same = || Arc::new(Mutex::new(lock(inode).after_kill()));
            copies.entry(Arc::as_ptr(inode)).or_insert_with(same).clone()
        };
        let mut names = |names: &Names| -> Names {
            names.iter().map(|(name, inode)| (name.clone(), copy(inode))).collect()
        };
        let (files, durable) = (names(&state.files), names(&state.durable));
        let changes = state.changes.iter().map(|change| match change {
            Change::Link(path, inode) => Change::Link(path.clone(), copy(inode)),
            Change::Rename(from, to, inode) => Change::Rename(from.clone(), to.clone(), copy(inode)),
            Change::Remove(path) => Change::Remove(path.clone()),
        });
        let changes = changes.collect();
        Self(Arc::new(Mutex::new(State { files, durable, changes, ..State::default() })))
    }

    /// The disk as it is after a power loss, by a seed: the same seed gives the same loss.
    pub fn crash(&self, seed: u64) -> Self {
        let state = self.state();
        let mut chance = Chance::new(seed);
        let mut names = state.durable.clone();
        for change in &state.changes {
            if chance.once_in(2) {
                continue;
            }
            match change {
                Change::Link(path, inode) => drop(names.insert(path.clone(), inode.clone())),
                Change::Rename(from, to, inode) => {
                    names.remove(from);
                    names.insert(to.clone(), inode.clone());
                }
                Change::Remove(path) => drop(names.remove(path)),
            }
        }
        let files: Names = names
            .iter()
            .map(|(name, inode)| (name.clone(), fresh(lock(inode).after_crash(&mut chance))))
            .collect();
        Self(Arc::new(Mutex::new(State { durable: files.clone(), files, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

/// A test that panicked while it held the disk has failed already; the disk itself is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Disk, Error};

    #[test]
    fn synced_bytes_survive_every_crash_and_others_may_not() {
        let disk = MemoryDisk::new();
        let mut file = disk.create("log").unwrap();
        file.append(&[1; 700]).unwrap();
        file.sync().unwrap();
        disk.sync_dir("").unwrap();
        file.append(&[2; 3000]).unwrap();
        let mut lost = 0;
        for seed in 0..50 {
            let bytes = disk.crash(seed).read_whole("log").unwrap();
            assert_eq!(bytes[..700], [1; 700]);
            lost += usize::from(bytes[700..] != [2; 3000]);
        }
        assert!(lost > 40);
        assert_eq!(disk.kill().read_whole("log").unwrap().len(), 3700);
    }

    #[test]
    fn what_is_edited_is_old_or_new_until_it_is_synced() {
        let disk = MemoryDisk::new();
        let file = disk.edit("pages").unwrap();
        disk.sync_dir("").unwrap();
        file.set_len(2048).unwrap();
        file.write_at(0, &[1; 2048]).unwrap();
        file.sync().unwrap();
        file.write_at(512, &[2; 512]).unwrap();
        file.set_len(1536).unwrap();
        let mut seen = BTreeSet::new();
        for seed in 0..50 {
            let bytes = disk.crash(seed).read_whole("pages").unwrap();
            assert_eq!((bytes.len(), &bytes[..512], &bytes[1024..]), (2048, &[1; 512][..], &[1; 1024][..]));
            seen.insert((bytes[512], bytes[1023]));
        }
        assert!(seen.is_superset(&BTreeSet::from([(1, 1), (2, 2), (2, 1)])), "{seen:?}");
        file.sync().unwrap();
        let bytes = disk.crash(0).read_whole("pages").unwrap();
        assert_eq!((bytes.len(), bytes[600]), (1536, 2));
    }

    #[test]
    fn names_are_durable_after_a_sync_of_their_folder() {
        let disk = MemoryDisk::new();
        disk.write_whole("a", b"old").unwrap();
        let mut file = disk.create("b").unwrap();
        file.append(b"new").unwrap();
        file.sync().unwrap();
        disk.rename("b", "a").unwrap();
        let seen: BTreeSet<_> = (0..50).map(|seed| disk.crash(seed).read_whole("a").unwrap()).collect();
        assert_eq!(seen, BTreeSet::from([b"old".to_vec(), b"new".to_vec()]));
        disk.sync_dir("").unwrap();
        assert!((0..50).all(|seed| disk.crash(seed).read_whole("a").unwrap() == b"new"));
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_a_second() {
        let disk = MemoryDisk::new();
        let mut file = disk.create("log").unwrap();
        disk.sync_dir("").unwrap();
        file.append(&[1; 512]).unwrap();
        disk.fail(0, 1, Fault::Io);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert!((0..50).any(|seed| disk.crash(seed).read_whole("log").unwrap() != [1; 512]));
    }

    #[test]
    fn a_full_disk_still_reads_and_removes() {
        let disk = MemoryDisk::new();
        disk.write_whole("a", b"x").unwrap();
        disk.fail(0, u64::MAX, Fault::Full);
        assert!(disk.write_whole("b", b"y").unwrap_err().is_full());
        assert_eq!(disk.read_whole("a").unwrap(), b"x");
        disk.remove("a").unwrap();
        disk.heal();
        disk.write_whole("b", b"y").unwrap();
    }

    #[test]
    fn what_a_killed_process_did_not_sync_is_durable_after_a_later_sync() {
        let disk = MemoryDisk::new();
        let mut file = disk.create("log.new").unwrap();
        file.append(&[1; 900]).unwrap();
        disk.rename("log.new", "log").unwrap();
        let killed = disk.kill();
        assert_eq!(killed.read_whole("log").unwrap(), [1; 900]);
        assert!((0..50).any(|seed| killed.crash(seed).paths().is_empty()));
        killed.sync_file("log").unwrap();
        killed.sync_dir("").unwrap();
        assert!((0..50).all(|seed| killed.crash(seed).read_whole("log").unwrap() == [1; 900]));
    }

    #[test]
    fn a_flipped_read_is_wrong_once() {
        let disk = MemoryDisk::new();
        disk.write_whole("a", &[0; 100]).unwrap();
        let file = disk.open("a").unwrap();
        disk.fail(0, 1, Fault::FlippedRead);
        let mut bytes = [0; 100];
        file.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        file.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 100]);
    }

    #[test]
    fn one_holder_at_a_time() {
        let disk = MemoryDisk::new();
        let held = disk.lock().unwrap();
        assert!(matches!(disk.lock(), Err(Error::Locked { .. })));
        drop(held);
        assert!(disk.lock().is_ok());
    }
}
