//! Looking for damage without changing anything: in a data directory that no server uses, and in a backup directory.
//!
//! A data directory is judged as its next start would judge it, and besides every page of every block is read. What a
//! crash leaves (a torn end of the log, half-written files) is no damage.

use std::{collections::BTreeMap, sync::Arc};

use barograph_disk::{Append, Disk, Edit, Entry, Error, Held, ReadAt};

use crate::{
    Recovery,
    backup::{self, hash_of, list, pool_path, seq_of},
    block,
    catalog::{self, Catalog},
    policy::{self, Policies},
    recovery::CORRUPT,
    wal,
};

/// What was looked at and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that were read.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Blocks among them; in a backup directory each that the pool holds.
    pub blocks: usize,
    /// Backups; zero for a data directory.
    pub backups: usize,
    /// What is not what was written, by path.
    pub damaged: Vec<Damage>,
    /// Files that were set aside earlier.
    pub set_aside: Vec<String>,
    /// Bytes at the end of the log that a crash interrupted; never acknowledged, and no damage.
    pub torn_bytes: u64,
}

/// A file that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its path in the directory.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Verified {
    /// Notes what became of a check; passes on failures of the disk.
    fn note(&mut self, path: &str, checked: Result<(), Error>) -> Result<(), Error> {
        match checked {
            Err(error) if error.is_corrupt() || error.is_not_found() => {
                self.damaged.push(Damage { path: path.to_owned(), reason: error.to_string() });
                Ok(())
            }
            other => other,
        }
    }
}

/// Looks through a backup directory, or through a data directory that no server uses.
///
/// # Errors
/// [`Error::Locked`] when a server uses it; the disk failed.
pub fn verify(disk: &dyn Disk) -> Result<Verified, Error> {
    match disk.list(backup::DIR)?.is_empty() {
        true => verify_directory(disk),
        false => verify_backups(disk),
    }
}

/// Every block with all its pages, what was deleted of it, the log, the catalog.
fn verify_directory(disk: &dyn Disk) -> Result<Verified, Error> {
    let _held = match disk.lock() {
        Err(error @ Error::Locked { .. }) => return Err(error),
        // A directory that cannot be written can still be read.
        held => held.ok(),
    };
    let mut verified = Verified::default();
    for dir in ["", block::DIR, wal::DIR] {
        for Entry { name, len } in disk.list(dir)? {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            if path.ends_with(CORRUPT) {
                verified.set_aside.push(path);
                continue;
            }
            verified.files += 1;
            verified.bytes += len;
            if let Some(seq) = seq_of(&path) {
                verified.blocks += 1;
                verified.note(&path, block::check(disk, &path, seq))?;
            }
            if let Some(seq) = path.rsplit('/').next().and_then(block::seq_of_deletes) {
                verified.note(&path, block::Deletes::read(disk, seq).map(drop))?;
            }
        }
    }
    verified.note(catalog::PATH, Catalog::read(disk).map(drop))?;
    verified.note(policy::PATH, Policies::read(disk).map(drop))?;
    let covered = covered_by_blocks(disk)?;
    let mut report = Recovery::default();
    let recovered = wal::recover(&Untouched(disk), covered, covered, &mut report, |_, _, _| None).map(drop);
    verified.note(wal::DIR, recovered)?;
    verified.torn_bytes = report.torn_bytes;
    let log = report.set_aside.into_iter();
    verified.damaged.extend(log.map(|file| Damage { path: file.path, reason: file.reason }));
    Ok(verified)
}

/// The segment of the log up to which the blocks hold everything.
fn covered_by_blocks(disk: &dyn Disk) -> Result<u32, Error> {
    let names = disk.list(block::DIR)?;
    let seqs = names.iter().filter_map(|entry| block::seq_of_name(&entry.name));
    let opened = seqs.filter_map(|seq| block::Block::open(disk, seq).ok());
    Ok(opened.map(|block| block.meta.wal_covered).max().unwrap_or(0))
}

/// Every manifest, every file of the pool against its checksum, every block with all its pages.
fn verify_backups(disk: &dyn Disk) -> Result<Verified, Error> {
    let listed = list(disk)?;
    let mut verified = Verified { backups: listed.backups.len(), ..Verified::default() };
    for (path, reason) in listed.unreadable {
        verified.damaged.push(Damage { path, reason });
    }
    // Each file once, with the first backup that has it.
    let mut files = BTreeMap::new();
    for backup in &listed.backups {
        for file in &backup.files {
            files.entry(file.hash).or_insert((backup.id, file));
        }
    }
    for (hash, (id, file)) in files {
        let pool = pool_path(hash);
        verified.files += 1;
        verified.bytes += file.len;
        let intact = disk.open(&pool).and_then(|content| {
            let same = content.len() == file.len && hash_of(&*content)? == hash;
            same.then_some(()).ok_or_else(|| Error::corrupt("content", &pool, 0))
        });
        let checked = match seq_of(&file.path) {
            Some(seq) => {
                verified.blocks += 1;
                intact.and_then(|()| block::check(disk, &pool, seq))
            }
            None => intact,
        };
        verified.note(&format!("{} of backup {id}", file.path), checked)?;
    }
    Ok(verified)
}

/// A disk that takes every change and makes none, so that the log can be judged by the code that repairs it.
struct Untouched<'d>(&'d dyn Disk);

impl Disk for Untouched<'_> {
    fn lock(&self) -> Result<Box<dyn Held>, Error> {
        self.0.lock()
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error> {
        self.0.list(dir)
    }

    fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>, Error> {
        self.0.open(path)
    }

    fn create(&self, _: &str) -> Result<Box<dyn Append>, Error> {
        Ok(Box::new(Nowhere))
    }

    fn edit(&self, path: &str) -> Result<Box<dyn Edit>, Error> {
        // The store edits nothing in place.
        Err(Error::io("edit", path, std::io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    fn truncate(&self, _: &str, _: u64) -> Result<(), Error> {
        Ok(())
    }

    fn sync_file(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn remove(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn create_dir(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    fn sync_dir(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

struct Nowhere;

impl Append for Nowhere {
    fn append(&mut self, _: &[u8]) -> Result<(), Error> {
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
