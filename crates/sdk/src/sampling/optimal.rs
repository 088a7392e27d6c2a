//! How many to keep of which, for the least error or the least cost.
//!
//! With strata of N items whose values stray by S and cost c each, the least variance of the total for a cost has
//! n ∝ N·S/√c (Neyman 1934). Where several figures each have a variance to stay below, the least cost is found by
//! Chromy's iteration ("Design optimization with multiple objectives", 1987) of Bethel's problem ("Sample allocation
//! in multivariate surveys", 1989). No stratum gets more than it has nor less than 30 of it.

use super::size;

/// So many are taken of each stratum, if it has them.
const FLOOR: f64 = 30.0;
const ROUNDS_MAX: usize = 10_000;

/// Items that are sampled at one rate: an operation, a status, a tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Stratum {
    /// How many items it has.
    pub population: f64,
    /// The standard deviation of its values, one for each figure.
    pub deviations: Vec<f64>,
    /// What one item costs, in any unit that is the same for all.
    pub cost: f64,
}

/// What is wanted of the rate of a single population.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// By which share of itself the mean may be off.
    pub error: f64,
    /// With which probability it must not be off by more.
    pub confidence: f64,
    /// The standard deviation of the values by their mean.
    pub variation: f64,
    /// How many there are.
    pub volume: u64,
}

/// A rate with what it comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    /// The probability to keep with.
    pub rate: f64,
    /// How many are kept then.
    pub size: u64,
}

/// Tells ideal rates. It has no settings; each question brings all it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptimalSamplingCalculator;

impl OptimalSamplingCalculator {
    /// The least rate that does what is wanted: n/N with n = n₀/(1 + (n₀ − 1)/N) and n₀ = (z·CV/ε)².
    pub fn rate(&self, goal: &Goal) -> Optimum {
        let endless = size::for_relative_mean(goal.confidence, goal.error, goal.variation);
        let size = size::of_finite(endless, goal.volume);
        let rate = if goal.volume == 0 { 1.0 } else { size as f64 / goal.volume as f64 };
        Optimum { rate: rate.min(1.0), size }
    }

    /// How many to take of each stratum so that the first figure's total has the least variance for `budget`, in the
    /// unit of costs. Floors come first: a budget below them is overspent.
    pub fn within_budget(&self, strata: &[Stratum], budget: f64) -> Vec<f64> {
        let wish = |s: &Stratum| s.population * deviation(s, 0) / s.cost.sqrt();
        settle(strata, |open, fixed| {
            let spent: f64 = fixed.iter().map(|(i, n)| strata[*i].cost * n).sum();
            let each: f64 = open.iter().map(|i| strata[*i].cost * wish(&strata[*i])).sum();
            open.iter().map(|i| (budget - spent).max(0.0) * wish(&strata[*i]) / each).collect()
        })
    }

    /// How many to take of each stratum so that the first figure's total has at most this variance, at the least
    /// cost.
    pub fn for_variance(&self, strata: &[Stratum], variance: f64) -> Vec<f64> {
        let weight = |s: &Stratum| s.population * deviation(s, 0);
        settle(strata, |open, fixed| {
            let sure =
                |(i, n): &(usize, f64)| weight(&strata[*i]).powi(2) * (1.0 / n - 1.0 / strata[*i].population);
            let left = variance - fixed.iter().map(sure).sum::<f64>();
            let finite: f64 = open.iter().map(|i| weight(&strata[*i]) * deviation(&strata[*i], 0)).sum();
            let each: f64 = open.iter().map(|i| weight(&strata[*i]) * strata[*i].cost.sqrt()).sum();
            let size = |i: &usize| weight(&strata[*i]) / strata[*i].cost.sqrt() * each / (left + finite);
            // What the fixed ones leave open cannot be made good by the others: take all.
            open.iter().map(|i| if left + finite > 0.0 { size(i) } else { f64::INFINITY }).collect()
        })
    }

