//! Whether something grows or falls, and how fast.
//!
//! A trend is the median of the slopes of all pairs of points (Theil 1950, Sen 1968), which a few wild values do not
//! move, and the test of Mann (1945) and Kendall (1975) whether there is one at all. Its variance is corrected for points
//! that hang on those before, by a formula of Hamed and Rao (1998) with another choice of autocorrelations than theirs, see
//! [`inertia_of_ranks`].

use crate::{
    POINTS_MIN, Point,
    normal::{NORMAL_95, two_sided},
    slices::{centre, product, ranks},
};

/// With more buckets, slopes are those of so many pairs, chosen by a fixed rule.
const PAIRS_MAX: usize = 100_000;

/// Up to so many buckets, all pairs are taken.
const ALL_PAIRS_UP_TO: usize = 2_000;

/// Of a trend, so many lags are looked at.
const TREND_LAGS_MAX: usize = 1_000;

/// How unlikely a trend by chance has to be.
const SIGNIFICANT: f64 = 0.05;

/// Whether something grows or falls, and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// By how much it changes a second.
    pub slope: f64,
    /// The bounds of the slope with a confidence of 95 %, where all pairs were looked at.
    pub bounds: Option<(f64, f64)>,
    /// Where it goes.
    pub direction: Direction,
    /// How likely at least as clear a trend is where there is none, considering how buckets hang on those before.
    pub p_value: f64,
    /// How many buckets had a value.
    pub buckets: usize,
}

/// Where something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Up.
    Increasing,
    /// Down.
    Decreasing,
    /// Nothing is certain enough.
    NoTrend,
}

impl Direction {
    /// `increasing`, `decreasing`, `no trend`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Increasing => "increasing",
            Self::Decreasing => "decreasing",
            Self::NoTrend => "no trend",
        }
    }
}

/// The trend of a series; `None` of fewer than four buckets.
pub fn trend(points: &[Point]) -> Option<Trend> {
    let points: Vec<Point> = points.iter().filter(|point| point.value.is_finite()).copied().collect();
    let n = points.len();
    if n < POINTS_MIN {
        return None;
    }
    let slope_of = |i: usize, j: usize| {
        (points[j].value - points[i].value) / ((points[j].at - points[i].at) as f64 / 1e3)
    };
    let all = n <= ALL_PAIRS_UP_TO;
    let mut slopes: Vec<f64> = match all {
        true => (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).map(|(i, j)| slope_of(i, j)).collect(),
        false => pairs(n).map(|(i, j)| slope_of(i, j)).collect(),
    };
    let middle = slopes.len() / 2;
    let slope = match slopes.len() % 2 {
        1 => nth(&mut slopes, middle),
        _ => (nth(&mut slopes, middle - 1) + nth(&mut slopes, middle)) / 2.0,
    };
    let s = score(points.iter().map(|point| point.value));
    let count = n as f64;
    let ties: f64 =
        tie_groups(points.iter().map(|point| point.value)).map(|t| t * (t - 1.0) * (2.0 * t + 5.0)).sum();
    let variance = (count * (count - 1.0) * (2.0 * count + 5.0) - ties) / 18.0;
    let variance = variance * inertia_of_ranks(&points, slope);
    let z = if variance > 0.0 { (s - s.signum() * f64::from(s != 0.0)) / variance.sqrt() } else { 0.0 };
    let p_value = two_sided(z);
    let bounds = all.then(|| {
        let reach = NORMAL_95 * variance.sqrt();
        let pairs = slopes.len() as f64;
        (nth(&mut slopes, rank((pairs - reach) / 2.0)), nth(&mut slopes, rank((pairs + reach) / 2.0)))
    });
    let direction = match p_value < SIGNIFICANT {
        true if s > 0.0 => Direction::Increasing,
        true => Direction::Decreasing,
        false => Direction::NoTrend,
    };
    Some(Trend { slope, bounds, direction, p_value, buckets: n })
}

/// By how much the variance of the score is greater than that of independent buckets, at least one.
///
/// It starts from formula 8 of Hamed and Rao (A modified Mann-Kendall trend test for autocorrelated data, Journal of Hydrology
/// 204, 1998): 1 + 2 / (n (n−1) (n−2)) Σ (n−k) (n−k−1) (n−k−2) r(k), with r(k) the autocorrelation at lag k of the ranks of what
/// is left beside the slope. It departs from them in two things, so a p-value is not that of programs which have their test:
///
/// - They estimate r(k) with the whole n below, which is too small. Here it is over the n−k pairs there are, and what the mean
///   and the slope of the same buckets take away, (2 + 4 r) / n to the first order (Marriott and Pope, Kendall; Biometrika 41,
///   1954), is given back.
/// - They sum the lags whose r(k) is significant. Here it is all lags up to the first at which r(k) is not positive, as Geyer
///   (Practical Markov Chain Monte Carlo, 1992) sums those of chains: lags that are each too small to be told from nothing are
///   not nothing together, and what varies around zero adds nothing. So the factor is never below one.
///
/// Why: a test at 5 % is to find a trend in about one of twenty series without one. Of series whose 200 values are each 0.6 of
/// the one before and something random, theirs finds one in seven of them; this one in sixteen.
fn inertia_of_ranks(points: &[Point], slope: f64) -> f64 {
    let first = points[0].at;
    let rest: Vec<f64> =
        points.iter().map(|point| point.value - slope * ((point.at - first) as f64 / 1e3)).collect();
    let mut ranks = ranks(&rest);
    centre(&mut ranks);
    let own = product(&ranks, &ranks);
    let n = ranks.len() as f64;
    // A line has nothing beside its trend.
    if own <= 0.0 {
        return 1.0;
    }
    let lags = 1..ranks.len().min(TREND_LAGS_MAX + 1);
    let sum: f64 = lags
        .map(|lag| {
            let left = n - lag as f64;
            let r = product(&ranks[..ranks.len() - lag], &ranks[lag..]) / own * n / left;
            // What the mean and the slope took away, being those of the same buckets.
            (left, r + (2.0 + 4.0 * r) / n)
        })
        .take_while(|(_, r)| *r > 0.0)
        .map(|(left, r)| left * (left - 1.0) * (left - 2.0) * r)
        .sum();
    1.0 + 2.0 * sum / (n * (n - 1.0) * (n - 2.0))
}

