//! What sampling costs in accuracy: of each figure how far it may be off, and whether it is off.
//!
//! Without the population at hand the error follows from the inclusion probabilities. Whether these are true is seen
//! from a *shadow*: one in a hundred keys, of which everything is summed besides what is kept. The estimate for the
//! shadow's keys must agree with their true sum within chance.

use super::{
    SamplingInfo,
    estimate::{self, Estimate, Interval, Kept},
    random::mix,
};

/// So many standard errors off is not chance.
const ALARM: f64 = 4.0;

/// The figure that is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// How many there are.
    Count,
    /// The sum of the values.
    Total,
    /// Their mean.
    Mean,
    /// The value below which this share of them lies, from 0 to 1.
    Quantile(f64),
}

/// What a figure made of what was kept is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impact {
    /// Which figure.
    pub figure: Figure,
    /// What it is estimated to be, in the unit of the values.
    pub estimate: f64,
    /// Its standard error, in that unit.
    pub standard_error: f64,
    /// The range in which the population's figure lies.
    pub interval: Interval,
    /// How many values were kept.
    pub n: usize,
    /// How many values of equal weight would tell as much.
    pub n_effective: f64,
    /// How many times more values it took than with equal weights.
    pub design_effect: f64,
}

/// A figure beside the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bias {
    /// What it is estimated to be.
    pub estimate: f64,
    /// What it is.
    pub exact: f64,
    /// By how many standard errors they differ; `None` where there is no error to compare with.
    pub z: Option<f64>,
    /// Whether that is more than chance: above 4, or any difference where there should be none.
    pub alarm: bool,
}

impl Bias {
    fn new(estimate: f64, exact: f64, standard_error: f64) -> Self {
        let off = estimate - exact;
        let z = (standard_error > 0.0).then(|| off / standard_error);
        let rounding = 1e-9 * exact.abs().max(estimate.abs());
        let alarm = z.map_or(off.abs() > rounding, |z| z.abs() > ALARM);
        Self { estimate, exact, z, alarm }
    }

    /// By which share of the truth the estimate is off; `None` if the truth is 0.
    pub fn relative(&self) -> Option<f64> {
        (self.exact != 0.0).then(|| (self.estimate - self.exact) / self.exact.abs())
    }
}

/// Tells how accurate figures are that were made of what was kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingImpactAnalyzer {
    level: f64,
}

impl Default for SamplingImpactAnalyzer {
    fn default() -> Self {
        Self { level: 0.95 }
    }
}

impl SamplingImpactAnalyzer {
    /// One whose intervals hold the truth with this probability; 0.95 is the default.
    pub fn new(level: f64) -> Self {
        Self { level: level.clamp(0.0, 1.0) }
    }

    /// What a figure is worth. `None` if nothing was kept. O(n), for a quantile O(n log n).
    pub fn analyze(&self, figure: Figure, kept: &[Kept]) -> Option<Impact> {
        if kept.is_empty() {
            return None;
        }
        let figures = |of: Estimate| (of.value, of.standard_error(), of.interval(self.level));
        let (estimate, standard_error, interval) = match figure {
            Figure::Count => figures(estimate::count(kept)),
            Figure::Total => figures(estimate::total(kept)),
            Figure::Mean => figures(estimate::mean(kept)?),
            Figure::Quantile(q) => {
                let (value, interval) = estimate::quantile(kept, q, self.level)?;
                let (_, one) = estimate::quantile(kept, q, 0.682_689_492_137_086)?;
                (value, one.half_width(), interval)
            }
        };
        let n_effective = estimate::effective_size(kept);
        let design_effect = kept.len() as f64 / n_effective;
        Some(Impact { figure, estimate, standard_error, interval, n: kept.len(), n_effective, design_effect })
    }

    /// An impact beside the figure of all values.
    pub fn compare(&self, impact: &Impact, exact: f64) -> Bias {
        Bias::new(impact.estimate, exact, impact.standard_error)
    }

    /// How likely it is that of `items` items, each kept with probability `rate`, none is kept.
    pub fn miss_probability(&self, rate: f64, items: u32) -> f64 {
        (1.0 - rate.clamp(0.0, 1.0)).powf(f64::from(items))
    }
}

