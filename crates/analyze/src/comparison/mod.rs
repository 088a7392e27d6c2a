//! Two samples held against each other: is the second one worse, better, as good, or is it too early to say?
//!
//! 1. [`compare`] takes measured values: what changed is the ratio of the medians, beside the shift by Hodges and Lehmann and
//!    the test of Mann and Whitney, [`mann_whitney`].
//! 2. [`compare_shares`] takes how many of how many: what changed is the difference of the shares.
//! 3. [`pool`] makes one of comparisons by strata, [`holm`] judges several together.
//!
//! ```text
//!   lower is better    ──────────(─────┼─────)──────────►  ratio
//!                          improvement │ 1   │ regression
//!                                1 − bound   1 + bound
//! ```
//!
//! The interval of what changed decides: beyond the bound all of it is a regression or an improvement, within both bounds all
//! of it is equivalent (two one-sided tests), and otherwise nothing is known. Values that hang on those before count as fewer
//! ones ([`effective`]).
//!
//! Who looks once takes [`Looks::Once`]. Who looks again and again, until there is a verdict, would find a regression sooner or
//! later in equal samples, too; for them there is [`Looks::Always`], whose intervals hold at all looks together.

mod bootstrap;
mod certainty;
mod effective;
mod shares;
mod shift;
mod together;

use crate::slices::median;

pub use certainty::Looks;
pub use effective::effective;
pub use shares::{Share, compare_shares, newcombe, wilson};
pub use shift::{MannWhitney, Shift, hodges_lehmann, mann_whitney};
pub use together::{holm, pool};

/// Of fewer values on a side nothing is said.
pub const SAMPLES_MIN: usize = 30;
/// Of more values on a side, the last ones are taken.
pub const SAMPLES_MAX: usize = 5_000;
/// Nor is anything said of values that are worth fewer independent ones: how few they are is not known well then, and intervals
/// would miss what is true more often than they say.
pub const EFFECTIVE_MIN: f64 = 8.0;
/// How likely a difference of as much as the bound is to be found with as many samples as are said to be needed: 80 %.
const MISSED: f64 = 0.2;

/// Which way is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Better {
    /// As of a duration.
    #[default]
    Lower,
    /// As of a throughput.
    Higher,
}

/// How samples are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Which way is good.
    pub better: Better,
    /// What is less than this does not matter: of a ratio, 0.05 is 5 %; of shares it is their difference. Above 0.
    pub bound: f64,
    /// How likely the interval misses what is true.
    pub alpha: f64,
    /// How often it is looked.
    pub looks: Looks,
    /// How often medians are drawn again.
    pub resamples: u32,
    /// What those draws follow from.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            better: Better::Lower,
            bound: 0.05,
            alpha: 0.05,
            looks: Looks::Once,
            resamples: 2_000,
            seed: 0x5eed,
        }
    }
}

/// What comes of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The second is worse by more than the bound, for certain.
    Regression,
    /// It is better by more than the bound, for certain.
    Improvement,
    /// It differs by less than the bound, for certain.
    Equivalent,
    /// Nothing is certain enough.
    Inconclusive,
}

impl Verdict {
    /// `regression`, `improvement`, `equivalent`, `inconclusive`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Improvement => "improvement",
            Self::Equivalent => "equivalent",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// What changed from the first sample to the second, and how certain that is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// By how much: of medians their ratio less one, of shares their difference.
    pub change: f64,
    /// The variance of that.
    pub variance: f64,
    /// Its bounds.
    pub bounds: (f64, f64),
    /// What follows.
    pub verdict: Verdict,
    /// How likely at least as much is where it is worse by no more than the bound.
    pub p_regression: f64,
    /// How many values there were on each side.
    pub samples: (usize, usize),
    /// How many more are needed on each side where nothing is certain, if as many help at all.
    pub needed: Option<u64>,
}

/// Two samples of measured values compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// What changed, as the ratio of the medians less one.
    pub effect: Effect,
    /// The medians.
    pub medians: (f64, f64),
    /// The median of all differences, second less first.
    pub shift: Shift,
    /// The test whether one tends to be above the other.
    pub test: MannWhitney,
    /// How many independent values each sample is worth.
    pub effective: (f64, f64),
}

