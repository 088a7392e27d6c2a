//! How figures move: a reading a minute, and a straight line through those of the last hour.

use std::collections::VecDeque;

use barograph_model::Timestamp;

use super::{documents::Trend, observed::Observed};
use crate::line::Line;

/// So many readings are kept.
const READINGS_MAX: usize = 60;
/// Of fewer readings nothing is said.
const READINGS_LEAST: usize = 5;
/// A change below this share of the mean, over all readings, is none.
const STABLE: f64 = 0.1;

/// The figures whose trend is told, and whether more of them is better.
const FOLLOWED: [(&str, bool); 7] = [
    ("p95_latency_ms", false),
    ("requests_per_second", true),
    ("error_rate", false),
    ("memory_usage", false),
    ("commit_p95_ms", false),
    ("query_p95_ms", false),
    ("event_loop_lag_ms", false),
];

/// Readings of the last hour, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(VecDeque<(Timestamp, [Option<f64>; FOLLOWED.len()])>);

impl History {
    /// Takes a reading.
    pub(super) fn push(&mut self, observed: &Observed) {
        if self.0.len() == READINGS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((observed.at, FOLLOWED.map(|(name, _)| observed.figure(name))));
    }

    /// How each figure moved, of those that are known often enough.
    pub(super) fn trends(&self) -> Vec<Trend> {
        let of = |(at, (figure, more_is_better)): (usize, (&'static str, bool))| {
            let points =
                self.0.iter().filter_map(|(time, values)| Some((time.seconds() / 3600.0, values[at]?)));
            trend(figure, more_is_better, &points.collect::<Vec<_>>())
        };
        FOLLOWED.into_iter().enumerate().filter_map(of).collect()
    }
}

/// The trend of points of hours and values.
fn trend(figure: &'static str, more_is_better: bool, points: &[(f64, f64)]) -> Option<Trend> {
    if points.len() < READINGS_LEAST {
        return None;
    }
    let line = Line::through(points)?;
    let clear = line.is_clear() && line.change.abs() > STABLE * line.mean.abs();
    let direction = match (clear, (line.slope > 0.0) == more_is_better) {
        (false, _) => "stable",
        (true, true) => "improving",
        (true, false) => "degrading",
    };
    let (slope_per_hour, change_percent) = (line.slope, line.change_percent());
    Some(Trend { figure, direction, slope_per_hour, change_percent, samples: points.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(more_is_better: bool, value: impl Fn(f64) -> f64, expected: &str) -> Trend {
        let points: Vec<_> = (0..30).map(|i| (f64::from(i) / 60.0, value(f64::from(i)))).collect();
        let trend = trend("f", more_is_better, &points).unwrap();
        assert_eq!(trend.direction, expected, "{trend:?}");
        trend
    }

    #[test]
    fn lines_have_directions() {
        let rising = check(false, |i| 100.0 + 2.0 * i, "degrading");
        assert!((rising.slope_per_hour - 120.0).abs() < 1e-9 && rising.samples == 30);
        assert!((rising.change_percent.unwrap() - 58.0).abs() < 1e-9, "{rising:?}");
        check(true, |i| 100.0 + 2.0 * i, "improving");
        check(false, |i| 100.0 - 2.0 * i, "improving");
        check(false, |_| 5.0, "stable");
        check(false, |i| 100.0 + 0.01 * i, "stable");
        check(false, |i| if i % 2.0 == 0.0 { 1.0 } else { 50.0 }, "stable");
        assert_eq!(check(false, |_| 0.0, "stable").change_percent, None);
    }

    #[test]
    fn few_readings_say_nothing() {
        let mut history = History::default();
        for minute in 0..70 {
            history.push(&Observed { at: Timestamp(minute * 60_000), memory: 1.0, ..Observed::default() });
            assert_eq!(history.trends().is_empty(), minute < 4);
        }
        assert_eq!(history.trends()[1].samples, READINGS_MAX);
    }
}
