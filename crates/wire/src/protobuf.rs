//! Protobuf by hand: a reader that walks a message in place, and the few writers we need.
//!
//! A [`Reader`] is a window on the whole buffer, so an error can name the offset in it, and a number near the end
//! of a small message can still be read eight bytes at once. Nothing recurses: skipping nested groups counts their
//! depth. Wire format: <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

/// The bytes are not the protobuf message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where in the decoded body.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, what } = self;
        write!(f, "malformed protobuf at byte {offset}: {what}")
    }
}

impl std::error::Error for Malformed {}

/// Groups (a retired part of protobuf) nested deeper than this are refused.
const GROUP_DEPTH_MAX: usize = 64;

pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LEN: u32 = 2;
const GROUP_START: u32 = 3;
const GROUP_END: u32 = 4;
const FIXED32: u32 = 5;

/// A field number and wire type as one number, as they stand in the bytes.
pub(crate) const fn key(field: u32, wire_type: u32) -> u32 {
    field << 3 | wire_type
}

/// What is left to read of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    buffer: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) const fn new(buffer: &'a [u8]) -> Self {
        Self { buffer, at: 0, end: buffer.len() }
    }

    #[inline]
    pub(crate) const fn is_done(&self) -> bool {
        self.at >= self.end
    }

    /// The offset in the whole buffer.
    #[inline]
    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    /// The bytes of the whole buffer from `start` to here.
    #[inline]
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.buffer[start..self.at]
    }

    /// Everything that is left.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.buffer[self.at..self.end]
    }

    /// Reads nothing more.
    pub(crate) const fn finish(&mut self) {
        self.at = self.end;
    }

    pub(crate) const fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { offset: self.at, what }
    }

    /// Passes over `count` bytes, which [`Reader::rest`] was seen to have.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.at += count;
        debug_assert!(self.at <= self.end);
    }

    /// Whether the next byte is `byte`.
    #[inline]
    pub(crate) fn is_at(&self, byte: u8) -> bool {
        self.at < self.end && self.buffer[self.at] == byte
    }

    /// Passes over length-delimited fields that follow each other and begin with the byte `key`, as long as their
    /// lengths take one byte. This is where a request is walked fastest; what it stops at, [`Reader::message`]
    /// goes on with.
    #[inline]
    pub(crate) fn skip_short_run(&mut self, key: u8) {
        let window = &self.buffer[..self.end];
        let mut at = self.at;
        while let Some(&[first, len]) = window.get(at..at + 2)
            && first == key
            && len < 0x80
        {
            let next = at + 2 + usize::from(len);
            if next > self.end {
                break;
            }
            at = next;
        }
        self.at = at;
    }

    /// Whether all that is left is one length-delimited field that begins with the byte `key`, its length in one
    /// byte.
    #[inline]
    pub(crate) fn is_one_short(&self, key: u8) -> bool {
        matches!(self.rest(), &[first, len, ref content @ ..]
            if first == key && len < 0x80 && content.len() == usize::from(len))
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        if let Some(&byte) = self.buffer.get(self.at)
            && byte < 0x80
            && self.at < self.end
        {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    /// A varint of up to eight bytes is gathered from one word: the stop bit gives its length, then neighbouring
    /// 7-bit groups are joined, twice as many bits at each of three steps.
    #[inline]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        if let Some(word) = self.buffer.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*word);
            let stops = !word & 0x8080_8080_8080_8080;
            if stops != 0 {
                let bits = stops.trailing_zeros() + 1;
                let len = bits as usize / 8;
                if len <= self.end - self.at {
                    self.at += len;
                    let kept = word & (u64::MAX >> (64 - bits));
                    return Ok(join_groups(kept));
                }
            }
        }
        self.slow_varint()
    }

    #[cold]
    fn slow_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (i, &byte) in self.rest().iter().enumerate().take(10) {
            if i == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.malformed(if self.end - self.at < 10 {
            "a number is cut short"
        } else {
            "a number is too long"
        }))
    }

    /// The key of the next field.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<u32, Malformed> {
        let before = *self;
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(key) if key >> 3 != 0 => Ok(key),
            _ => Err(before.malformed("no such field number")),
        }
    }

    /// The length-delimited content of a field, as a window of its own.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<Self, Malformed> {
        let before = *self;
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len) if len <= self.end - self.at => {
                let inner = Self { buffer: self.buffer, at: self.at, end: self.at + len };
                self.at = inner.end;
                Ok(inner)
            }
            _ => Err(before.malformed("a length runs past its message")),
        }
    }

    /// The content of a length-delimited field whose key is the one byte this reader stands at. On an error it still
    /// stands there.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Self, Malformed> {
        let mut inner = *self;
        inner.at += 1;
        let message = inner.message()?;
        self.at = message.end;
        Ok(message)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        Ok(self.message()?.rest())
    }

    pub(crate) fn double(&mut self) -> Result<f64, Malformed> {
        match self.rest().first_chunk::<8>() {
            Some(bytes) => {
                self.at += 8;
                Ok(f64::from_le_bytes(*bytes))
            }
            None => Err(self.malformed("a double is cut short")),
        }
    }

    #[inline]
    pub(crate) fn int64(&mut self) -> Result<i64, Malformed> {
        Ok(self.varint()?.cast_signed())
    }

    /// Passes over the content of a field we do not know.
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), Malformed> {
        let mut open = 0;
        let mut key = key;
        loop {
            match key & 7 {
                VARINT => _ = self.varint()?,
                FIXED64 => self.skip_bytes(8)?,
                LEN => _ = self.message()?,
                GROUP_START if open < GROUP_DEPTH_MAX => open += 1,
                GROUP_START => return Err(self.malformed("groups are nested too deeply")),
                GROUP_END if open > 0 => open -= 1,
                GROUP_END => return Err(self.malformed("a group ends that did not begin")),
                FIXED32 => self.skip_bytes(4)?,
                _ => return Err(self.malformed("no such wire type")),
            }
            if open == 0 {
                return Ok(());
            }
            key = self.key()?;
        }
    }

    fn skip_bytes(&mut self, count: usize) -> Result<(), Malformed> {
        if count > self.end - self.at {
            return Err(self.malformed("a field is cut short"));
        }
        self.at += count;
        Ok(())
    }
}

