//! As many as a confidence interval needs, of each key in each window.
//!
//! From earlier windows come how many items to expect (an exponential mean) and how far values stray; from these and
//! the wanted margin the size needed, and so the probability to keep with. Within the window this is corrected: while
//! what was kept is not yet as precise as wanted, the rest is kept often enough that the size will be reached.
//! Whether it is precise already is judged by a confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas:
//! "Time-uniform central limit theory and asymptotic confidence sequences", 2021), which may be looked at after every
//! item; an interval may not. The probability of an item depends on those before it, never on its own value, so that
//! estimates stay unbiased. What was kept counts as Kish's effective size, since probabilities differ.

use std::{collections::BTreeMap, time::Duration};

use barograph_model::Timestamp;

use super::{Random, SamplingInfo, Strategy, size};

/// Share of the newest window in what is expected of the next.
const NEWEST: f64 = 0.3;
/// So few are always kept: below it no interval is worth its name.
const FLOOR: u64 = 30;
/// How many values of this window it takes to judge how far they stray.
const JUDGED: f64 = 30.0;

/// How precise what was kept must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// The mean within ± this, in the unit of the values.
    Mean(f64),
    /// The mean within ± this share of itself.
    RelativeMean(f64),
    /// A share of items (values are 0 or 1) within ± this.
    Proportion(f64),
    /// A quantile within ± this share of ranks.
    Quantile {
        /// Which, from 0 to 1.
        q: f64,
        /// How many ranks it may be off, of all.
        rank: f64,
    },
    /// All quantiles at once within ± this share of ranks.
    AllQuantiles(f64),
}

/// What a [`StatisticalSignificanceSampler`] keeps to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Significance {
    /// With which probability the margin is to be kept to. 0.95 by default.
    pub confidence: f64,
    /// How precise. The mean within 5 % by default.
    pub margin: Margin,
    /// For how long a key's items belong together. Five minutes by default.
    pub window: Duration,
    /// How many keys are told apart; items of others are all kept. 2,000 by default.
    pub keys_max: usize,
}

impl Default for Significance {
    fn default() -> Self {
        let margin = Margin::RelativeMean(0.05);
        Self { confidence: 0.95, margin, window: Duration::from_secs(300), keys_max: 2_000 }
    }
}

/// Keeps of each key and window what its interval needs, and of small populations all.
#[derive(Clone, Debug)]
pub struct StatisticalSignificanceSampler {
    settings: Significance,
    keys: BTreeMap<String, Key>,
    overflowed: u64,
}

#[derive(Clone, Debug)]
struct Key {
    start: Timestamp,
    /// How many items a window has, from those before.
    expected: Option<f64>,
    /// How values strayed before.
    before: Option<Spread>,
    seen: f64,
    now: Moments,
}

/// Mean and variance of values.
#[derive(Clone, Copy, Debug)]
struct Spread {
    mean: f64,
    variance: f64,
}

/// Of what was kept in this window, by weight.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    weight: f64,
    weight_squared: f64,
    mean: f64,
    deviations: f64,
}

impl StatisticalSignificanceSampler {
    /// One that has seen nothing yet.
    pub fn new(settings: Significance) -> Self {
        Self { settings, keys: BTreeMap::new(), overflowed: 0 }
    }

    /// Offers an item of a key; `Some` if it is kept. Costs a look-up in a tree.
    pub fn offer(
        &mut self,
        key: &str,
        value: f64,
        now: Timestamp,
        random: &mut Random,
    ) -> Option<SamplingInfo> {
        if !self.keys.contains_key(key) {
            if self.keys.len() >= self.settings.keys_max {
                self.overflowed += 1;
                return Some(SamplingInfo {
                    strategy: Strategy::StatisticalSignificance,
                    ..SamplingInfo::ALL
                });
            }
            self.keys.insert(key.to_owned(), Key::new(now));
        }
        let known = self.keys.get_mut(key)?;
        known.turn(now, self.settings.window);
        let rate = known.rate(now, &self.settings);
        known.seen += 1.0;
        random.chance(rate).then(|| {
            known.now.add(value, 1.0 / rate);
            SamplingInfo::kept(Strategy::StatisticalSignificance, rate)
        })
    }

