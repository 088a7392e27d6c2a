//! What is said about a series of buckets as a whole: its trend, and how two of them move together.
//!
//! A trend is the median of the slopes of all pairs of buckets (Theil 1950, Sen 1968), which a few wild values do not
//! move, and the test of Mann (1945) and Kendall (1975) whether there is one at all. A correlation is Pearson's, its
//! certainty by Fisher's z with as many observations as the series' own inertia leaves (Bartlett 1946). Both take buckets
//! without a value for not observed.

use barograph_model::Sample;

/// With more buckets, slopes are those of so many pairs, chosen by a fixed rule.
const PAIRS_MAX: usize = 100_000;
/// Up to so many buckets, all pairs are taken.
const ALL_PAIRS_UP_TO: usize = 2_000;
/// Nothing is said of fewer buckets.
const BUCKETS_MIN: usize = 4;
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
    /// How likely at least as clear a trend is where there is none, one bucket independent of the next.
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
    /// How likely at least as much is where there is none.
    pub p_value: Option<f64>,
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
    let s = score(points.iter().map(|point| point.value));
    let count = n as f64;
    let ties: f64 =
        tie_groups(points.iter().map(|point| point.value)).map(|t| t * (t - 1.0) * (2.0 * t + 5.0)).sum();
    let variance = (count * (count - 1.0) * (2.0 * count + 5.0) - ties) / 18.0;
    let z = if variance > 0.0 { (s - s.signum() * f64::from(s != 0.0)) / variance.sqrt() } else { 0.0 };
    let p_value = two_sided(z);
    let middle = slopes.len() / 2;
    let slope = match slopes.len() % 2 {
        1 => nth(&mut slopes, middle),
        _ => (nth(&mut slopes, middle - 1) + nth(&mut slopes, middle)) / 2.0,
    };
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

/// The correlation of two series, in order of time, where both have a value. `None` of fewer than four such buckets, or
/// of something that never changes.
pub(super) fn correlation(a: &[Sample], b: &[Sample]) -> Option<Correlation> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut others = b.iter().peekable();
    for point in a {
        while others.next_if(|other| other.at < point.at).is_some() {}
        if let Some(other) = others.peek().filter(|other| other.at == point.at)
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
        let same = correlation(&series(up.clone()), &series(up.iter().map(|v| 2.0 * v + 1.0))).unwrap();
        near(same.r, 1.0, 1e-12);
        let against = correlation(&series(up.clone()), &series(up.iter().map(|v| -v))).unwrap();
        near(against.r, -1.0, 1e-12);
        // By hand: r = 16 / sqrt(10 * 30.8).
        let some =
            correlation(&series([1.0, 2.0, 3.0, 4.0, 5.0]), &series([2.0, 1.0, 4.0, 3.0, 8.0])).unwrap();
        near(some.r, 14.0 / (10.0_f64 * 29.2).sqrt(), 1e-12);
        assert!(some.effective <= 5.0 && some.p_value.is_none_or(|p| (0.0..=1.0).contains(&p)));
        assert_eq!(correlation(&series(up.clone()), &series([1.0; 20])), None);
        // Only buckets that both have.
        let gaps: Vec<Sample> = series(up.clone()).into_iter().step_by(2).collect();
        assert_eq!(correlation(&series(up), &gaps).unwrap().buckets, 10);
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
