//! What is said about a series of buckets as a whole: its trend, and how two of them move together.
//!
//! A trend is the median of the slopes of all pairs of buckets (Theil 1950, Sen 1968), which a few wild values do not
//! move, and the test of Mann (1945) and Kendall (1975) whether there is one at all. Its variance is corrected for buckets
//! that hang on those before, by a formula of Hamed and Rao (1998) with another choice of autocorrelations than theirs, see
//! [`inertia_of_ranks`]. A correlation is Pearson's, its certainty by Fisher's z with as many observations as the series' own
//! inertia leaves (Bartlett 1946). Both take buckets without a value for not observed.

use barograph_model::Sample;

/// With more buckets, slopes are those of so many pairs, chosen by a fixed rule.
const PAIRS_MAX: usize = 100_000;
/// Up to so many buckets, all pairs are taken.
const ALL_PAIRS_UP_TO: usize = 2_000;
/// Nothing is said of fewer buckets.
const BUCKETS_MIN: usize = 4;
/// Of a trend, so many lags are looked at.
const TREND_LAGS_MAX: usize = 1_000;
/// How unlikely a trend by chance has to be.
const SIGNIFICANT: f64 = 0.05;
/// The bounds of an interval of 95 % of a normal distribution.
const NORMAL_95: f64 = 1.959_963_984_540_054;

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

/// How two things move together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// From −1 to 1.
    pub r: f64,
    /// Its bounds with a confidence of 95 %.
    pub bounds: Option<(f64, f64)>,
    /// How likely at least as much is where there is none, at the best of all lags that were tried.
    pub p_value: Option<f64>,
    /// The same, considering how many groups were looked at: the share of false discoveries among all that are at least as
    /// certain (Benjamini and Hochberg 1995).
    pub q_value: Option<f64>,
    /// By how many buckets the second follows the first; negative where it comes before.
    pub lag: i64,
    /// How many buckets had both values.
    pub buckets: usize,
    /// How many independent ones they are worth.
    pub effective: f64,
}

