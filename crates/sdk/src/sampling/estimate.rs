//! Totals, means and quantiles of a population of which some were kept, with how far they may be off.
//!
//! A total is Horvitz and Thompson's, each value divided by its inclusion probability; a mean is Hájek's quotient of
//! two of these; a quantile is that of the weighted distribution, its interval Woodruff's. Variances are those of
//! Poisson sampling (each item decided by itself), which also hold for priority sampling and are cautious for
//! VarOpt. Sums are compensated (Neumaier), so that a million small values beside a large one are not lost.
//!
//! Intervals are corrected for skewness. Of values with a long tail a sample that missed the tail has a mean that is too
//! low and a standard error that is too small, so normal intervals end too early on that side. The first terms of the
//! studentised estimate's Edgeworth series say by how much; they are undone by Hall's monotone cubic (Hall 1992, "On the
//! removal of skewness by transformation"), here with the moments of Poisson sampling. Where a handful of values have
//! most of the variance intervals are still too narrow, since they cannot know of those that were not kept: sample such
//! values by weight.

use super::normal;

/// A value that was kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// What was measured.
    pub value: f64,
    /// The probability with which it was kept, above 0 and up to 1.
    pub rate: f64,
}

/// What a population's figure is taken for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The figure, in the unit of the values.
    pub value: f64,
    /// The variance of the estimate, in the square of that unit.
    pub variance: f64,
    /// The skewness of the estimate: its third central moment in standard errors. 0 where it errs as often up as down.
    pub skewness: f64,
    /// How the standard error goes along with the estimate: the covariance of estimate and variance, in the same unit.
    pub leaning: f64,
    /// How many values it was made of.
    pub n: usize,
    /// How many values of equal weight would tell as much (Kish).
    pub n_effective: f64,
}

/// A range that holds the true figure with probability `level`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// With which probability, from 0 to 1.
    pub level: f64,
    /// Its lower end.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

impl Estimate {
    /// The standard error, in the unit of the values.
    pub fn standard_error(&self) -> f64 {
        self.variance.max(0.0).sqrt()
    }

    /// The confidence interval, corrected for skewness: longer on the side of the tail.
    pub fn interval(&self, level: f64) -> Interval {
        let z = normal::z_two_sided(level);
        let end = |z: f64| match self.standard_error() {
            0.0 => self.value,
            error => self.value - self.studentised(z) * error,
        };
        Interval { level, lower: end(z), upper: end(-z) }
    }

    /// How many estimated standard errors the estimate is off where it would be `z` if all were normal.
    ///
    /// With t the estimate's error in estimated standard errors, A its leaning and g its skewness, the cumulants of t
    /// are -A/2 and g - 3A, so t + A/2 + (3A - g)(t^2 - 1)/6 is normal up to terms of 1/n. With b = (3A - g)/6 that is
    /// t + b t^2 + g/6, to which b^2 t^3/3 makes a cube, which grows with t everywhere.
    fn studentised(&self, z: f64) -> f64 {
        let bend = (3.0 * self.leaning - self.skewness) / 6.0;
        let z = z - self.skewness / 6.0;
        if bend.abs() < 1e-6 { z } else { ((1.0 + 3.0 * bend * z).cbrt() - 1.0) / bend }
    }

    /// An estimate that is the sum of what each kept value adds, each decided about by itself.
    fn of_parts(value: f64, kept: &[Kept], part: impl Fn(&Kept) -> f64) -> Self {
        let parts = || kept.iter().map(|item| (part(item), 1.0 - item.rate));
        let variance = sum(parts().map(|(part, missed)| missed * part.powi(2)));
        let cubes = |factor: fn(f64) -> f64| {
            let third = sum(parts().map(|(part, missed)| factor(missed) * part.powi(3)));
            if variance > 0.0 { third / variance.powf(1.5) } else { 0.0 }
        };
        Self {
            value,
            variance,
            skewness: cubes(|missed| missed * (2.0 * missed - 1.0)),
            leaning: cubes(|missed| missed * missed),
            n: kept.len(),
            n_effective: effective_size(kept),
        }
    }
}

impl Interval {
    /// Whether the figure lies in it.
    pub fn holds(&self, figure: f64) -> bool {
        (self.lower..=self.upper).contains(&figure)
    }

    /// Half of its width.
    pub fn half_width(&self) -> f64 {
        (self.upper - self.lower) / 2.0
    }
}

/// The sum of the population's values.
pub fn total(kept: &[Kept]) -> Estimate {
    let part = |item: &Kept| item.value / item.rate;
    Estimate::of_parts(sum(kept.iter().map(part)), kept, part)
}

/// How many the population has.
pub fn count(kept: &[Kept]) -> Estimate {
    let part = |item: &Kept| 1.0 / item.rate;
    Estimate::of_parts(sum(kept.iter().map(part)), kept, part)
}

/// The mean of the population's values. `None` if nothing was kept.
pub fn mean(kept: &[Kept]) -> Option<Estimate> {
    let size = count(kept).value;
    let value = total(kept).value / size;
    let part = |item: &Kept| (item.value - value) / item.rate / size;
    (!kept.is_empty()).then(|| Estimate::of_parts(value, kept, part))
}

