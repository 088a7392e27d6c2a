//! The head's code: one sample at a time, in whole bytes, cheap to write.
//!
//! A sample is one control byte and what it announces:
//!
//! ```text
//! control: time code (2 bits) << 6 | value code (6 bits)
//! time code    0 the same step as before   1 change of step, i8   2 change of step, i24   3 first sample: time, i64
//! value code   0 the same value            1..=4 change of the mantissa, in that many bytes
//!              5..=9 from here on value = mantissa / 10^(code-5); the mantissa as a signed varint
//!              10..=45 XOR with the value before, without its leading and trailing zero bytes
//! ```
//!
//! Decimal values (counters, percentages with two decimals) go by their mantissa, which changes little from sample to
//! sample; a value is coded so only if the division gives back its very bits. All others go by XOR, so every bit
//! pattern comes back. The code lives in memory only, as part of the head.

/// Turns the samples of one series to the bytes of chunks, and remembers the last one beyond its chunk.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    last_at: i64,
    last_bits: u64,
    mantissa: i64,
    step: i32,
    count: u16,
    scale: u8,
}

/// No scale: values are not decimal, or nobody looked yet.
const NO_SCALE: u8 = 15;

/// Powers of ten that a mantissa is divided by.
const POWERS: [f64; 5] = [1.0, 1e1, 1e2, 1e3, 1e4];

/// How often a series of non-decimal values is looked at again.
const PROBE_EVERY: u16 = 16;

const TIME_SAME: u8 = 0;
const TIME_I8: u8 = 1 << 6;
const TIME_I24: u8 = 2 << 6;
const TIME_FIRST: u8 = 3 << 6;
const VALUE_SAME: u8 = 0;
const VALUE_SCALE: u8 = 5;
const VALUE_XOR: u8 = 10;

/// The value code is the width of a change of the mantissa up to this one.
const WIDTH_MAX: u8 = 4;

