//! A snappy block decoded piece by piece, for whoever wants to look at what is there before all of it is.
//!
//! What was decoded stays where it is, as later elements copy from it. Memory is taken a step at a time, so a block that is
//! given up early costs what was decoded of it. Whole blocks are decoded faster by [`super::decompress`].
//!
//! ```text
//! block    length (varint)  element…
//! element  literal  tag & 3 = 0  a length in the tag or in 1 to 4 bytes after it, and so many bytes
//!          copy     tag & 3 = 1  4 to 11 bytes, from an offset of 11 bits
//!                             2  1 to 64 bytes, from an offset of 16 bits
//!                             3  1 to 64 bytes, from an offset of 32 bits
//! ```

use super::snappy::{SnappyError, declared};

/// Memory is taken so many bytes at a time.
const STEP: usize = 1 << 20;
/// Short elements are copied so many bytes at a time, be they shorter; there is room for that behind what is decoded.
const WORD: usize = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Unpacker<'b, 's> {
    rest: &'b [u8],
    out: &'s mut Vec<u8>,
    /// Bytes of `out` that are decoded.
    at: usize,
    /// Bytes of a literal that are still to be copied.
    literal: usize,
    declared: usize,
}

impl<'b, 's> Unpacker<'b, 's> {
    /// Begins with a block, which is decoded into `out`.
    ///
    /// # Errors
    /// As [`super::decompress`], of what a block says of itself.
    pub(super) fn begin(body: &'b [u8], out: &'s mut Vec<u8>, limit: usize) -> Result<Self, SnappyError> {
        let declared = declared(body, limit)?;
        let head = body.iter().position(|byte| *byte < 0x80).map_or(body.len(), |last| last + 1);
        out.clear();
        out.reserve(declared + WORD);
        Ok(Self { rest: &body[head..], out, at: 0, literal: 0, declared })
    }

    /// Bytes there will be in the end.
    pub(super) fn declared(&self) -> usize {
        self.declared
    }

    /// What is decoded.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.out[..self.at]
    }

    /// The first `len` bytes of what is decoded, for good.
    pub(super) fn into_bytes(self, len: usize) -> &'s [u8] {
        let Self { out, at, .. } = self;
        &out[..len.min(at)]
    }

    /// Decodes until there are `len` bytes or a few more, all there will be if those are less.
    ///
    /// # Errors
    /// It is no snappy block.
    pub(super) fn reach(&mut self, len: usize) -> Result<(), SnappyError> {
        let len = len.min(self.declared);
        while self.at < len {
            if self.literal > 0 {
                self.copy_literal(len)?;
                continue;
            }
            let Some((&tag, rest)) = self.rest.split_first() else {
                return Err(malformed("it ends before it has the length it declares"));
            };
            self.rest = rest;
            let six = usize::from(tag >> 2);
            match tag & 3 {
                0 if six < WORD && self.copy_short_literal(six + 1) => {}
                0 if six < 60 => self.literal = six + 1,
                0 => self.literal = self.number(six - 59)? + 1,
                1 => {
                    let offset = (six >> 3) << 8 | self.number(1)?;
                    self.copy(offset, 4 + (six & 7))?;
                }
                2 => {
                    let offset = self.number(2)?;
                    self.copy(offset, six + 1)?;
                }
                _ => {
                    let offset = self.number(4)?;
                    self.copy(offset, six + 1)?;
                }
            }
        }
        if self.at == self.declared && !(self.rest.is_empty() && self.literal == 0) {
            return Err(malformed("it goes on after it has the length it declares"));
        }
        Ok(())
    }

    /// A little-endian number of so many bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, SnappyError> {
        let Some((number, rest)) = self.rest.split_at_checked(bytes) else {
            return Err(malformed("it ends within an element"));
        };
        self.rest = rest;
        Ok(number.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// Makes room for so many bytes and a word.
    fn room(&mut self, len: usize) -> Result<(), SnappyError> {
        if len > self.declared - self.at {
            return Err(malformed("it has more than the length it declares"));
        }
        let needed = self.at + len + WORD;
        if self.out.len() < needed {
            self.out.resize((needed + STEP).min(self.declared + WORD), 0);
        }
        Ok(())
    }

    /// Copies a literal of at most a word where there is a whole word to be read and room for one.
    fn copy_short_literal(&mut self, len: usize) -> bool {
        let at = self.at;
        if len > self.declared - at {
            return false;
        }
        let (Some(from), Some(to)) = (self.rest.first_chunk::<WORD>(), self.out.get_mut(at..at + WORD))
        else {
            return false;
        };
        to.copy_from_slice(from);
        self.rest = &self.rest[len..];
        self.at += len;
        true
    }

    /// Copies of the literal what is needed for `len` bytes, and a step at most.
    fn copy_literal(&mut self, len: usize) -> Result<(), SnappyError> {
        let part = self.literal.min((len - self.at).max(WORD)).min(STEP);
        let Some((bytes, rest)) = self.rest.split_at_checked(part) else {
            return Err(malformed("it ends within a literal"));
        };
        self.room(part)?;
        self.out[self.at..self.at + part].copy_from_slice(bytes);
        self.rest = rest;
        self.at += part;
        self.literal -= part;
        Ok(())
    }

    /// Copies what lies so far back; it may overlap with what is made of it.
    fn copy(&mut self, offset: usize, len: usize) -> Result<(), SnappyError> {
        if offset == 0 || offset > self.at {
            return Err(malformed("it copies from before its beginning"));
        }
        self.room(len)?;
        let (from, at) = (self.at - offset, self.at);
        if offset >= WORD {
            let mut done = 0;
            while done < len {
                let word: [u8; WORD] =
                    self.out[from + done..from + done + WORD].try_into().unwrap_or_default();
                self.out[at + done..at + done + WORD].copy_from_slice(&word);
                done += WORD;
            }
        } else {
            for place in from..from + len {
                self.out[place + offset] = self.out[place];
            }
        }
        self.at += len;
        Ok(())
    }
}

