//! The file of the database on our own disk, so that faults which a test injects reach it.

use std::{fmt, io, sync::Arc};

use barograph_disk::{Disk, Edit, Error};

/// Bytes of a page of the database; its file is made of whole ones.
const PAGE: u64 = 4096;
/// How a file that is a database begins.
const MAGIC: &[u8] = b"redb";

/// The file of the database.
pub(crate) struct Backend(Box<dyn Edit>);

impl Backend {
    /// Opens the file, or makes an empty one whose name is durable. A crash while it grew may leave a part of a page at its
    /// end, which is in no committed transaction and is cut off.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &str) -> Result<Self, Error> {
        let file = disk.edit(path)?;
        let (bytes, part) = (file.len()?, file.len()? % PAGE);
        if bytes > PAGE && part != 0 {
            let mut start = [0; MAGIC.len()];
            file.read_at(0, &mut start)?;
            if start == MAGIC {
                file.set_len(bytes - part)?;
                file.sync()?;
            }
        }
        if file.is_empty()? {
            disk.sync_dir("")?;
        }
        Ok(Self(file))
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len().map_err(plain)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out).map_err(plain)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len).map_err(plain)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync().map_err(plain)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data).map_err(plain)
    }
}

/// The same kind of failure, with what we know of it as its cause.
fn plain(error: Error) -> io::Error {
    let kind = match &error {
        Error::Io { source, .. } => source.kind(),
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
