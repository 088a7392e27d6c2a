//! How two things move together.
//!
//! A correlation is Pearson's, its certainty by Fisher's z with as many observations as the series' own inertia leaves
//! (Bartlett 1946). Of many, the false discoveries are bounded (Benjamini and Hochberg 1995).

use crate::{
    POINTS_MIN, Point,
    normal::{NORMAL_95, two_sided},
    slices::{centre, product},
};

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

/// The correlation of two series, in order of time, where both have a value: at the lag of up to `lags` buckets of `width`
/// milliseconds, either way, where it is clearest. `None` of fewer than four such buckets, or of something that never
/// changes.
pub fn correlation(a: &[Point], b: &[Point], lags: usize, width: i64) -> Option<Correlation> {
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
pub fn judge_together<'c>(found: impl Iterator<Item = &'c mut Correlation>) {
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

fn at_lag(a: &[Point], b: &[Point], lag_ms: i64) -> Option<Correlation> {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut others = b.iter().peekable();
    for point in a {
        let at = point.at.saturating_add(lag_ms);
        while others.next_if(|other| other.at < at).is_some() {}
        if let Some(other) = others.peek().filter(|other| other.at == at)
            && point.value.is_finite()
            && other.value.is_finite()
        {
            x.push(point.value);
            y.push(other.value);
        }
    }
    let n = x.len();
    if n < POINTS_MIN {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{near, series, walk};

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
        let gaps: Vec<Point> = series(up.clone()).into_iter().step_by(2).collect();
        assert_eq!(together(&series(up), &gaps).unwrap().buckets, 10);
    }

    fn together(a: &[Point], b: &[Point]) -> Option<Correlation> {
        correlation(a, b, 0, 1_000)
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
}
