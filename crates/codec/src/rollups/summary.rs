//! What the values of a window sum up to.

use barograph_model::Moment;

/// The values of a window, summed up. As [`barograph_model::Rollup`] has it, but for the increase, of which only what
/// resets lost is kept: the increase is `last − first + lost`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) first: f64,
    pub(super) last: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: f64,
    /// The sum of the values before each fall.
    pub(super) lost: f64,
    pub(super) m2: f64,
}

impl Summary {
    /// Of values that are all the same, bit for bit, and finite.
    pub(super) fn constant(value: f64, count: u32) -> Self {
        let sum = value * f64::from(count);
        Self { first: value, last: value, min: value, max: value, sum, lost: 0.0, m2: 0.0 }
    }

    /// Of at least one value, none of which is a staleness marker.
    #[inline]
    pub(super) fn of(values: &[f64]) -> Self {
        let (first, last) = (values[0], values[values.len() - 1]);
        if first.is_finite() && values.iter().all(|value| value.to_bits() == first.to_bits()) {
            return Self::constant(first, u32::try_from(values.len()).unwrap_or(u32::MAX));
        }
        let (mut min, mut max, mut sum) = (first, first, first);
        for &value in &values[1..] {
            min = min.min(value);
            max = max.max(value);
            sum += value;
        }
        let mut lost = 0.0;
        for pair in values.windows(2) {
            lost += if pair[1] < pair[0] { pair[0] } else { 0.0 };
        }
        if sum.is_nan() {
            lost = f64::NAN;
        }
        let mean = sum / values.len() as f64;
        let m2 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Self { first, last, min, max, sum, lost, m2 }
    }

    /// One of the numbers of a window.
    #[inline]
    pub(super) fn moment(&self, moment: Moment) -> f64 {
        match moment {
            Moment::Sum => self.sum,
            Moment::M2 => self.m2,
            Moment::Min => self.min,
            Moment::Max => self.max,
            Moment::First => self.first,
            Moment::Last => self.last,
            Moment::Increase => self.last - self.first + self.lost,
        }
    }
}

/// Bits of the mantissa of squared deviations that are not kept.
const M2_CUT: u32 = 40;

/// Squared deviations in 24 bits, rounded to nearest: within 2⁻¹³ of what they were.
pub(super) fn pack_m2(m2: f64) -> u32 {
    const NAN: u64 = f64::NAN.to_bits();
    let bits = if m2.is_nan() { NAN } else { m2.max(0.0).to_bits() };
    u32::try_from((bits + (1 << (M2_CUT - 1))) >> M2_CUT).expect("24 bits are left of 64")
}

/// Undoes [`pack_m2`].
pub(super) fn unpack_m2(packed: u32) -> f64 {
    f64::from_bits(u64::from(packed) << M2_CUT)
}

#[cfg(test)]
mod tests {
    use barograph_model::Rollup;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn constant_windows_are_exact() {
        assert_eq!(Summary::of(&[0.1; 20]), Summary::constant(0.1, 20));
        assert!(Summary::of(&[f64::INFINITY; 2]).m2.is_nan());
        assert_eq!(Summary::of(&[0.0, -0.0]).last.to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn odd_deviations_stay_what_they_are() {
        let check = |m2: f64| assert_eq!(unpack_m2(pack_m2(m2)).to_bits(), m2.to_bits(), "{m2}");
        check(0.0);
        check(f64::INFINITY);
        check(f64::NAN);
        check(1.5);
    }

    proptest! {
        #[test]
        fn says_what_the_model_says(values in prop::collection::vec(-1e3f64..1e3, 1..50)) {
            let mut rollup = Rollup::of(0, 0, values[0]);
            (1i64..).zip(&values[1..]).for_each(|(at, value)| rollup.push(at, *value));
            let found = Summary::of(&values);
            prop_assert_eq!((found.first, found.last), (rollup.first, rollup.last));
            prop_assert_eq!((found.min, found.max), (rollup.min, rollup.max));
            prop_assert!((found.sum - rollup.sum).abs() <= 1e-9);
            prop_assert!((found.moment(Moment::Increase) - rollup.increase).abs() <= 1e-8);
            prop_assert!((found.m2 - rollup.m2).abs() <= 1e-6);
            let deviation = (rollup.m2.sqrt(), unpack_m2(pack_m2(rollup.m2)).sqrt());
            prop_assert!((deviation.0 - deviation.1).abs() <= 7e-5 * deviation.0);
        }
    }
}
