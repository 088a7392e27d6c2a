//! Numbers as integers, from which they come back bit for bit.
//!
//! What is measured has few digits, and a double hides them: 21.37 has 52 bits of mantissa that look random. Where all
//! values of a column are `m / 10^digits` for integers *m* of less than 51 bits, the integers are kept in their place.
//! Dividing is rounded to the nearest double, as reading "21.37" is, so that what was read from decimal text comes back;
//! each value is tried when it is written. Others are kept as their bits, in an order in which they are near each other.

use barograph_model::{is_stale, stale_marker};

use crate::varint;

/// The most digits behind the point.
const DIGITS_MAX: usize = 12;

const POWERS: [f64; DIGITS_MAX + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// Added to a double of less than 51 bits it leaves the nearest integer in the low bits of the sum.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Integers stay below this, so that [`ROUNDER`] holds for them.
const LIMIT: f64 = 2_251_799_813_685_248.0;

/// How integers stand for decimal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimals {
    /// How many digits are behind the point.
    digits: u8,
    /// The integer in place of a staleness marker; none of a number.
    marker: Option<i64>,
}

/// Set beside the digits if there is a marker, which follows.
const MARKED: u8 = 1 << 4;

impl Decimals {
    /// Below this is every first byte that [`Self::put`] writes.
    pub(crate) const BYTES: u8 = 1 << 5;

    pub(crate) fn put(self, bytes: &mut Vec<u8>) {
        match self.marker {
            None => bytes.push(self.digits),
            Some(marker) => {
                bytes.push(self.digits | MARKED);
                varint::put_signed(bytes, marker);
            }
        }
    }

    /// Undoes [`Self::put`]; the first byte was taken already.
    pub(crate) fn take(first: u8, rest: &mut &[u8]) -> Option<Self> {
        let digits = first & !MARKED;
        let marker = if first & MARKED == 0 { None } else { Some(varint::take_signed(rest)?) };
        (usize::from(digits) <= DIGITS_MAX).then_some(Self { digits, marker })
    }
}

/// What can be an integer and come back.
pub trait Integral: Copy {
    /// Puts integers for decimal numbers in place of what is there; `None` if some are no such.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn to_decimals(_numbers: &[Self], _integers: &mut Vec<i64>) -> Option<Decimals> {
        None
    }

    /// Puts the numbers for integers in place of what is there; `None` if this is no type of decimals.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn from_decimals(_decimals: Decimals, _integers: &[i64], _numbers: &mut Vec<Self>) -> Option<()> {
        None
    }

    /// The integer for any number.
    #[doc(hidden)]
    fn to_integer(self) -> i64;

    /// Undoes [`Self::to_integer`]; `None` for what it does not make.
    #[doc(hidden)]
    fn from_integer(integer: i64) -> Option<Self>;
}

impl Integral for i64 {
    fn to_integer(self) -> i64 {
        self
    }

    fn from_integer(integer: i64) -> Option<Self> {
        Some(integer)
    }
}

impl Integral for u32 {
    fn to_integer(self) -> i64 {
        i64::from(self)
    }

    fn from_integer(integer: i64) -> Option<Self> {
        Self::try_from(integer).ok()
    }
}

impl Integral for f64 {
    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn to_decimals(numbers: &[Self], integers: &mut Vec<i64>) -> Option<Decimals> {
        let mut digits = 0;
        loop {
            match scale(numbers, POWERS[digits], integers) {
                Ok(marked) => {
                    let marker = marked.then(|| put_marker(numbers, integers));
                    return Some(Decimals { digits: u8::try_from(digits).ok()?, marker });
                }
                Err(odd) => {
                    digits = (digits + 1..=DIGITS_MAX).find(|&more| scaled(odd, POWERS[more]).1)?;
                }
            }
        }
    }

    #[expect(private_interfaces, reason = "nobody else implements or calls it")]
    fn from_decimals(decimals: Decimals, integers: &[i64], numbers: &mut Vec<Self>) -> Option<()> {
        numbers.clear();
        #[expect(clippy::cast_precision_loss, reason = "those that were written have less than 51 bits")]
        let exact = |integer: i64| integer as Self;
        if decimals.digits == 0 {
            numbers.extend(integers.iter().map(|&integer| exact(integer)));
        } else {
            let power = POWERS[usize::from(decimals.digits)];
            numbers.extend(integers.iter().map(|&integer| exact(integer) / power));
        }
        if let Some(marker) = decimals.marker {
            let of_marker = numbers.iter_mut().zip(integers).filter(|(_, integer)| **integer == marker);
            of_marker.for_each(|(number, _)| *number = stale_marker());
        }
        Some(())
    }

