//! Making a backup: what is new goes to the pool, then the manifest is written.

use std::collections::{HashMap, HashSet};

use barograph_disk::{Append, Disk, Error, ReadAt, TEMPORARY};
use barograph_model::Timestamp;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{
    Backup, BackupError, BackupFile, DIR, Listed, POOL, Snapshot, list, manifest::manifest_path, pool_path,
    snapshot::SnapshotFile,
};
use crate::block;

/// What is read and written at once.
const PIECE: usize = 1 << 20;

/// The end of a block that tells it from every other: its footer and with it the checksum of its index, which has the
/// checksums of all its parts.
const MARK_BYTES: u64 = 4096;

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it holds.
    pub backup: Backup,
    /// Files that were not in the pool before.
    pub files_copied: usize,
    /// Bytes of them.
    pub bytes_copied: u64,
    /// Blocks that are damaged, by path and what is wrong; they are in the backup as they are.
    pub damaged: Vec<(String, String)>,
    /// Older backups that were removed because more than `keep` were there.
    pub removed: usize,
}

/// Copies a snapshot into a backup directory. With `keep`, only so many backups stay, the newest.
///
/// # Errors
/// A disk failed, or another backup is being made into the directory. The backup does not exist then; what was copied
/// is used by the next try.
pub fn write(
    snapshot: &Snapshot,
    target: &dyn Disk,
    now: Timestamp,
    keep: Option<usize>,
) -> Result<Written, BackupError> {
    let _held = target.lock()?;
    for dir in [DIR, POOL] {
        target.create_dir(dir)?;
        for entry in target.list(dir)?.iter().filter(|entry| entry.name.ends_with(TEMPORARY)) {
            target.remove(&format!("{dir}/{}", entry.name))?;
        }
    }
    let listed = list(target)?;
    let mut pool = Pool::new(target, &listed)?;
    let mut files = Vec::with_capacity(snapshot.files.len());
    for file in &snapshot.files {
        files.push(pool.put(file)?);
    }
    target.sync_dir(POOL)?;
    let backup = Backup { id: listed.last_id + 1, made_at: now, files };
    backup.save(target)?;
    let Pool { files_copied, bytes_copied, damaged, .. } = pool;
    let removed = keep.map_or(Ok(0), |keep| remove_old(target, keep.max(1)))?;
    Ok(Written { backup, files_copied, bytes_copied, damaged, removed })
}

struct Pool<'d> {
    disk: &'d dyn Disk,
    /// Sizes of the files that are there.
    sizes: HashMap<u128, u64>,
    /// Files that are there, by path, size and mark.
    known: HashMap<(String, u64, u128), u128>,
    files_copied: usize,
    bytes_copied: u64,
    damaged: Vec<(String, String)>,
}

impl<'d> Pool<'d> {
    fn new(disk: &'d dyn Disk, listed: &Listed) -> Result<Self, Error> {
        let sizes = disk.list(POOL)?.into_iter();
        let sizes = sizes.filter_map(|e| Some((u128::from_str_radix(&e.name, 16).ok()?, e.len))).collect();
        let files = listed.backups.iter().flat_map(|backup| &backup.files);
        let known = files.map(|file| ((file.path.clone(), file.len, file.mark), file.hash)).collect();
        Ok(Self { disk, sizes, known, files_copied: 0, bytes_copied: 0, damaged: Vec::new() })
    }

    /// Sees to it that a file is in the pool.
    fn put(&mut self, source: &SnapshotFile) -> Result<BackupFile, Error> {
        let SnapshotFile { path, file, settled } = source;
        let len = file.len();
        let mark = mark_of(&**file)?;
        let known = self.known.get(&(path.clone(), len, mark)).copied().filter(|_| *settled);
        let hash = match known.filter(|hash| self.sizes.get(hash) == Some(&len)) {
            Some(hash) => hash,
            None => self.copy(path, &**file)?,
        };
        Ok(BackupFile { path: path.clone(), len, hash, mark })
    }

    /// Copies a file unless its content is there already; its hash.
    fn copy(&mut self, path: &str, source: &dyn ReadAt) -> Result<u128, Error> {
        let temporary = format!("{POOL}/incoming{TEMPORARY}");
        let mut copy = self.disk.create(&temporary)?;
        let hash = copy_bytes(source, &mut *copy)?;
        if self.sizes.get(&hash) == Some(&source.len()) {
            drop(copy);
            self.disk.remove(&temporary)?;
            return Ok(hash);
        }
        copy.sync()?;
        drop(copy);
        self.disk.rename(&temporary, &pool_path(hash))?;
        self.sizes.insert(hash, source.len());
        self.files_copied += 1;
        self.bytes_copied += source.len();
        if let Some(seq) = seq_of(path)
            && let Err(error) = block::check(self.disk, &pool_path(hash), seq)
        {
            match error.is_corrupt() {
                true => self.damaged.push((path.to_owned(), error.to_string())),
                false => return Err(error),
            }
        }
        Ok(hash)
    }
}

/// The number of the block at a path of a data directory.
pub(crate) fn seq_of(path: &str) -> Option<u64> {
    block::seq_of_name(path.strip_prefix(block::DIR)?.strip_prefix('/')?)
}

fn mark_of(file: &dyn ReadAt) -> Result<u128, Error> {
    let len = file.len().min(MARK_BYTES);
    let mut end = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_at(file.len() - len, &mut end)?;
    Ok(xxh3_128(&end))
}

/// Copies a file from its beginning; the hash of its content.
pub(super) fn copy_bytes(source: &dyn ReadAt, copy: &mut dyn Append) -> Result<u128, Error> {
    let mut hash = Xxh3::new();
    each_piece(source, |piece| {
        hash.update(piece);
        copy.append(piece)
    })?;
    Ok(hash.digest128())
}

/// The hash of a file's content.
pub(crate) fn hash_of(source: &dyn ReadAt) -> Result<u128, Error> {
    let mut hash = Xxh3::new();
    each_piece(source, |piece| {
        hash.update(piece);
        Ok(())
    })?;
    Ok(hash.digest128())
}

fn each_piece(source: &dyn ReadAt, mut see: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut at = 0;
    let mut piece = Vec::new();
    while at < source.len() {
        let len = usize::try_from(source.len() - at).unwrap_or(PIECE).min(PIECE);
        piece.resize(len, 0);
        source.read_at(at, &mut piece)?;
        see(&piece)?;
        at += len as u64;
    }
    Ok(())
}

/// Removes all backups but the newest `keep`, then what no backup needs any more; how many went.
fn remove_old(disk: &dyn Disk, keep: usize) -> Result<usize, Error> {
    let listed = list(disk)?;
    let old = listed.backups.len().saturating_sub(keep);
    for backup in &listed.backups[..old] {
        disk.remove(&manifest_path(backup.id))?;
    }
    disk.sync_dir(DIR)?;
    // Nobody knows what a manifest that cannot be read needs.
    if listed.unreadable.is_empty() {
        let kept = listed.backups[old..].iter().flat_map(|backup| &backup.files);
        let needed: HashSet<_> = kept.map(|file| pool_path(file.hash)).collect();
        for entry in disk.list(POOL)? {
            let path = format!("{POOL}/{}", entry.name);
            if !needed.contains(&path) {
                disk.remove(&path)?;
            }
        }
    }
    Ok(old)
}