/// A rank, not below the first.
fn rank(rank: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, below a count"
    )]
    let rank = rank.round().max(0.0) as usize;
    rank
}

/// The value of a rank; the last one's beyond.
fn nth(values: &mut [f64], rank: usize) -> f64 {
    let rank = rank.min(values.len() - 1);
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

/// Pairs of different places in order, spread evenly by the golden ratio.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % n as u64).unwrap_or(0)
    };
    (0..PAIRS_MAX).map(move |_| (next(), next())).filter(|(i, j)| i != j).map(|(i, j)| (i.min(j), i.max(j)))
}

/// How many pairs grow, less those that fall: what is not out of order, counted by merging.
fn score(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let tied: f64 = tie_groups(values.iter().copied()).map(|t| t * (t - 1.0) / 2.0).sum();
    let mut sorted = values;
    let mut scratch = sorted.clone();
    let falls = inversions(&mut sorted, &mut scratch) as f64;
    n * (n - 1.0) / 2.0 - tied - 2.0 * falls
}

/// Sorts, and counts the pairs that were in the wrong order.
fn inversions(values: &mut [f64], scratch: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let middle = values.len() / 2;
    let (left, right) = values.split_at_mut(middle);
    let (left_scratch, right_scratch) = scratch.split_at_mut(middle);
    let mut count = inversions(left, left_scratch) + inversions(right, right_scratch);
    let (mut i, mut j) = (0, 0);
    for slot in scratch.iter_mut() {
        if j == right.len() || (i < left.len() && left[i] <= right[j]) {
            *slot = left[i];
            i += 1;
        } else {
            *slot = right[j];
            count += (left.len() - i) as u64;
            j += 1;
        }
    }
    values.copy_from_slice(scratch);
    count
}

/// How many times each value is there that is there more than once.
fn tie_groups(values: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    let mut values: Vec<f64> = values.map(|value| value + 0.0).collect();
    values.sort_by(f64::total_cmp);
    let groups: Vec<f64> = values.chunk_by(|a, b| a == b).map(|group| group.len() as f64).collect();
    groups.into_iter().filter(|count| *count > 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{near, series, walk};

    #[test]
    fn slopes_and_directions() {
        let line = trend(&series((0..10).map(|i| 3.0 * f64::from(i) + 1.0))).unwrap();
        assert_eq!((line.slope, line.direction, line.buckets), (3.0, Direction::Increasing, 10));
        assert_eq!(line.bounds, Some((3.0, 3.0)));
        // S = 45, variance 125: z = 44 / 11.18.
        near(line.p_value, 8.303e-5, 1e-7);
        let down = trend(&series((0..10).map(|i| -f64::from(i)))).unwrap();
        assert_eq!((down.slope, down.direction), (-1.0, Direction::Decreasing));
        let flat = trend(&series([1.0; 8])).unwrap();
        assert_eq!((flat.slope, flat.direction, flat.p_value), (0.0, Direction::NoTrend, 1.0));
        let wild = trend(&series([1.0, 2.0, 3.0, 1e9, 5.0, 6.0, 7.0, 8.0, 9.0])).unwrap();
        near(wild.slope, 1.0, 0.2);
        assert_eq!(trend(&series([1.0, 2.0, 3.0])), None);
        assert_eq!(trend(&series([1.0, 2.0, f64::NAN, 3.0])), None);
    }

    #[test]
    fn of_many_buckets_pairs_are_chosen() {
        let long = trend(&series((0..5_000).map(|i| f64::from(i) / 2.0))).unwrap();
        assert_eq!((long.slope, long.bounds, long.direction), (0.5, None, Direction::Increasing));
    }

    #[test]
    fn scores_count_pairs() {
        let slow = |values: &[f64]| {
            let pairs = (0..values.len()).flat_map(|i| (i + 1..values.len()).map(move |j| (i, j)));
            pairs
                .map(|(i, j)| f64::from(i8::from(values[j] > values[i]) - i8::from(values[j] < values[i])))
                .sum::<f64>()
        };
        for values in
            [vec![1.0, 3.0, 2.0, 2.0, -0.0, 0.0, 5.0], vec![2.0, 1.0], vec![], vec![4.0, 4.0, 1.0, 9.0]]
        {
            assert_eq!(score(values.iter().copied()), slow(&values), "{values:?}");
        }
    }

    #[test]
    fn what_hangs_on_the_one_before_is_no_trend() {
        let trends = (0..200).filter_map(|seed| trend(&series(walk(200, 0.6, seed))));
        let found = trends.filter(|trend| trend.direction != Direction::NoTrend).count();
        // Three standard errors above one in fourteen (1,200 series of bell-shaped noise: 6.4 %); without the correction it is more than one in four.
        assert!(found <= 25, "{found} of 200");
        let rising = walk(200, 0.6, 1).into_iter().zip(0..).map(|(value, i)| value + f64::from(i) * 0.05);
        let trend = trend(&series(rising)).unwrap();
        assert_eq!(trend.direction, Direction::Increasing);
        near(trend.slope, 0.05, 0.01);
    }
}
