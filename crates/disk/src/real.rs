//! A folder of the machine as a [`Disk`].
//!
//! The lock is an advisory lock on the file `lock` of the folder, which the system lets go when the process ends,
//! however it ends. The file names the process that holds it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Append, Disk, Edit, Entry, Error, Held, ReadAt};

/// A folder of the machine.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: PathBuf,
}

const LOCK_FILE: &str = "lock";

impl RealDisk {
    /// The folder `root`, created if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be created.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(&root).map_err(|e| Error::io("create", &root.to_string_lossy(), e))?;
        Ok(Self { root })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    fn fail(&self, action: &'static str, path: &str) -> impl FnOnce(io::Error) -> Error {
        let path = self.path(path).to_string_lossy().into_owned();
        move |source| Error::Io { action, path, source }
    }
}

impl Disk for RealDisk {
    fn lock(&self) -> Result<Box<dyn Held>, Error> {
        let path = self.path(LOCK_FILE);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(self.fail("open", LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&path).ok().map(|text| text.trim().to_owned());
                let holder = holder.filter(|text| !text.is_empty());
                return Err(Error::Locked { path: self.root.to_string_lossy().into_owned(), holder });
            }
            Err(TryLockError::Error(e)) => return Err(self.fail("lock", LOCK_FILE)(e)),
        }
        let note = format!("process {}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(self.fail("write", LOCK_FILE))?;
        Ok(Box::new(Lock(file)))
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error> {
        let reading = match fs::read_dir(self.path(dir)) {
            Ok(reading) => reading,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.fail("list", dir)(e)),
        };
        let mut entries = Vec::new();
        for entry in reading {
            let entry = entry.map_err(self.fail("list", dir))?;
            let meta = entry.metadata().map_err(self.fail("list", dir))?;
            // Names that are not UTF-8 are none of ours.
            if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
                entries.push(Entry { name, len: meta.len() });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>, Error> {
        let file = File::open(self.path(path)).map_err(self.fail("open", path))?;
        let len = file.metadata().map_err(self.fail("open", path))?.len();
        Ok(Arc::new(RealFile { file, len, path: self.path(path).to_string_lossy().into_owned() }))
    }

    fn create(&self, path: &str) -> Result<Box<dyn Append>, Error> {
        let file = File::create(self.path(path)).map_err(self.fail("create", path))?;
        Ok(Box::new(RealFile { file, len: 0, path: self.path(path).to_string_lossy().into_owned() }))
    }

    fn edit(&self, path: &str) -> Result<Box<dyn Edit>, Error> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(self.path(path));
        let file = file.map_err(self.fail("open", path))?;
        Ok(Box::new(RealFile { file, len: 0, path: self.path(path).to_string_lossy().into_owned() }))
    }

    fn truncate(&self, path: &str, len: u64) -> Result<(), Error> {
        let file = File::options().write(true).open(self.path(path)).map_err(self.fail("open", path))?;
        file.set_len(len).and_then(|()| file.sync_all()).map_err(self.fail("truncate", path))
    }

    fn sync_file(&self, path: &str) -> Result<(), Error> {
        let file = File::options().write(true).open(self.path(path)).map_err(self.fail("open", path))?;
        file.sync_all().map_err(self.fail("sync", path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        fs::rename(self.path(from), self.path(to)).map_err(self.fail("rename", from))
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        fs::remove_file(self.path(path)).map_err(self.fail("remove", path))
    }

    fn create_dir(&self, dir: &str) -> Result<(), Error> {
        fs::create_dir_all(self.path(dir)).map_err(self.fail("create", dir))?;
        self.sync_dir(crate::disk::parent(dir))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), Error> {
        // Elsewhere a directory cannot be opened as a file, and renames are durable with the journal.
        if cfg!(unix) {
            File::open(self.path(dir)).and_then(|dir| dir.sync_all()).map_err(self.fail("sync", dir))?;
        }
        Ok(())
    }
}

struct RealFile {
    file: File,
    len: u64,
    path: String,
}

impl ReadAt for RealFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        read_exact_at(&self.file, offset, buffer).map_err(|e| Error::io("read", &self.path, e))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => (bytes, offset) = (&bytes[n..], offset + n as u64),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => (buffer, offset) = (&mut buffer[n..], offset + n as u64),
        }
    }
    Ok(())
}

impl Append for RealFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|e| Error::io("write", &self.path, e))
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))
    }
}

impl Edit for RealFile {
    fn len(&self) -> Result<u64, Error> {
        self.file.metadata().map(|meta| meta.len()).map_err(|e| Error::io("read", &self.path, e))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        ReadAt::read_at(self, offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        write_all_at(&self.file, offset, bytes).map_err(|e| Error::io("write", &self.path, e))
    }

    fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file.set_len(len).map_err(|e| Error::io("resize", &self.path, e))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))
    }
}

/// The lock goes with the descriptor.
struct Lock(#[expect(dead_code, reason = "held for its drop")] File);

impl Held for Lock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_lists_and_reads() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path().join("data")).unwrap();
        disk.create_dir("a").unwrap();
        disk.write_whole("a/x", b"hello").unwrap();
        let mut file = disk.create("a/y").unwrap();
        file.append(b"12").unwrap();
        file.append(b"345").unwrap();
        file.sync().unwrap();
        let entries = disk.list("a").unwrap();
        let names: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.len)).collect();
        assert_eq!(names, [("x", 5), ("y", 5)]);
        let mut middle = [0; 3];
        disk.open("a/y").unwrap().read_at(1, &mut middle).unwrap();
        assert_eq!(&middle, b"234");
        disk.truncate("a/y", 2).unwrap();
        assert_eq!(disk.read_whole("a/y").unwrap(), b"12");
        assert!(disk.open("a/y").unwrap().read_at(1, &mut middle).is_err());
        disk.remove("a/y").unwrap();
        assert!(disk.open("a/y").err().unwrap().is_not_found());
        assert_eq!(disk.list("nowhere").unwrap(), []);
    }

    #[test]
    fn bytes_are_written_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let file = disk.edit("a").unwrap();
        assert!(file.is_empty().unwrap());
        file.set_len(6).unwrap();
        file.write_at(2, b"xyz").unwrap();
        file.sync().unwrap();
        drop(file);
        let file = disk.edit("a").unwrap();
        let mut all = [1; 6];
        file.read_at(0, &mut all).unwrap();
        assert_eq!(&all, b"\0\0xyz\0");
        assert!(file.read_at(1, &mut all).is_err());
    }

    #[test]
    fn second_lock_is_refused_and_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(folder.path()).unwrap();
        let held = disk.lock().unwrap();
        let error = disk.lock().err().unwrap().to_string();
        assert!(error.contains("in use by another server (process "), "{error}");
        drop(held);
        assert!(disk.lock().is_ok());
    }
}