fn malformed(reason: &str) -> SnappyError {
    SnappyError::Malformed { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unpacked(block: &[u8], step: usize) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut unpacker = Unpacker::begin(block, &mut out, 8 << 20).map_err(|error| error.to_string())?;
        let mut reached = 0;
        while reached < unpacker.declared() {
            reached += step;
            unpacker.reach(reached).map_err(|error| error.to_string())?;
            assert!(unpacker.bytes().len() >= reached.min(unpacker.declared()));
        }
        unpacker.reach(usize::MAX).map_err(|error| error.to_string())?;
        Ok(unpacker.into_bytes(usize::MAX).to_vec())
    }

    fn check(text: &[u8]) {
        let block = snap::raw::Encoder::new().compress_vec(text).unwrap();
        for step in [1 + text.len() / 7, 100_000, usize::MAX / 2] {
            assert!(unpacked(&block, step).unwrap() == text);
        }
    }

    #[test]
    fn what_was_packed_comes_back() {
        check(b"");
        check(b"a");
        check(&[b'a'; 3_000_000]);
        check(&b"abcdefg".repeat(10_000));
        check(
            &(0..100_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect::<Vec<_>>(),
        );
        check((0..50_000).map(|i| format!("l{i}=x,")).collect::<String>().as_bytes());
    }

    #[test]
    fn elements_of_all_kinds_are_read() {
        // A literal with its length in two bytes, a copy from 32 bits back, and an overlapping one of 11 bits.
        let block =
            [&[7 + 4 + 3, 0xf4, 2, 0, b'a', b'b', b'c', 0x0f, 3, 0, 0, 0, 0x01 | 3 << 2, 1][..]].concat();
        assert_eq!(unpacked(&block, 1).unwrap(), b"abcabcaaaaaaaa");
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let check = |block: &[u8], expected: &str| {
            let error = unpacked(block, 4).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(&[4, 0x0c, b'a', b'b'], "ends within a literal");
        check(&[4, 0x04, b'a', b'b'], "ends before");
        check(&[4, 0xf0], "ends within an element");
        check(&[4, 0x00, b'a', 0x0a, 2, 0], "before its beginning");
        check(&[4, 0x00, b'a', 0x0a, 0, 0], "before its beginning");
        check(&[2, 0x08, b'a', b'b', b'c'], "more than the length");
        check(&[2, 0x04, b'a', b'b', 0x00, b'c'], "goes on after");
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], "more than the limit");
    }

    proptest! {
        #[test]
        fn any_bytes_fare_as_with_the_whole(elements: Vec<u8>, declared in 0_u8..100) {
            let block = [&[declared][..], &elements].concat();
            let whole = super::super::decompress(&block, &mut Vec::new(), 1 << 20).map(<[u8]>::to_vec);
            prop_assert_eq!(unpacked(&block, 3).ok(), whole.ok());
        }
    }
}
