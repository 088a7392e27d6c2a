//! The calls of the disk in memory: each is counted, and fails if that is due.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{Change, Fault, Inode, MemoryDisk, State, fresh, lock};
use crate::{Append, Chance, Disk, Edit, Entry, Error, Held, ReadAt, disk::parent};

impl MemoryDisk {
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
    /// Counts a call; how it fails, if it does.
    fn count(&mut self, needs_space: bool) -> Option<Fault> {
        let fault = self.next()?;
        (fault == Fault::Io || needs_space && fault != Fault::FlippedRead).then_some(fault)
    }

    /// Counts a call; the fault that is due at it.
    fn next(&mut self) -> Option<Fault> {
        let call = self.calls;
        self.calls += 1;
        self.faults.iter().find(|(range, _)| range.contains(&call)).map(|(_, fault)| *fault)
    }

    fn find(&self, action: &'static str, path: &str) -> Result<&Arc<Mutex<Inode>>, Error> {
        self.files.get(path).ok_or_else(|| Error::io(action, path, io::ErrorKind::NotFound.into()))
    }
}

fn error(fault: Fault, action: &'static str, path: &str) -> Error {
    match fault {
        Fault::Io | Fault::FlippedRead => Error::io(action, path, io::Error::other("injected I/O error")),
        Fault::Full | Fault::ShortWrite => Error::io(action, path, io::ErrorKind::StorageFull.into()),
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

    fn edit(&self, path: &str) -> Result<Box<dyn Edit>, Error> {
        let mut state = self.call("open", path, false)?;
        let inode = match state.files.get(path) {
            Some(inode) => inode.clone(),
            None => {
                let inode = fresh(Vec::new());
                state.files.insert(path.to_owned(), inode.clone());
                state.changes.push(Change::Link(path.to_owned(), inode.clone()));
                inode
            }
        };
        Ok(Box::new(File { disk: self.clone(), inode, path: path.to_owned(), len: 0 }))
    }

    fn truncate(&self, path: &str, len: u64) -> Result<(), Error> {
        let state = self.call("truncate", path, false)?;
        let mut inode = lock(state.find("truncate", path)?);
        inode.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync_file(&self, path: &str) -> Result<(), Error> {
        let mut state = self.state();
        let fault = state.count(true);
        let inode = state.find("sync", path)?.clone();
        drop(state);
        finish_sync(&inode, fault, path)
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
        let mut state = self.disk.state();
        let (call, fault) = (state.calls, state.next());
        drop(state);
        if fault == Some(Fault::Io) {
            return Err(error(Fault::Io, "read", &self.path));
        }
        let inode = lock(&self.inode);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = inode.visible.get(start..start.saturating_add(buffer.len()));
        let missing = || Error::io("read", &self.path, io::ErrorKind::UnexpectedEof.into());
        buffer.copy_from_slice(part.ok_or_else(missing)?);
        if fault == Some(Fault::FlippedRead) && !buffer.is_empty() {
            let bit = Chance::new(call).index(buffer.len() * 8);
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
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
        finish_sync(&self.inode, fault, &self.path)
    }
}

impl Edit for File {
    fn len(&self) -> Result<u64, Error> {
        Ok(lock(&self.inode).visible.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        ReadAt::read_at(self, offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let fault = self.disk.state().count(true);
        let mut inode = lock(&self.inode);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match fault {
            None => inode.write(start, bytes),
            Some(Fault::ShortWrite) => inode.write(start, &bytes[..bytes.len() / 2]),
            Some(_) => {}
        }
        fault.map_or(Ok(()), |fault| Err(error(fault, "write", &self.path)))
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        let fault = self.disk.state().count(true);
        if let Some(fault) = fault {
            return Err(error(fault, "resize", &self.path));
        }
        lock(&self.inode).set_len(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        let fault = self.disk.state().count(true);
        finish_sync(&self.inode, fault, &self.path)
    }
}

fn finish_sync(inode: &Mutex<Inode>, fault: Option<Fault>, path: &str) -> Result<(), Error> {
    let mut inode = lock(inode);
    match fault {
        None => inode.sync(),
        Some(_) => inode.fail_sync(),
    }
    fault.map_or(Ok(()), |fault| Err(error(fault, "sync", path)))
}

struct Lock(MemoryDisk);

impl Held for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}
