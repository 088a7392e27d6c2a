//! Whether values of one sample tend to be above those of another, and by how much.

use crate::{
    normal::{two_sided, two_sided_bound},
    slices::ranks,
};

/// The test of Mann and Whitney (1947).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// Of how many pairs the second is above the first; of equal ones, half.
    pub u: f64,
    /// The same as a share of all pairs: one half where neither tends to be above.
    pub superiority: f64,
    /// How likely at least as much is where neither does: by the normal distribution, with ties and a correction for
    /// continuity.
    pub p_value: f64,
}

/// The test of two samples, neither of them empty, of independent values.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> MannWhitney {
    test(first, second, 1.0)
}

/// The test of samples whose ranks vary by `inertia` times as much as those of independent values.
pub(super) fn test(first: &[f64], second: &[f64], inertia: f64) -> MannWhitney {
    let all: Vec<f64> = second.iter().chain(first).copied().collect();
    let (m, n, count) = (first.len() as f64, second.len() as f64, all.len() as f64);
    let ranked = ranks(&all);
    let u = ranked[..second.len()].iter().sum::<f64>() - n * (n + 1.0) / 2.0;
    let mut sorted = ranked;
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::float_cmp, reason = "equal values have the same rank")]
    let tied = sorted.chunk_by(|a, b| a == b).map(|group| group.len() as f64);
    let ties: f64 = tied.map(|t| t * t * t - t).sum();
    let variance = m * n / 12.0 * (count + 1.0 - ties / (count * (count - 1.0))) * inertia;
    let above = u.max(m * n - u) - m * n / 2.0 - 0.5;
    // Below the middle there is nothing to be found; the correction reaches that far.
    let p_value = if variance > 0.0 && above > 0.0 { two_sided(above / variance.sqrt()) } else { 1.0 };
    MannWhitney { u, superiority: u / (m * n), p_value }
}

/// By how much the second sample is above the first (Hodges and Lehmann 1963).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The median of the differences of all pairs.
    pub median: f64,
    /// Its bounds, by the distribution of Mann and Whitney.
    pub bounds: (f64, f64),
}

/// The shift between two samples of finite, independent values, neither of them empty. Costs a sort of both, and 200 walks
/// through them, not all pairs.
pub fn hodges_lehmann(first: &[f64], second: &[f64], alpha: f64) -> Shift {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    of_sorted(&sorted(first), &sorted(second), alpha, 1.0)
}

pub(super) fn of_sorted(first: &[f64], second: &[f64], alpha: f64, inertia: f64) -> Shift {
    let (m, n) = (first.len() as f64, second.len() as f64);
    let pairs = first.len().saturating_mul(second.len());
    let middle = pairs / 2;
    let median = match pairs % 2 {
        1 => difference(first, second, middle),
        _ => f64::midpoint(difference(first, second, middle - 1), difference(first, second, middle)),
    };
    let deviation = (m * n * (m + n + 1.0) / 12.0 * inertia).sqrt();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, below a count"
    )]
    let outside = (m * n / 2.0 - two_sided_bound(alpha) * deviation).floor().max(0.0) as usize;
    let outside = outside.min((pairs - 1) / 2);
    Shift {
        median,
        bounds: (difference(first, second, outside), difference(first, second, pairs - 1 - outside)),
    }
}

/// The difference of a rank from 0 among those of all pairs, second less first: the smallest one that as many are not above,
/// found by halving the order of all floats.
fn difference(first: &[f64], second: &[f64], rank: usize) -> f64 {
    let (mut low, mut high) =
        (key(second[0] - first[first.len() - 1]), key(second[second.len() - 1] - first[0]));
    while low < high {
        let middle = low + (high - low) / 2;
        if up_to(first, second, float(middle)) > rank { high = middle } else { low = middle + 1 }
    }
    float(low)
}

/// How many pairs differ by at most this. Both samples are sorted, so that the border moves one way only.
fn up_to(first: &[f64], second: &[f64], limit: f64) -> usize {
    let mut border = 0;
    let below = first.iter().map(|value| {
        while second.get(border).is_some_and(|other| other - value <= limit) {
            border += 1;
        }
        border
    });
    below.sum()
}

/// A number in the order of the floats.
fn key(value: f64) -> u64 {
    // Zero has one sign only.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

fn float(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{near, walk};

    #[test]
    fn the_test_is_that_of_others() {
        // `scipy.stats.mannwhitneyu(second, first, method="asymptotic")`.
        let first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.15, 1.29];
        let found = mann_whitney(&first, &second);
        near(found.u, 23.0, 0.0);
        near(found.p_value, 0.132_919_458_185_318_92, 1e-12);
        let first = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 7.0, 7.0];
        let second = [2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 5.0, 6.0, 8.0, 8.0, 9.0, 9.0, 10.0, 11.0];
        let found = mann_whitney(&first, &second);
        near(found.u, 123.0, 0.0);
        near(found.superiority, 123.0 / 168.0, 1e-15);
        near(found.p_value, 0.045_822_556_052_280_29, 1e-12);
        assert_eq!(mann_whitney(&[5.0; 6], &[5.0; 4]).p_value, 1.0);
    }

    #[test]
    fn the_shift_is_the_median_of_all_differences() {
        let first = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 5.0, 6.0, 7.0, 7.0];
        let second = [2.0, 3.0, 3.0, 4.0, 5.0, 5.0, 5.0, 6.0, 8.0, 8.0, 9.0, 9.0, 10.0, 11.0];
        near(hodges_lehmann(&first, &second, 0.05).median, 2.0, 0.0);
        for seed in 0..5 {
            let (first, second) = (walk(17, 0.3, seed), walk(12, 0.0, seed + 100));
            let mut all: Vec<f64> = second.iter().flat_map(|b| first.iter().map(move |a| b - a)).collect();
            all.sort_by(f64::total_cmp);
            let found = hodges_lehmann(&first, &second, 0.05);
            near(found.median, f64::midpoint(all[101], all[102]), 1e-12);
            // Floor of 102 - 1.96 * sqrt(17 * 12 * 30 / 12).
            near(found.bounds.0, all[57], 1e-12);
            near(found.bounds.1, all[203 - 57], 1e-12);
        }
    }

    #[test]
    fn floats_keep_their_order() {
        let values = [f64::MIN, -1.5, -1e-300, 0.0, 1e-300, 2.0, f64::MAX];
        assert!(values.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(values.iter().all(|value| float(key(*value)).to_bits() == value.to_bits()));
    }
}
