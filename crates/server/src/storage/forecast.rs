//! When the disk is full: a straight line through the sizes that the store had.
//!
//! The sizes are our own metric `barograph_storage_bytes`, so the history is kept like that of everything else, and the
//! line is that of least squares over up to seven days. It says nothing until it has seen [`HISTORY_MIN_MS`].

use barograph_model::{Budget, Timestamp};
use barograph_query::{Options, Steps, Value};
use barograph_tsdb::Store;

/// No forecast is made from less history: what is cut into blocks every two hours goes up and down meanwhile.
pub const HISTORY_MIN_MS: i64 = 6 * 3_600_000;

/// How far back the line looks.
const HISTORY_MAX_MS: i64 = 7 * 24 * 3_600_000;

/// Sizes that are looked at, at most.
const POINTS: i64 = 7 * 48;

/// What a forecast may read.
const SAMPLES_MAX: u64 = 20_000_000;

/// How the store grows, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Forecast {
    /// There is too little history; it spans so many milliseconds.
    Unknown {
        /// From the first to the last size that is known.
        history_ms: i64,
    },
    /// At this rate the disk is full at some time; never, if the store does not grow.
    Known {
        /// From the first to the last size that is known.
        history_ms: i64,
        /// Bytes a day.
        growth_per_day: f64,
        /// When the room that is free now is used up; `None` if it never is.
        full_at: Option<Timestamp>,
    },
}

/// The forecast from the sizes that the store remembers.
pub fn forecast(store: &Store, now: Timestamp, free: u64) -> Forecast {
    judge(&sizes(store, now).unwrap_or_default(), now, free)
}

/// The sizes of the store, each with its time.
fn sizes(store: &Store, now: Timestamp) -> Option<Vec<(i64, f64)>> {
    let expression = barograph_query::parse("sum(barograph_storage_bytes{job=\"barograph\"})").ok()?;
    let start = Timestamp(now.0.saturating_sub(HISTORY_MAX_MS));
    let steps = Steps { start, end: now, step_ms: HISTORY_MAX_MS / POINTS };
    let budget = Budget::new(SAMPLES_MAX);
    let answer =
        barograph_query::evaluate_range(store, &expression, steps, &Options::default(), &budget).ok()?;
    let Value::Matrix(mut series) = answer.value else { return None };
    let (_, track) = series.pop()?;
    Some(track.floats.iter().map(|sample| (sample.at.0, sample.value)).collect())
}

/// Least squares through sizes, and what follows from it.
fn judge(sizes: &[(i64, f64)], now: Timestamp, free: u64) -> Forecast {
    let history_ms = match (sizes.first(), sizes.last()) {
        (Some(first), Some(last)) => last.0 - first.0,
        _ => 0,
    };
    if history_ms < HISTORY_MIN_MS {
        return Forecast::Unknown { history_ms };
    }
    let count = sizes.len() as f64;
    // Days from now keep the numbers small.
    let days = |at: i64| (at - now.0) as f64 / 86_400_000.0;
    let mean_day = sizes.iter().map(|size| days(size.0)).sum::<f64>() / count;
    let mean_size = sizes.iter().map(|size| size.1).sum::<f64>() / count;
    let (mut across, mut along) = (0.0, 0.0);
    for &(at, size) in sizes {
        let day = days(at) - mean_day;
        across += day * (size - mean_size);
        along += day * day;
    }
    let growth_per_day = across / along;
    let days_left = free as f64 / growth_per_day;
    // A thousand years are never.
    let full_at = (growth_per_day > 0.0 && days_left < 365_000.0).then(|| {
        #[expect(clippy::cast_possible_truncation, reason = "less than a thousand years of milliseconds")]
        let left = (days_left * 86_400_000.0) as i64;
        now.saturating_add(left)
    });
    Forecast::Known { history_ms, growth_per_day, full_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn line(points: i64, per_day: f64) -> Vec<(i64, f64)> {
        (0..points).map(|i| (i * DAY / 10, 1e9 + per_day * i as f64 / 10.0)).collect()
    }

    #[test]
    fn a_line_meets_the_end_of_the_disk() {
        let now = Timestamp(2 * DAY);
        let Forecast::Known { growth_per_day, full_at, .. } = judge(&line(21, 1e6), now, 10_000_000) else {
            panic!("there is history enough");
        };
        assert!((growth_per_day - 1e6).abs() < 1.0);
        let days = (full_at.unwrap().0 - now.0) as f64 / DAY as f64;
        assert!((days - 10.0).abs() < 0.01, "{days}");
    }

    #[test]
    fn what_does_not_grow_is_never_full_and_what_is_young_is_unknown() {
        let now = Timestamp(2 * DAY);
        let known = judge(&line(21, -5.0), now, 1);
        assert!(matches!(known, Forecast::Known { full_at: None, .. }));
        assert_eq!(judge(&line(2, 1e6), now, 1), Forecast::Unknown { history_ms: DAY / 10 });
        assert_eq!(judge(&[], now, 1), Forecast::Unknown { history_ms: 0 });
    }
}
