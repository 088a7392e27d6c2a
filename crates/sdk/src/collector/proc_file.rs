//! A file of `/proc` that is read again and again: opened once, and read from its start.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
};

use procfs::ProcResult;

use super::CollectError;

/// An open file of `/proc`.
#[derive(Debug)]
pub(super) struct ProcFile {
    path: &'static str,
    file: Option<File>,
}

impl ProcFile {
    pub(super) const fn new(path: &'static str) -> Self {
        Self { path, file: None }
    }

    /// Reads the file with `parse`, opening it if need be.
    pub(super) fn read<T>(
        &mut self,
        parse: impl FnOnce(&mut File) -> ProcResult<T>,
    ) -> Result<T, CollectError> {
        let unreadable = |source| CollectError::Read { path: self.path.to_owned(), source };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(self.path).map_err(unreadable)?),
        };
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let reason = |error: procfs::ProcError| error.to_string();
        parse(file)
            .map_err(|error| CollectError::Malformed { path: self.path.to_owned(), reason: reason(error) })
    }
}
