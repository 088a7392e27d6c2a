//! Files of the log: their names and headers.
//!
//! ```text
//! wal/SSSSSSSS-PP.wal      segment and part in decimal
//! wal/SSSSSSSS-PP.kept     the same of a segment that blocks hold, for those who follow the log
//! file header (kind BAROWAL) | segment u32 | part u32 | first seq u64 | crc32c u32 | records...
//! ```

use barograph_disk::{Error, file};

/// The folder of the log.
pub(crate) const DIR: &str = "wal";

pub(crate) const KIND: file::Kind = file::Kind { magic: *b"BAROWAL\0", version: 2 };

/// Bytes before the first record.
pub(crate) const HEADER_LEN: usize = file::HEADER_LEN + 20;

/// One file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) segment: u32,
    pub(crate) part: u32,
}

impl Part {
    pub(crate) fn path(self) -> String {
        format!("{DIR}/{:08}-{:02}.wal", self.segment, self.part)
    }

    /// Where the part lies once blocks hold what is in it and someone who follows the log has not read it.
    pub(crate) fn kept_path(self) -> String {
        format!("{DIR}/{:08}-{:02}.kept", self.segment, self.part)
    }

    /// The part that a name of such a file stands for.
    pub(crate) fn of_kept_name(name: &str) -> Option<Self> {
        Self::of_name(&format!("{}.wal", name.strip_suffix(".kept")?))
    }

    /// The part a file name stands for.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let (segment, part) = name.strip_suffix(".wal")?.split_once('-')?;
        let part = Self { segment: segment.parse().ok()?, part: part.parse().ok()? };
        part.path().strip_prefix(DIR)?.strip_prefix('/').is_some_and(|own| own == name).then_some(part)
    }

    pub(crate) fn header(self, first_seq: u64) -> Vec<u8> {
        let mut header = KIND.header().to_vec();
        header.extend_from_slice(&self.segment.to_le_bytes());
        header.extend_from_slice(&self.part.to_le_bytes());
        header.extend_from_slice(&first_seq.to_le_bytes());
        let crc = file::checksum(&header[file::HEADER_LEN..]);
        header.extend_from_slice(&crc.to_le_bytes());
        header
    }

    /// Checks the header of this part; the sequence number its records begin with.
    pub(crate) fn check_header(self, bytes: &[u8]) -> Result<u64, Error> {
        let path = self.path();
        KIND.check_header(&path, bytes)?;
        let broken = || Error::corrupt("segment header", &path, file::HEADER_LEN as u64);
        let own = bytes.get(file::HEADER_LEN..HEADER_LEN).ok_or_else(broken)?;
        let first_seq = u64::from_le_bytes(own[8..16].try_into().map_err(|_| broken())?);
        (*own == self.header(first_seq)[file::HEADER_LEN..]).then_some(first_seq).ok_or_else(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_headers_round_trip() {
        let part = Part { segment: 7, part: 1 };
        assert_eq!(part.path(), "wal/00000007-01.wal");
        assert_eq!(Part::of_name("00000007-01.wal"), Some(part));
        assert_eq!(Part::of_name("7-1.wal"), None);
        assert_eq!(part.kept_path(), "wal/00000007-01.kept");
        assert_eq!(Part::of_kept_name("00000007-01.kept"), Some(part));
        assert_eq!(Part::of_kept_name("00000007-01.wal"), None);
        assert_eq!(Part::of_name("00000007-01.wal.tmp"), None);
        assert_eq!(part.check_header(&part.header(99)).unwrap(), 99);
        assert!(Part { segment: 8, part: 1 }.check_header(&part.header(99)).is_err());
    }
}
