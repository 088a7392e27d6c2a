//! Whole files that say what they are and whether they are intact.
//!
//! ```text
//! magic 8 | version u16 | reserved u16 | crc32c u32 of the 12 before        header, 16 bytes
//! body                                                                      checked by its own parts
//! footer payload | payload length u32 | crc32c u32 of payload and length | magic 8      all little-endian
//! ```
//!
//! A [`Writer`] streams the body into a temporary file and publishes it at the end, so a file that has its name is
//! whole. The footer's payload tells a reader where the parts of the body lie. Bytes on disk: `docs/format.md`.

use std::sync::Arc;

use crate::{Append, Disk, Error, ReadAt, disk::TEMPORARY, disk::parent};

/// Bytes of the header.
pub const HEADER_LEN: usize = 16;

/// Bytes of the footer behind its payload.
pub const TAIL_LEN: usize = 16;

/// The largest footer payload that a reader believes.
const FOOTER_MAX: u64 = 1 << 26;

/// What kind of file it is, and of which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Eight bytes that no other kind has.
    pub magic: [u8; 8],
    /// The version that is written, and the newest that can be read.
    pub version: u16,
}

impl Kind {
    /// The header of a file of this kind.
    pub fn header(&self) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(&self.magic);
        header[8..10].copy_from_slice(&self.version.to_le_bytes());
        let crc = crc32c::crc32c(&header[..12]);
        header[12..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Checks a header; the version it names.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is none of this kind, [`Error::Version`] if it is newer than is known.
    pub fn check_header(&self, path: &str, header: &[u8]) -> Result<u16, Error> {
        let header: &[u8; HEADER_LEN] =
            header.first_chunk().ok_or_else(|| Error::corrupt("header", path, 0))?;
        let (stated, rest) = header.split_at(12);
        if stated[..8] != self.magic || rest != crc32c::crc32c(stated).to_le_bytes() {
            return Err(Error::corrupt("header", path, 0));
        }
        let version = u16::from_le_bytes([stated[8], stated[9]]);
        if version == 0 || version > self.version {
            return Err(Error::Version { path: path.to_owned(), found: version, known: self.version });
        }
        Ok(version)
    }
}

/// A file being written under a temporary name.
pub struct Writer<'d> {
    disk: &'d dyn Disk,
    path: String,
    kind: Kind,
    file: Box<dyn Append>,
    len: u64,
}

impl<'d> Writer<'d> {
    /// Begins a file that will be called `path`.
    pub fn create(disk: &'d dyn Disk, path: &str, kind: Kind) -> Result<Self, Error> {
        let mut file = disk.create(&format!("{path}{TEMPORARY}"))?;
        file.append(&kind.header())?;
        Ok(Self { disk, path: path.to_owned(), kind, file, len: HEADER_LEN as u64 })
    }

    /// Where the next byte will lie.
    pub fn position(&self) -> u64 {
        self.len
    }

    /// Adds to the body.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.append(bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Writes the footer and gives the file its name, durably. Returns the size of the file.
    ///
    /// # Errors
    /// [`Error::Io`]; then only the temporary file is left, and the next start removes it.
    pub fn publish(mut self, footer: &[u8]) -> Result<u64, Error> {
        let len = u32::try_from(footer.len()).ok().filter(|&len| u64::from(len) <= FOOTER_MAX);
        let len = len.ok_or_else(|| Error::corrupt("footer length", &self.path, self.len))?;
        let mut tail = Vec::with_capacity(footer.len() + TAIL_LEN);
        tail.extend_from_slice(footer);
        tail.extend_from_slice(&len.to_le_bytes());
        let crc = crc32c::crc32c(&tail);
        tail.extend_from_slice(&crc.to_le_bytes());
        tail.extend_from_slice(&self.kind.magic);
        self.append(&tail)?;
        self.file.sync()?;
        self.disk.rename(&format!("{}{TEMPORARY}", self.path), &self.path)?;
        self.disk.sync_dir(parent(&self.path))?;
        Ok(self.len)
    }