/// The trend of a series; `None` of fewer than four buckets.
pub(super) fn trend(points: &[Sample]) -> Option<Trend> {
    let points: Vec<Sample> = points.iter().filter(|point| point.value.is_finite()).copied().collect();
    let n = points.len();
    if n < BUCKETS_MIN {
        return None;
    }
    let slope_of = |i: usize, j: usize| {
        (points[j].value - points[i].value) / ((points[j].at.0 - points[i].at.0) as f64 / 1e3)
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
fn inertia_of_ranks(points: &[Sample], slope: f64) -> f64 {
    let first = points[0].at.0;
    let rest: Vec<f64> =
        points.iter().map(|point| point.value - slope * ((point.at.0 - first) as f64 / 1e3)).collect();
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

/// The rank of each value from 1; those that are equal share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = before as f64 + (tied.len() + 1) as f64 / 2.0;
        tied.iter().for_each(|place| ranks[*place] = rank);
        before += tied.len();
    }
    ranks
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

/// The correlation of two series, in order of time, where both have a value: at the lag of up to `lags` buckets of `width`
/// milliseconds, either way, where it is clearest. `None` of fewer than four such buckets, or of something that never
/// changes.
pub(super) fn correlation(a: &[Sample], b: &[Sample], lags: usize, width: i64) -> Option<Correlation> {
    let lags = i64::try_from(lags).unwrap_or(i64::MAX);
    let tried: Vec<Correlation> = (-lags..=lags)
        .filter_map(|lag| {
            let found = at_lag(a, b, lag.saturating_mul(width))?;
            Some(Correlation { lag, ..found })
        })
        .collect();
    let tests = tried.len() as f64;
    // Of equally clear ones, the shortest lag.
    let clearer = |one: &Correlation, other: &Correlation| {
        let certainty = |found: &Correlation| found.p_value.map_or(f64::NEG_INFINITY, |p| -p);
        let (one_is, other_is) = (certainty(one), certainty(other));
        one_is
            .total_cmp(&other_is)
            .then(one.r.abs().total_cmp(&other.r.abs()))
            .then(other.lag.abs().cmp(&one.lag.abs()))
    };
    let best = tried.into_iter().max_by(clearer)?;
    // Each lag is a test of its own (Sidak 1967).
    let p_value = best.p_value.map(|p| -(tests * (-p).ln_1p()).exp_m1());
    Some(Correlation { p_value, q_value: p_value, ..best })
}

/// Sets the q values of findings from all their p values.
pub(super) fn judge_together<'c>(found: impl Iterator<Item = &'c mut Correlation>) {
    let mut found: Vec<&mut Correlation> = found.filter(|found| found.p_value.is_some()).collect();
    let p = |found: &Correlation| found.p_value.unwrap_or(1.0);
    found.sort_by(|a, b| p(b).total_cmp(&p(a)));
    let all = found.len();
    let mut least = 1.0_f64;
    for (after, one) in found.into_iter().enumerate() {
        least = least.min(p(one) * all as f64 / (all - after) as f64);
        one.q_value = Some(least);
    }
}

fn at_lag(a: &[Sample], b: &[Sample], lag_ms: i64) -> Option<Correlation> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut others = b.iter().peekable();
    for point in a {
        let at = point.at.0.saturating_add(lag_ms);
        while others.next_if(|other| other.at.0 < at).is_some() {}
        if let Some(other) = others.peek().filter(|other| other.at.0 == at)
            && point.value.is_finite()
            && other.value.is_finite()
        {
            x.push(point.value);
            y.push(other.value);
        }
    }
    let n = x.len();
    if n < BUCKETS_MIN {
        return None;
    }
    centre(&mut x);
    centre(&mut y);
    let r = (product(&x, &y) / (product(&x, &x) * product(&y, &y)).sqrt()).clamp(-1.0, 1.0);
    if !r.is_finite() {
        return None;
    }
    let inertia = |values: &[f64]| product(&values[..n - 1], &values[1..]) / product(values, values);
    let both = (inertia(&x) * inertia(&y)).clamp(-0.99, 0.99);
    let effective = (n as f64 * (1.0 - both) / (1.0 + both)).clamp(0.0, n as f64);
    let certain =
        (effective > 3.0).then(|| (r.clamp(-1.0 + 1e-15, 1.0 - 1e-15).atanh(), (effective - 3.0).sqrt()));
    Some(Correlation {
        r,
        bounds: certain.map(|(z, root)| ((z - NORMAL_95 / root).tanh(), (z + NORMAL_95 / root).tanh())),
        p_value: certain.map(|(z, root)| two_sided(z * root)),
        q_value: None,
        lag: 0,
        buckets: n,
        effective,
    })
}

fn centre(values: &mut [f64]) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|value| *value -= mean);
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How likely a standard normal variable is at least so far from zero.
fn two_sided(z: f64) -> f64 {
    complementary_error(z.abs() / std::f64::consts::SQRT_2)
}

/// The complementary error function of what is not negative: its power series near zero, its continued fraction
/// (Abramowitz and Stegun 7.1.5, 7.1.14) farther out. To about 1e-14, relatively.
fn complementary_error(x: f64) -> f64 {
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200_u32 {
            term *= -x * x / f64::from(n);
            let next = term / f64::from(2 * n + 1);
            sum += next;
            if next.abs() < 1e-17 * sum.abs() {
                break;
            }
        }
        return 1.0 - sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..100_u32).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    scale / fraction
}

#[cfg(test)]
mod tests {
    use barograph_model::Timestamp;

    use super::*;

    fn series(values: impl IntoIterator<Item = f64>) -> Vec<Sample> {
        (0..).zip(values).map(|(i, value)| Sample { at: Timestamp(i * 1_000), value }).collect()
    }