/// `(leading zero bytes, bytes kept)` by XOR code.
const XOR_SHAPES: [(u8, u8); 36] = xor_shapes();

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder that has seen no sample.
    pub const fn new() -> Self {
        Self { last_at: i64::MIN, last_bits: 0, mantissa: 0, step: 0, count: 0, scale: NO_SCALE }
    }

    /// The time of the last sample, `i64::MIN` before the first.
    #[inline]
    pub const fn last_at(&self) -> i64 {
        self.last_at
    }

    /// The bits of the last value.
    #[inline]
    pub const fn last_bits(&self) -> u64 {
        self.last_bits
    }

    /// How many samples the current chunk holds.
    #[inline]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// Begins a new chunk. The last sample stays known; the chunk does not depend on it.
    pub const fn restart(&mut self) {
        self.mantissa = 0;
        self.step = 0;
        self.count = 0;
        self.scale = NO_SCALE;
    }

    /// The bytes by which a sample, which must be later than the last one, goes on the chunk. `None`, with nothing
    /// changed, when the chunk cannot take it: a new one has to begin.
    #[inline]
    #[must_use]
    pub fn push(&mut self, at: i64, value: f64) -> Option<Encoded> {
        debug_assert!(at > self.last_at, "samples of a chunk are in order");
        let mut out = Encoded { bytes: [0; Encoded::CAPACITY], len: 1 };
        let time_code = if self.count == 0 {
            out.put(&at.to_le_bytes(), 8);
            self.step = 0;
            TIME_FIRST
        } else {
            let step = i32::try_from(at.wrapping_sub(self.last_at)).ok()?;
            let change = step.wrapping_sub(self.step);
            let code = if change == 0 {
                TIME_SAME
            } else if i8::try_from(change).is_ok() {
                out.put(&change.to_le_bytes(), 1);
                TIME_I8
            } else if (-(1 << 23)..1 << 23).contains(&change) && self.count < u16::MAX {
                out.put(&change.to_le_bytes(), 3);
                TIME_I24
            } else {
                return None;
            };
            self.step = step;
            code
        };
        let value_code = self.put_value(&mut out, value);
        out.bytes[0] = time_code | value_code;
        self.last_at = at;
        self.last_bits = value.to_bits();
        self.count += 1;
        Some(out)
    }

    #[inline]
    fn put_value(&mut self, out: &mut Encoded, value: f64) -> u8 {
        let bits = value.to_bits();
        if bits == self.last_bits && self.count > 0 {
            return VALUE_SAME;
        }
        if self.scale != NO_SCALE
            && let Some(mantissa) = mantissa(value, self.scale)
        {
            let change = mantissa.wrapping_sub(self.mantissa);
            self.mantissa = mantissa;
            let zigzag = crate::varint::zigzag(change);
            if zigzag < 1 << 32 {
                let width = (4 - (zigzag | 1).leading_zeros().saturating_sub(32) / 8).to_le_bytes()[0];
                out.put(&change.to_le_bytes(), width);
                return width;
            }
            out.put_varint(crate::varint::zigzag(mantissa));
            return VALUE_SCALE + self.scale;
        }
        self.put_odd_value(out, value)
    }

    /// A value that does not follow the current scale.
    #[inline(never)]
    fn put_odd_value(&mut self, out: &mut Encoded, value: f64) -> u8 {
        // A staleness marker says nothing of the scale of its neighbours.
        if !value.is_nan() {
            let first = if self.scale == NO_SCALE { 0 } else { self.scale + 1 };
            let look = self.scale != NO_SCALE || self.count.is_multiple_of(PROBE_EVERY);
            let found = (first..5).filter(|_| look).find_map(|scale| Some((scale, mantissa(value, scale)?)));
            if let Some((scale, mantissa)) = found {
                (self.scale, self.mantissa) = (scale, mantissa);
                out.put_varint(crate::varint::zigzag(mantissa));
                return VALUE_SCALE + scale;
            }
            self.scale = NO_SCALE;
        }
        let before = if self.count == 0 { 0 } else { self.last_bits };
        // Zero XOR zero only where the first value of a chunk is zero and was not taken for a decimal: never.
        let xor = value.to_bits() ^ before;
        let leading = (xor | 1).leading_zeros() / 8;
        let trailing = (xor | 1 << 63).trailing_zeros() / 8;
        let kept = 8 - leading.min(7) - trailing.min(7 - leading.min(7));
        let shape = (leading.to_le_bytes()[0].min(7), kept.to_le_bytes()[0]);
        let low = xor >> (8 * (8 - leading.min(7) - kept));
        out.put(&low.to_le_bytes(), shape.1);
        VALUE_XOR + xor_code(shape)
    }
}

/// The mantissa of a value at a scale, if dividing it gives back the same bits.
#[inline]
fn mantissa(value: f64, scale: u8) -> Option<i64> {
    // Adding 1.5 * 2^52 leaves the nearest integer in the low bits, for anything below 2^51 in size: cheaper than
    // rounding, which is a call without SSE 4.1. What is out of range or no number fails the test of the way back.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    let power = POWERS[usize::from(scale)];
    let shifted = value * power + MAGIC;
    let mantissa = shifted.to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
    (value_of(mantissa, scale).to_bits() == value.to_bits()).then_some(mantissa)
}

/// The lowest `width` bytes, fewer than eight, as a signed number; zero of none.
#[inline]
fn low_bytes(bytes: u64, width: u8) -> i64 {
    // Shifted in two parts, as no shift may be by all of the bits.
    let unused = 63 - 8 * u32::from(width);
    (bytes << 1 << unused).cast_signed() >> 1 >> unused
}

/// The value of a mantissa at a scale.
#[inline]
fn value_of(mantissa: i64, scale: u8) -> f64 {
    let value = mantissa as f64;
    if scale == 0 { value } else { value / POWERS[usize::from(scale)] }
}

