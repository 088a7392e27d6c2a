//! Values unlike those before them: one detector a series, fed by each evaluation.

use std::collections::BTreeMap;

use barograph_analyze::{
    Point,
    anomaly::{Detector, Settings},
};
use barograph_model::{Labels, Timestamp};
use serde_json::json;

use super::Span;

/// How anomalies are found, in terms of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// As detectors are set; lengths in points follow from the interval of the group.
    pub settings: Settings,
    /// The length of a cycle in milliseconds; 0 if there is none.
    pub cycle_ms: i64,
    /// How far back is looked at the first evaluation, in milliseconds.
    pub learn_ms: i64,
    /// How long there is a rest after an anomaly, in milliseconds.
    pub rest_ms: i64,
}

impl Anomaly {
    /// What came before the first evaluation.
    pub(crate) fn history(&self, at: Timestamp, interval_ms: i64) -> Span {
        let to = at.saturating_add(-interval_ms);
        Span { from: to.saturating_add(-self.learn_ms), to, step_ms: interval_ms.max(1_000) }
    }

    fn settings(&self, interval_ms: i64) -> Settings {
        let points = |ms: i64| u64::try_from(ms / interval_ms.max(1)).unwrap_or(0);
        Settings {
            period: usize::try_from(points(self.cycle_ms)).unwrap_or(0),
            rest: points(self.rest_ms),
            ..self.settings
        }
    }
}

/// What one series was at an evaluation: its past, at the first one, and its value.
pub(crate) type Seen = (Vec<Point>, f64);

/// What a detector says of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unlike {
    pub(crate) labels: Labels,
    /// Whether something begins; otherwise it only goes on.
    pub(crate) begins: bool,
    pub(crate) evidence: serde_json::Value,
}

/// The detectors of a rule, by labels of its alerts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchers(BTreeMap<Labels, (Detector, i64)>);

/// A series that gave nothing for so many intervals is forgotten.
const FORGOTTEN: i64 = 1_000;
/// Series of one rule that are watched at most.
pub(crate) const WATCHED_MAX: usize = 10_000;

impl Watchers {
    /// Whether nothing is watched yet, so that the past is worth asking.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The wall clock jumped by so many milliseconds: nothing is forgotten earlier or later for that.
    pub(crate) fn shift(&mut self, by: i64) {
        self.0.values_mut().for_each(|(_, last)| *last = last.saturating_add(by));
    }

    /// Looks at a value of each series; says which are unlike those before them. Series beyond the limit are an error,
    /// and nothing is learned then.
    pub(crate) fn look(
        &mut self,
        rule: &Anomaly,
        seen: impl Iterator<Item = (Labels, Seen)>,
        at: Timestamp,
        interval_ms: i64,
    ) -> Result<Vec<Unlike>, usize> {
        let seen: Vec<_> = seen.collect();
        let new = seen.iter().filter(|(labels, _)| !self.0.contains_key(labels)).count();
        if self.0.len() + new > WATCHED_MAX {
            return Err(self.0.len() + new);
        }
        let mut unlike = Vec::new();
        for (labels, (past, value)) in seen {
            let (detector, last) = self
                .0
                .entry(labels.clone())
                .or_insert_with(|| (Detector::new(rule.settings(interval_ms)), at.millis()));
            *last = at.millis();
            if detector.seen() == 0 {
                for point in past {
                    detector.push(point.value);
                }
            }
            let judged = detector.push(value);
            if judged.anomalous {
                let evidence = json!({
                    "score": judged.score, "p_value": judged.p, "expected": judged.expected,
                    "band": judged.band, "values_seen": detector.seen(),
                });
                unlike.push(Unlike { labels, begins: judged.onset, evidence });
            }
        }
        let oldest = at.millis().saturating_sub(FORGOTTEN.saturating_mul(interval_ms));
        self.0.retain(|_, (_, last)| *last >= oldest);
        Ok(unlike)
    }
}
