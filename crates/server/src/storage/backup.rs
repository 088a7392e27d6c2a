//! Backups: of the running store into the directory set for them, and offline between directories.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use barograph_disk::{Disk, ReadAt, RealDisk};
use barograph_model::Timestamp;
use barograph_state::State;
use barograph_tsdb::{
    Damage, Verified,
    backup::{self, Backup, BackupError, Listed, Restored, Snapshot, Written},
};
use serde_json::{Value, json};

use crate::Engine;

/// Why a backup, a restore or a look at either did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Nobody said where backups may go.
    #[error("no directory is set for backups; start the server with --backup-dir")]
    Unset,
    /// A name that would lead out of the directory set for backups.
    #[error("target {0:?} is not a name of letters, digits, `-`, `_` and `.`, or a path of such names")]
    Target(String),
    /// There is no such directory.
    #[error("there is no directory {0}")]
    Missing(PathBuf),
    /// Another backup is being made there.
    #[error("another backup is being made into this directory")]
    Busy,
    /// The directory holds no data.
    #[error("there is no data in {0}")]
    Empty(PathBuf),
    /// The state database.
    #[error(transparent)]
    State(#[from] barograph_state::Error),
    /// The disk, or what is on it.
    #[error(transparent)]
    Backup(#[from] BackupError),
}

impl From<barograph_disk::Error> for Refused {
    fn from(error: barograph_disk::Error) -> Self {
        Self::Backup(error.into())
    }
}

impl Refused {
    /// Whether there is no space left where the backup should go.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Backup(BackupError::Disk(error)) if error.is_full())
    }
}

/// The directory below which a server makes backups.
#[derive(Clone, Debug)]
pub struct Backups {
    root: Option<PathBuf>,
}

impl Backups {
    /// Backups below `root`; none without it.
    pub fn new(root: Option<PathBuf>) -> Self {
        Self { root }
    }

    /// Where a target lies; the empty one is the directory itself.
    ///
    /// # Errors
    /// No directory is set, or the target would lead out of it.
    pub fn place(&self, target: &str) -> Result<PathBuf, Refused> {
        let root = self.root.as_ref().ok_or(Refused::Unset)?;
        let plain = |part: Component<'_>| match part {
            Component::Normal(name) => name.to_str().is_some_and(is_plain),
            _ => false,
        };
        match Path::new(target).components().all(plain) {
            true => Ok(root.join(target)),
            false => Err(Refused::Target(target.to_owned())),
        }
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.starts_with('.') && name.bytes().all(plain)
}

/// Backs up the running store into a directory, which is created if it is not there. With `keep`, only so many backups
/// stay in it. May take long: a thread that may block is wanted.
///
/// # Errors
/// See [`Refused`]; then there is no new backup.
pub fn of_running(engine: &Engine, place: &Path, keep: Option<usize>) -> Result<Written, Refused> {
    let began = engine.clock.monotonic();
    let now = engine.clock.now();
    let target = RealDisk::open(place)?;
    // Whoever comes second need not cut the head first.
    drop(target.lock().map_err(busy)?);
    let written = snapshot(engine, now)
        .and_then(|snapshot| backup::write(&snapshot, &target, now, keep).map_err(Refused::from));
    engine.telemetry.storage.backed_up(written.as_ref().ok(), now, engine.clock.monotonic() - began);
    written
}

/// The store and the state database as they are now.
fn snapshot(engine: &Engine, now: Timestamp) -> Result<Snapshot, Refused> {
    let mut snapshot = engine.store.snapshot(now)?;
    put_spans(&mut snapshot, engine.spans.files()?);
    // Its file is written in place, so that reading it as it is would read several moments.
    snapshot.put(State::PATH, engine.state.copy()?);
    Ok(snapshot)
}

/// Spans as far as they are on the disk: whoever was told that theirs are kept finds them.
fn put_spans(snapshot: &mut Snapshot, files: Vec<(String, Arc<dyn ReadAt>)>) {
    files.into_iter().for_each(|(path, file)| snapshot.put_settled(&path, file));
}

fn busy(error: barograph_disk::Error) -> Refused {
    match error {
        barograph_disk::Error::Locked { .. } => Refused::Busy,
        other => other.into(),
    }
}