const fn xor_shapes() -> [(u8, u8); 36] {
    let mut shapes = [(0, 0); 36];
    let (mut code, mut leading) = (0, 0);
    while leading < 8 {
        let mut kept = 1;
        while kept <= 8 - leading {
            shapes[code] = (leading, kept);
            code += 1;
            kept += 1;
        }
        leading += 1;
    }
    shapes
}

/// The index of a shape in [`XOR_SHAPES`].
fn xor_code((leading, kept): (u8, u8)) -> u8 {
    let leading = u16::from(leading);
    (8 * leading - leading * leading.saturating_sub(1) / 2).to_le_bytes()[0] + kept - 1
}

/// The bytes of one sample, to be put behind those of the samples before.
#[derive(Clone, Copy, Debug)]
pub struct Encoded {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl Encoded {
    /// Bytes of the buffer, of which a sample takes a part.
    pub const CAPACITY: usize = 28;

    /// The bytes of the sample.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The whole buffer: the bytes of the sample, and others behind them that mean nothing.
    #[inline]
    pub const fn buffer(&self) -> &[u8; Self::CAPACITY] {
        &self.bytes
    }

    /// How many bytes the sample takes; never zero.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// Puts the first `len` of `bytes`.
    #[inline]
    fn put<const N: usize>(&mut self, bytes: &[u8; N], len: u8) {
        let at = usize::from(self.len);
        self.bytes[at..at + N].copy_from_slice(bytes);
        self.len += len;
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(&[value.to_le_bytes()[0] | 0x80], 1);
            value >>= 7;
        }
        self.put(&[value.to_le_bytes()[0]], 1);
    }
}

/// Reads the samples of a chunk.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    left: u16,
    first: bool,
    at: i64,
    bits: u64,
    mantissa: i64,
    step: i32,
    scale: u8,
}

impl<'a> Decoder<'a> {
    /// A reader of `count` samples. On bytes that no encoder wrote it ends early.
    pub const fn new(bytes: &'a [u8], count: u16) -> Self {
        Self { rest: bytes, left: count, first: true, at: 0, bits: 0, mantissa: 0, step: 0, scale: NO_SCALE }
    }

