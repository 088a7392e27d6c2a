//! How requests fare, in numbers.

use std::sync::atomic::Ordering::Relaxed;

use super::Instruments;
use crate::{errors::ErrorClass, window::Figures};

/// How requests fare: totals since the start, and what the sliding window holds. Durations are in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestFigures {
    /// Requests that are over.
    pub total: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that did not; `total` is the sum of both.
    pub succeeded: u64,
    /// Requests begun and not over.
    pub in_flight: i64,
    /// Failures by class, in the order of their names; all built-in classes are there.
    pub errors: Vec<(String, u64)>,
    /// For each bound of the histogram, how many requests took no longer; without `+Inf`, which is `total`.
    pub buckets: Vec<(f64, u64)>,
    /// How long requests took, all together.
    pub sum: f64,
    /// The durations of the window: count, per second, mean, quantiles.
    pub window: Figures,
    /// Requests of the window that failed.
    pub window_errors: u64,
    /// The share of the window's requests that failed, 0 to 1; 0 of none. Failures of the class `client` are left out
    /// if [`Requests::set_client_errors_count`](super::Requests::set_client_errors_count) says so.
    pub error_rate: f64,
}

impl RequestFigures {
    /// Failures are read before requests, so that there are never more of them.
    pub(super) fn read(instruments: &Instruments) -> Self {
        let errors = instruments.errors.series();
        let mut errors: Vec<_> = errors.into_iter().map(|([class], n)| (class, n.value())).collect();
        errors.sort_unstable();
        let window_errors = instruments.recent_errors.by("error_class");
        let mut figures = Self { in_flight: instruments.in_flight.value().max(0), ..Self::default() };
        figures.buckets = instruments.bounds.iter().map(|bound| (*bound, 0)).collect();
        for (_, duration) in instruments.durations.series() {
            let read = duration.read();
            figures.total += read.sketch.count();
            figures.sum += read.sketch.sum();
            for (sum, (_, count)) in figures.buckets.iter_mut().zip(read.classic) {
                sum.1 += count;
            }
        }
        figures.window = instruments.recent.figures();
        figures.failed = errors.iter().map(|(_, count)| count).sum::<u64>().min(figures.total);
        figures.succeeded = figures.total - figures.failed;
        figures.errors = errors;

        let count = figures.window.count;
        let of = |keep: &dyn Fn(&str) -> bool| {
            let kept = window_errors.iter().filter(|(class, _)| keep(class));
            kept.map(|(_, figures)| figures.count).sum::<u64>().min(count)
        };
        let client = instruments.client_errors_count.load(Relaxed);
        let rated = of(&|class| client || class != ErrorClass::Client.as_str());
        figures.window_errors = of(&|_| true);
        figures.error_rate = if count == 0 { 0.0 } else { rated as f64 / count as f64 };
        figures
    }
}
