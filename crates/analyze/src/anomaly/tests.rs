//! What is told of made-up series, and how seldom where there is nothing.

use super::*;
use crate::tests::walk;

fn onsets(settings: Settings, values: impl IntoIterator<Item = f64>) -> Vec<usize> {
    let mut detector = Detector::new(settings);
    let judged = values.into_iter().enumerate().map(|(i, value)| (i, detector.push(value)));
    judged.filter(|(_, judged)| judged.onset).map(|(i, _)| i).collect()
}

#[test]
fn a_shift_is_told_once_and_then_learned() {
    let noise = walk(2_000, 0.0, 3);
    let values = noise.iter().zip(0..).map(|(v, i)| v + if i >= 1_500 { 12.0 } else { 0.0 });
    let found = onsets(Settings { rest: 200, ..Settings::default() }, values);
    assert!(found.contains(&1_501) || found.contains(&1_500), "{found:?}");
    assert!(found.len() <= 2, "{found:?}");
}

#[test]
fn one_of_one_finds_a_spike_and_only_on_the_side_that_is_watched() {
    let noise = walk(1_000, 0.3, 5);
    let spike =
        |sign: f64| noise.iter().zip(0..).map(move |(v, i)| v + if i == 800 { sign * 15.0 } else { 0.0 });
    let settings = |watched| Settings { k: 1, n: 1, q: 1e-5, watched, ..Settings::default() };
    assert_eq!(onsets(settings(Watched::Up), spike(1.0)), [800]);
    assert!(!onsets(settings(Watched::Up), spike(-1.0)).contains(&800));
    assert!(onsets(settings(Watched::Both), spike(-1.0)).contains(&800));
}

#[test]
fn what_comes_each_cycle_is_no_surprise() {
    let period = 96;
    // A peak in each cycle, which the level alone would take for an anomaly.
    let shape = |i: usize| if (40..44).contains(&(i % period)) { 30.0 } else { 0.0 };
    let noise = walk(period * 30, 0.0, 9);
    let usual: Vec<f64> = noise.iter().enumerate().map(|(i, v)| v + shape(i)).collect();
    let settings = Settings { period, learning: 400, ..Settings::default() };
    let found = onsets(settings, usual.iter().copied());
    assert!(found.len() <= 1, "{found:?}");
    // The peak at another hour is one.
    let mut moved = usual;
    for i in 0..4 {
        moved[period * 25 + 70 + i] += 30.0;
    }
    let found = onsets(settings, moved);
    assert!(found.iter().any(|at| (period * 25 + 70..period * 25 + 75).contains(at)), "{found:?}");
}

#[test]
fn what_never_changes_is_told_when_it_does() {
    let values = std::iter::repeat_n(5.0, 300).chain([5.0, 6.0, 6.0, 6.0]);
    assert_eq!(onsets(Settings { k: 1, n: 1, ..Settings::default() }, values).first(), Some(&301));
}

#[test]
fn what_never_changed_and_does_is_told_with_the_settings_there_are_without_any() {
    let steady = || std::iter::repeat_n(0.0, 300);
    let told = |values: &[f64]| onsets(Settings::default(), steady().chain(values.iter().copied()));
    assert_eq!(told(&[5.0; 10]), [301]);
    assert_eq!(told(&[5.0, 0.0, 5.0, 5.0]), [302]);
    // One of three is too few, whatever follows.
    assert_eq!(told(&[&[5.0][..], &[0.0; 50], &[5.0], &[0.0; 50]].concat()), []);
    // It was told, and learned; so what comes after it is judged like anything else.
    let noise = walk(1_200, 0.0, 4);
    let spikes = |i: usize| if (1_000..1_003).contains(&i) { 20.0 } else { 0.0 };
    let noisy: Vec<f64> = noise.iter().enumerate().map(|(i, v)| v + spikes(i)).collect();
    let found = told(&[&[7.0][..], &noisy].concat());
    assert!(found.iter().any(|at| (1_300..1_310).contains(at)), "{found:?}");
}

#[test]
fn of_noise_little_is_told() {
    let mut found = 0;
    for seed in 0..8 {
        found += onsets(Settings::default(), walk(4_000, 0.6, seed)).len();
    }
    // 32,000 points at 1e-4, two of three: a handful.
    assert!(found <= 5, "{found}");
}

#[test]
fn it_stays_small_and_swallows_anything() {
    let mut detector =
        Detector::new(Settings { period: usize::MAX, q: f64::NAN, k: 99, n: 0, ..Settings::default() });
    for i in 0..12_000_u32 {
        let value = match i % 7 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::MAX,
            3 => f64::MIN,
            _ => f64::from(i),
        };
        let judged = detector.push(value);
        assert!((0.0..=1.0).contains(&judged.p), "{judged:?}");
    }
    assert!(detector.bytes() <= 64 << 10, "{}", detector.bytes());
}
