//! Bytes of a file, taken one field after the other. Every failure knows the file and the offset.

use super::Malformed;

/// A run of bytes of a file, and how far it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    file: &'a str,
    /// The offset in the file of the next byte.
    offset: u64,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// `bytes`, which begin at `offset` of `file`.
    pub(super) const fn new(file: &'a str, offset: u64, bytes: &'a [u8]) -> Self {
        Self { file, offset, rest: bytes }
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error at the next byte.
    pub(super) fn malformed(&self, what: impl Into<String>) -> Malformed {
        Malformed::new(self.file, self.offset, what)
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.malformed(format!("{len} bytes are expected, {} are left", self.rest.len())));
        };
        self.rest = rest;
        self.offset += len as u64;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn be32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn be64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn uvarint(&mut self) -> Result<u64, Malformed> {
        let start = *self;
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(start.malformed("a varint has more than 64 bits"))
    }

    /// As [`Cursor::uvarint`], the sign in the lowest bit.
    pub(super) fn varint(&mut self) -> Result<i64, Malformed> {
        let value = self.uvarint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A count or a length, which cannot be more than there are bytes left.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let start = *self;
        let value = self.uvarint()?;
        let possible = usize::try_from(value).ok().filter(|&count| count <= self.rest.len());
        possible.ok_or_else(|| start.malformed(format!("{value} is more than there is room for")))
    }

    /// Checks that what comes next is the checksum of `content`.
    pub(super) fn checksum(&mut self, content: &[u8]) -> Result<(), Malformed> {
        let start = *self;
        match self.be32()? == crc32c::crc32c(content) {
            true => Ok(()),
            false => Err(start.malformed("the checksum does not match")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_both_kinds() {
        let unsigned = |bytes: &[u8]| Cursor::new("f", 0, bytes).uvarint().ok();
        assert_eq!(unsigned(&[0]), Some(0));
        assert_eq!(unsigned(&[0xac, 0x02]), Some(300));
        assert_eq!(unsigned(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(u64::MAX));
        assert_eq!(unsigned(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
        assert_eq!(unsigned(&[0x80; 11]), None);
        assert_eq!(unsigned(&[0x80]), None);
        let signed = |bytes: &[u8]| Cursor::new("f", 0, bytes).varint().ok();
        assert_eq!(signed(&[1]), Some(-1));
        assert_eq!(signed(&[2]), Some(1));
        assert_eq!(signed(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(i64::MIN));
    }

    #[test]
    fn errors_name_file_and_offset() {
        let mut cursor = Cursor::new("index", 10, &[1, 2, 3]);
        assert_eq!(cursor.byte(), Ok(1));
        let error = cursor.be32().unwrap_err();
        assert_eq!(error.to_string(), "index at byte 11: 4 bytes are expected, 2 are left");
    }
}