    /// How many to take of each stratum so that the total of each figure has at most its variance, at the least
    /// cost. Figures without a variance to stay below are not looked at.
    pub fn for_variances(&self, strata: &[Stratum], variances: &[f64]) -> Vec<f64> {
        // Each figure's constraint as Σ a/n ≤ 1.
        let constraint = |(j, variance): (usize, &f64)| -> Vec<f64> {
            let finite: f64 = strata.iter().map(|s| s.population * deviation(s, j).powi(2)).sum();
            strata.iter().map(|s| (s.population * deviation(s, j)).powi(2) / (variance + finite)).collect()
        };
        let constraints: Vec<Vec<f64>> = variances.iter().enumerate().map(constraint).collect();
        let mut sizes = chromy(strata, &constraints);
        for (n, stratum) in sizes.iter_mut().zip(strata) {
            *n = n.max(FLOOR).min(stratum.population);
        }
        sizes
    }
}

fn deviation(stratum: &Stratum, figure: usize) -> f64 {
    stratum.deviations.get(figure).copied().unwrap_or(0.0)
}

/// Shares out among the strata, fixes those that get more than they have or less than the floor, and shares out the
/// rest again.
fn settle(strata: &[Stratum], share: impl Fn(&[usize], &[(usize, f64)]) -> Vec<f64>) -> Vec<f64> {
    let mut fixed: Vec<(usize, f64)> = Vec::new();
    let mut open: Vec<usize> = (0..strata.len()).collect();
    let limits = |i: usize| (FLOOR.min(strata[i].population), strata[i].population);
    loop {
        let sizes = share(&open, &fixed);
        let of = |(i, n): (&usize, &f64)| (*i, if n.is_nan() { 0.0 } else { *n });
        let shared: Vec<(usize, f64)> = open.iter().zip(&sizes).map(of).collect();
        // Those with too much first: what they give back may lift others above the floor.
        let mut out: Vec<(usize, f64)> =
            shared.iter().filter(|(i, n)| *n > limits(*i).1).map(|(i, _)| (*i, limits(*i).1)).collect();
        if out.is_empty() {
            out = shared.iter().filter(|(i, n)| *n < limits(*i).0).map(|(i, _)| (*i, limits(*i).0)).collect();
        }
        if out.is_empty() {
            fixed.extend(shared);
            fixed.sort_by_key(|(i, _)| *i);
            return fixed.into_iter().map(|(_, n)| n).collect();
        }
        open.retain(|i| out.iter().all(|(fixed, _)| fixed != i));
        fixed.extend(out);
    }
}

