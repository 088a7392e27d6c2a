//! Several comparisons at once: of strata that belong together, and of things that do not.

use super::{Effect, Settings};

/// One effect of those of several strata, each with its weight: what share of the first sample it is. So that a second sample
/// which is made up of other strata is not held for a worse one (Simpson 1951). `None` without strata, or weight.
pub fn pool(strata: &[(f64, Effect)], settings: &Settings) -> Option<Effect> {
    let all: f64 = strata.iter().map(|(weight, _)| weight).sum();
    if !(all.is_finite() && all > 0.0) || strata.iter().any(|(weight, _)| *weight < 0.0) {
        return None;
    }
    if let [(_, one)] = strata {
        return Some(*one);
    }
    let sum = |of: &dyn Fn(f64, &Effect) -> f64| -> f64 {
        strata.iter().map(|(weight, effect)| of(weight / all, effect)).sum()
    };
    let count = |of: &dyn Fn(&Effect) -> usize| strata.iter().map(|(_, effect)| of(effect)).sum::<usize>();
    let samples = (count(&|effect| effect.samples.0), count(&|effect| effect.samples.1));
    let change = sum(&|share, effect| share * effect.change);
    let variance = sum(&|share, effect| share * share * effect.variance);
    let worth = (samples.0 as f64, samples.1 as f64);
    Some(Effect::new(change, variance, None, samples, worth, settings))
}

/// Which of several p-values are so small that with a probability of at least 1 − α none of these is by chance (Holm 1979).
pub fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut rejected = vec![false; p_values.len()];
    for (before, place) in order.into_iter().enumerate() {
        if p_values[place] > alpha / (p_values.len() - before) as f64 || p_values[place].is_nan() {
            break;
        }
        rejected[place] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        comparison::{Verdict, compare},
        tests::near,
    };

    #[test]
    fn of_several_the_least_likely_come_first() {
        // By hand: 0.005 <= 0.05/4, 0.01 <= 0.05/3, 0.03 > 0.05/2, so 0.04 is not looked at.
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
        assert_eq!(holm(&[0.05], 0.05), [true]);
        assert_eq!(holm(&[f64::NAN, 0.2], 0.05), [false, false]);
        assert!(holm(&[], 0.05).is_empty());
    }

    /// More slow requests, none of them slower: a ratio of all together would call it a regression.
    #[test]
    fn another_mixture_is_no_regression() {
        let settings = Settings::default();
        let values = |level: f64, count: usize, seed: u64| -> Vec<f64> {
            crate::tests::walk(count, 0.0, seed)
                .into_iter()
                .map(|value| level * (1.0 + 0.05 * value))
                .collect()
        };
        let (fast, slow) =
            ((values(1.0, 900, 1), values(1.0, 100, 2)), (values(5.0, 100, 3), values(5.0, 900, 4)));
        // Nine of the one, and one of the other.
        let both = |many: &[f64], few: &[f64]| -> Vec<f64> {
            many.chunks(9).zip(few).flat_map(|(many, one)| many.iter().chain([one]).copied()).collect()
        };
        let (before, after) = (both(&fast.0, &slow.0), both(&slow.1, &fast.1));
        let mixed = compare(&before, &after, &settings).unwrap();
        assert_eq!(mixed.effect.verdict, Verdict::Regression);
        let of = |(first, second): &(Vec<f64>, Vec<f64>)| compare(first, second, &settings).unwrap().effect;
        let pooled = pool(&[(900.0, of(&fast)), (100.0, of(&slow))], &settings).unwrap();
        assert_eq!((pooled.verdict, pooled.samples), (Verdict::Equivalent, (1_000, 1_000)));
        let (one, other) = (of(&fast), of(&slow));
        near(pooled.change, 0.9 * one.change + 0.1 * other.change, 1e-12);
        near(pooled.variance, 0.81 * one.variance + 0.01 * other.variance, 1e-15);
        assert_eq!(pool(&[], &settings), None);
        assert_eq!(pool(&[(0.0, one)], &settings), None);
    }
}