    /// How many items were kept because there were too many keys to tell theirs apart.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Forgets keys of which nothing came since `before`.
    pub fn forget(&mut self, before: Timestamp) {
        let window = millis(self.settings.window);
        self.keys.retain(|_, key| key.start.0.saturating_add(window) >= before.0);
    }
}

impl Key {
    fn new(start: Timestamp) -> Self {
        Self { start, expected: None, before: None, seen: 0.0, now: Moments::default() }
    }

    /// Begins a new window where the last is over.
    fn turn(&mut self, now: Timestamp, window: Duration) {
        let (age, window) = (now.0.saturating_sub(self.start.0), millis(window));
        if age < window {
            return;
        }
        let expected = self.expected.unwrap_or(self.seen);
        self.expected = Some(NEWEST.mul_add(self.seen - expected, expected));
        if let Some(newest) = self.now.spread() {
            let before = self.before.unwrap_or(newest);
            let mix = |before: f64, newest: f64| NEWEST.mul_add(newest - before, before);
            let mean = mix(before.mean, newest.mean);
            self.before = Some(Spread { mean, variance: mix(before.variance, newest.variance) });
        }
        self.start = Timestamp(self.start.0.saturating_add(age / window * window));
        self.seen = 0.0;
        self.now = Moments::default();
    }

    /// With which probability the next item is kept.
    fn rate(&self, now: Timestamp, settings: &Significance) -> f64 {
        let judged = self.now.effective() >= JUDGED;
        let spread = if judged { self.now.spread() } else { None };
        let Some(known) = self.before.or(spread) else {
            return 1.0;
        };
        let rest = self.rest(now, settings.window);
        let all = self.seen + rest;
        let base = needed(known, settings, all) / all;
        let precise =
            spread.is_some_and(|spread| self.now.half_width(spread, settings) <= width(spread, settings));
        if precise {
            return base.min(1.0);
        }
        // The greater of what earlier windows and what this one ask for.
        let wanted =
            spread.map_or(0.0, |spread| needed(spread, settings, all)).max(needed(known, settings, all));
        let missing = (wanted - self.now.effective()) / rest.max(1.0);
        base.max(missing).min(1.0)
    }

    /// How many items are still to come: what is expected or what the pace so far promises, the fewer.
    fn rest(&self, now: Timestamp, window: Duration) -> f64 {
        let window = millis(window) as f64;
        let elapsed = now.0.saturating_sub(self.start.0) as f64;
        let pace = self.seen * (window - elapsed).max(0.0) / elapsed.max(1.0);
        let expected = self.expected.map(|expected| expected - self.seen).filter(|rest| *rest > 0.0);
        let early = elapsed < window / 10.0;
        let rest = match expected {
            Some(rest) if early => rest,
            Some(rest) => rest.min(pace),
            None => pace,
        };
        rest.max(1.0)
    }
}

/// How many values it takes, of `population` in all.
fn needed(spread: Spread, settings: &Significance, population: f64) -> f64 {
    let (level, deviation) = (settings.confidence, spread.variance.sqrt());
    let size = match settings.margin {
        Margin::Mean(width) => size::for_mean(level, width, deviation),
        Margin::RelativeMean(share) => size::for_mean(level, share * spread.mean.abs(), deviation),
        Margin::Proportion(width) => size::for_proportion(level, width, spread.mean.clamp(0.0, 1.0)),
        Margin::Quantile { q, rank } => size::for_quantile(level, rank, q),
        Margin::AllQuantiles(rank) => size::for_all_quantiles(level, rank),
    };
    let population = size::whole(population);
    size::of_finite(size, population).max(FLOOR.min(population)) as f64
}

/// The wanted half-width in the unit of the values; that of ranks never says that it is enough.
fn width(spread: Spread, settings: &Significance) -> f64 {
    match settings.margin {
        Margin::Mean(width) | Margin::Proportion(width) => width,
        Margin::RelativeMean(share) => share * spread.mean.abs(),
        Margin::Quantile { .. } | Margin::AllQuantiles(_) => -1.0,
    }
}

impl Moments {
    fn add(&mut self, value: f64, weight: f64) {
        self.weight += weight;
        self.weight_squared += weight * weight;
        let off = value - self.mean;
        self.mean += off * weight / self.weight;
        self.deviations += weight * off * (value - self.mean);
    }

