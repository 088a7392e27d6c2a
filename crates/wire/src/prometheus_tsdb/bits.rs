//! Bits, taken from the highest of each byte to the lowest, and the codes of variable length made of them.

/// Bits of a chunk, and how far they were read. `None` always means that there are no more.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The byte of the next bit.
    pub(super) const fn offset(&self) -> usize {
        self.at / 8
    }

    /// The next `count` bits, 1 to 64, as the low bits of a number.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Option<u64> {
        debug_assert!((1..=64).contains(&count));
        let (first, skip) = (self.at / 8, self.at % 8);
        if self.at + count > self.bytes.len() * 8 {
            return None;
        }
        self.at += count;
        let mut window = [0; 16];
        let near = &self.bytes[first..self.bytes.len().min(first + 16)];
        window[..near.len()].copy_from_slice(near);
        let window = u128::from_be_bytes(window) << skip >> (128 - count);
        Some(u64::try_from(window).unwrap_or(u64::MAX))
    }

    #[inline]
    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// How many ones come before the next zero, which is taken too; at most `max`, after which none is taken.
    #[inline]
    pub(super) fn ones(&mut self, max: usize) -> Option<usize> {
        for count in 0..max {
            if !self.bit()? {
                return Some(count);
            }
        }
        Some(max)
    }

    /// A number of `width` bits that stands for one from `-(2^(width-1) - 1)` to `2^(width-1)`.
    pub(super) fn signed(&mut self, width: usize) -> Option<i64> {
        let bits = self.take(width)?;
        let value = bits.cast_signed();
        Some(if width < 64 && bits > 1 << (width - 1) { value - (1 << width) } else { value })
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        self.take(64).map(f64::from_bits)
    }

    /// Seven bits a byte, the lowest first; bytes need not begin where bytes do.
    pub(super) fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(8)?;
            value |= (byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn varint(&mut self) -> Option<i64> {
        let value = self.uvarint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

/// A float that is written as what is different from the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct XorFloat {
    bits: u64,
    /// Leading zeros and width of the difference written last, if there was one.
    shape: Option<(usize, usize)>,
}

impl XorFloat {
    /// The first one, which is written whole.
    pub(super) const fn new(first: f64) -> Self {
        Self { bits: first.to_bits(), shape: None }
    }

    pub(super) const fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// `0`: the same. `10`: bits in the place of the ones before. `11`: five bits say how many zeros lead, six how
    /// many bits follow (0 for 64), then these.
    #[inline]
    pub(super) fn next(&mut self, bits: &mut Bits<'_>) -> Option<f64> {
        if !bits.bit()? {
            return Some(self.value());
        }
        let (leading, width) = if bits.bit()? {
            let leading = usize::try_from(bits.take(5)?).ok()?;
            let width = match usize::try_from(bits.take(6)?).ok()? {
                0 => 64,
                width => width,
            };
            (leading, width)
        } else {
            self.shape?
        };
        self.shape = Some((leading, width));
        let trailing = 64usize.checked_sub(leading + width)?;
        self.bits ^= bits.take(width)? << trailing;
        Some(self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_from_the_top() {
        let mut bits = Bits::new(&[0b1010_0000, 0xff, 0x80]);
        assert_eq!(bits.bit(), Some(true));
        assert_eq!(bits.take(3), Some(0b010));
        assert_eq!(bits.take(12), Some(0x0ff));
        assert_eq!(bits.take(1), Some(1));
        assert_eq!(bits.take(8), None);
        assert_eq!(bits.take(7), Some(0));
        assert_eq!(bits.bit(), None);
    }

    #[test]
    fn all_64_bits_at_any_place() {
        let bytes: Vec<u8> = (0..20).map(|n| n * 13 + 7).collect();
        for skip in 1..8 {
            let mut bits = Bits::new(&bytes);
            bits.take(skip);
            let mut slowly = bits.clone();
            let slow = (0..64).fold(0u64, |value, _| value << 1 | u64::from(slowly.bit().unwrap()));
            assert_eq!(bits.take(64), Some(slow), "{skip}");
        }
    }

    #[test]
    fn signed_numbers_lean_to_the_positive() {
        let check = |byte: u8, value| assert_eq!(Bits::new(&[byte]).signed(3), Some(value));
        check(0b000_00000, 0);
        check(0b100_00000, 4);
        check(0b101_00000, -3);
        check(0b111_00000, -1);
    }

    #[test]
    fn a_difference_needs_a_place() {
        let mut float = XorFloat::new(1.0);
        assert_eq!(float.next(&mut Bits::new(&[0b1000_0000])), None, "none was named before");
        assert_eq!(float.next(&mut Bits::new(&[0b1111_1111, 0xff, 0xff])), None, "31 + 63 is more than 64");
    }
}
