//! The folder as a whole: what a copy of it is made of, and whether all of it is what was written.

use std::sync::Arc;

use barograph_disk::{Disk, Error, ReadAt};

use crate::{
    Spans,
    log::FOLDER,
    recover::{Damage, number_of, walk},
    shelf::path_of,
};

/// A file: its name, and what reads it.
pub type File = (String, Arc<dyn ReadAt>);

/// What was read, and what of it is not what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Segments.
    pub segments: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// What is passed over when they are read.
    pub damage: Vec<Damage>,
}

/// Segments and their indexes, by path, opened: what is removed later stays readable. None of these files changes but the
/// newest segment, which grows.
///
/// # Errors
/// The disk failed.
pub fn files(disk: &dyn Disk) -> Result<Vec<File>, Error> {
    let is_ours = |name: &str| [".spans", ".index"].iter().any(|end| number_of(name, end).is_some());
    let mut files = Vec::new();
    for (name, _) in names(disk)?.into_iter().filter(|(name, _)| is_ours(name)) {
        let path = format!("{FOLDER}/{name}");
        match disk.open(&path) {
            // Those that are too old go meanwhile.
            Err(error) if error.is_not_found() => {}
            file => files.push((path, file?)),
        }
    }
    Ok(files)
}

impl Spans {
    /// As [`files()`].
    ///
    /// # Errors
    /// The disk failed.
    pub fn files(&self) -> Result<Vec<File>, Error> {
        files(&*self.disk)
    }
}

/// Reads every segment, and changes nothing. What a crash left half written at the end of one is no damage.
///
/// # Errors
/// The disk failed, or a newer version wrote it.
pub fn verify(disk: &dyn Disk) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    for (name, len) in names(disk)? {
        let Some(number) = number_of(&name, ".spans") else { continue };
        verified.segments += 1;
        verified.bytes += len;
        verified.damage.extend(walk(disk, &path_of(number))?.damage);
    }
    Ok(verified)
}

fn names(disk: &dyn Disk) -> Result<Vec<(String, u64)>, Error> {
    Ok(disk.list(FOLDER)?.into_iter().map(|entry| (entry.name, entry.len)).collect())
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;
    use crate::{Batch, Options, TraceId};

    #[test]
    fn damage_is_found_and_a_torn_end_is_none() {
        let disk = MemoryDisk::new();
        assert_eq!((files(&disk).unwrap().len(), verify(&disk).unwrap()), (0, Verified::default()));
        let (spans, _) = Spans::open(Arc::new(disk.clone()), Options::default()).unwrap();
        for byte in 0..3 {
            let traces = vec![TraceId([byte; 16])];
            let batch = Batch { owner: "", body: &[byte; 64], traces, spans: 1, earliest: 1, latest: 2 };
            spans.append(&batch, 0).and_then(|ticket| spans.commit(ticket)).unwrap();
        }
        drop(spans);
        let mut all = files(&disk).unwrap().into_iter();
        let path = all.find(|(path, _)| path.ends_with(".spans")).unwrap().0;
        let whole = verify(&disk).unwrap();
        assert_eq!((whole.segments, whole.damage.len()), (1, 0));
        let bytes = disk.read_whole(&path).unwrap();
        disk.write_whole(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(verify(&disk).unwrap().damage, []);
        let mut damaged = bytes;
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        disk.write_whole(&path, &damaged).unwrap();
        assert_eq!(verify(&disk).unwrap().damage.len(), 1);
    }
}
