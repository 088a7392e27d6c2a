//! Keeping some of many, so that what is kept still tells the truth about all.
//!
//! Whatever is kept carries a [`SamplingInfo`]: with which probability it was kept, and so how many it stands for.
//! Sums and counts made of weights are unbiased. What is cheap to have exactly (counters) and what must not be
//! missed (errors) is never sampled; spans, timings and raw points may be.

pub mod adaptive;
mod consistent;
mod cost_benefit;
pub mod estimate;
mod impact;
mod importance;
mod key_rates;
mod normal;
mod optimal;
mod priority;
mod random;
mod significance;
pub mod size;
mod threshold;
mod varopt;

use std::fmt;

pub use adaptive::{AdaptiveRateSampler, Budget, Load};
pub use consistent::{ConsistentSampler, OtState};
pub use cost_benefit::{CostBenefit, Costs, Row, SamplingCostBenefitAnalyzer, Total};
pub use impact::{Bias, Figure, Impact, SamplingImpactAnalyzer, Shadow};
pub use importance::{Importance, ImportanceBasedSampler, Importances, Item};
pub use key_rates::KeyRates;
pub use optimal::{Goal, OptimalSamplingCalculator, Optimum, Stratum};
pub use priority::{PrioritySample, Weighed};
pub use random::Random;
pub use significance::{Margin, Significance, StatisticalSignificanceSampler};
pub use threshold::{Randomness, Threshold};
pub use varopt::VarOpt;

/// How a recorded point, timing or span came to be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingInfo {
    /// What decided.
    pub strategy: Strategy,
    /// The probability with which it was kept, above 0 and up to 1.
    pub rate: f64,
    /// How many it stands for: its adjusted count, at least 1. Usually one by `rate`.
    pub weight: f64,
}

impl SamplingInfo {
    /// Kept for certain: it stands for itself.
    pub const ALL: Self = Self { strategy: Strategy::All, rate: 1.0, weight: 1.0 };

    /// Kept with the probability `rate`, which is brought into (0, 1]; stands for one by `rate`.
    pub fn kept(strategy: Strategy, rate: f64) -> Self {
        let rate = if rate > 0.0 { rate.min(1.0) } else { f64::MIN_POSITIVE };
        Self { strategy, rate, weight: 1.0 / rate }
    }

    /// Kept by a threshold on the randomness of its trace.
    pub fn of_threshold(threshold: Threshold) -> Self {
        let (rate, weight) = (threshold.probability(), threshold.adjusted_count());
        Self { strategy: Strategy::Consistent, rate, weight }
    }

    /// The same, kept once more by something later that knows nothing of the first: probabilities multiply.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self { strategy: later.strategy, rate: self.rate * later.rate, weight: self.weight * later.weight }
    }
}

impl Default for SamplingInfo {
    fn default() -> Self {
        Self::ALL
    }
}

/// What decides whether something is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Nothing is left out.
    #[default]
    All,
    /// A threshold on the randomness of the trace, the same for all who take part in it.
    Consistent,
    /// As many as a confidence interval needs.
    StatisticalSignificance,
    /// As many a second as a budget and the load of the system allow.
    AdaptiveRate,
    /// What matters more is kept more often.
    ImportanceBased,
    /// A fixed number of all, each as likely as any other.
    Reservoir,
}

impl Strategy {
    /// Its name in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Consistent => "consistent",
            Self::StatisticalSignificance => "statistical_significance",
            Self::AdaptiveRate => "adaptive_rate",
            Self::ImportanceBased => "importance_based",
            Self::Reservoir => "reservoir",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_one_by_the_rate() {
        let check = |rate: f64, expected: f64| {
            assert_eq!(SamplingInfo::kept(Strategy::Consistent, rate).weight, expected, "{rate}");
        };
        check(0.25, 4.0);
        check(1.0, 1.0);
        check(7.0, 1.0);
        let none = SamplingInfo::kept(Strategy::Consistent, f64::NAN);
        assert!(none.rate > 0.0 && none.weight.is_finite());
        assert_eq!(SamplingInfo::default(), SamplingInfo::ALL);
    }

    #[test]
    fn what_was_kept_twice_stands_for_both() {
        let (head, tail) = (Strategy::Consistent, Strategy::AdaptiveRate);
        let both = SamplingInfo::kept(head, 0.5).then(SamplingInfo::kept(tail, 0.1));
        assert_eq!((both.strategy, both.rate), (tail, 0.05));
        assert!((both.weight - 20.0).abs() < 1e-12);
    }
}