/// Takes the stop and continuation bits out of up to eight varint bytes.
#[inline]
const fn join_groups(x: u64) -> u64 {
    let x = (x & 0x007f_007f_007f_007f) | ((x & 0x7f00_7f00_7f00_7f00) >> 1);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x3fff_0000_3fff_0000) >> 2);
    (x & 0x0000_0000_0fff_ffff) | ((x & 0x0fff_ffff_0000_0000) >> 4)
}

pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

pub(crate) const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// A whole length-delimited field.
pub(crate) fn put_bytes(bytes: &mut Vec<u8>, field: u32, content: &[u8]) {
    put_varint(bytes, u64::from(key(field, LEN)));
    put_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

/// A packed field of doubles, left out if there are none.
pub(crate) fn put_doubles(message: &mut Vec<u8>, field: u32, values: impl Iterator<Item = f64>) {
    let packed: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    if !packed.is_empty() {
        put_bytes(message, field, &packed);
    }
}

/// A field of a double.
pub(crate) fn put_double(message: &mut Vec<u8>, field: u32, value: f64) {
    put_varint(message, u64::from(key(field, FIXED64)));
    message.extend_from_slice(&value.to_le_bytes());
}

/// A field of a number.
pub(crate) fn put_number(message: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(message, u64::from(key(field, VARINT)));
    put_varint(message, value);
}

pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// A field of eight bytes.
pub(crate) fn put_fixed64(message: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(message, u64::from(key(field, FIXED64)));
    message.extend_from_slice(&value.to_le_bytes());
}

/// A message as a field, written by `content`.
pub(crate) fn put_message(message: &mut Vec<u8>, field: u32, content: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    content(&mut inner);
    put_bytes(message, field, &inner);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_numbers_that_are_none() {
        let check =
            |bytes: &[u8], what: &str| assert_eq!(Reader::new(bytes).varint().unwrap_err().what, what);
        check(&[], "a number is cut short");
        check(&[0x80], "a number is cut short");
        check(&[0xff; 9], "a number is cut short");
        check(&[0xff; 10], "a number is too long");
        check(&[0xff; 40], "a number is too long");
    }

    #[test]
    fn a_number_may_not_borrow_from_the_next_message() {
        let bytes = [0x0a, 0x01, 0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut reader = Reader::new(&bytes);
        reader.key().unwrap();
        let mut inner = reader.message().unwrap();
        assert_eq!(inner.varint(), Err(Malformed { offset: 2, what: "a number is cut short" }));
    }

    #[test]
    fn skips_groups_without_recursion() {
        let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        let skip = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            let key = reader.key()?;
            reader.skip(key).map(|()| reader.is_done())
        };
        assert_eq!(skip(&nested(10)), Ok(true));
        assert!(skip(&nested(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, shift in 0u32..64, tail in 0usize..10) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(bytes.len(), varint_len(value));
            let len = bytes.len();
            bytes.resize(len + tail, 0xff);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.offset(), len);
        }
    }
}
