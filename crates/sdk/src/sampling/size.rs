//! How many values it takes: closed formulas for the size of a sample, for a wanted half-width of its interval.
//!
//! Each gives the size for a population without end; [`of_finite`] says what of it one with an end needs. Sizes
//! are whole and at least 1; what cannot be reached (a width of 0) is [`u64::MAX`].

use super::normal::{quantile as z, z_two_sided};

/// For a mean within ±`half_width`, of values with this standard deviation: (z·s/ε)².
pub fn for_mean(level: f64, half_width: f64, deviation: f64) -> u64 {
    whole((z_two_sided(level) * deviation / half_width).powi(2))
}

/// For a mean within ± the share `relative` of itself; `variation` is the standard deviation by the mean.
pub fn for_relative_mean(level: f64, relative: f64, variation: f64) -> u64 {
    for_mean(level, relative, variation)
}

/// For a share near `share` within ±`half_width`, by Wilson's interval.
///
/// Of the interval's half-width h(n) = z/(1 + z²/n) · √(pq/n + z²/4n²), solved for n.
pub fn for_proportion(level: f64, half_width: f64, share: f64) -> u64 {
    let (z2, h2) = (z_two_sided(level).powi(2), half_width.powi(2));
    let spread = share * (1.0 - share) - 2.0 * h2;
    whole(z2 / (2.0 * h2) * (spread + (spread.powi(2) + h2 * (1.0 - 4.0 * h2)).max(0.0).sqrt()))
}

/// For the quantile `q` within ±`rank` of its rank: z²·q(1 − q)/δ².
pub fn for_quantile(level: f64, rank: f64, q: f64) -> u64 {
    whole(z_two_sided(level).powi(2) * q * (1.0 - q) / rank.powi(2))
}

/// For all quantiles at once within ±`rank` of their ranks (Dvoretzky, Kiefer, Wolfowitz): ln(2/α)/2δ².
pub fn for_all_quantiles(level: f64, rank: f64) -> u64 {
    whole((2.0 / (1.0 - level)).ln() / (2.0 * rank.powi(2)))
}

/// For each of two sides, so that a difference of means of `difference` is found with probability `power`.
pub fn for_difference(level: f64, power: f64, difference: f64, deviation: f64) -> u64 {
    whole(2.0 * ((z_two_sided(level) + z(power)) * deviation / difference).powi(2))
}

/// How many of a population of `population` do what `size` of one without end do: n/(1 + (n − 1)/N).
pub fn of_finite(size: u64, population: u64) -> u64 {
    if size == u64::MAX || population == 0 {
        return population;
    }
    whole(size as f64 / (1.0 + (size as f64 - 1.0) / population as f64)).min(population)
}

/// The next whole number, less what rounding added.
pub(crate) fn whole(size: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, as it should"
    )]
    let whole = (size - 1e-9 * size.abs()).ceil() as u64;
    if size.is_finite() { whole.max(1) } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_textbooks() {
        assert_eq!(for_mean(0.95, 1.0, 10.0), 385);
        assert_eq!(for_relative_mean(0.95, 0.05, 1.0), 1_537);
        assert_eq!(for_quantile(0.95, 0.01, 0.99), 381);
        assert_eq!(for_all_quantiles(0.95, 0.01), 18_445);
        assert_eq!(for_difference(0.95, 0.8, 0.5, 1.0), 63);
        assert_eq!(of_finite(385, 1_000), 279);
        assert_eq!(of_finite(385, 20), 20);
        assert_eq!(for_mean(0.95, 0.0, 1.0), u64::MAX);
        assert_eq!(for_mean(0.95, 1.0, 0.0), 1);
        assert_eq!(of_finite(u64::MAX, 7), 7);
    }

    #[test]
    fn proportions_reach_their_width_and_no_more() {
        let width = |n: f64, p: f64| {
            let z = z_two_sided(0.95);
            z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt()
        };
        for (half_width, share) in [(0.05, 0.5), (0.01, 0.02), (0.03, 0.9), (0.001, 0.0)] {
            let n = for_proportion(0.95, half_width, share) as f64;
            assert!(width(n, share) <= half_width, "{half_width} {share} {n}");
            assert!(width(n - 1.0, share) > half_width, "{half_width} {share} {n}");
        }
    }
}
