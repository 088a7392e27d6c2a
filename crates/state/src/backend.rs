//! The file of the database on our own disk, so that faults which a test injects reach it.

use std::{fmt, io, sync::Arc};

use barograph_disk::{Disk, Edit, Error};

/// The file of the database.
pub(crate) struct Backend(Box<dyn Edit>);

impl Backend {
    /// Opens the file, or makes an empty one whose name is durable.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &str) -> Result<Self, Error> {
        let file = disk.edit(path)?;
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