/// The sizes of least cost for which Σ a/n ≤ 1 for each constraint. What the iteration leaves open is closed by
/// scaling all sizes.
fn chromy(strata: &[Stratum], constraints: &[Vec<f64>]) -> Vec<f64> {
    let mut shares = vec![1.0 / constraints.len().max(1) as f64; constraints.len()];
    let (mut sizes, mut loads) = (vec![0.0; strata.len()], vec![0.0; constraints.len()]);
    for _ in 0..ROUNDS_MAX {
        let pull = |h: usize| shares.iter().zip(constraints).map(|(share, a)| share * a[h]).sum::<f64>();
        let pulls: Vec<f64> = (0..strata.len()).map(|h| pull(h).sqrt()).collect();
        let all: f64 = pulls.iter().zip(strata).map(|(pull, s)| pull * s.cost.sqrt()).sum();
        for ((n, pull), stratum) in sizes.iter_mut().zip(&pulls).zip(strata) {
            *n = pull * all / stratum.cost.sqrt();
        }
        for (load, a) in loads.iter_mut().zip(constraints) {
            *load = a.iter().zip(&sizes).filter(|(a, _)| **a > 0.0).map(|(a, n)| a / n).sum();
        }
        let squared: Vec<f64> = shares.iter().zip(&loads).map(|(share, load)| share * load * load).collect();
        let norm: f64 = squared.iter().sum();
        let moved =
            shares.iter().zip(&squared).map(|(share, next)| (share - next / norm).abs()).fold(0.0, f64::max);
        shares = squared.iter().map(|next| next / norm).collect();
        if moved < 1e-9 || !norm.is_finite() {
            break;
        }
    }
    let worst = loads.iter().copied().fold(0.0, f64::max);
    sizes.iter().map(|n| n * worst).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: OptimalSamplingCalculator = OptimalSamplingCalculator;

    fn strata(of: &[(f64, &[f64], f64)]) -> Vec<Stratum> {
        let stratum = |(population, deviations, cost): &(f64, &[f64], f64)| Stratum {
            population: *population,
            deviations: deviations.to_vec(),
            cost: *cost,
        };
        of.iter().map(stratum).collect()
    }

    fn near(sizes: &[f64], expected: &[f64]) {
        let off = sizes.iter().zip(expected).all(|(n, e)| (n - e).abs() < 1e-6 * e.max(1.0));
        assert!(off && sizes.len() == expected.len(), "{sizes:?} {expected:?}");
    }

    fn variance(strata: &[Stratum], sizes: &[f64], figure: usize) -> f64 {
        let part = |(s, n): (&Stratum, &f64)| {
            (s.population * deviation(s, figure)).powi(2) * (1.0 / n - 1.0 / s.population)
        };
        strata.iter().zip(sizes).map(part).sum()
    }

    #[test]
    fn rates_are_those_of_the_closed_formula() {
        let goal = Goal { error: 0.05, confidence: 0.95, variation: 1.0, volume: 10_000 };
        assert_eq!(ASK.rate(&goal), Optimum { rate: 0.1333, size: 1_333 });
        assert_eq!(ASK.rate(&Goal { volume: 10, ..goal }), Optimum { rate: 1.0, size: 10 });
        assert_eq!(ASK.rate(&Goal { volume: 0, ..goal }).rate, 1.0);
    }

    #[test]
    fn budgets_go_where_values_stray() {
        let two = strata(&[(1_000.0, &[1.0], 1.0), (1_000.0, &[3.0], 1.0)]);
        near(&ASK.within_budget(&two, 400.0), &[100.0, 300.0]);
        // Four times the cost, half the items.
        let dear = strata(&[(1_000.0, &[1.0], 1.0), (1_000.0, &[1.0], 4.0)]);
        near(&ASK.within_budget(&dear, 600.0), &[200.0, 100.0]);
        // One is taken whole, another at its floor.
        let odd = strata(&[(50.0, &[100.0], 1.0), (1_000.0, &[1.0], 1.0), (1_000.0, &[0.001], 1.0)]);
        near(&ASK.within_budget(&odd, 200.0), &[50.0, 120.0, 30.0]);
    }

    #[test]
    fn variances_are_reached_at_the_least_cost() {
        let three = strata(&[(10_000.0, &[1.0], 1.0), (5_000.0, &[4.0], 2.0), (20_000.0, &[0.5], 1.0)]);
        let sizes = ASK.for_variance(&three, 1e6);
        assert!((variance(&three, &sizes, 0) - 1e6).abs() < 1.0, "{sizes:?}");
        near(&ASK.for_variances(&three, &[1e6]), &sizes);
        let cost = |sizes: &[f64]| sizes.iter().zip(&three).map(|(n, s)| n * s.cost).sum::<f64>();
        let near_by: Vec<f64> = ASK.within_budget(&three, cost(&sizes));
        assert!((variance(&three, &near_by, 0) / 1e6 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn several_variances_are_kept_to() {
        let two = strata(&[(10_000.0, &[1.0, 5.0], 1.0), (10_000.0, &[4.0, 1.0], 1.0)]);
        let limits = [1e6, 2e6];
        let sizes = ASK.for_variances(&two, &limits);
        let reached = [variance(&two, &sizes, 0), variance(&two, &sizes, 1)];
        assert!(reached.iter().zip(limits).all(|(v, limit)| *v <= limit * 1.000_001), "{reached:?}");
        // No cheaper pair of sizes keeps to both.
        let cost = sizes[0] + sizes[1];
        for i in 30..9_000 {
            let pair = [f64::from(i), cost * 0.999 - f64::from(i)];
            let keeps = pair[1] >= 30.0 && (0..2).all(|j| variance(&two, &pair, j) <= limits[j]);
            assert!(!keeps, "{pair:?} {sizes:?}");
        }
    }
}
