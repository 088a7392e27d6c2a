//! The trait: what the store needs of a disk, and nothing more.
//!
//! Durability is explicit. Bytes appended are durable after [`Append::sync`]; a name created, renamed or removed is
//! durable after [`Disk::sync_dir`] of its folder. Before that a crash may leave any mixture of old and new.

use std::sync::Arc;

use crate::Error;

/// One directory tree of files that are appended to and read by range.
///
/// Paths are relative, with `/` between folders; the empty path is the root.
pub trait Disk: Send + Sync {
    /// Takes the directory for this process until the returned value is dropped.
    ///
    /// # Errors
    /// [`Error::Locked`] when another holds it.
    fn lock(&self) -> Result<Box<dyn Held>, Error>;

    /// The files of a folder by name; none if there is no such folder. Folders are not listed.
    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error>;

    /// Opens a file for reading. It stays readable when it is removed afterwards.
    fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>, Error>;

    /// Creates an empty file to append to, in place of one of that name.
    fn create(&self, path: &str) -> Result<Box<dyn Append>, Error>;

    /// Opens a file whose bytes are written anywhere, created empty if it is not there. For what keeps versions of its own
    /// pages apart, as a database does; everything else appends.
    fn edit(&self, path: &str) -> Result<Box<dyn Edit>, Error>;

    /// Cuts a file to `len` bytes and makes that durable.
    fn truncate(&self, path: &str, len: u64) -> Result<(), Error>;

    /// Makes the bytes of a file durable that another process may have written without doing so.
    fn sync_file(&self, path: &str) -> Result<(), Error>;

    /// Gives a file another name, in place of one that has it.
    fn rename(&self, from: &str, to: &str) -> Result<(), Error>;

    /// Removes a file.
    fn remove(&self, path: &str) -> Result<(), Error>;

    /// Creates a folder, durably, if it is not there.
    fn create_dir(&self, dir: &str) -> Result<(), Error>;

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &str) -> Result<(), Error>;

    /// Writes a whole file so that after a crash either the old one or all of the new one is there: temporary file,
    /// sync, rename, sync of the folder.
    fn write_whole(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let temporary = format!("{path}{TEMPORARY}");
        let mut file = self.create(&temporary)?;
        file.append(bytes)?;
        file.sync()?;
        self.rename(&temporary, path)?;
        self.sync_dir(parent(path))
    }

    /// The whole content of a file.
    fn read_whole(&self, path: &str) -> Result<Vec<u8>, Error> {
        let file = self.open(path)?;
        let too_large = || Error::corrupt("length", path, 0);
        let mut bytes = vec![0; usize::try_from(file.len()).map_err(|_| too_large())?];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// The end of a name that is not finished: a file with it is what a crash left, and can be removed.
pub const TEMPORARY: &str = ".tmp";

/// A file as [`Disk::list`] gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name within the folder.
    pub name: String,
    /// Its size in bytes.
    pub len: u64,
}

/// A file that is read by range.
pub trait ReadAt: Send + Sync {
    /// Its size in bytes when it was opened.
    fn len(&self) -> u64;

    /// Whether it had no bytes when it was opened.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset`; an error if there are fewer bytes.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error>;
}

/// A file that grows at its end.
pub trait Append: Send {
    /// Writes all of `bytes` at the end. After an error an unknown part of them is there.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Makes all appended bytes durable. After an error nothing is known of those not yet durable: the kernel may
    /// have dropped them, so a second try on the same file proves nothing (Rebello et al., ATC 2020).
    fn sync(&mut self) -> Result<(), Error>;
}

/// A file whose bytes are written anywhere. Nothing of it is durable before [`Edit::sync`]: until then a crash may leave
/// old and new bytes in any mixture, and the old length or the new one.
pub trait Edit: Send + Sync {
    /// Its size in bytes now.
    fn len(&self) -> Result<u64, Error>;

    /// Whether it has no bytes now.
    fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `offset`; an error if there are fewer bytes.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error>;

    /// Writes all of `bytes` at `offset`, which is within the file. After an error an unknown part of them is there.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Cuts the file, or makes it longer by zeros.
    fn set_len(&self, len: u64) -> Result<(), Error>;

    /// Makes bytes and length durable. After an error as [`Append::sync`].
    fn sync(&self) -> Result<(), Error>;
}

/// A directory held by this process; dropping it lets go.
pub trait Held: Send + Sync {}

/// The folder a path lies in.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
