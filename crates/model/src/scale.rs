//! Which bucket a value falls into, in a few instructions and without a logarithm.
//!
//! Bucket `i` at scale `s` holds the values in `(b^i, b^(i+1)]` with `b = 2^(2^-s)`. At scale 5 there are 32 buckets
//! to an octave, so the exponent of a double gives the octave and its mantissa the bucket there: the upper six bits
//! of the mantissa leave at most one bound to compare with, since no two bounds share them. The bounds inside an
//! octave are 2^(k/32) rounded to the nearest double; powers of two are exact.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "octaves have 12 bits, buckets of an octave 5, and indices 17"
)]

/// The scale at which values are recorded: 32 buckets for each doubling.
pub const SCALE: i32 = 5;

/// The mantissas of 2^(k/32) for k from 1 to 31, each rounded to the nearest double, and an end no mantissa reaches.
const BOUNDS: [u64; 32] = [
    0x59b0d3158574,
    0xb5586cf9890f,
    0x11301d0125b51,
    0x172b83c7d517b,
    0x1d4873168b9aa,
    0x2387a6e756238,
    0x29e9df51fdee1,
    0x306fe0a31b715,
    0x371a7373aa9cb,
    0x3dea64c123422,
    0x44e086061892d,
    0x4bfdad5362a27,
    0x5342b569d4f82,
    0x5ab07dd485429,
    0x6247eb03a5585,
    0x6a09e667f3bcd,
    0x71f75e8ec5f74,
    0x7a11473eb0187,
    0x82589994cce13,
    0x8ace5422aa0db,
    0x93737b0cdc5e5,
    0x9c49182a3f090,
    0xa5503b23e255d,
    0xae89f995ad3ad,
    0xb7f76f2fb5e47,
    0xc199bdd85529c,
    0xcb720dcef9069,
    0xd5818dcfba487,
    0xdfc97337b9b5f,
    0xea4afa2a490da,
    0xf50765b6e4540,
    u64::MAX,
];

const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;

/// For each value of a mantissa's upper six bits, how many bounds lie below all mantissas with it. No two bounds
/// share their upper six bits, so one comparison finds the bucket.
const BELOW: [u8; 64] = {
    let mut below = [0u8; 64];
    let mut k = 0;
    while k < 31 {
        let slot = (BOUNDS[k] >> (MANTISSA_BITS - 6)) as usize;
        assert!(below[slot] as usize == k, "two bounds in one slot");
        let mut above = slot + 1;
        while above < 64 {
            below[above] += 1;
            above += 1;
        }
        k += 1;
    }
    below
};

/// Where a positive, finite, normal value belongs: its octave as a biased exponent, and its bucket there.
///
/// `before` holds the bits of the largest double below the value, by which `(low, high]` becomes `[low, high)`.
#[inline]
pub fn place(before: u64) -> (u32, u32) {
    let mantissa = before & MANTISSA;
    let below = BELOW[(mantissa >> (MANTISSA_BITS - 6)) as usize];
    let bucket = below + u8::from(mantissa >= BOUNDS[usize::from(below & 31)]);
    ((before >> MANTISSA_BITS) as u32, u32::from(bucket))
}

/// The bucket of a positive finite value at [`SCALE`].
#[inline]
pub fn index_of(value: f64) -> i32 {
    debug_assert!(value > 0.0 && value.is_finite());
    // Below the normal doubles the bits are no longer a logarithm: scale up, which is exact.
    let (value, moved) = if value.is_normal() { (value, 0) } else { (value * 2f64.powi(100), 100) };
    let (octave, bucket) = place(value.to_bits() - 1);
    (octave as i32 - 1023 - moved) * 32 + bucket as i32
}

/// The largest value of a bucket at `scale`; infinite above the range of doubles.
pub fn upper_bound(index: i32, scale: i32) -> f64 {
    let next = (i64::from(index) + 1) << (SCALE - scale).max(0);
    let (octave, bucket) = (next.div_euclid(32), next.rem_euclid(32) as usize);
    let within = match bucket {
        0 => 1.0,
        bucket => f64::from_bits(1023 << MANTISSA_BITS | BOUNDS[bucket - 1]),
    };
    // In two steps, since the power alone may leave the range of doubles where the product does not.
    let half = (octave / 2) as i32;
    within * 2f64.powi(half) * 2f64.powi(octave as i32 - half)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_are_the_powers_they_stand_for() {
        for (k, mantissa) in BOUNDS.iter().take(31).enumerate() {
            let bound = f64::from_bits(1023 << MANTISSA_BITS | mantissa);
            let power = ((k + 1) as f64 / 32.0).exp2();
            assert!((bound - power).abs() <= f64::EPSILON, "{k}: {bound} {power}");
        }
    }

    #[test]
    fn powers_of_two_end_their_bucket() {
        let check = |value, index| assert_eq!(index_of(value), index, "{value}");
        check(1.0, -1);
        check(1.0_f64.next_up(), 0);
        check(2.0, 31);
        check(0.5, -33);
        check(f64::MAX, 32 * 1024 - 1);
        check(f64::MIN_POSITIVE, -32 * 1022 - 1);
        check(5e-324, -32 * 1074 - 1);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket(value in prop::num::f64::POSITIVE) {
            let index = index_of(value);
            prop_assert!(upper_bound(index - 1, SCALE) < value && value <= upper_bound(index, SCALE));
        }
    }
}
