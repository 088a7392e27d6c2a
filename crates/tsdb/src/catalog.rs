//! The catalog: type, unit and help of each metric, and when it was last asked for.
//!
//! Changes go to the log; when the log is about to lose a segment the whole catalog is written to one small
//! checksummed file. Bytes on disk: `docs/format.md`, "Catalog".

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use barograph_codec::varint;
use barograph_disk::{Disk, Error, file};
use barograph_model::{Metadata, MetricType, Timestamp};

use crate::wal::{MetadataEntry, decode_metadata, encode_metadata};

/// What the names of parts of a family end in.
pub(crate) const PARTS: [&str; 6] = ["_bucket", "_count", "_sum", "_created", "_total", "_info"];

pub(crate) const PATH: &str = "catalog";
const KIND: file::Kind = file::Kind { magic: *b"BAROCAT\0", version: 2 };

/// See the module.
pub(crate) struct Catalog {
    metrics: RwLock<BTreeMap<String, Metadata>>,
    /// When a query named a metric last, in milliseconds.
    queried: Mutex<BTreeMap<String, i64>>,
    metrics_max: usize,
    /// Whether the file does not say all of it yet.
    unsaved: AtomicBool,
    file_bytes: AtomicU64,
}

/// What the file of the catalog holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Nothing in the log up to this segment is news: what it says of a metric may be older than what the file says.
    pub(crate) covered: u32,
    pub(crate) metrics: BTreeMap<String, Metadata>,
    pub(crate) queried: BTreeMap<String, i64>,
    /// Whether the log had more.
    pub(crate) outdated: bool,
}

/// What [`Catalog::set`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was known just so.
    None,
    /// It is new, or other than before.
    Set,
    /// There is no room for a further metric.
    Full,
}

