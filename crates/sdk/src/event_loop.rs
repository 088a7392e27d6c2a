//! How promptly an async runtime runs what is due: what a monitor sampled, and the figures of it.
//!
//! *Lag* is how much later a timer woke than it was to. Each sample is scheduled anew from the last waking, so lag
//! does not accumulate. *Utilisation* is the share of time that the runtime's workers were busy. Nothing here has a
//! clock: the monitor (feature `tokio`) tells what it saw.

use std::{collections::VecDeque, time::Duration};

/// How often the monitor samples.
pub const LAG_INTERVAL: Duration = Duration::from_secs(1);

/// How many samples are kept: five minutes of them.
pub const LAG_SAMPLES_MAX: usize = 300;

/// What is known of a runtime. Durations are in seconds, over the samples that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EventLoopFigures {
    /// Mean lag; 0 before the first sample.
    pub avg_lag: f64,
    /// Lag that 95 of 100 samples did not exceed, interpolated between the closest ranks; 0 before the first sample.
    pub p95_lag: f64,
    /// Greatest lag.
    pub max_lag: f64,
    /// Samples that are kept.
    pub samples: usize,
    /// Whether the monitor runs.
    pub monitoring_active: bool,
    /// How often the monitor was started again after it had failed.
    pub restarts: u64,
    /// Seconds between two samples.
    pub interval: f64,
    /// Share of the last interval that the workers were busy, 0 to 1; `None` where the runtime does not tell.
    pub utilization: Option<f64>,
}

/// The samples that are kept.
#[derive(Clone, Debug, Default)]
pub struct Lags(VecDeque<f64>);

impl Lags {
    /// Keeps a sample, in place of the oldest if there is no room.
    pub fn record(&mut self, lag: Duration) {
        if self.0.len() >= LAG_SAMPLES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(lag.as_secs_f64());
    }

    /// Mean, 95th percentile and maximum of the samples, and how many there are.
    pub fn figures(&self) -> EventLoopFigures {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let Some((max, count)) = sorted.last().map(|max| (*max, sorted.len())) else {
            return EventLoopFigures::default();
        };
        // In whole numbers: the rank is 0.95 × (count − 1), of which the remainder is the weight of the next.
        let (rank, rest) = ((count - 1) * 95 / 100, (count - 1) * 95 % 100);
        let next = sorted[(rank + 1).min(count - 1)];
        EventLoopFigures {
            avg_lag: sorted.iter().sum::<f64>() / count as f64,
            p95_lag: sorted[rank] + (next - sorted[rank]) * rest as f64 / 100.0,
            max_lag: max,
            samples: count,
            ..EventLoopFigures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_samples() {
        let check = |millis: &[u64], avg: f64, p95: f64, max: f64| {
            let mut lags = Lags::default();
            millis.iter().for_each(|millis| lags.record(Duration::from_millis(*millis)));
            let figures = lags.figures();
            for (seen, expected) in [(figures.avg_lag, avg), (figures.p95_lag, p95), (figures.max_lag, max)] {
                assert!((seen * 1000.0 - expected).abs() < 1e-6, "{figures:?}");
            }
        };
        check(&[], 0.0, 0.0, 0.0);
        check(&[7], 7.0, 7.0, 7.0);
        check(&[0, 10], 5.0, 9.5, 10.0);
        let hundred: Vec<u64> = (1..=101).collect();
        check(&hundred, 51.0, 96.0, 101.0);
    }

    #[test]
    fn old_samples_go() {
        let mut lags = Lags::default();
        lags.record(Duration::from_secs(9));
        (0..LAG_SAMPLES_MAX).for_each(|_| lags.record(Duration::ZERO));
        assert_eq!((lags.figures().samples, lags.figures().max_lag), (LAG_SAMPLES_MAX, 0.0));
    }
}