    /// How many samples are still to come.
    pub const fn left(&self) -> u16 {
        self.left
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    /// A number of `len` bytes, the sign not extended.
    #[inline]
    fn take_number(&mut self, len: u8) -> Option<u64> {
        let len = usize::from(len);
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        // Away from the end of the chunk eight bytes can be read at once and the surplus masked off.
        let number = if let Some(eight) = self.rest.first_chunk::<8>() {
            u64::from_le_bytes(*eight) & (u64::MAX >> (64 - 8 * len))
        } else {
            bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
        };
        self.rest = rest;
        Some(number)
    }

    #[inline]
    fn take_signed(&mut self, len: u8) -> Option<i64> {
        Some(low_bytes(self.take_number(len)?, len))
    }

    /// Adds the samples that are left to two columns.
    pub fn append_to(mut self, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) {
        let start = timestamps.len();
        let end = start + usize::from(self.left);
        timestamps.resize(end, 0);
        values.resize(end, 0.0);
        let mut read = start;
        let (mut times, mut numbers) = (&mut timestamps[start..], &mut values[start..]);
        while let (Some(at), Some(value)) = (times.split_off_first_mut(), numbers.split_off_first_mut()) {
            let Some(sample) = self.sample() else { break };
            (*at, *value) = sample;
            let run = self.run(times, numbers);
            times = &mut times[run..];
            numbers = &mut numbers[run..];
            read += 1 + run;
        }
        timestamps.truncate(read);
        values.truncate(read);
    }

    /// Reads samples whose values change by a part of a mantissa for as long as there are no others: with the state in
    /// registers, without a branch that depends on how many bytes a sample has, and all divisions at the end, some at a
    /// time. How many there were.
    fn run(&mut self, times: &mut [i64], values: &mut [f64]) -> usize {
        let scale = self.scale.min(4);
        if value_of(self.mantissa, scale).to_bits() != self.bits {
            // The last value is none of a mantissa, and the next may repeat it.
            return 0;
        }
        let (mut rest, mut at, mut step, mut mantissa) = (self.rest, self.at, self.step, self.mantissa);
        let mut count = 0;
        for (time, value) in times.iter_mut().zip(&mut *values) {
            let Some(&[control, ref changes @ ..]) = rest.first_chunk::<9>() else { break };
            let width = control & 0x3f;
            if control >= TIME_FIRST || width > WIDTH_MAX {
                break;
            }
            // Both changes lie in these bytes: none, one or three of the step, and up to four of the mantissa.
            let changes = u64::from_le_bytes(*changes);
            let time_code = control >> 6;
            let time_width = time_code + (time_code >> 1);
            step = step.wrapping_add(i32::try_from(low_bytes(changes, time_width)).unwrap_or_default());
            at = at.wrapping_add(i64::from(step));
            mantissa = mantissa.wrapping_add(low_bytes(changes >> (8 * time_width), width));
            (*time, *value) = (at, mantissa as f64);
            rest = &rest[1 + usize::from(time_width + width)..];
            count += 1;
        }
        if scale > 0 {
            let power = POWERS[usize::from(scale)];
            values[..count].iter_mut().for_each(|value| *value /= power);
        }
        (self.rest, self.at, self.step, self.mantissa) = (rest, at, step, mantissa);
        self.bits = value_of(mantissa, scale).to_bits();
        count
    }

    #[inline]
    fn sample(&mut self) -> Option<(i64, f64)> {
        let [control] = self.take()?;
        let time_code = control & (3 << 6);
        if (time_code == TIME_FIRST) != self.first {
            return None;
        }
        self.first = false;
        match time_code {
            TIME_SAME => self.at = self.at.wrapping_add(i64::from(self.step)),
            TIME_FIRST => self.at = i64::from_le_bytes(self.take()?),
            code => {
                let change = self.take_signed(if code == TIME_I8 { 1 } else { 3 })?;
                self.step = self.step.wrapping_add(i32::try_from(change).ok()?);
                self.at = self.at.wrapping_add(i64::from(self.step));
            }
        }
        match control & 0x3f {
            VALUE_SAME => {}
            width @ 1..=WIDTH_MAX => {
                let change = self.take_signed(width)?;
                self.mantissa = self.mantissa.wrapping_add(change);
                self.bits = value_of(self.mantissa, self.scale.min(4)).to_bits();
            }
            code @ VALUE_SCALE..VALUE_XOR => {
                self.scale = code - VALUE_SCALE;
                self.mantissa = crate::varint::take_signed(&mut self.rest)?;
                self.bits = value_of(self.mantissa, self.scale).to_bits();
            }
            code => {
                let (leading, kept) = *XOR_SHAPES.get(usize::from(code - VALUE_XOR))?;
                let low = self.take_number(kept)?;
                self.bits ^= low << (8 * (8 - leading - kept));
            }
        }
        Some((self.at, f64::from_bits(self.bits)))
    }
}

impl Iterator for Decoder<'_> {
    type Item = (i64, f64);

