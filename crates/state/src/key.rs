//! Keys as bytes that sort as the keys do.
//!
//! A text is its UTF-8 with each zero byte followed by 0xff, and ends with two zero bytes; a number is big-endian, one
//! with a sign with that bit turned over. Parts of a key stand one after the other.

/// What can be a key: written so that bytes are ordered as keys are, and read back.
pub trait Key: Sized {
    /// Adds the bytes of the key.
    fn encode(&self, out: &mut Vec<u8>);

    /// Takes the key from the front; `None` if the bytes are none.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        for &byte in self.as_bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(0xff);
            }
        }
        out.extend_from_slice(&[0, 0]);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            match **bytes {
                [0, 0, ref rest @ ..] => {
                    *bytes = rest;
                    return Self::from_utf8(text).ok();
                }
                [0, 0xff, ref rest @ ..] => {
                    text.push(0);
                    *bytes = rest;
                }
                [byte, ref rest @ ..] if byte != 0 => {
                    text.push(byte);
                    *bytes = rest;
                }
                _ => return None,
            }
        }
    }
}

impl Key for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(Self::from_be_bytes(*number))
    }
}

impl Key for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.cast_unsigned() ^ 1 << 63).encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some((u64::decode(bytes)? ^ 1 << 63).cast_signed())
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::decode(bytes)?, B::decode(bytes)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
        self.2.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::decode(bytes)?, B::decode(bytes)?, C::decode(bytes)?))
    }
}

/// The bytes of a key.
pub(crate) fn encoded(key: &impl Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes
}

/// The key of which these are all the bytes.
pub(crate) fn decoded<K: Key>(mut bytes: &[u8]) -> Option<K> {
    K::decode(&mut bytes).filter(|_| bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_ordered_as_keys_are() {
        let mut keys = Vec::new();
        for text in ["", "\0", "\0\0", "\0a", "a", "a\0", "a\0b", "ab", "b", "ü"] {
            for number in [i64::MIN, -1, 0, 1, i64::MAX] {
                keys.push((text.to_owned(), number, 7u64));
            }
        }
        let mut sorted = keys.clone();
        sorted.sort();
        keys.sort_by_key(encoded);
        assert_eq!(keys, sorted);
        for key in keys {
            assert_eq!(decoded(&encoded(&key)), Some(key));
        }
    }

    #[test]
    fn bytes_that_are_no_key() {
        assert_eq!(decoded::<String>(b"a\0"), None);
        assert_eq!(decoded::<String>(b"a"), None);
        assert_eq!(decoded::<String>(b"\xff\0\0"), None);
        assert_eq!(decoded::<u64>(&[0; 7]), None);
        assert_eq!(decoded::<u64>(&[0; 9]), None);
    }
}
