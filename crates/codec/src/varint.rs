//! Small integers in few bytes: LEB128, and zigzag for signed ones.
//!
//! Readers take the bytes off the front of a slice and answer `None` at its end or past ten bytes.

/// Appends `value`, seven bits a byte, lowest first.
#[inline]
pub fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(low(value) | 0x80);
        value >>= 7;
    }
    bytes.push(low(value));
}

/// Appends a signed value; those near zero are short.
#[inline]
pub fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put(bytes, zigzag(value));
}

/// Takes a value off the front of `bytes`.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        *bytes = rest;
        return Some(u64::from(first));
    }
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        value |= part << (7 * i);
        if byte < 0x80 {
            // The tenth byte has room for one bit only.
            if i == 9 && part > 1 {
                return None;
            }
            *bytes = &bytes[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Takes a signed value off the front of `bytes`.
#[inline]
pub fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    take(bytes).map(unzigzag)
}

/// Takes a count or a length off the front of `bytes`.
#[inline]
pub fn take_usize(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(take(bytes)?).ok()
}

/// Takes as many bytes as a length at the front says.
pub fn take_slice<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_usize(bytes)?;
    let (slice, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(slice)
}

/// Appends a length and that many bytes.
pub fn put_slice(bytes: &mut Vec<u8>, slice: &[u8]) {
    put(bytes, slice.len() as u64);
    bytes.extend_from_slice(slice);
}

/// A signed number with its sign in the lowest bit, so that small ones stay small.
#[inline]
#[expect(clippy::cast_sign_loss, reason = "a bijection of 64 bits")]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
#[inline]
#[expect(clippy::cast_possible_wrap, reason = "a bijection of 64 bits")]
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
fn low(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rejects_what_is_cut_or_too_long() {
        assert_eq!(take(&mut &[0x80][..]), None);
        assert_eq!(take(&mut &[][..]), None);
        assert_eq!(take(&mut &[0xff; 11][..]), None);
        assert_eq!(take_slice(&mut &[5, 1, 2][..]), None);
    }

    proptest! {
        #[test]
        fn takes_what_was_put(value: u64, signed: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            put_signed(&mut bytes, signed);
            let rest = &mut bytes.as_slice();
            prop_assert_eq!(take(rest), Some(value));
            prop_assert_eq!(take_signed(rest), Some(signed));
            prop_assert!(rest.is_empty());
        }
    }
}
