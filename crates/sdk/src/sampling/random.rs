//! Numbers as random as sampling needs, from a seed: the same seed gives the same numbers everywhere.
//!
//! xoshiro256++ (Blackman and Vigna, 2019), its state filled by SplitMix64. Fast and even; not for secrets.

/// A generator of random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random([u64; 4]);

impl Random {
    /// A generator that gives the numbers of this seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        }))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let bits = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        bits
    }

    /// A number above 0 and up to 1, in steps of 2^-53. Never 0, so that it may be divided by.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// `true` with this probability; always at 1, never at 0 or NaN.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() <= probability
    }

    /// A whole number below `end`; 0 if there is none. The largest bias for `end` up to 2^32 is one in 2^32.
    pub fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.bits()) * end as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

/// Spreads the bits of a word over all of it.
pub(crate) fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers() {
        let take = |seed| {
            let mut random = Random::new(seed);
            [random.bits(), random.bits(), random.bits()]
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let mut random = Random::new(7);
        let (mut sum, mut tenths) = (0.0, [0_u32; 10]);
        for _ in 0..100_000 {
            let unit = random.unit();
            assert!(unit > 0.0 && unit <= 1.0);
            sum += unit;
            tenths[random.below(10)] += 1;
        }
        assert!((sum / 100_000.0 - 0.5).abs() < 0.005, "{sum}");
        assert!(tenths.iter().all(|&n| n.abs_diff(10_000) < 400), "{tenths:?}");
        assert_eq!(random.below(0), 0);
        assert!(random.chance(1.0) && !random.chance(0.0) && !random.chance(f64::NAN));
    }
}