    fn near(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not {b}");
    }

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
    fn what_moves_together() {
        let up: Vec<f64> = (0..20).map(f64::from).collect();
        let same = together(&series(up.clone()), &series(up.iter().map(|v| 2.0 * v + 1.0))).unwrap();
        near(same.r, 1.0, 1e-12);
        let against = together(&series(up.clone()), &series(up.iter().map(|v| -v))).unwrap();
        near(against.r, -1.0, 1e-12);
        // By hand: r = 16 / sqrt(10 * 30.8).
        let some = together(&series([1.0, 2.0, 3.0, 4.0, 5.0]), &series([2.0, 1.0, 4.0, 3.0, 8.0])).unwrap();
        near(some.r, 14.0 / (10.0_f64 * 29.2).sqrt(), 1e-12);
        assert!(some.effective <= 5.0 && some.p_value.is_none_or(|p| (0.0..=1.0).contains(&p)));
        assert_eq!(together(&series(up.clone()), &series([1.0; 20])), None);
        // Only buckets that both have.
        let gaps: Vec<Sample> = series(up.clone()).into_iter().step_by(2).collect();
        assert_eq!(together(&series(up), &gaps).unwrap().buckets, 10);
    }

    fn together(a: &[Sample], b: &[Sample]) -> Option<Correlation> {
        correlation(a, b, 0, 1_000)
    }

    /// Each value is `phi` times the one before and something random.
    fn walk(n: usize, phi: f64, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31) - 0.5
        };
        let mut value = 0.0;
        let mut next = || {
            // The sum of four has nearly a bell's shape.
            value = phi * value + (0..4).map(|_| random()).sum::<f64>();
            value
        };
        (0..100).for_each(|_| _ = next());
        (0..n).map(|_| next()).collect()
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

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0, -0.0, 0.0]), [5.5, 3.0, 5.5, 4.0, 1.5, 1.5]);
    }

    #[test]
    fn one_may_follow_the_other() {
        let first = walk(120, 0.0, 7);
        let second = [0.0; 5].into_iter().chain(first.iter().copied()).take(120);
        let found = correlation(&series(first.clone()), &series(second.clone()), 10, 1_000).unwrap();
        assert_eq!((found.lag, found.buckets), (5, 115));
        near(found.r, 1.0, 1e-12);
        let found = correlation(&series(second), &series(first.clone()), 10, 1_000).unwrap();
        assert_eq!(found.lag, -5);
        // The more lags were tried, the less the best of them says.
        let other = series(walk(120, 0.0, 8));
        let (one, many) = (
            correlation(&series(first.clone()), &other, 0, 1_000).unwrap(),
            correlation(&series(first), &other, 20, 1_000).unwrap(),
        );
        assert!(many.p_value.unwrap() > 0.01 && one.p_value.unwrap() > 0.01, "{one:?} {many:?}");
    }

    #[test]
    fn false_discoveries_are_few_among_many() {
        let with = |p: f64| Correlation {
            r: 0.5,
            bounds: None,
            p_value: Some(p),
            q_value: None,
            lag: 0,
            buckets: 9,
            effective: 9.0,
        };
        // Benjamini and Hochberg's own example (1995, section 4.1): at 0.05 the first four are rejected.
        let published = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0,
        ];
        let mut found = published.map(with);
        judge_together(found.iter_mut());
        let rejected = found.iter().filter(|found| found.q_value.unwrap() <= 0.05).count();
        assert_eq!(rejected, 4);
        near(found[3].q_value.unwrap(), 0.0095 * 15.0 / 4.0, 1e-12);
        near(found[14].q_value.unwrap(), 1.0, 0.0);
    }

    #[test]
    fn the_error_function() {
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_1),
            (2.0, 0.004_677_734_981_047_266),
            (3.0, 2.209_049_699_858_544e-5),
            (6.0, 2.151_973_671_249_891e-17),
        ] {
            near(complementary_error(x) / expected, 1.0, 1e-11);
        }
    }
}
