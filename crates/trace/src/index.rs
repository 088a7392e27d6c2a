//! What a segment holds, and where: its records, and the records of each key.
//!
//! Of the segment that is written it is in memory; of the others in a file beside the segment, and in memory only what is
//! needed to pass most segments by: their times, and a filter of their keys. An index that is lost is made again of its
//! segment. Bytes on disk: `docs/format.md`, "Spans".

use barograph_disk::{Disk, Error, file};

use crate::record::{Head, take};

/// The file beside a segment.
pub(crate) const KIND: file::Kind = file::Kind { magic: *b"BAROSPI\0", version: 1 };

const RECORD_LEN: usize = 36;
const ENTRY_LEN: usize = 12;

/// A record, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// Bytes of the record with its frame.
    pub(crate) len: u32,
    pub(crate) earliest: u64,
    pub(crate) latest: u64,
    pub(crate) spans: u64,
}

/// The records of a segment in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) records: Vec<Place>,
    /// A key, and the place of a record among the others.
    entries: Vec<(u64, u32)>,
    /// When the first and the last record were taken, in milliseconds.
    pub(crate) received: Option<(i64, i64)>,
    /// Bytes of the segment in which the records lie.
    pub(crate) len: u64,
    /// The number of the last record.
    pub(crate) last_seq: u64,
}

impl Index {
    pub(crate) fn add(
        &mut self,
        seq: u64,
        (offset, len): (u64, u32),
        head: &Head,
        keys: impl Iterator<Item = u64>,
    ) {
        let Ok(record) = u32::try_from(self.records.len()) else { return };
        let (earliest, latest, spans) = (head.earliest, head.latest, u64::from(head.spans));
        self.records.push(Place { offset, len, earliest, latest, spans });
        self.entries.extend(keys.map(|key| (key, record)));
        let at = head.received;
        self.received = Some(self.received.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        self.len = self.len.max(offset + u64::from(len));
        self.last_seq = self.last_seq.max(seq);
    }

    pub(crate) fn spans(&self) -> u64 {
        self.records.iter().map(|record| record.spans).sum()
    }

    /// The first nanosecond and the last of its records.
    pub(crate) fn times(&self) -> (u64, u64) {
        let earliest = self.records.iter().map(|record| record.earliest).min().unwrap_or(u64::MAX);
        (earliest, self.records.iter().map(|record| record.latest).max().unwrap_or(0))
    }

    /// The records that have a key, in their order.
    pub(crate) fn having(&self, key: u64) -> Vec<Place> {
        let mut places: Vec<u32> =
            self.entries.iter().filter(|entry| entry.0 == key).map(|entry| entry.1).collect();
        places.sort_unstable();
        places.dedup();
        places.iter().filter_map(|&place| self.records.get(place as usize)).copied().collect()
    }

    pub(crate) fn filter(&self) -> Filter {
        let mut filter = Filter::of(self.entries.len());
        self.entries.iter().for_each(|entry| filter.add(entry.0));
        filter
    }

    /// Writes it beside its segment.
    pub(crate) fn save(&self, disk: &dyn Disk, path: &str) -> Result<(), Error> {
        let mut bytes =
            Vec::with_capacity(44 + self.records.len() * RECORD_LEN + self.entries.len() * ENTRY_LEN);
        let (first, last) = self.received.unwrap_or_default();
        bytes.extend_from_slice(&self.len.to_le_bytes());
        bytes.extend_from_slice(&self.last_seq.to_le_bytes());
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&last.to_le_bytes());
        let count = |len: usize| u32::try_from(len).map_err(|_| Error::corrupt("length", path, 0));
        bytes.extend_from_slice(&count(self.records.len())?.to_le_bytes());
        bytes.extend_from_slice(&count(self.entries.len())?.to_le_bytes());
        for record in &self.records {
            for number in [record.offset, record.earliest, record.latest, record.spans] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&record.len.to_le_bytes());
        }
        for (key, record) in &self.entries {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&record.to_le_bytes());
        }
        file::write_small(disk, path, KIND, &bytes).map(drop)
    }

    /// Reads it; [`Error::Corrupt`] if it is not what was written.
    pub(crate) fn load(disk: &dyn Disk, path: &str) -> Result<Self, Error> {
        let bytes = file::read_small(disk, path, KIND)?;
        Self::read(&bytes).ok_or_else(|| Error::corrupt("index of spans", path, 0))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut at = 0;
        let at = &mut at;
        let (len, last_seq) = (u64::from_le_bytes(take(bytes, at)?), u64::from_le_bytes(take(bytes, at)?));
        let received = (i64::from_le_bytes(take(bytes, at)?), i64::from_le_bytes(take(bytes, at)?));
        let records = u32::from_le_bytes(take(bytes, at)?) as usize;
        let entries = u32::from_le_bytes(take(bytes, at)?) as usize;
        let needed = records.checked_mul(RECORD_LEN)?.checked_add(entries.checked_mul(ENTRY_LEN)?)?;
        if bytes.len() - *at != needed {
            return None;
        }
        let mut index = Self { len, last_seq, ..Self::default() };
        index.received = (records > 0).then_some(received);
        for _ in 0..records {
            let mut number = || take(bytes, at).map(u64::from_le_bytes);
            let (offset, earliest, latest, spans) = (number()?, number()?, number()?, number()?);
            let size = u32::from_le_bytes(take(bytes, at)?);
            if offset.checked_add(u64::from(size)).is_none_or(|end| end > len) {
                return None;
            }
            index.records.push(Place { offset, len: size, earliest, latest, spans });
        }
        for _ in 0..entries {
            let (key, record) = (u64::from_le_bytes(take(bytes, at)?), u32::from_le_bytes(take(bytes, at)?));
            index.entries.push((key, record));
        }
        Some(index)
    }
}