/// Backs up a data directory that no server uses.
///
/// # Errors
/// See [`Refused`]; then there is no new backup.
pub fn of_directory(
    data_dir: &Path,
    place: &Path,
    now: Timestamp,
    keep: Option<usize>,
) -> Result<Written, Refused> {
    let source = existing(data_dir)?;
    let mut snapshot = Snapshot::of_directory(&source)?;
    put_spans(&mut snapshot, barograph_trace::files(&source)?);
    if snapshot.is_empty() {
        return Err(Refused::Empty(data_dir.to_owned()));
    }
    let target = RealDisk::open(place)?;
    drop(target.lock().map_err(busy)?);
    Ok(backup::write(&snapshot, &target, now, keep)?)
}

/// The backups in a directory.
///
/// # Errors
/// There is no such directory, or it cannot be read.
pub fn list(place: &Path) -> Result<Listed, Refused> {
    Ok(backup::list(&existing(place)?)?)
}

/// Makes a data directory of a backup; the newest if no number is given.
///
/// # Errors
/// See [`Refused`]. The target is left as it was, or unfinished: then no server opens it.
pub fn restore(place: &Path, id: Option<u64>, target: &Path) -> Result<(u64, Restored), Refused> {
    let backups = existing(place)?;
    let id = match id {
        Some(id) => id,
        None => backup::list(&backups)?.backups.last().ok_or(Refused::Empty(place.to_owned()))?.id,
    };
    // What is none of ours would be in the way as well.
    let others = std::fs::read_dir(target).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let ours = [
        "lock",
        "restoring",
        "catalog",
        "blocks",
        "wal",
        "starts",
        "state",
        "state.corrupt",
        "totals",
        "traces",
    ];
    if let Some(other) =
        others.map(|name| name.to_string_lossy().into_owned()).find(|n| !ours.contains(&&**n))
    {
        return Err(BackupError::NotEmpty { path: other }.into());
    }
    let restored = backup::restore(&backups, id, &RealDisk::open(target)?)?;
    Ok((id, restored))
}

/// Looks for damage in a data directory that no server uses, or in a directory of backups.
///
/// # Errors
/// There is no such directory, it is in use, or it cannot be read.
pub fn verify(place: &Path) -> Result<Verified, Refused> {
    let disk = existing(place)?;
    let mut verified = barograph_tsdb::verify(&disk)?;
    let spans = barograph_trace::verify(&disk)?;
    verified.files += spans.segments;
    verified.bytes += spans.bytes;
    let damage = spans.damage.into_iter();
    verified.damaged.extend(damage.map(|damage| Damage {
        reason: format!("{} bytes from byte {} on are not what was written", damage.bytes, damage.offset),
        path: damage.path,
    }));
    Ok(verified)
}

fn existing(place: &Path) -> Result<RealDisk, Refused> {
    match place.is_dir() {
        true => Ok(RealDisk::open(place)?),
        false => Err(Refused::Missing(place.to_owned())),
    }
}

/// A backup as the API tells of it.
pub fn document(backup: &Backup) -> Value {
    json!({
        "id": backup.id,
        "time": backup.made_at.seconds(),
        "type": "full",
        "files": backup.files.len(),
        "bytes": backup.bytes(),
    })
}

/// A backup that was just made, as the API tells of it.
pub fn written_document(written: &Written) -> Value {
    let mut document = document(&written.backup);
    let damaged = written.damaged.iter().map(|(path, reason)| json!({"path": path, "reason": reason}));
    document["copied_files"] = json!(written.files_copied);
    document["copied_bytes"] = json!(written.bytes_copied);
    document["damaged"] = damaged.collect();
    document["removed"] = json!(written.removed);
    document
}

/// A directory's backups, newest first, as the API tells of them.
pub fn listed_document(listed: &Listed) -> Value {
    let backups: Vec<_> = listed.backups.iter().rev().map(document).collect();
    let unreadable = listed.unreadable.iter().map(|(path, reason)| json!({"path": path, "reason": reason}));
    json!({"backups": backups, "unreadable": unreadable.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_below_the_directory() {
        let backups = Backups::new(Some("/backups".into()));
        let check = |target: &str, place: Option<&str>| {
            assert_eq!(backups.place(target).ok().as_deref(), place.map(Path::new), "{target:?}");
        };
        check("", Some("/backups/"));
        check("nightly", Some("/backups/nightly"));
        check("a/b-1.2", Some("/backups/a/b-1.2"));
        check("../etc", None);
        check("a/../../b", None);
        check("/etc", None);
        check(".hidden", None);
        check("a\0b", None);
        assert!(matches!(Backups::new(None).place(""), Err(Refused::Unset)));
    }
}