/// The value below which the share `q` (0 to 1) of the population lies, with its interval. Sorts: O(n log n).
/// `None` if nothing was kept.
pub fn quantile(kept: &[Kept], q: f64, level: f64) -> Option<(f64, Interval)> {
    let mut sorted = kept.to_vec();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    let value = weighted(&sorted, q)?;
    let below = |item: &Kept| Kept { value: f64::from(u8::from(item.value <= value)), rate: item.rate };
    let share = mean(&sorted.iter().map(below).collect::<Vec<_>>())?;
    let half = normal::z_two_sided(level) * share.standard_error();
    let (lower, upper) = (weighted(&sorted, q - half)?, weighted(&sorted, q + half)?);
    Some((value, Interval { level, lower, upper }))
}

/// How many values of equal weight would tell as much as these: Kish's (Σw)² / Σw².
pub fn effective_size(kept: &[Kept]) -> f64 {
    let squares = sum(kept.iter().map(|item| item.rate.powi(-2)));
    if squares > 0.0 { sum(kept.iter().map(|item| 1.0 / item.rate)).powi(2) / squares } else { 0.0 }
}

/// The least value at which the weighted distribution reaches `q`.
fn weighted(sorted: &[Kept], q: f64) -> Option<f64> {
    let goal = q * sum(sorted.iter().map(|item| 1.0 / item.rate));
    let mut reached = Sum::default();
    let found = sorted.iter().find(|item| {
        reached.add(1.0 / item.rate);
        reached.value() >= goal
    });
    Some(found.or(sorted.last())?.value)
}

/// A sum that does not lose small values beside large ones (Neumaier 1974).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let (large, small) =
            if self.sum.abs() >= value.abs() { (self.sum, value) } else { (value, self.sum) };
        self.lost += (large - sum) + small;
        self.sum = sum;
    }

    pub(crate) fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.for_each(|value| sum.add(value));
    sum.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pairs: &[(f64, f64)]) -> Vec<Kept> {
        pairs.iter().map(|&(value, rate)| Kept { value, rate }).collect()
    }

    #[test]
    fn what_is_all_kept_is_exact() {
        let all = kept(&[(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]);
        assert_eq!((total(&all).value, total(&all).variance), (10.0, 0.0));
        assert_eq!((mean(&all).unwrap().value, count(&all).value), (2.5, 4.0));
        let (median, interval) = quantile(&all, 0.5, 0.95).unwrap();
        assert_eq!((median, interval.lower, interval.upper), (2.0, 2.0, 2.0));
        assert_eq!(effective_size(&all), 4.0);
    }

    #[test]
    fn what_was_kept_stands_for_the_rest() {
        let some = kept(&[(1.0, 0.5), (3.0, 0.25)]);
        assert_eq!((total(&some).value, count(&some).value), (14.0, 6.0));
        assert_eq!(total(&some).variance, 0.5 * 4.0 + 0.75 * 144.0);
        assert_eq!(mean(&some).unwrap().value, 14.0 / 6.0);
        assert_eq!(effective_size(&some), 36.0 / 20.0);
        assert_eq!(quantile(&some, 0.3, 0.95).unwrap().0, 1.0);
        assert_eq!(quantile(&some, 0.5, 0.95).unwrap().0, 3.0);
    }

    #[test]
    fn intervals_lean_to_the_tail() {
        let ends = |values: &[f64]| {
            let kept: Vec<Kept> = values.iter().map(|&value| Kept { value, rate: 0.2 }).collect();
            let mean = mean(&kept).unwrap();
            let Interval { lower, upper, .. } = mean.interval(0.95);
            [(mean.value - lower), (upper - mean.value)].map(|off| off / mean.standard_error())
        };
        let near = |[lower, upper]: [f64; 2], expected: [f64; 2]| {
            let off = (lower - expected[0]).abs().max((upper - expected[1]).abs());
            assert!(off < 1e-9, "{lower} {upper}");
        };
        let even: Vec<f64> = (0..=100).map(f64::from).collect();
        near(ends(&even), [normal::z_two_sided(0.95); 2]);
        let tail: Vec<f64> = (1..=100).map(|i| 1_000.0 / f64::from(i)).collect();
        let [lower, upper] = ends(&tail);
        assert!(lower < 1.7 && upper > 2.4, "{lower} {upper}");
        let turned: Vec<f64> = tail.iter().map(|value| -value).collect();
        near(ends(&turned), [upper, lower]);
        assert_eq!(total(&kept(&[(1.0, 0.5), (9.0, 0.5)])).interval(1.0).upper, f64::INFINITY);
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(mean(&[]), None);
        assert_eq!(quantile(&[], 0.5, 0.95), None);
        assert_eq!((total(&[]).value, effective_size(&[])), (0.0, 0.0));
    }

    #[test]
    fn small_values_are_not_lost() {
        assert_eq!(sum([1e100, 1.0, -1e100].into_iter()), 1.0);
    }
}
