//! Rates that forget: how often something happens, seen over one, five and fifteen minutes.
//!
//! Each is an exponentially weighted mean of the rate since the tick before, as the load of a Unix system is: after a
//! time `dt` the old mean keeps the weight `exp(−dt/τ)`. Weights follow the time that really went by, so late ticks
//! do no harm. The means start with the first rate that is seen.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use barograph_model::Timestamp;

use crate::slab::Slab;

/// How often something happens, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Since the first tick.
    pub mean: f64,
    /// Seen over one minute.
    pub m1: f64,
    /// Seen over five minutes.
    pub m5: f64,
    /// Seen over fifteen minutes.
    pub m15: f64,
}

/// Time constants, in seconds.
const TAUS: [f64; 3] = [60.0, 300.0, 900.0];

/// The shortest time between two ticks that count.
const STEP: Duration = Duration::from_secs(1);

impl Rates {
    /// With the values of the label `window`.
    pub(crate) fn by_window(&self) -> [(&'static str, f64); 4] {
        [("mean", self.mean), ("1m", self.m1), ("5m", self.m5), ("15m", self.m15)]
    }
}

/// What one meter keeps between ticks.
#[derive(Clone, Debug)]
pub(crate) struct Average {
    began: (Timestamp, u64),
    last: (Timestamp, u64),
    means: Option<[f64; 3]>,
}

impl Average {
    /// Begins at a time and a count.
    pub(crate) fn new(now: Timestamp, count: u64) -> Self {
        Self { began: (now, count), last: (now, count), means: None }
    }

    /// It is `now`, and the meter has counted so many.
    pub(crate) fn tick(&mut self, now: Timestamp, count: u64) -> Rates {
        let seconds = |from: Timestamp| now.0.saturating_sub(from.0) as f64 / 1e3;
        let dt = seconds(self.last.0);
        if dt < 0.0 {
            // The clock was set back: the mean goes on from here with what it is.
            self.began.0 = self.began.0.saturating_add(now.0.saturating_sub(self.last.0.0));
            self.last.0 = now;
        } else if dt >= STEP.as_secs_f64() {
            let rate = count.wrapping_sub(self.last.1) as f64 / dt;
            let mut means = self.means.unwrap_or([rate; 3]);
            for (mean, tau) in means.iter_mut().zip(TAUS) {
                *mean += (rate - *mean) * -(-dt / tau).exp_m1();
            }
            self.means = Some(means);
            self.last = (now, count);
        }
        let all = (self.last.0.0.saturating_sub(self.began.0.0)) as f64 / 1e3;
        let mean = if all > 0.0 { self.last.1.wrapping_sub(self.began.1) as f64 / all } else { 0.0 };
        let [m1, m5, m15] = self.means.unwrap_or_default();
        Rates { mean, m1, m5, m15 }
    }
}

/// The rates of all meters, by the index of their counter, so that a handle can tell them.
static RATES: Slab<[AtomicU64; 4], 256, 1024> = Slab::new();

/// Makes the rates of a meter known.
pub(crate) fn publish(index: u32, rates: Rates) {
    for (cell, (_, rate)) in RATES.cell(index).iter().zip(rates.by_window()) {
        cell.store(rate.to_bits(), Relaxed);
    }
}

/// The rates of a meter as of the last tick; zero before that.
pub(crate) fn read(index: u32) -> Rates {
    let Some(cells) = RATES.peek(index) else { return Rates::default() };
    let [mean, m1, m5, m15] = [0, 1, 2, 3].map(|i: usize| f64::from_bits(cells[i].load(Relaxed)));
    Rates { mean, m1, m5, m15 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks of `per_second` for so many seconds, ticked every five.
    fn run(average: &mut Average, now: &mut i64, count: &mut u64, per_second: u64, seconds: u64) -> Rates {
        let mut rates = Rates::default();
        for _ in 0..seconds / 5 {
            *now += 5_000;
            *count += per_second * 5;
            rates = average.tick(Timestamp(*now), *count);
        }
        rates
    }

    #[test]
    fn a_steady_rate_is_seen_at_once() {
        let (mut now, mut count) = (7_000, 3);
        let mut average = Average::new(Timestamp(now), count);
        let rates = run(&mut average, &mut now, &mut count, 10, 10);
        assert_eq!(rates, Rates { mean: 10.0, m1: 10.0, m5: 10.0, m15: 10.0 });
    }

    #[test]
    fn rates_fall_off_by_their_time_constants() {
        let (mut now, mut count) = (0, 0);
        let mut average = Average::new(Timestamp(now), count);
        run(&mut average, &mut now, &mut count, 100, 600);
        let rates = run(&mut average, &mut now, &mut count, 0, 300);
        let check = |is: f64, tau: f64| assert!((is - 100.0 * (-300.0 / tau).exp()).abs() < 1e-9, "{is}");
        check(rates.m1, 60.0);
        check(rates.m5, 300.0);
        check(rates.m15, 900.0);
        assert!((rates.mean - 100.0 * 600.0 / 900.0).abs() < 1e-9);
    }

    #[test]
    fn one_late_tick_is_as_good_as_many() {
        let (mut many, mut one) = (Average::new(Timestamp(0), 0), Average::new(Timestamp(0), 0));
        many.tick(Timestamp(5_000), 50);
        one.tick(Timestamp(5_000), 50);
        for second in 6..=105 {
            many.tick(Timestamp(second * 1_000), 50);
        }
        let (many, one) = (many.tick(Timestamp(105_000), 50), one.tick(Timestamp(105_000), 50));
        assert!((many.m1 - one.m1).abs() < 1e-9 && (many.m15 - one.m15).abs() < 1e-9);
    }

    #[test]
    fn a_clock_set_back_changes_nothing() {
        let mut average = Average::new(Timestamp(100_000), 0);
        let before = average.tick(Timestamp(110_000), 100);
        assert_eq!(average.tick(Timestamp(10_000), 100), before);
        assert_eq!(average.tick(Timestamp(20_000), 200).mean, 10.0);
    }
}
