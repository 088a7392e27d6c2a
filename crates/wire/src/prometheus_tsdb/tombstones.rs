//! What was deleted from a block and is still in its chunks.
//!
//! ```text
//! magic 01 30 BA 30   version 1   [series (uvarint)  first (varint)  last (varint)] …   CRC-32C of the stones
//! ```

use std::collections::BTreeMap;

use barograph_model::Timestamp;

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

    /// Whether what a series has at a time was deleted.
    pub fn deleted(&self, series: u64, Timestamp(at): Timestamp) -> bool {
        self.0.get(&series).is_some_and(|spans| spans.iter().any(|&(first, last)| first <= at && at <= last))
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
        for (series, at, deleted) in
            [(7, 9, false), (7, 10, true), (7, 15, true), (7, 20, true), (7, 21, false), (8, 15, false)]
        {
            assert_eq!(stones.deleted(series, Timestamp(at)), deleted, "{series} at {at}");
        }
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
