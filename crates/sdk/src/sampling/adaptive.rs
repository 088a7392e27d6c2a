//! As many a second as a budget and the load of the system allow.
//!
//! With B items a second wanted and λ coming, p = min(1, B/λ). λ is measured at intervals: what differs from what was
//! expected by no more than chance is smoothed (an exponential mean, α = 0.3), what differs by more is taken as it
//! is, so that a step in traffic is followed in one interval; one in which twice the expected came is ended early.
//! While the system is loaded above a mark, p falls in proportion; it recovers in steps. Behind that stands a bucket
//! of tokens that lets pass at most 2B in any second. What it refuses is added to the weight of the next that
//! passes, so that counts stay right.

use std::{collections::VecDeque, time::Duration};

use barograph_model::Timestamp;

use super::{Random, SamplingInfo, Strategy};

/// Share of the newest interval in the expected rate.
const NEWEST: f64 = 0.3;
/// How many standard deviations of a Poisson count, and which share of it, are more than chance.
const CHANCE: f64 = 4.0;
const CHANCE_SHARE: f64 = 0.1;
/// How many intervals are remembered to be shown.
const HISTORY_MAX: usize = 360;

/// What an [`AdaptiveRateSampler`] keeps to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// How many items a second are to be kept. 100 by default.
    pub per_second: f64,
    /// The rate never falls below this, except by the bucket. 0.001 by default.
    pub rate_min: f64,
    /// The rate never rises above this. 1 by default.
    pub rate_max: f64,
    /// How often the rate is set anew. One second by default.
    pub interval: Duration,
    /// The load, from 0 to 1, above which the rate falls. 0.8 by default.
    pub load_high: f64,
    /// How much of the full rate comes back in an interval without load. 0.1 by default.
    pub recovery: f64,
}

impl Default for Budget {
    fn default() -> Self {
        let interval = Duration::from_secs(1);
        Self { per_second: 100.0, rate_min: 0.001, rate_max: 1.0, interval, load_high: 0.8, recovery: 0.1 }
    }
}

/// How busy the system is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Share of the processors' time in use, from 0 to 1.
    pub cpu: f64,
    /// Share of the fullest queue in use, from 0 to 1.
    pub queue: f64,
}

/// An interval that is over, or the one that is running.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// When it began.
    pub start: Timestamp,
    /// With which probability items were kept.
    pub rate: f64,
    /// How many items a second were expected.
    pub expected_per_second: f64,
    /// How much of the rate the load left, from 0 to 1.
    pub load_factor: f64,
    /// How many items came.
    pub seen: u64,
    /// How many of them were kept.
    pub kept: u64,
    /// How many the bucket refused.
    pub refused: u64,
}

/// Keeps a share of all items that follows traffic and load.
#[derive(Clone, Debug)]
pub struct AdaptiveRateSampler {
    budget: Budget,
    load: Load,
    current: Option<Interval>,
    history: VecDeque<Interval>,
    tokens: f64,
    filled: Timestamp,
    /// The weight of what the bucket refused and nothing stands for yet.
    owed: f64,
}

impl AdaptiveRateSampler {
    /// One that has seen nothing yet.
    pub fn new(budget: Budget) -> Self {
        let tokens = budget.per_second;
        let (load, history) = (Load::default(), VecDeque::new());
        Self { budget, load, current: None, history, tokens, filled: Timestamp(i64::MIN), owed: 0.0 }
    }

    /// Tells how busy the system is; counts from the next interval on.
    pub fn set_load(&mut self, load: Load) {
        self.load = load;
    }

    /// Tells the time where nothing may be offered for long, so that the rate goes on to follow the load.
    pub fn tick(&mut self, now: Timestamp) {
        self.advance(now);
    }

    /// Offers an item; `Some` if it is kept.
    pub fn offer(&mut self, now: Timestamp, random: &mut Random) -> Option<SamplingInfo> {
        let current = self.advance(now);
        current.seen += 1;
        let rate = current.rate;
        if !random.chance(rate) {
            return None;
        }
        if !self.token(now) {
            self.owed += 1.0 / rate;
            self.advance(now).refused += 1;
            return None;
        }
        self.advance(now).kept += 1;
        let weight = 1.0 / rate + std::mem::take(&mut self.owed);
        Some(SamplingInfo { strategy: Strategy::AdaptiveRate, rate: 1.0 / weight, weight })
    }

    /// The running interval, with the rate that holds now. `None` before the first item.
    pub fn current(&self) -> Option<Interval> {
        self.current
    }

    /// The intervals before it, the oldest first; at most 360.
    pub fn history(&self) -> impl Iterator<Item = &Interval> {
        self.history.iter()
    }

    /// The interval of now, begun if the last is over or has overflowed.
    fn advance(&mut self, now: Timestamp) -> &mut Interval {
        let length = self.budget.interval.as_secs_f64().max(0.001);
        if let Some(last) = self.current {
            let elapsed = now.0.saturating_sub(last.start.0) as f64 / 1_000.0;
            let expected = last.expected_per_second * length;
            let burst = last.seen as f64 > 2.0 * expected + CHANCE * expected.sqrt() && elapsed > 0.0;
            if elapsed >= length || burst {
                self.history.push_back(last);
                if self.history.len() > HISTORY_MAX {
                    self.history.pop_front();
                }
                let arrived = last.seen as f64 / elapsed;
                self.current = Some(self.next(now, follow(&last, arrived, elapsed), last.load_factor));
            }
        }
        let first = Interval {
            start: now,
            rate: self.budget.rate_max,
            expected_per_second: self.budget.per_second,
            load_factor: 1.0,
            seen: 0,
            kept: 0,
            refused: 0,
        };
        self.current.get_or_insert(first)
    }

