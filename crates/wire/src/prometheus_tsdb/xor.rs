//! Chunks of float samples: times as differences of differences, values as differences of bits.
//!
//! ```text
//! count (2 bytes)  t0 (varint)  v0 (8 bytes)  t1 - t0 (uvarint)  v1  [dod of t2  v2] …
//! ```
//!
//! A difference of differences is `0` for none, `10` and 14 bits, `110` and 17, `1110` and 20, `1111` and 64.

use barograph_model::{Sample, Timestamp};

use super::bits::{Bits, XorFloat};

/// Widths of a difference of differences, by the number of leading ones.
const WIDTHS: [usize; 5] = [0, 14, 17, 20, 64];

/// Appends the samples of a chunk. Otherwise the byte where it breaks off, and what should have been there.
pub(super) fn decode(data: &[u8], samples: &mut Vec<Sample>) -> Result<(), (usize, &'static str)> {
    let mut bits = Bits::new(data);
    let count = bits.take(16).ok_or((0, "the number of samples"))?;
    let mut state: Option<State> = None;
    for number in 0..count {
        let next = match state {
            None => State::first(&mut bits),
            Some(state) => state.next(&mut bits, number == 1),
        };
        let next = next.ok_or((bits.offset(), "a sample"))?;
        samples.push(Sample { at: Timestamp(next.at), value: next.value.value() });
        state = Some(next);
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct State {
    at: i64,
    delta: i64,
    value: XorFloat,
}

impl State {
    fn first(bits: &mut Bits<'_>) -> Option<Self> {
        let at = bits.varint()?;
        Some(Self { at, delta: 0, value: XorFloat::new(bits.float()?) })
    }

    #[inline]
    fn next(mut self, bits: &mut Bits<'_>, second: bool) -> Option<Self> {
        self.delta = if second {
            bits.uvarint()?.cast_signed()
        } else {
            match WIDTHS[bits.ones(4)?] {
                0 => self.delta,
                width => self.delta.checked_add(bits.signed(width)?)?,
            }
        };
        self.at = self.at.checked_add(self.delta)?;
        self.value.next(bits)?;
        Some(self)
    }
}
