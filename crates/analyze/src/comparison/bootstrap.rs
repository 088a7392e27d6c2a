//! The ratio of two medians, drawn again and again.
//!
//! The median of a sample that is drawn from another is one of its order statistics, and which one that is follows a beta
//! distribution: so a median is drawn by one number, not by as many as there are values. Samples whose values hang together are
//! drawn as small as they are worth ("m out of n").

use crate::random::Random;

use super::Settings;

/// Ratios of medians less one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drawn {
    pub(super) variance: f64,
    /// Between these all but `alpha` of them are.
    pub(super) bounds: (f64, f64),
}

/// Draws from sorted samples, which are worth so many independent values. `None` if the first has a median that is not above
/// zero among what is drawn.
pub(super) fn ratios(first: &[f64], second: &[f64], worth: (f64, f64), settings: &Settings) -> Option<Drawn> {
    let mut random = Random::new(settings.seed);
    let (below, above) = (Size::of(worth.0), Size::of(worth.1));
    let mut ratios = Vec::new();
    for _ in 0..settings.resamples.clamp(2, 100_000) {
        let base = below.median(first, &mut random);
        if base <= 0.0 {
            return None;
        }
        ratios.push(above.median(second, &mut random) / base - 1.0);
    }
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (count - 1.0);
    if !variance.is_finite() {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let last = ratios.len() - 1;
    let tail = rounded(settings.alpha.clamp(0.0, 1.0) / 2.0 * last as f64).min(last / 2);
    Some(Drawn { variance, bounds: (ratios[tail], ratios[last - tail]) })
}

/// How large samples are that are drawn.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// The place of the median from 1; of an even size, that of the lower of both.
    middle: f64,
    /// How many values are above it.
    above: f64,
    odd: bool,
}

impl Size {
    fn of(worth: f64) -> Self {
        let size = rounded(worth).max(1);
        let middle = size.div_ceil(2);
        Self { middle: middle as f64, above: (size - middle) as f64, odd: size % 2 == 1 }
    }

    fn median(self, sorted: &[f64], random: &mut Random) -> f64 {
        let at = |share: f64| sorted[rounded(share * sorted.len() as f64 - 0.5).min(sorted.len() - 1)];
        let place = random.beta(self.middle, self.above + 1.0);
        if self.odd {
            return at(place);
        }
        // The least of those above it, which are as many uniform numbers in what is left.
        let next = 1.0 - (1.0 - place) * random.unit().powf(1.0 / self.above);
        f64::midpoint(at(place), at(next))
    }
}

/// The nearest whole number that is not negative.
fn rounded(value: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, small")]
    let whole = value.round().max(0.0) as usize;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::near;

    #[test]
    fn a_median_is_drawn_as_if_all_values_were() {
        let sorted: Vec<f64> = (0..41).map(|i| f64::from(i * i)).collect();
        for size in [9_usize, 10] {
            let mut random = Random::new(3);
            let slow: Vec<f64> = (0..8_000)
                .map(|_| {
                    let mut drawn: Vec<f64> =
                        (0..size).map(|_| sorted[rounded(random.unit() * 41.0 - 0.5).min(40)]).collect();
                    drawn.sort_by(f64::total_cmp);
                    crate::slices::median(&drawn)
                })
                .collect();
            let of = Size::of(size as f64);
            let fast: Vec<f64> = (0..8_000).map(|_| of.median(&sorted, &mut random)).collect();
            let moments = |values: &[f64]| {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
                (mean, (square / values.len() as f64).sqrt())
            };
            let ((slow_mean, slow_spread), (fast_mean, fast_spread)) = (moments(&slow), moments(&fast));
            // Four standard errors of both.
            near(slow_mean, fast_mean, 16.5);
            near(slow_spread / fast_spread, 1.0, 0.05);
        }
    }
}
