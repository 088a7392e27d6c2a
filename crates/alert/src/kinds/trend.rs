//! Something that grows or falls: for certain and fast enough, or so that it will cross a threshold soon.

use barograph_analyze::trend;
use barograph_model::Timestamp;
use barograph_query::ast::Expr;
use serde_json::json;

use super::{Finding, Ranges, Side, Span};

/// Points in a window.
const POINTS: i64 = 240;
const HOUR_S: f64 = 3_600.0;

/// When a trend is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// How far back it is looked, in milliseconds.
    pub window_ms: i64,
    /// How unlikely by chance it has to be.
    pub alpha: f64,
    /// By how much it has to change an hour, up or down; 0 is by anything.
    pub min_slope_per_hour: f64,
    /// Only what grows ([`Side::Max`]) or falls ([`Side::Min`]); `None` is both.
    pub direction: Option<Side>,
    /// What it must not cross, and how soon it would be too soon, in milliseconds.
    pub crossing: Option<(f64, i64)>,
}

impl Trend {
    /// The series whose trend is to be told: with a slope an hour as their value, or, where a crossing is watched, with the
    /// hours until it.
    pub(crate) fn find<E>(
        &self,
        expr: &Expr,
        at: Timestamp,
        ranges: &Ranges<'_, E>,
    ) -> Result<Vec<Finding>, E> {
        let span = Span::before(at, self.window_ms, POINTS);
        let answered = ranges(expr, span)?;
        Ok(answered
            .into_iter()
            .filter_map(|(labels, points)| {
                let found = trend(&points)?;
                let per_hour = found.slope * HOUR_S;
                let clear = found.p_value < self.alpha
                    && per_hour != 0.0
                    && per_hour.abs() >= self.min_slope_per_hour
                    && match self.direction {
                        Some(Side::Max) => per_hour > 0.0,
                        Some(Side::Min) => per_hour < 0.0,
                        None => true,
                    };
                if !clear {
                    return None;
                }
                let hour = |(lower, upper): (f64, f64)| [lower * HOUR_S, upper * HOUR_S];
                let mut evidence = json!({
                    "slope_per_hour": per_hour,
                    "slope_bounds": found.bounds.map(hour),
                    "p_value": found.p_value,
                    "points": found.buckets,
                    "window_seconds": self.window_ms / 1_000,
                });
                let Some((threshold, horizon_ms)) = self.crossing else {
                    return Some(Finding {
                        labels,
                        value: per_hour,
                        threshold: None,
                        evidence,
                        annotation: None,
                    });
                };
                // Where the line of all points is now, not where the last of them happens to be.
                let level = level(&points, found.slope, at);
                let hours = (threshold - level) / per_hour;
                if !(0.0..=horizon_ms as f64 / 1e3 / HOUR_S).contains(&hours) {
                    return None;
                }
                evidence["level"] = json!(level);
                evidence["hours_until"] = json!(hours);
                Some(Finding { labels, value: hours, threshold: Some(threshold), evidence, annotation: None })
            })
            .collect())
    }
}

/// Where a line of that slope is at a time: the median of what each point says.
fn level(points: &[barograph_analyze::Point], slope: f64, at: Timestamp) -> f64 {
    let finite = points.iter().filter(|point| point.value.is_finite());
    let mut levels: Vec<f64> =
        finite.map(|point| point.value + slope * ((at.millis() - point.at) as f64 / 1e3)).collect();
    levels.sort_unstable_by(f64::total_cmp);
    levels.get(levels.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use barograph_analyze::Point;
    use barograph_model::Labels;

    use super::*;

    fn found(trend: &Trend, value: impl Fn(i64) -> f64) -> Vec<Finding> {
        let expr = barograph_query::parse("m").unwrap();
        let ranges = |_: &Expr, span: Span| -> Result<_, ()> {
            let times = (0..=POINTS).map(|i| span.from.millis() + i * span.step_ms);
            Ok(vec![(Labels::empty(), times.map(|at| Point { at, value: value(at) }).collect())])
        };
        trend.find(&expr, Timestamp(86_400_000), &ranges).unwrap()
    }

    fn hours(at: i64) -> f64 {
        at as f64 / 3.6e6
    }

    #[test]
    fn a_slope_is_told_when_it_is_steep_enough_and_the_right_way() {
        let mut trend = Trend {
            window_ms: 86_400_000,
            alpha: 0.01,
            min_slope_per_hour: 2.0,
            direction: None,
            crossing: None,
        };
        let wiggle = |at: i64| if at / 1_000 % 2 == 0 { 0.3 } else { -0.3 };
        let one = &found(&trend, |at| 3.0 * hours(at) + wiggle(at))[0];
        assert!((one.value - 3.0).abs() < 0.01, "{one:?}");
        assert_eq!(one.evidence["points"], 241);
        assert!(found(&trend, hours).is_empty());
        assert!(found(&trend, |_| 7.0).is_empty());
        trend.direction = Some(Side::Max);
        assert!(found(&trend, |at| -3.0 * hours(at)).is_empty());
        trend.direction = Some(Side::Min);
        assert_eq!(found(&trend, |at| -3.0 * hours(at)).len(), 1);
    }

    #[test]
    fn what_will_be_full_is_told_in_time() {
        // At the end of the day 24 of 30; 6 hours are left.
        let of = |horizon_hours: i64, threshold| Trend {
            window_ms: 86_400_000,
            alpha: 0.01,
            min_slope_per_hour: 0.0,
            direction: None,
            crossing: Some((threshold, horizon_hours * 3_600_000)),
        };
        let one = &found(&of(8, 30.0), hours)[0];
        assert!((one.value - 6.0).abs() < 1e-6 && one.threshold == Some(30.0), "{one:?}");
        assert!(found(&of(4, 30.0), hours).is_empty());
        assert!(found(&of(8, 20.0), hours).is_empty(), "it is behind");
    }
}