    fn to_integer(self) -> i64 {
        in_order(self.to_bits().cast_signed())
    }

    fn from_integer(integer: i64) -> Option<Self> {
        Some(Self::from_bits(in_order(integer).cast_unsigned()))
    }
}

/// The bits of a double as a number in the order of doubles, and back.
const fn in_order(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The integer nearest to a multiple of a value, and whether the value comes back from it.
#[inline]
fn scaled(value: f64, power: f64) -> (i64, bool) {
    let sum = value * power + ROUNDER;
    let rounded = sum - ROUNDER;
    let comes_back = (rounded / power).to_bits() == value.to_bits();
    let integer = sum.to_bits().wrapping_sub(ROUNDER.to_bits()).cast_signed();
    (integer, comes_back & (rounded.abs() < LIMIT))
}

/// Scales values; whether there is a staleness marker, which has no integer yet, or the first that does not come back.
fn scale(values: &[f64], power: f64, integers: &mut Vec<i64>) -> Result<bool, f64> {
    const PART: usize = 64;
    integers.clear();
    integers.reserve(values.len());
    let mut marked = false;
    for part in values.chunks(PART) {
        // Without a branch, so that several are done at a time.
        let mut all = true;
        integers.extend(part.iter().map(|&value| {
            let (integer, comes_back) = scaled(value, power);
            all &= comes_back;
            integer
        }));
        if !all {
            marked = true;
            if let Some(&odd) = part.iter().find(|&&value| !is_stale(value) && !scaled(value, power).1) {
                return Err(odd);
            }
        }
    }
    Ok(marked)
}

/// Puts an integer that no number has in place of staleness markers: near the others, so that it takes few bits.
fn put_marker(values: &[f64], integers: &mut [i64]) -> i64 {
    let numbers = values.iter().zip(&*integers).filter(|(value, _)| !is_stale(**value));
    let marker = numbers.map(|(_, &integer)| integer + 1).max().unwrap_or(0);
    for (integer, _) in integers.iter_mut().zip(values).filter(|(_, value)| is_stale(**value)) {
        *integer = marker;
    }
    marker
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(values: &[f64], expected: Option<(&[i64], u8)>) {
        let (mut integers, mut numbers) = (vec![7], vec![7.0]);
        let decimals = f64::to_decimals(values, &mut integers);
        assert_eq!(decimals.map(|d| (integers.as_slice(), d.digits)), expected, "{values:?}");
        if let Some(decimals) = decimals {
            let mut bytes = Vec::new();
            decimals.put(&mut bytes);
            let (&first, mut rest) = bytes.split_first().unwrap();
            assert!(first < Decimals::BYTES);
            assert_eq!(Decimals::take(first, &mut rest), Some(decimals));
            assert!(rest.is_empty());
            f64::from_decimals(decimals, &integers, &mut numbers).unwrap();
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&numbers), bits(values));
        }
    }

    #[test]
    fn decimals_are_found() {
        check(&[], Some((&[], 0)));
        check(&[0.0, 1.0, -3.0, 2e15], Some((&[0, 1, -3, 2_000_000_000_000_000], 0)));
        check(&[1.0, 21.37, -0.5], Some((&[100, 2_137, -50], 2)));
        check(
            &[1.0, 0.5, 0.125, 7e-12],
            Some((&[1_000_000_000_000, 500_000_000_000, 125_000_000_000, 7], 12)),
        );
        check(&[0.1 + 0.2], None);
        check(&[1.0, -0.0], None);
        check(&[f64::NAN], None);
        check(&[f64::INFINITY], None);
        check(&[1e300], None);
        check(&[LIMIT], None);
        check(&[1.0 / 3.0], None);
    }

    #[test]
    fn markers_stand_beside_the_greatest() {
        let stale = stale_marker();
        check(&[1.5, stale, 2.5, stale], Some((&[15, 26, 25, 26], 1)));
        check(&[stale], Some((&[0], 0)));
        check(&[stale, f64::NAN], None);
    }

    proptest! {
        #[test]
        fn bits_come_back(bits: u64, other: u64) {
            let (a, b) = (f64::from_bits(bits), f64::from_bits(other));
            prop_assert_eq!(f64::from_integer(a.to_integer()).unwrap().to_bits(), bits);
            if a < b {
                prop_assert!(a.to_integer() < b.to_integer());
            }
        }

        #[test]
        fn what_was_read_from_text_is_a_decimal(m in -1_000_000_000i64..1_000_000_000, digits in 0usize..7) {
            let text = format!("{m}e-{digits}");
            let value: f64 = text.parse().unwrap();
            let mut integers = Vec::new();
            prop_assert!(f64::to_decimals(&[value], &mut integers).is_some() || m == 0);
        }
    }
}
