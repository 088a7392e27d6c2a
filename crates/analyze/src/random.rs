//! Numbers that look random and follow from a seed.

/// SplitMix64 (Steele, Lea, Flood 2014), and what is drawn with it.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Between 0 and 1, neither of them.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The 52 upper bits, each step in its middle.
        (((z ^ (z >> 31)) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Standard normal, by the polar method (Marsaglia 1964).
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 {
                return x * (-2.0 * square.ln() / square).sqrt();
            }
        }
    }

    /// Of a beta distribution, both of whose shapes are at least one: that of an order statistic of uniform numbers.
    pub(crate) fn beta(&mut self, a: f64, b: f64) -> f64 {
        let first = self.gamma(a);
        first / (first + self.gamma(b))
    }

    /// Of a gamma distribution of a shape of at least one (Marsaglia, Tsang 2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
                return d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::near;

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let moments = |mut draw: Box<dyn FnMut() -> f64>| {
            let all: Vec<f64> = (0..20_000).map(|_| draw()).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            (mean, all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all.len() as f64)
        };
        let mut random = Random::new(1);
        let (mean, variance) = moments(Box::new(move || random.normal()));
        near(mean, 0.0, 0.03);
        near(variance, 1.0, 0.04);
        let mut random = Random::new(2);
        // Of the 4th of 10: 4 / 11, and 4 * 7 / (121 * 12).
        let (mean, variance) = moments(Box::new(move || random.beta(4.0, 7.0)));
        near(mean, 4.0 / 11.0, 0.004);
        near(variance, 28.0 / 1_452.0, 0.001);
    }
}
