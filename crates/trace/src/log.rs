//! The segment that is written.
//!
//! A segment that failed is never written again: what was not durable in it goes into the next one, as nothing is known of
//! what the disk kept of it.

use std::sync::Arc;

use barograph_disk::{Append, Disk, file};

use crate::{
    Error,
    record::Head,
    shelf::{Shelf, lock, path_of},
};

/// A segment.
pub(crate) const KIND: file::Kind = file::Kind { magic: *b"BAROSPN\0", version: 1 };
/// Where segments lie.
pub(crate) const FOLDER: &str = "traces";

/// A batch that waits for the disk.
pub(crate) struct Waiting {
    pub(crate) seq: u64,
    /// The record with its frame.
    pub(crate) framed: Vec<u8>,
    pub(crate) head: Head,
    pub(crate) keys: Vec<u64>,
}

/// Where the next record goes.
pub(crate) struct Log {
    /// The number of the next segment.
    next: u64,
    file: Option<Box<dyn Append>>,
    len: u64,
}

impl Log {
    pub(crate) fn new(next: u64) -> Self {
        Self { next, file: None, len: 0 }
    }

    /// Writes all of `waiting` and makes it durable, into as many segments as it takes. The shelf knows of each record once
    /// it is durable; how many are is returned even where it failed.
    pub(crate) fn write(
        &mut self,
        disk: &Arc<dyn Disk>,
        shelf: &Shelf,
        waiting: &[Waiting],
        segment_bytes: u64,
    ) -> (usize, Result<(), Error>) {
        let mut done = 0;
        while done < waiting.len() {
            match self.write_some(disk, shelf, &waiting[done..], segment_bytes) {
                Ok(written) => done += written,
                Err(error) => {
                    self.file = None;
                    shelf.seal(&**disk);
                    return (done, Err(error));
                }
            }
        }
        (done, Ok(()))
    }

    fn write_some(
        &mut self,
        disk: &Arc<dyn Disk>,
        shelf: &Shelf,
        waiting: &[Waiting],
        segment_bytes: u64,
    ) -> Result<usize, Error> {
        if self.len >= segment_bytes {
            self.end(&**disk, shelf);
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let path = path_of(self.next);
                let mut file = disk.create(&path)?;
                file.append(&KIND.header())?;
                file.sync()?;
                disk.sync_dir(FOLDER)?;
                shelf.begin(self.next);
                self.next += 1;
                self.len = file::HEADER_LEN as u64;
                none.insert(file)
            }
        };
        let (mut end, mut count) = (self.len, 0);
        for record in waiting {
            if count > 0 && end >= segment_bytes {
                break;
            }
            file.append(&record.framed)?;
            end += record.framed.len() as u64;
            count += 1;
        }
        file.sync()?;
        let mut active = lock(&shelf.active);
        for record in &waiting[..count] {
            let len = u32::try_from(record.framed.len()).expect("a record has a limit below this");
            if let Some((_, index)) = active.as_mut() {
                index.add(record.seq, (self.len, len), &record.head, record.keys.iter().copied());
            }
            self.len += u64::from(len);
        }
        Ok(count)
    }

    /// Ends the segment; the next record begins another.
    pub(crate) fn end(&mut self, disk: &dyn Disk, shelf: &Shelf) {
        self.file = None;
        self.len = 0;
        shelf.seal(disk);
    }
}
