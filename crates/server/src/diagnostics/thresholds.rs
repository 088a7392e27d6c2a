//! Thresholds: when a figure is past one for long enough, and when it is back.
//!
//! Each is told once when it is crossed. It is over when the figure is back by a twentieth of the threshold, so that one
//! that hovers does not tell again and again. Of two thresholds of one figure that are crossed, both are told.

use std::time::Duration;

use super::documents::{MetricAlert, Side};
use crate::config::Threshold;

/// How far a figure must come back, as a share of the threshold.
const BACK: f64 = 0.05;

/// A threshold and how its figure stands.
#[derive(Debug)]
pub(super) struct Watched {
    threshold: Threshold,
    /// Since when it is past it; on the clock that never goes back.
    since: Option<Duration>,
    told: bool,
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    Crossed(MetricAlert),
    Back { metric: String, value: f64, threshold: f64 },
}

impl Watched {
    pub(super) fn new(threshold: Threshold) -> Self {
        Self { threshold, since: None, told: false }
    }

    pub(super) fn threshold(&self) -> &Threshold {
        &self.threshold
    }

    /// Whether it is crossed, and was told.
    pub(super) fn is_crossed(&self) -> bool {
        self.told
    }

    /// Takes a figure; one that is not known changes nothing but how long it lasts.
    pub(super) fn look(
        &mut self,
        value: Option<f64>,
        now: Duration,
        node: &str,
        timestamp: &str,
    ) -> Option<Change> {
        let value = value.filter(|value| value.is_finite())?;
        let Threshold { metric, side, value: bound, severity, lasting } = &self.threshold;
        let beyond = match side {
            Side::Max => value - bound,
            Side::Min => bound - value,
        };
        if self.told {
            if beyond > 0.0 || -beyond < BACK * bound.abs() {
                return None;
            }
            (self.told, self.since) = (false, None);
            return Some(Change::Back { metric: metric.clone(), value, threshold: *bound });
        }
        if beyond <= 0.0 {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) < *lasting {
            return None;
        }
        self.told = true;
        Some(Change::Crossed(MetricAlert {
            metric_name: metric.clone(),
            current_value: value,
            threshold_value: *bound,
            threshold_type: *side,
            severity: *severity,
            node: node.to_owned(),
            timestamp: timestamp.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diagnostics::Severity;

    fn threshold(side: Side, value: f64, seconds: u64) -> Watched {
        Watched::new(Threshold {
            metric: "memory_usage".to_owned(),
            side,
            value,
            severity: Severity::Warning,
            lasting: Duration::from_secs(seconds),
        })
    }

    /// What each of the values, a second apart, changes: `+` crossed, `-` back, `.` nothing.
    fn check(mut watched: Watched, values: &[f64], expected: &str) {
        let look = |(second, value): (usize, &f64)| match watched.look(
            Some(*value),
            Duration::from_secs(second as u64),
            "n",
            "t",
        ) {
            Some(Change::Crossed(_)) => '+',
            Some(Change::Back { .. }) => '-',
            None => '.',
        };
        assert_eq!(values.iter().enumerate().map(look).collect::<String>(), expected);
    }

    #[test]
    fn each_crossing_is_told_once() {
        check(threshold(Side::Max, 85.0, 0), &[85.0, 89.5, 95.0, 84.0, 86.0, 80.0, 90.0], ".+...-+");
        check(threshold(Side::Max, 85.0, 2), &[89.5, 89.5, 80.0, 89.5, 89.5, 89.5, 89.5], ".....+.");
        check(threshold(Side::Min, 0.5, 0), &[0.6, 0.4, 0.51, 0.6], ".+.-");
        check(threshold(Side::Max, 0.0, 0), &[0.0, 1.0, 0.0], ".+-");
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        let mut watched = threshold(Side::Max, 85.0, 0);
        assert_eq!(watched.look(None, Duration::ZERO, "n", "t"), None);
        assert_eq!(watched.look(Some(f64::NAN), Duration::ZERO, "n", "t"), None);
    }

    #[test]
    fn an_alert_has_its_fields() {
        let mut watched = threshold(Side::Max, 85.0, 0);
        let told = watched.look(Some(89.5), Duration::ZERO, "node1", "2023-11-14T22:13:20Z");
        let Some(Change::Crossed(alert)) = told else { panic!("{told:?}") };
        let expected = json!({
            "metric_name": "memory_usage", "current_value": 89.5, "threshold_value": 85.0, "threshold_type": "max",
            "severity": "warning", "node": "node1", "timestamp": "2023-11-14T22:13:20Z",
        });
        assert_eq!(serde_json::to_value(alert).unwrap(), expected);
    }
}