/// Of some keys everything, to hold estimates against.
#[derive(Clone, Debug)]
pub struct Shadow {
    /// Hashes below this belong to it.
    end: u64,
    exact: estimate::Sum,
    estimate: estimate::Sum,
    variance: estimate::Sum,
}

impl Default for Shadow {
    fn default() -> Self {
        Self::new(0.01)
    }
}

impl Shadow {
    /// Of this share of all keys; 1 % is the default.
    pub fn new(share: f64) -> Self {
        let (exact, estimate, variance) = Default::default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        let end = (share * u64::MAX as f64) as u64;
        Self { end, exact, estimate, variance }
    }

    /// Whether a key belongs to it; FNV-1a of the key decides, so everyone has the same.
    pub fn covers(&self, key: &str) -> bool {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        mix(key.bytes().fold(0xcbf2_9ce4_8422_2325, fold)) < self.end
    }

    /// Takes an item that came and how it was kept, if it was. Those of other keys are ignored.
    pub fn offer(&mut self, key: &str, value: f64, kept: Option<SamplingInfo>) {
        if self.covers(key) {
            self.exact.add(value);
            if let Some(SamplingInfo { rate, weight, .. }) = kept {
                self.estimate.add(value * weight);
                self.variance.add((1.0 - rate) * (value * weight).powi(2));
            }
        }
    }

    /// The estimate of its total beside the truth.
    pub fn bias(&self) -> Bias {
        Bias::new(self.estimate.value(), self.exact.value(), self.variance.value().max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::{Random, Strategy};

    #[test]
    fn figures_have_their_error() {
        let kept: Vec<Kept> = (1..=100).map(|i| Kept { value: f64::from(i), rate: 0.5 }).collect();
        let analyzer = SamplingImpactAnalyzer::default();
        let check = |figure, estimate: f64| {
            let impact = analyzer.analyze(figure, &kept).unwrap();
            assert_eq!(impact.estimate, estimate, "{figure:?}");
            assert!(impact.interval.lower < estimate && estimate < impact.interval.upper, "{impact:?}");
            assert!(impact.standard_error > 0.0);
            assert_eq!((impact.n, impact.n_effective, impact.design_effect), (100, 100.0, 1.0));
        };
        check(Figure::Count, 200.0);
        check(Figure::Total, 10_100.0);
        check(Figure::Mean, 50.5);
        check(Figure::Quantile(0.9), 90.0);
        assert_eq!(analyzer.analyze(Figure::Mean, &[]), None);
        let mean = analyzer.analyze(Figure::Mean, &kept).unwrap();
        assert!(!analyzer.compare(&mean, 52.0).alarm && analyzer.compare(&mean, 70.0).alarm);
        assert!((analyzer.miss_probability(0.1, 10) - 0.348_678_440_1).abs() < 1e-12);
    }

    #[test]
    fn a_shadow_sees_rates_that_are_not_true() {
        let biased = |told: f64| {
            let (mut shadow, mut random) = (Shadow::new(0.1), Random::new(3));
            for i in 0..200_000 {
                let kept = random.chance(0.1).then(|| SamplingInfo::kept(Strategy::Consistent, told));
                shadow.offer(&(i % 1_000).to_string(), 1.0, kept);
            }
            shadow.bias()
        };
        assert!(!biased(0.1).alarm, "{:?}", biased(0.1));
        assert!(biased(0.2).alarm && biased(0.2).relative().unwrap() < -0.4);
        let covered = (0..100_000).filter(|i| Shadow::default().covers(&i.to_string())).count();
        assert!(covered.abs_diff(1_000) < 130, "{covered}");
    }

    #[test]
    fn without_error_any_difference_alarms() {
        let mut shadow = Shadow::new(1.0);
        shadow.offer("k", 1.0, Some(SamplingInfo::ALL));
        assert!(!shadow.bias().alarm && shadow.bias().z.is_none());
        shadow.offer("k", 1.0, None);
        assert!(shadow.bias().alarm);
    }
}