    fn effective(&self) -> f64 {
        if self.weight > 0.0 { self.weight * self.weight / self.weight_squared } else { 0.0 }
    }

    fn spread(&self) -> Option<Spread> {
        let n = self.effective();
        let variance = self.deviations / self.weight * n / (n - 1.0);
        (n >= 2.0).then_some(Spread { mean: self.mean, variance: variance.max(0.0) })
    }

    /// Half the width of the confidence sequence, tightest near the size that is needed.
    fn half_width(&self, spread: Spread, settings: &Significance) -> f64 {
        let (n, alpha) = (self.effective(), 1.0 - settings.confidence);
        let tight = needed(spread, settings, f64::INFINITY).clamp(1.0, 1e12);
        let rho2 = ((-2.0 * alpha.ln()) + (1.0 - 2.0 * alpha.ln()).ln()) / tight;
        let growth = n * rho2 + 1.0;
        (spread.variance * 2.0 * growth / (n * n * rho2) * (growth.sqrt() / alpha).ln()).sqrt()
    }
}

/// At least one.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::normal::quantile;

    fn sampler(margin: Margin) -> StatisticalSignificanceSampler {
        let window = Duration::from_secs(60);
        StatisticalSignificanceSampler::new(Significance { margin, window, ..Significance::default() })
    }

    /// A window of `n` items spread evenly over its minute; how many were kept, and their weight.
    fn window(
        s: &mut StatisticalSignificanceSampler,
        minute: i64,
        n: i64,
        random: &mut Random,
    ) -> (u64, f64) {
        let (mut kept, mut weight) = (0, 0.0);
        for i in 0..n {
            let value = 100.0 + 30.0 * quantile(random.unit() * 0.999_998 + 1e-6);
            if let Some(info) = s.offer("k", value, Timestamp(minute * 60_000 + i * 60_000 / n), random) {
                kept += 1;
                weight += info.weight;
            }
        }
        (kept, weight)
    }

    #[test]
    fn small_populations_are_kept_whole() {
        let (mut s, mut random) = (sampler(Margin::RelativeMean(0.05)), Random::new(1));
        for minute in 0..20 {
            assert_eq!(window(&mut s, minute, 25, &mut random), (25, 25.0));
        }
    }

    #[test]
    fn as_many_are_kept_as_needed_and_not_many_more() {
        let (mut s, mut random) = (sampler(Margin::RelativeMean(0.02)), Random::new(2));
        let (mut few, mut total, mut weight) = (0, 0, 0.0);
        for minute in 0..40 {
            let (kept, weighed) = window(&mut s, minute, 20_000, &mut random);
            // (1.96 · 0.3 / 0.02)² = 865, of 20,000: 829.
            few += u64::from(kept < 790);
            total += kept;
            weight += weighed / 40.0;
        }
        assert_eq!(few, 0);
        assert!(total < 40 * 1_200, "{total}");
        assert!((weight / 20_000.0 - 1.0).abs() < 0.03, "{weight}");
    }

    #[test]
    fn a_window_with_fewer_than_expected_is_topped_up() {
        let (mut s, mut random) = (sampler(Margin::RelativeMean(0.02)), Random::new(3));
        for minute in 0..10 {
            window(&mut s, minute, 20_000, &mut random);
        }
        let (kept, _) = window(&mut s, 10, 4_000, &mut random);
        assert!(kept >= 640, "{kept} of about 710");
    }

    #[test]
    fn keys_are_bounded() {
        let settings = Significance { keys_max: 1, ..Significance::default() };
        let (mut s, mut random) = (StatisticalSignificanceSampler::new(settings), Random::new(4));
        assert!(s.offer("a", 1.0, Timestamp(0), &mut random).is_some());
        assert_eq!(s.offer("b", 1.0, Timestamp(0), &mut random).unwrap().weight, 1.0);
        assert_eq!(s.overflowed(), 1);
        s.forget(Timestamp(1_000_000));
        assert!(s.offer("b", 1.0, Timestamp(1_000_000), &mut random).is_some());
        assert_eq!(s.overflowed(), 1);
    }
}
