//! What is said of two samples agrees with tables and with scipy, is seldom wrong of equal ones, and finds what differs.

use super::*;
use crate::{
    normal::two_sided_bound,
    random::Random,
    tests::{near, walk},
};

/// Durations as they are: skewed, each `phi` times the one before and something random.
fn durations(count: usize, median: f64, phi: f64, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut level = random.normal();
    let mut next = || {
        level = phi * level + (1.0 - phi * phi).sqrt() * random.normal();
        median * (0.2 * level).exp()
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn verdicts_follow_from_the_interval() {
    let (before, settings) = (durations(400, 0.1, 0.0, 1), Settings::default());
    let told = |factor: f64, settings: &Settings| {
        let after = durations(400, 0.1 * factor, 0.0, 2);
        compare(&before, &after, settings).unwrap()
    };
    let worse = told(1.5, &settings);
    assert_eq!(worse.effect.verdict, Verdict::Regression);
    assert!(worse.effect.bounds.0 > 0.3 && worse.effect.bounds.1 < 0.7, "{worse:?}");
    near(worse.shift.median, 0.05, 0.01);
    assert!(worse.test.p_value < 1e-9 && worse.test.superiority > 0.9 && worse.effect.p_regression < 1e-6);
    assert_eq!(worse.effect.needed, None);
    assert_eq!(told(0.7, &settings).effect.verdict, Verdict::Improvement);
    assert_eq!(told(1.0, &Settings { bound: 0.1, ..settings }).effect.verdict, Verdict::Equivalent);
    let higher = Settings { better: Better::Higher, ..settings };
    assert_eq!(told(1.5, &higher).effect.verdict, Verdict::Improvement);
    assert_eq!(told(0.7, &higher).effect.verdict, Verdict::Regression);
    let little = told(1.05, &settings).effect;
    assert_eq!((little.verdict, little.needed.is_some()), (Verdict::Inconclusive, true), "{little:?}");
    // The same numbers give the same answer, another seed nearly the same.
    assert_eq!(told(1.5, &settings), worse);
    let other = told(1.5, &Settings { seed: 7, ..settings });
    near(other.effect.bounds.0, worse.effect.bounds.0, 0.02);
}

#[test]
fn what_cannot_be_compared_has_no_verdict() {
    let settings = Settings::default();
    let fine = durations(40, 1.0, 0.0, 1);
    assert_eq!(compare(&fine[..29], &fine, &settings), None);
    assert_eq!(compare(&fine, &[f64::NAN; 40], &settings), None);
    assert_eq!(compare(&[0.0; 40], &fine, &settings), None, "nothing is a multiple of zero");
    assert_eq!(compare(&fine, &walk(40, 0.999, 3), &settings), None, "it is one value, drawn out");
    // What never changes is certain.
    assert_eq!(compare(&[1.0; 40], &[2.0; 40], &settings).unwrap().effect.verdict, Verdict::Regression);
    assert_eq!(compare(&[1.0; 40], &[1.0; 40], &settings).unwrap().effect.verdict, Verdict::Equivalent);
    let gone = compare(&fine, &[0.0; 40], &Settings { better: Better::Higher, ..settings }).unwrap();
    assert_eq!(gone.effect.verdict, Verdict::Regression);
    let huge = compare(&[f64::MAX; 40], &[f64::MIN; 40], &settings);
    assert!(huge.is_none_or(|huge| huge.effect.change.is_finite()));
    let many = durations(SAMPLES_MAX + 10, 1.0, 0.0, 4);
    assert_eq!(compare(&many, &fine, &settings).unwrap().effect.samples.0, SAMPLES_MAX);
}

/// The same of medians, as they are drawn, of values that hang on those before: a hundred looks at equal samples.
#[test]
fn who_looks_again_and_again_is_not_misled() {
    let always = Settings { looks: Looks::Always, resamples: 30, ..Settings::default() };
    let is_misled = |seed: &u64| {
        let (first, second) = (durations(230, 1.0, 0.5, 2 * seed), durations(230, 1.0, 0.5, 2 * seed + 1));
        (31..=230).step_by(2).any(|count| {
            compare(&first[..count], &second[..count], &always)
                .is_some_and(|found| found.effect.bounds.0 > 0.0 || found.effect.bounds.1 < 0.0)
        })
    };
    let misled = (0..20).filter(is_misled).count();
    assert!(misled <= 1, "{misled} of 20");
}

/// With as many samples as are said to be needed, a difference of twice the bound is found in at least four of five.
#[test]
fn as_many_samples_as_are_needed_are_enough() {
    let settings = Settings { bound: 0.05, resamples: 200, ..Settings::default() };
    // The variance of a median of n is (pi / 2) * 0.2² / n here.
    let z = two_sided_bound(0.05) + two_sided_bound(0.4);
    let expected = 2.0 * z * z * (std::f64::consts::FRAC_PI_2 * 0.04) / (0.05 * 0.05);
    let few = compare(&durations(60, 1.0, 0.0, 1), &durations(60, 1.0, 0.0, 9), &settings).unwrap().effect;
    let told = few.needed.unwrap() as f64 + 60.0;
    assert!((told / expected).ln().abs() < 0.7, "{told} of {expected}");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
    let count = expected.ceil() as usize;
    let found = (0..100).filter(|seed| {
        let (first, second) =
            (durations(count, 1.0, 0.0, 2 * seed + 500), durations(count, 1.1, 0.0, 2 * seed + 501));
        compare(&first, &second, &settings).is_some_and(|found| found.effect.verdict == Verdict::Regression)
    });
    assert!(found.count() >= 80);
}