/// Compares the second sample with the first, each in order of time. `None` where one has fewer than [`SAMPLES_MIN`] finite
/// values, or they are worth fewer than [`EFFECTIVE_MIN`], or where the first is not above zero for certain, so that there is
/// no ratio. Costs the number of values a few times over, and `resamples` draws.
pub fn compare(first: &[f64], second: &[f64], settings: &Settings) -> Option<Comparison> {
    let last = |values: &[f64]| -> Vec<f64> {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        finite[finite.len().saturating_sub(SAMPLES_MAX)..].to_vec()
    };
    let (mut first, mut second) = (last(first), last(second));
    let samples = (first.len(), second.len());
    if samples.0.min(samples.1) < SAMPLES_MIN {
        return None;
    }
    let worth = (effective(&first), effective(&second));
    if worth.0.min(worth.1) < EFFECTIVE_MIN {
        return None;
    }
    first.sort_by(f64::total_cmp);
    second.sort_by(f64::total_cmp);
    let medians = (median(&first), median(&second));
    let drawn = bootstrap::ratios(&first, &second, worth, settings)?;
    let change = medians.1 / medians.0 - 1.0;
    let effect = Effect::new(change, drawn.variance, Some(drawn.bounds), samples, worth, settings);
    // Of values that hang together, ranks vary as those of fewer ones do.
    let independent = |n: usize, worth: f64| (1.0 / n as f64, 1.0 / worth);
    let (a, b) = (independent(samples.0, worth.0), independent(samples.1, worth.1));
    let inertia = (a.1 + b.1) / (a.0 + b.0);
    Some(Comparison {
        effect,
        medians,
        shift: shift::of_sorted(&first, &second, settings.alpha, inertia),
        test: shift::test(&first, &second, inertia),
        effective: worth,
    })
}

impl Effect {
    /// What follows from a change and its variance. `once` are the bounds at a single look, where they are not those of a
    /// normal distribution.
    fn new(
        change: f64,
        variance: f64,
        once: Option<(f64, f64)>,
        samples: (usize, usize),
        worth: (f64, f64),
        settings: &Settings,
    ) -> Self {
        let looks = settings.looks;
        let reach = looks.reach(variance, settings);
        let bounds = match (looks, once) {
            (Looks::Once, Some(bounds)) => bounds,
            _ => (change - reach, change + reach),
        };
        let verdict = decide(bounds, settings);
        let worse = match settings.better {
            Better::Lower => change - settings.bound,
            Better::Higher => -change - settings.bound,
        };
        let p_regression = if worse > 0.0 { looks.p_value(worse, variance, settings) } else { 1.0 };
        let needed = (verdict == Verdict::Inconclusive).then(|| needed(variance, samples, worth, settings));
        Self { change, variance, bounds, verdict, p_regression, samples, needed: needed.flatten() }
    }
}

/// What follows from an interval.
fn decide((lower, upper): (f64, f64), settings: &Settings) -> Verdict {
    let bound = settings.bound;
    let (grew, fell) = match settings.better {
        Better::Lower => (Verdict::Regression, Verdict::Improvement),
        Better::Higher => (Verdict::Improvement, Verdict::Regression),
    };
    if lower > bound {
        grew
    } else if upper < -bound {
        fell
    } else if lower > -bound && upper < bound {
        Verdict::Equivalent
    } else {
        Verdict::Inconclusive
    }
}

/// How many more values are needed on each side to tell apart what differs by the bound: the smallest n for which
/// `reach + z(1 − β) · deviation` is within the bound, which at a single look is 2 (z(1 − α/2) + z(1 − β))² σ² / δ².
fn needed(variance: f64, samples: (usize, usize), worth: (f64, f64), settings: &Settings) -> Option<u64> {
    let power = crate::normal::two_sided_bound(2.0 * MISSED);
    let spare = |variance: f64| {
        settings.bound - settings.looks.reach(variance, settings) - power * variance.max(0.0).sqrt()
    };
    let (mut enough, mut too_much) = (0.0, (settings.bound / power).powi(2));
    for _ in 0..100 {
        let middle = f64::midpoint(enough, too_much);
        if spare(middle) >= 0.0 { enough = middle } else { too_much = middle }
    }
    // The variance is as of two samples of equal size, of values that hang together as these do.
    let each = 2.0 / (1.0 / worth.0 + 1.0 / worth.1);
    let hang = (samples.0 as f64 / worth.0 + samples.1 as f64 / worth.1) / 2.0;
    let all = variance * each * hang / enough;
    let there = samples.0.min(samples.1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    (all.is_finite() && all < 1e15).then(|| (all - there).ceil().max(1.0) as u64)
}

#[cfg(test)]
mod tests;
