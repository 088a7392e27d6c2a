//! One file in memory: what is seen of it, what of that is durable, and what a power loss makes of the rest.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use crate::Chance;

/// The unit that survives a power loss or not.
const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) visible: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that the next sync makes durable.
    dirty: BTreeSet<usize>,
    /// Sectors whose sync failed: visible, and durable by chance only.
    doomed: BTreeSet<usize>,
}

/// A file of these bytes, all of them durable.
pub(super) fn fresh(bytes: Vec<u8>) -> Arc<Mutex<Inode>> {
    Arc::new(Mutex::new(Inode { durable: bytes.clone(), visible: bytes, ..Inode::default() }))
}

impl Inode {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let start = self.visible.len();
        self.visible.extend_from_slice(bytes);
        if !bytes.is_empty() {
            self.dirty.extend(start / SECTOR..=(self.visible.len() - 1) / SECTOR);
        }
    }

    /// Writes within the file, or at its end.
    pub(super) fn write(&mut self, start: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            put(&mut self.visible, start, bytes);
            self.dirty.extend(start / SECTOR..=(start + bytes.len() - 1) / SECTOR);
        }
    }

    /// Cuts the file, or makes it longer by zeros; durable with the next sync.
    pub(super) fn set_len(&mut self, len: usize) {
        let before = self.visible.len();
        self.visible.resize(len, 0);
        if len > before {
            self.dirty.extend(before / SECTOR..=(len - 1) / SECTOR);
        }
    }

    pub(super) fn sync(&mut self) {
        for sector in std::mem::take(&mut self.dirty) {
            // A sector whose earlier sync failed is clean in the kernel's eyes until it is written again; it was.
            self.doomed.remove(&sector);
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.visible.len());
            if start < end {
                put(&mut self.durable, start, &self.visible[start..end]);
            }
        }
        // Only what is edited in place is ever cut without this being durable at once.
        self.durable.truncate(self.visible.len());
    }

    /// A sync that failed.
    pub(super) fn fail_sync(&mut self) {
        let dirty = std::mem::take(&mut self.dirty);
        self.doomed.extend(dirty);
    }

    /// Cuts the file, durably.
    pub(super) fn truncate(&mut self, len: usize) {
        self.visible.truncate(len);
        self.sync();
        self.durable.truncate(len);
    }

    /// Flips a bit, durably.
    pub(super) fn flip(&mut self, bit: usize) {
        for bytes in [&mut self.visible, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// The file as the next process finds it when this one was killed: the cache stays and so does what is dirty in it.
    /// A later sync writes what an earlier one failed to write, as if the device had come back.
    pub(super) fn after_kill(&self) -> Self {
        let dirty = self.dirty.union(&self.doomed).copied().collect();
        Self { dirty, doomed: BTreeSet::new(), ..self.clone() }
    }

    /// What the file holds after a power loss.
    pub(super) fn after_crash(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for &sector in self.dirty.union(&self.doomed) {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.visible.len());
            if start >= end {
                continue;
            }
            // What was durable in a sector stays: a disk tears at what is being written, not at what rests.
            let kept = self.durable.len().clamp(start, end);
            let changed = (start..kept).find(|&byte| self.durable[byte] != self.visible[byte]);
            if let Some(first) = changed {
                // Written anew in place: old, new, or new bytes up to somewhere.
                match chance.below(3) {
                    0 => {}
                    1 => put(&mut bytes, first, &self.visible[first..end]),
                    _ => put(&mut bytes, first, &self.visible[first..first + chance.index(end - first + 1)]),
                }
                continue;
            }
            let rest = kept;
            match chance.below(4) {
                0 => {}
                1 => put(&mut bytes, rest, &self.visible[rest..end]),
                2 => put(&mut bytes, rest, &self.visible[rest..rest + chance.index(end - rest + 1)]),
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