    #[inline]
    fn next(&mut self) -> Option<(i64, f64)> {
        self.left = self.left.checked_sub(1)?;
        let sample = self.sample();
        if sample.is_none() {
            self.left = 0;
        }
        sample
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.left)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encodes in as many chunks as it takes; the bytes of all of them.
    fn check(samples: &[(i64, f64)]) -> usize {
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        let mut chunks: Vec<(Vec<u8>, u16)> = Vec::new();
        for &(at, value) in samples {
            let sample = encoder.push(at, value).unwrap_or_else(|| {
                chunks.push((std::mem::take(&mut bytes), encoder.count()));
                encoder.restart();
                encoder.push(at, value).expect("a new chunk takes any sample")
            });
            bytes.extend_from_slice(sample.as_slice());
            assert_eq!((encoder.last_at(), encoder.last_bits()), (at, value.to_bits()));
        }
        chunks.push((bytes, encoder.count()));
        let decoded: Vec<_> = chunks
            .iter()
            .flat_map(|(bytes, count)| Decoder::new(bytes, *count))
            .map(|(at, value)| (at, value.to_bits()))
            .collect();
        let expected: Vec<_> = samples.iter().map(|&(at, value)| (at, value.to_bits())).collect();
        assert_eq!(decoded, expected);
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        for (bytes, count) in &chunks {
            Decoder::new(bytes, *count).append_to(&mut timestamps, &mut values);
        }
        let columns: Vec<_> = timestamps.into_iter().zip(values.into_iter().map(f64::to_bits)).collect();
        assert_eq!(columns, expected);
        chunks.iter().map(|chunk| chunk.0.len()).sum()
    }

    fn every(step: i64, values: impl IntoIterator<Item = f64>) -> Vec<(i64, f64)> {
        (0i64..).map(|i| 1_700_000_000_000 + i * step).zip(values).collect()
    }

    #[test]
    fn common_shapes_are_small() {
        let constant = check(&every(15_000, [1.5; 100]));
        assert!(constant <= 120, "{constant}");
        let counter = check(&every(15_000, (0..100).map(|i| f64::from(i * 100))));
        assert!(counter <= 220, "{counter}");
        let percent = check(&every(15_000, (0..100).map(|i| f64::from(i * 7919 % 10_000) / 100.0)));
        assert!(percent <= 330, "{percent}");
    }

    #[test]
    fn odd_values_come_back() {
        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
        let nan = f64::from_bits(0x7ff8_0000_0000_0001);
        check(&every(
            1,
            [0.0, -0.0, 0.0, 1.0, stale, 2.0, nan, f64::INFINITY, 0.1, 1e300, -1.0, 5e-324, 0.25],
        ));
        check(&every(1, [-0.0, 0.0]));
        check(&every(1, [stale, stale, 0.01, 0.02]));
        check(&every(1, [9_007_199_254_740_993.0, -9e15, 4e15, 1e18, 2_251_799_813_685_248.0]));
    }

    #[test]
    fn odd_times_come_back() {
        let values = [1.0; 8];
        let times = [i64::MIN + 1, -5, 0, 1, 1 << 23, 1 << 24, 1 << 40, i64::MAX];
        check(&times.into_iter().zip(values).collect::<Vec<_>>());
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (-100_000i32..100_000).prop_map(|m| f64::from(m) / 100.0),
            (0u32..1_000).prop_map(f64::from),
            any::<f64>(),
        ]
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(steps in prop::collection::vec((1i64..100_000, value()), 0..300)) {
            let mut at = 1_700_000_000_000;
            let samples: Vec<_> = steps.into_iter().map(|(step, value)| { at += step; (at, value) }).collect();
            check(&samples);
        }

        #[test]
        fn any_bytes_decode_to_something(bytes in prop::collection::vec(any::<u8>(), 0..200), count: u16) {
            let one_by_one: Vec<_> = Decoder::new(&bytes, count).map(|(at, value)| (at, value.to_bits())).collect();
            prop_assert!(one_by_one.len() <= bytes.len());
            let (mut timestamps, mut values) = (vec![7], vec![7.0]);
            Decoder::new(&bytes, count).append_to(&mut timestamps, &mut values);
            let columns: Vec<_> = timestamps.into_iter().zip(values.into_iter().map(f64::to_bits)).collect();
            prop_assert_eq!(&columns[1..], &one_by_one[..]);
        }
    }
}