/// A Bloom filter: what was added is found, and of the rest about one key in a hundred.
#[derive(Debug)]
pub(crate) struct Filter(Vec<u64>);

impl Filter {
    const BITS_PER_KEY: usize = 10;
    const PROBES: u64 = 5;

    fn of(keys: usize) -> Self {
        Self(vec![0; (keys * Self::BITS_PER_KEY).div_ceil(64).max(1)])
    }

    fn places(&self, key: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let bits = self.0.len() as u64 * 64;
        let mixed = (key ^ (key >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let step = (mixed >> 17) | 1;
        (0..Self::PROBES).map(move |probe| {
            let bit = mixed.wrapping_add(probe.wrapping_mul(step)) % bits;
            (usize::try_from(bit / 64).unwrap_or(0), 1 << (bit % 64))
        })
    }

    fn add(&mut self, key: u64) {
        self.places(key).for_each(|(word, bit)| self.0[word] |= bit);
    }

    pub(crate) fn may_have(&self, key: u64) -> bool {
        self.places(key).all(|(word, bit)| self.0[word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;
    use crate::{Batch, TraceId, record};

    fn index(records: u8) -> Index {
        let mut index = Index::default();
        for i in 0..records {
            let traces = vec![TraceId([i; 16]), TraceId([200; 16])];
            let batch = Batch { owner: "", body: b"", traces, spans: 2, earliest: u64::from(i), latest: 500 };
            let (_, head, keys) = record::write(&batch, i64::from(i)).unwrap();
            index.add(u64::from(i) + 1, (16 + u64::from(i) * 10, 10), &head, keys.into_iter());
        }
        index
    }

    #[test]
    fn an_index_comes_back() {
        let disk = MemoryDisk::new();
        for records in [0, 1, 20] {
            index(records).save(&disk, "i").unwrap();
            assert_eq!(Index::load(&disk, "i").unwrap(), index(records));
        }
        let index = index(20);
        assert_eq!(index.having(TraceId([3; 16]).key()).len(), 1);
        assert_eq!(index.having(TraceId([200; 16]).key()).len(), 20);
        assert_eq!((index.times(), index.spans(), index.received), ((0, 500), 40, Some((0, 19))));
    }

    #[test]
    fn a_filter_has_what_was_added_and_little_else() {
        let mut filter = Filter::of(1_000);
        (0..1_000u64).for_each(|key| filter.add(key.wrapping_mul(0x1234_5678_9abc_def1)));
        assert!((0..1_000u64).all(|key| filter.may_have(key.wrapping_mul(0x1234_5678_9abc_def1))));
        let wrong =
            (0..10_000u64).filter(|key| filter.may_have(key.wrapping_mul(0x0fed_cba9_8765_4321) + 7)).count();
        assert!(wrong < 500, "{wrong}");
    }

    #[test]
    fn what_was_not_written_is_refused() {
        assert_eq!(Index::read(b""), None);
        assert_eq!(Index::read(&[0xff; 40]), None);
        assert_eq!(Index::read(&[0xff; 400]), None);
    }
}