    fn next(&self, start: Timestamp, expected: f64, factor_before: f64) -> Interval {
        let Budget { per_second, rate_min, rate_max, load_high, recovery, .. } = self.budget;
        let over = (self.load.cpu.max(self.load.queue).clamp(0.0, 1.0) - load_high) / (1.0 - load_high);
        let load_factor =
            if over > 0.0 { (1.0 - over).max(rate_min) } else { (factor_before + recovery).min(1.0) };
        let rate = (per_second / expected.max(f64::MIN_POSITIVE)).min(1.0) * load_factor;
        let rate = rate.max(rate_min).min(rate_max);
        Interval { start, rate, expected_per_second: expected, load_factor, seen: 0, kept: 0, refused: 0 }
    }

    /// Takes a token if there is one: B come in a second, and up to B wait.
    fn token(&mut self, now: Timestamp) -> bool {
        let per_second = self.budget.per_second;
        let elapsed = now.0.saturating_sub(self.filled.0).max(0) as f64 / 1_000.0;
        self.filled = self.filled.max(now);
        self.tokens = (self.tokens + elapsed * per_second).min(per_second.max(1.0));
        let there = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(there));
        there
    }
}

/// How many items a second to expect after an interval in which `arrived` a second came.
fn follow(last: &Interval, arrived: f64, elapsed: f64) -> f64 {
    let expected = last.expected_per_second;
    let off = (arrived - expected).abs();
    let chance = CHANCE * (expected / elapsed).sqrt();
    let more = off > CHANCE_SHARE * expected && off > chance;
    if more { arrived } else { NEWEST.mul_add(arrived - expected, expected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `per_second` evenly for some seconds; how many of each second were kept, and their weights in all.
    fn send(s: &mut AdaptiveRateSampler, from: i64, seconds: i64, per_second: i64) -> (Vec<u64>, f64) {
        let (mut random, mut weight) = (Random::new(from.unsigned_abs()), 0.0);
        let mut second = |second: i64| {
            let kept = (0..per_second).filter_map(|i| {
                let now = Timestamp((from + second) * 1_000 + i * 1_000 / per_second);
                s.offer(now, &mut random).map(|info| weight += info.weight)
            });
            kept.count() as u64
        };
        ((0..seconds).map(&mut second).collect(), weight)
    }

    #[test]
    fn steps_are_followed_within_two_intervals() {
        let mut s = AdaptiveRateSampler::new(Budget { per_second: 1_000.0, ..Budget::default() });
        let near = |kept: &[u64]| kept.iter().all(|&kept| kept.abs_diff(1_000) <= 100);
        let (before, _) = send(&mut s, 0, 10, 1_000);
        assert!(near(&before[2..]), "{before:?}");
        let (up, weight) = send(&mut s, 10, 10, 10_000);
        assert!(up[0] <= 2_000 && near(&up[2..]), "{up:?}");
        assert!((weight - 100_000.0).abs() < 6_000.0, "{weight}");
        let (down, weight) = send(&mut s, 20, 10, 1_000);
        assert!(near(&down[2..]), "{down:?}");
        assert!((weight - 10_000.0).abs() < 1_000.0, "{weight}");
        assert!(s.history().count() >= 28 && s.current().unwrap().rate > 0.9);
    }

    #[test]
    fn load_lowers_the_rate_and_it_comes_back_in_steps() {
        let mut s = AdaptiveRateSampler::new(Budget { per_second: 1_000.0, ..Budget::default() });
        s.set_load(Load { cpu: 0.9, queue: 0.2 });
        let (loaded, _) = send(&mut s, 0, 5, 1_000);
        assert!(loaded[3].abs_diff(500) < 80, "{loaded:?}");
        s.set_load(Load::default());
        let (free, _) = send(&mut s, 5, 8, 1_000);
        assert!(free[1] > loaded[4] && free[1] < 800 && free[7] > 900, "{free:?}");
        s.set_load(Load { cpu: 1.0, queue: f64::NAN });
        let (full, _) = send(&mut s, 13, 3, 1_000);
        assert!(full[2] < 20, "{full:?}");
    }

    #[test]
    fn what_the_bucket_refuses_is_stood_for() {
        let mut s = AdaptiveRateSampler::new(Budget { per_second: 10.0, rate_min: 0.5, ..Budget::default() });
        let (kept, weight) = send(&mut s, 0, 60, 1_000);
        assert!(kept[1..].iter().all(|&kept| kept <= 20), "{kept:?}");
        assert!((weight / 60_000.0 - 1.0).abs() < 0.05, "{weight}");
        assert!(s.history().map(|interval| interval.refused).sum::<u64>() > 20_000);
    }

    #[test]
    fn a_clock_that_goes_back_does_no_harm() {
        let mut s = AdaptiveRateSampler::new(Budget::default());
        let mut random = Random::new(1);
        for now in [5_000, 1_000, i64::MIN, i64::MAX, 0] {
            let _ = s.offer(Timestamp(now), &mut random);
        }
        assert!(s.current().is_some());
    }
}
