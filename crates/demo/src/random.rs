//! Chance that a seed decides, and the few distributions the shop needs.

use barograph::sampling;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(sampling::Random);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(sampling::Random::new(seed))
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        1.0 - self.0.unit()
    }

    /// From `low` to below `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Whether something happens that has this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// The index of one of `weights`, as often as its weight says.
    pub(crate) fn choose(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f64>();
        for (i, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return i;
            }
        }
        weights.len().saturating_sub(1)
    }

    /// The time to the next of events that come at `rate`.
    pub(crate) fn gap(&mut self, rate: f64) -> f64 {
        -(1.0 - self.unit()).ln() / rate
    }

    /// Around zero, with a standard deviation of one (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Times of work as they are: around `median`, skewed to the long side by `spread`.
    pub(crate) fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// How many of many rare events happen where `mean` are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return whole(mean + mean.sqrt() * self.normal());
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// The nearest whole number that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(crate) fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(seed: u64, mut draw: impl FnMut(&mut Random) -> f64) -> f64 {
        let mut random = Random::new(seed);
        (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 20_000.0
    }

    #[test]
    fn means_are_what_was_asked() {
        let check = |value: f64, expected: f64| assert!((value / expected - 1.0).abs() < 0.05, "{value}");
        check(mean(1, Random::unit), 0.5);
        check(mean(2, |random| random.gap(4.0)), 0.25);
        check(mean(3, |random| random.poisson(3.0) as f64), 3.0);
        check(mean(4, |random| random.poisson(300.0) as f64), 300.0);
        check(mean(5, |random| random.normal().powi(2)), 1.0);
        check(mean(6, |random| random.log_normal(1.0, 0.5).ln().powi(2)), 0.25);
        check(mean(7, |random| random.choose(&[1.0, 3.0]) as f64), 0.75);
    }

    #[test]
    fn a_seed_means_the_same_numbers() {
        let draw = |seed| Random::new(seed).unit().to_bits();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
