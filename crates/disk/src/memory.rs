//! A disk in memory that behaves like the worst real one.
//!
//! It models a page cache: what is appended is visible at once, durable only after a sync. [`MemoryDisk::crash`] is a
//! power loss: each 512-byte sector not synced is independently kept, lost, torn or zeroed, and each change of a
//! folder not synced is independently kept or lost (later ones may survive earlier ones). [`MemoryDisk::kill`] is a
//! process that was killed: the page cache survives. [`MemoryDisk::fail`] makes the n-th call from now fail. After a
//! failed sync the sectors it should have written never become durable by a later one, as on Linux.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{Append, Disk, Entry, Error, Held, ReadAt, disk::parent};

/// The unit that survives a crash or not.
const SECTOR: usize = 512;

/// A way for a call to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device cannot read or write.
    Io,
    /// No space is left; reading goes on.
    Full,
    /// A write stops half-way, with no space left.
    ShortWrite,
}

/// A disk in memory; clones share it.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Inode>>>,
    durable: BTreeMap<String, Arc<Mutex<Inode>>>,
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

#[derive(Default)]
struct Inode {
    visible: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that the next sync makes durable.
    dirty: BTreeSet<usize>,
    /// Sectors whose sync failed: visible, and durable by chance only.
    doomed: BTreeSet<usize>,
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
        let start = state.calls + skip;
        state.faults.push((start..start.saturating_add(count), fault));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Flips one bit of a file, durably.
    pub fn flip(&self, path: &str, bit: usize) {
        let state = self.state();
        let mut inode = lock(&state.files[path]);
        let inode = &mut *inode;
        for bytes in [&mut inode.visible, &mut inode.durable] {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// The disk as the next process finds it after this one was killed.
    pub fn kill(&self) -> Self {
        let state = self.state();
        let files: BTreeMap<_, _> = state
            .files
            .iter()
            .map(|(name, inode)| (name.clone(), fresh(lock(inode).visible.clone())))
            .collect();
        Self(Arc::new(Mutex::new(State { durable: files.clone(), files, ..State::default() })))
    }

    /// The disk as it is after a power loss, by a seed: the same seed gives the same loss.
    pub fn crash(&self, seed: u64) -> Self {
        let state = self.state();
        let mut chance = Chance(seed);
        let mut names = state.durable.clone();
        for change in &state.changes {
            if chance.of(2) == 0 {
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
        let files: BTreeMap<_, _> = names
            .iter()
            .map(|(name, inode)| (name.clone(), fresh(lock(inode).after_crash(&mut chance))))
            .collect();
        Self(Arc::new(Mutex::new(State { durable: files.clone(), files, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Counts a call and fails it if that is due.
    fn call(
        &self,
        action: &'static str,
        path: &str,
        needs_space: bool,
    ) -> Result<MutexGuard<'_, State>, Error> {
        let mut state = self.state();
        match state.count(needs_space) {
            Some(fault) => Err(error(fault, action, path)),
            None => Ok(state),
        }
    }
}

impl State {
    fn count(&mut self, needs_space: bool) -> Option<Fault> {
        let call = self.calls;
        self.calls += 1;
        let fault = self.faults.iter().find(|(range, _)| range.contains(&call)).map(|(_, fault)| *fault)?;
        (fault == Fault::Io || needs_space).then_some(fault)
    }

    fn find(&self, action: &'static str, path: &str) -> Result<&Arc<Mutex<Inode>>, Error> {
        self.files.get(path).ok_or_else(|| Error::io(action, path, io::ErrorKind::NotFound.into()))
    }
}

fn error(fault: Fault, action: &'static str, path: &str) -> Error {
    match fault {
        Fault::Io => Error::io(action, path, io::Error::other("injected I/O error")),
        Fault::Full | Fault::ShortWrite => Error::io(action, path, io::ErrorKind::StorageFull.into()),
    }
}

/// A test that panicked while it held the disk has failed already; the disk itself is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn fresh(bytes: Vec<u8>) -> Arc<Mutex<Inode>> {
    Arc::new(Mutex::new(Inode { durable: bytes.clone(), visible: bytes, ..Inode::default() }))
}

impl Inode {
    fn append(&mut self, bytes: &[u8]) {
        let start = self.visible.len();
        self.visible.extend_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(start / SECTOR..=(self.visible.len() - 1) / SECTOR);
        }
    }

    fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            // A sector whose earlier sync failed is clean in the kernel's eyes until it is written again; it was.
            self.doomed.remove(&sector);
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.visible.len());
            if start < end {
                put(&mut self.durable, start, &self.visible[start..end]);
            }
        }
    }

    fn after_crash(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for &sector in self.dirty.union(&self.doomed) {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.visible.len());
            if start >= end {
                continue;
            }
            // What was durable in a sector stays: a disk tears at what is being written, not at what rests.
            let rest = self.durable.len().clamp(start, end);
            match chance.of(4) {
                0 => {}
                1 => put(&mut bytes, rest, &self.visible[rest..end]),
                2 => put(&mut bytes, rest, &self.visible[rest..rest + chance.of(end - rest + 1)]),
                _ => put(&mut bytes, rest, &vec![0; end - rest]),
            }
        }
        bytes
    }
}

/// Puts `part` at `start`, with zeros before it where the file was shorter.
fn put(bytes: &mut Vec<u8>, start: usize, part: &[u8]) {
    if bytes.len() < start + part.len() {
        bytes.resize(start + part.len(), 0);
    }
    bytes[start..start + part.len()].copy_from_slice(part);
}

/// Numbers by a seed: SplitMix64 (Steele, Lea and Flood 2014).
struct Chance(u64);

impl Chance {
    fn of(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).expect("below a usize")
    }
}

impl Disk for MemoryDisk {
    fn lock(&self) -> Result<Box<dyn Held>, Error> {
        let mut state = self.call("lock", "lock", true)?;
        if std::mem::replace(&mut state.locked, true) {
            return Err(Error::Locked { path: "memory".to_owned(), holder: None });
        }
        Ok(Box::new(Lock(self.clone())))
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error> {
        let state = self.call("list", dir, false)?;
        let within = state.files.iter().filter(|(path, _)| parent(path) == dir);
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        Ok(within
            .map(|(path, inode)| Entry { name: name(path), len: lock(inode).visible.len() as u64 })
            .collect())
    }

    fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>, Error> {
        let state = self.call("open", path, false)?;
        let inode = state.find("open", path)?.clone();
        let len = lock(&inode).visible.len() as u64;
        Ok(Arc::new(File { disk: self.clone(), inode, path: path.to_owned(), len }))
    }

    fn create(&self, path: &str) -> Result<Box<dyn Append>, Error> {
        let mut state = self.call("create", path, true)?;
        let inode = fresh(Vec::new());
        state.files.insert(path.to_owned(), inode.clone());
        state.changes.push(Change::Link(path.to_owned(), inode.clone()));
        Ok(Box::new(File { disk: self.clone(), inode, path: path.to_owned(), len: 0 }))
    }

    fn truncate(&self, path: &str, len: u64) -> Result<(), Error> {
        let state = self.call("truncate", path, false)?;
        let mut inode = lock(state.find("truncate", path)?);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        inode.visible.truncate(len);
        inode.sync();
        inode.durable.truncate(len);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let mut state = self.call("rename", from, true)?;
        let inode = state.find("rename", from)?.clone();
        state.files.remove(from);
        state.files.insert(to.to_owned(), inode.clone());
        state.changes.push(Change::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        let mut state = self.call("remove", path, false)?;
        state.find("remove", path)?;
        state.files.remove(path);
        state.changes.push(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn create_dir(&self, dir: &str) -> Result<(), Error> {
        self.call("create", dir, true).map(drop)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), Error> {
        let mut state = self.call("sync", dir, true)?;
        let changes = std::mem::take(&mut state.changes);
        for change in changes {
            match &change {
                Change::Link(path, inode) if parent(path) == dir => {
                    state.durable.insert(path.clone(), inode.clone());
                }
                Change::Rename(from, to, inode) if parent(to) == dir => {
                    state.durable.remove(from);
                    state.durable.insert(to.clone(), inode.clone());
                }
                Change::Remove(path) if parent(path) == dir => drop(state.durable.remove(path)),
                _ => state.changes.push(change),
            }
        }
        Ok(())
    }
}

struct File {
    disk: MemoryDisk,
    inode: Arc<Mutex<Inode>>,
    path: String,
    len: u64,
}

impl ReadAt for File {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        drop(self.disk.call("read", &self.path, false)?);
        let inode = lock(&self.inode);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = inode.visible.get(start..start.saturating_add(buffer.len()));
        let missing = || Error::io("read", &self.path, io::ErrorKind::UnexpectedEof.into());
        buffer.copy_from_slice(part.ok_or_else(missing)?);
        Ok(())
    }
}

impl Append for File {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let fault = self.disk.state().count(true);
        let mut inode = lock(&self.inode);
        match fault {
            None => inode.append(bytes),
            Some(Fault::ShortWrite) => inode.append(&bytes[..bytes.len() / 2]),
            Some(_) => {}
        }
        fault.map_or(Ok(()), |fault| Err(error(fault, "write", &self.path)))
    }

    fn sync(&mut self) -> Result<(), Error> {
        let fault = self.disk.state().count(true);
        let mut inode = lock(&self.inode);
        let Some(fault) = fault else {
            inode.sync();
            return Ok(());
        };
        let dirty = std::mem::take(&mut inode.dirty);
        inode.doomed.extend(dirty);
        Err(error(fault, "sync", &self.path))
    }
}

struct Lock(MemoryDisk);

impl Held for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn one_holder_at_a_time() {
        let disk = MemoryDisk::new();
        let held = disk.lock().unwrap();
        assert!(matches!(disk.lock(), Err(Error::Locked { .. })));
        drop(held);
        assert!(disk.lock().is_ok());
    }
}
