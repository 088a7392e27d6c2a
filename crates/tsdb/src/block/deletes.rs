//! What was deleted of a block, until the block is written anew: ranges of time by series.
//!
//! A small file beside the block, replaced as a whole. Bytes on disk: `docs/format.md`, "Deletes".

use std::{collections::BTreeMap, ops::Range};

use barograph_codec::varint;
use barograph_disk::{Disk, Error, file};

use super::DIR;

const KIND: file::Kind = file::Kind { magic: *b"BARODEL\0", version: 1 };

const SUFFIX: &str = ".deletes";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletes {
    /// By series number: first and last time of each range, in order and apart.
    ranges: BTreeMap<u32, Vec<(i64, i64)>>,
}

impl Deletes {
    /// Adds a range of a series, its last time included; whether anything of it is new.
    pub(crate) fn add(&mut self, series: u32, first: i64, last: i64) -> bool {
        if first > last || self.cover(series, first, last) {
            return false;
        }
        let ranges = self.ranges.entry(series).or_default();
        // Those that touch it lie side by side and become one with it.
        let from = ranges.partition_point(|range| range.1.saturating_add(1) < first);
        let to = from + ranges[from..].partition_point(|range| range.0 <= last.saturating_add(1));
        let touched = &ranges[from..to];
        let start = touched.first().map_or(first, |range| range.0.min(first));
        let end = touched.last().map_or(last, |range| range.1.max(last));
        ranges.splice(from..to, [(start, end)]);
        true
    }

    /// Whether all times from `first` to `last` of a series are deleted.
    pub(crate) fn cover(&self, series: u32, first: i64, last: i64) -> bool {
        let ranges = self.of(series);
        let place = ranges.partition_point(|range| range.1 < last);
        ranges.get(place).is_some_and(|range| range.0 <= first)
    }

    /// The runs of sorted times of a series that are not deleted.
    pub(crate) fn left(&self, series: u32, timestamps: &[i64]) -> Vec<Range<usize>> {
        let mut left = Vec::new();
        let mut from = 0;
        for &(first, last) in self.of(series) {
            let start = timestamps.partition_point(|&at| at < first).max(from);
            if start > from {
                left.push(from..start);
            }
            from = timestamps.partition_point(|&at| at <= last).max(from);
        }
        if from < timestamps.len() {
            left.push(from..timestamps.len());
        }
        left
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.values().map(Vec::len).sum()
    }

    fn of(&self, series: u32) -> &[(i64, i64)] {
        self.ranges.get(&series).map_or(&[], Vec::as_slice)
    }

    /// Reads the deletes of a block; `None` if there are none.
    pub(crate) fn read(disk: &dyn Disk, seq: u64) -> Result<Option<Self>, Error> {
        let path = deletes_path_of(seq);
        match file::read_small(disk, &path, KIND) {
            Err(error) if error.is_not_found() => Ok(None),
            bytes => {
                let deletes = Self::decode(&bytes?, seq);
                deletes.map(Some).ok_or_else(|| Error::corrupt("deletes", &path, file::HEADER_LEN as u64))
            }
        }
    }

    /// Writes them as those of a block, in place of what is there.
    pub(crate) fn write(&self, disk: &dyn Disk, seq: u64) -> Result<(), Error> {
        file::write_small(disk, &deletes_path_of(seq), KIND, &self.encode(seq)).map(drop)
    }

    fn encode(&self, seq: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, seq);
        varint::put(&mut bytes, self.ranges.len() as u64);
        for (series, ranges) in &self.ranges {
            varint::put(&mut bytes, u64::from(*series));
            varint::put(&mut bytes, ranges.len() as u64);
            for &(first, last) in ranges {
                varint::put_signed(&mut bytes, first);
                varint::put_signed(&mut bytes, last);
            }
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], seq: u64) -> Option<Self> {
        let rest = &mut &*bytes;
        if varint::take(rest)? != seq {
            return None;
        }
        let mut deletes = Self::default();
        for _ in 0..varint::take(rest)? {
            let series = u32::try_from(varint::take(rest)?).ok()?;
            for _ in 0..varint::take(rest)? {
                let (first, last) = (varint::take_signed(rest)?, varint::take_signed(rest)?);
                if !deletes.add(series, first, last) {
                    return None;
                }
            }
        }
        rest.is_empty().then_some(deletes)
    }
}

/// The path of the deletes of a block.
pub(crate) fn deletes_path_of(seq: u64) -> String {
    format!("{DIR}/{seq:010}{SUFFIX}")
}

/// The number of the block whose deletes have this file name.
pub(crate) fn seq_of_deletes(name: &str) -> Option<u64> {
    let seq = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (deletes_path_of(seq).strip_prefix(DIR)?.strip_prefix('/')? == name).then_some(seq)
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;

    fn check(added: &[(i64, i64)], ranges: &[(i64, i64)], left: &[i64]) {
        let mut deletes = Deletes::default();
        for &(first, last) in added {
            deletes.add(7, first, last);
        }
        assert_eq!(deletes.of(7), ranges, "{added:?}");
        let times: Vec<i64> = (0..10).collect();
        let found: Vec<i64> =
            deletes.left(7, &times).into_iter().flat_map(|run| times[run].to_vec()).collect();
        assert_eq!(found, left, "{added:?}");
        assert_eq!(deletes.left(8, &times), vec![0..times.len()]);
        assert_eq!(Deletes::decode(&deletes.encode(3), 3), Some(deletes.clone()));
        assert_eq!(Deletes::decode(&deletes.encode(3), 4), None);
    }

    #[test]
    fn ranges_join() {
        check(&[(3, 4)], &[(3, 4)], &[0, 1, 2, 5, 6, 7, 8, 9]);
        check(&[(3, 4), (6, 7)], &[(3, 4), (6, 7)], &[0, 1, 2, 5, 8, 9]);
        check(&[(6, 7), (3, 4), (5, 5)], &[(3, 7)], &[0, 1, 2, 8, 9]);
        check(&[(2, 3), (i64::MIN, i64::MAX)], &[(i64::MIN, i64::MAX)], &[]);
        check(&[(-5, 0), (9, 20), (4, 3)], &[(-5, 0), (9, 20)], &[1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let disk = MemoryDisk::new();
        let mut deletes = Deletes::default();
        deletes.add(1, 5, 9);
        deletes.write(&disk, 12).unwrap();
        assert_eq!(Deletes::read(&disk, 12).unwrap(), Some(deletes));
        assert_eq!(Deletes::read(&disk, 13).unwrap(), None);
        let path = deletes_path_of(12);
        assert_eq!(seq_of_deletes("0000000012.deletes"), Some(12));
        let bytes = disk.read_whole(&path).unwrap();
        for bit in 0..bytes.len() * 8 {
            disk.write_whole(&path, &bytes).unwrap();
            disk.flip(&path, bit);
            assert!(Deletes::read(&disk, 12).is_err(), "bit {bit}");
        }
    }
}