impl Catalog {
    /// Reads the catalog; an empty one if there is none.
    ///
    /// # Errors
    /// Of a corrupt file too: the caller sets it aside and begins with an empty catalog.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Saved, Error> {
        let file = match file::Reader::open(disk, PATH, KIND) {
            Err(error) if error.is_not_found() => return Ok(Saved::default()),
            file => file?,
        };
        decode(file.version, &file.footer)
            .ok_or_else(|| Error::corrupt("catalog", PATH, file::HEADER_LEN as u64))
    }

    pub(crate) fn new(saved: Saved, metrics_max: usize) -> Self {
        let Saved { metrics, queried, outdated, .. } = saved;
        let (metrics, queried) = (RwLock::new(metrics), Mutex::new(queried));
        let unsaved = AtomicBool::new(outdated);
        Self { metrics, queried, metrics_max, unsaved, file_bytes: AtomicU64::new(0) }
    }

    /// Notes that a query named metrics. There is room for as many as the catalog may describe; of further ones,
    /// which need not exist, nothing is noted.
    pub(crate) fn note_queried<'a>(&self, names: impl Iterator<Item = &'a str>, now: Timestamp) {
        let mut queried = self.queried.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if let Some(at) = queried.get_mut(name) {
                *at = now.millis().max(*at);
            } else if queried.len() < self.metrics_max {
                queried.insert(name.to_owned(), now.millis());
            }
        }
    }

    /// When a query named each metric last.
    pub(crate) fn queried(&self) -> BTreeMap<String, i64> {
        self.queried.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, name: &str, metadata: &Metadata) -> Change {
        let read = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        if read.get(name) == Some(metadata) {
            return Change::None;
        }
        drop(read);
        let mut metrics = self.metrics.write().unwrap_or_else(PoisonError::into_inner);
        if metrics.len() >= self.metrics_max && !metrics.contains_key(name) {
            return Change::Full;
        }
        metrics.insert(name.to_owned(), metadata.clone());
        self.unsaved.store(true, Ordering::Release);
        Change::Set
    }

    /// One metric, or all, by name.
    pub(crate) fn list(&self, name: Option<&str>) -> Vec<(String, Metadata)> {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        match name {
            Some(name) => {
                metrics.get_key_value(name).map(|(k, v)| (k.clone(), v.clone())).into_iter().collect()
            }
            None => metrics.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }

    /// The type of a metric; that of the whole, where its name is that of a part of a histogram or summary.
    pub(crate) fn kind_of(&self, name: &str) -> MetricType {
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        let families = PARTS.iter().filter_map(|part| name.strip_suffix(part));
        let mut names = std::iter::once(name).chain(families);
        names.find_map(|family| metrics.get(family)).map_or(MetricType::Unknown, |metadata| metadata.kind)
    }

    pub(crate) fn len(&self) -> usize {
        self.metrics.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The size of its file when it was written last.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes.load(Ordering::Relaxed)
    }

    /// Learns the size of its file.
    pub(crate) fn measure(&self, disk: &dyn Disk) -> Result<(), Error> {
        let bytes = match disk.open(PATH) {
            Err(error) if error.is_not_found() => 0,
            file => file?.len(),
        };
        self.file_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Writes all of it to its file, if that does not say it already. Nothing goes to the log up to the segment
    /// `covered` any more.
    pub(crate) fn save(&self, disk: &dyn Disk, covered: u32) -> Result<(), Error> {
        if !self.unsaved.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.write(disk, covered).inspect_err(|_| self.unsaved.store(true, Ordering::Release))
    }

    fn write(&self, disk: &dyn Disk, covered: u32) -> Result<(), Error> {
        let mut content = Vec::new();
        varint::put(&mut content, u64::from(covered));
        let metrics = self.metrics.read().unwrap_or_else(PoisonError::into_inner);
        varint::put(&mut content, metrics.len() as u64);
        for (name, metadata) in metrics.iter() {
            encode_metadata(&mut content, name, metadata);
        }
        drop(metrics);
        let queried = self.queried();
        varint::put(&mut content, queried.len() as u64);
        for (name, at) in &queried {
            varint::put_slice(&mut content, name.as_bytes());
            varint::put_signed(&mut content, *at);
        }
        let bytes = file::write_small(disk, PATH, KIND, &content)?;
        self.file_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// Reads the content of a file of some version.
pub(crate) fn decode(version: u16, content: &[u8]) -> Option<Saved> {
    let rest = &mut &*content;
    let mut saved = Saved::default();
    if version > 1 {
        saved.covered = u32::try_from(varint::take(rest)?).ok()?;
    }
    for _ in 0..varint::take(rest)? {
        let MetadataEntry { name, metadata } = decode_metadata(rest)?;
        saved.metrics.insert(name.to_owned(), metadata);
    }
    let queried = if version == 1 { 0 } else { varint::take(rest)? };
    for _ in 0..queried {
        let name = std::str::from_utf8(varint::take_slice(rest)?).ok()?;
        saved.queried.insert(name.to_owned(), varint::take_signed(rest)?);
    }
    rest.is_empty().then_some(saved)
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;

    #[test]
    fn comes_back_and_is_bounded() {
        let disk = MemoryDisk::new();
        assert_eq!(Catalog::read(&disk).unwrap(), Saved::default());
        let catalog = Catalog::new(Saved::default(), 2);
        let metadata = Metadata { kind: MetricType::Counter, unit: "bytes".into(), help: "Sent.".into() };
        assert_eq!(catalog.set("a", &metadata), Change::Set);
        assert_eq!(catalog.set("a", &metadata), Change::None);
        assert_eq!(catalog.set("b", &Metadata::default()), Change::Set);
        assert_eq!(catalog.set("c", &metadata), Change::Full);
        catalog.note_queried(["a", "x", "a", "y"].into_iter(), Timestamp(5));
        catalog.note_queried(["a"].into_iter(), Timestamp(3));
        assert_eq!(catalog.queried(), BTreeMap::from([("a".to_owned(), 5), ("x".to_owned(), 5)]));
        catalog.save(&disk, 7).unwrap();
        let saved = Catalog::read(&disk).unwrap();
        assert_eq!(saved.covered, 7);
        let again = Catalog::new(saved, 2);
        assert_eq!(again.list(None), catalog.list(None));
        assert_eq!(again.list(Some("a")), [("a".to_owned(), metadata)]);
        assert_eq!(again.queried(), catalog.queried());
        assert_eq!(again.len(), 2);
    }
}