    /// Gives up and removes what was written.
    pub fn abandon(self) {
        drop(self.file);
        // What cannot be removed now is removed at the next start.
        let _ = self.disk.remove(&format!("{}{TEMPORARY}", self.path));
    }
}

/// A file that was published, opened for reading.
#[derive(Clone)]
pub struct Reader {
    /// The bytes.
    pub file: Arc<dyn ReadAt>,
    /// The version its header names.
    pub version: u16,
    /// The footer's payload.
    pub footer: Vec<u8>,
    /// Where the footer's payload begins, which is where the body ends.
    pub body_end: u64,
}

impl Reader {
    /// Opens a file and checks its header and footer.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::Version`] for what is no such file, [`Error::Io`].
    pub fn open(disk: &dyn Disk, path: &str, kind: Kind) -> Result<Self, Error> {
        let file = disk.open(path)?;
        let len = file.len();
        let least = (HEADER_LEN + TAIL_LEN) as u64;
        if len < least {
            return Err(Error::corrupt("length", path, len));
        }
        let mut header = [0; HEADER_LEN];
        file.read_at(0, &mut header)?;
        let version = kind.check_header(path, &header)?;

        let mut tail = [0; TAIL_LEN];
        let tail_at = len - TAIL_LEN as u64;
        file.read_at(tail_at, &mut tail)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3, magic @ ..] = tail;
        let footer_len = u32::from_le_bytes([l0, l1, l2, l3]);
        let broken = || Error::corrupt("footer", path, tail_at);
        if magic != kind.magic || u64::from(footer_len) > FOOTER_MAX.min(len - least) {
            return Err(broken());
        }
        let body_end = tail_at - u64::from(footer_len);
        let mut footer = vec![0; usize::try_from(footer_len).map_err(|_| broken())?];
        file.read_at(body_end, &mut footer)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&footer), &footer_len.to_le_bytes());
        if crc != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(broken());
        }
        Ok(Self { file, version, footer, body_end })
    }
}

/// Writes a small file whose whole content is checked by one checksum.
pub fn write_small(disk: &dyn Disk, path: &str, kind: Kind, content: &[u8]) -> Result<u64, Error> {
    Writer::create(disk, path, kind)?.publish(content)
}

/// Reads a file written by [`write_small`].
pub fn read_small(disk: &dyn Disk, path: &str, kind: Kind) -> Result<Vec<u8>, Error> {
    Ok(Reader::open(disk, path, kind)?.footer)
}

/// The checksum used for all parts of all files: CRC-32C (Castagnoli).
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The checksum of bytes that come in pieces: that of those before, and the next ones. It begins with zero.
pub fn checksum_on(before: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(before, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    const KIND: Kind = Kind { magic: *b"BAROTEST", version: 2 };

    #[test]
    fn reads_what_was_published() {
        let disk = MemoryDisk::new();
        let mut writer = Writer::create(&disk, "a", KIND).unwrap();
        writer.append(b"body").unwrap();
        assert!(disk.open("a").is_err());
        writer.publish(b"footer").unwrap();
        let reader = Reader::open(&disk, "a", KIND).unwrap();
        assert_eq!((reader.version, reader.footer.as_slice(), reader.body_end), (2, &b"footer"[..], 20));
        assert_eq!(disk.list("").unwrap().len(), 1);
    }

    #[test]
    fn every_flipped_bit_of_header_and_footer_is_found() {
        let disk = MemoryDisk::new();
        write_small(&disk, "a", KIND, b"content").unwrap();
        let bytes = disk.read_whole("a").unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            disk.write_whole("b", &flipped).unwrap();
            assert!(read_small(&disk, "b", KIND).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            disk.write_whole("b", &bytes[..len]).unwrap();
            assert!(read_small(&disk, "b", KIND).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn newer_versions_are_refused_by_name() {
        let disk = MemoryDisk::new();
        write_small(&disk, "a", Kind { version: 3, ..KIND }, b"").unwrap();
        let error = read_small(&disk, "a", KIND).unwrap_err();
        assert_eq!(error.to_string(), "a has format version 3, this program reads up to 2");
    }
}
