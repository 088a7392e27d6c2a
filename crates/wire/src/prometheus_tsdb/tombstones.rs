//! What was deleted from a block and is still in its chunks.
//!
//! ```text
//! magic 01 30 BA 30   version 1   [series (uvarint)  first (varint)  last (varint)] …   CRC-32C of the stones
//! ```

use std::collections::BTreeMap;

use barograph_model::{Sample, Timestamp};

use super::{Malformed, cursor::Cursor};

const MAGIC: u32 = 0x0130_ba30;

/// Spans of time by the id of their series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones(BTreeMap<u64, Vec<(i64, i64)>>);

impl Tombstones {
    /// Reads a file of tombstones.
    ///
    /// # Errors
    /// It is not what Prometheus writes.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(file, 0, bytes);
        if cursor.be32()? != MAGIC {
            return Err(Malformed::new(file, 0, "this is no file of tombstones"));
        }
        match cursor.byte()? {
            1 => {}
            version => {
                return Err(Malformed::new(
                    file,
                    4,
                    format!("tombstones of version {version} are not known"),
                ));
            }
        }
        let offset = cursor.offset();
        let content = cursor.bytes(cursor.rest().len().saturating_sub(4))?;
        cursor.checksum(content)?;
        let mut stones = Cursor::new(file, offset, content);
        let mut found: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
        while !stones.is_done() {
            let (series, first, last) = (stones.uvarint()?, stones.varint()?, stones.varint()?);
            found.entry(series).or_default().push((first, last));
        }
        Ok(Self(found))
    }

    /// Whether nothing was deleted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes away the samples of a series that were deleted, and tells how many.
    pub fn apply(&self, series: u64, samples: &mut Vec<Sample>) -> usize {
        let Some(spans) = self.0.get(&series) else { return 0 };
        let before = samples.len();
        let deleted = |Timestamp(at): Timestamp| spans.iter().any(|&(first, last)| first <= at && at <= last);
        samples.retain(|sample| !deleted(sample.at));
        before - samples.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_be_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&crc32c::crc32c(&content[1..]).to_be_bytes());
        bytes
    }

    #[test]
    fn both_ends_of_a_span_are_deleted() {
        let stones = Tombstones::parse("tombstones", &file(&[1, 7, 20, 40])).unwrap();
        let all: Vec<_> =
            [9, 10, 15, 20, 21].map(|at| Sample { at: Timestamp(at), value: 0.0 }).into_iter().collect();
        let mut samples = all.clone();
        assert_eq!(stones.apply(7, &mut samples), 3);
        assert_eq!(samples.iter().map(|sample| sample.at.0).collect::<Vec<_>>(), [9, 21]);
        samples = all.clone();
        assert_eq!(stones.apply(8, &mut samples), 0);
        assert_eq!(samples, all);
    }

    #[test]
    fn malformed_files_say_where() {
        let check = |bytes: &[u8], text: &str| {
            assert_eq!(Tombstones::parse("t", bytes).unwrap_err().to_string(), text);
        };
        assert!(Tombstones::parse("t", &file(&[1])).unwrap().is_empty());
        check(&[], "t at byte 0: 4 bytes are expected, 0 are left");
        check(b"not a file", "t at byte 0: this is no file of tombstones");
        check(&file(&[2]), "t at byte 4: tombstones of version 2 are not known");
        check(&file(&[1, 7]), "t at byte 6: 1 bytes are expected, 0 are left");
        let mut broken = file(&[1, 7, 20, 40]);
        broken[6] ^= 1;
        check(&broken, "t at byte 8: the checksum does not match");
    }
}
