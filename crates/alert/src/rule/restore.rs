//! Since when alerts held before a restart, read from what they left: the series `ALERTS_FOR_STATE`.
//!
//! An alert that was pending goes on where it was: the time it was not looked at does not count. One that would fire at
//! once waits for a grace period, in which its condition may turn out to be over. One that was firing fires again at the
//! next evaluation, without being new.

use barograph_model::{
    Labels, METRIC_NAME, Matcher, Sample, Selection, SourceError, TimeRange, Timestamp, is_stale,
};

use super::{Reader, Rule, State, ask::ALERT_NAME};

/// How states are restored.
#[derive(Clone, Copy, Debug)]
pub struct Restoring {
    /// What lies farther back does not count; an hour by default.
    pub outage_tolerance_ms: i64,
    /// How long an alert waits at least before it fires, if it has to be pending for that long; 10 minutes by default.
    pub grace_ms: i64,
}

impl Default for Restoring {
    fn default() -> Self {
        Self { outage_tolerance_ms: 3_600_000, grace_ms: 600_000 }
    }
}

impl Rule {
    /// Whether since when its alerts held before matters, and is not known yet.
    pub fn wants_restoring(&self) -> bool {
        !self.restored
    }

    /// Where its alerts stood: the last sample of each, up to a time.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn left(
        &self,
        at: Timestamp,
        restoring: &Restoring,
        reader: Reader<'_>,
    ) -> Result<Vec<(Labels, Sample)>, SourceError> {
        let matchers =
            [Matcher::equal(METRIC_NAME, "ALERTS_FOR_STATE"), Matcher::equal(ALERT_NAME, self.spec.name())];
        let range = TimeRange::closed(at.saturating_add(-restoring.outage_tolerance_ms), at);
        reader.source.last_samples(&Selection { matchers: &matchers, range }, reader.budget)
    }

    /// Puts its pending alerts where they stood. From here on they show as series.
    pub fn restore(&mut self, at: Timestamp, restoring: &Restoring, left: &[(Labels, Sample)]) {
        self.restored = true;
        let Some(spec) = self.spec.alerting() else { return };
        let hold = i64::try_from(spec.hold.as_millis()).unwrap_or(i64::MAX);
        for alert in self.alerts.values_mut().filter(|alert| alert.state == State::Pending) {
            let series = alert.for_series();
            let Some((_, sample)) = left.iter().find(|(labels, _)| *labels == series) else { continue };
            if is_stale(sample.value) || !sample.value.is_finite() {
                continue;
            }
            #[expect(clippy::cast_possible_truncation, reason = "what is out of range becomes the nearest")]
            let since = (sample.value * 1e3) as i64;
            let down_at = sample.at.millis();
            let remaining = hold.saturating_sub(down_at.saturating_sub(since));
            alert.active_at = Timestamp(if remaining <= 0 {
                since
            } else if remaining < restoring.grace_ms {
                at.millis().saturating_add(restoring.grace_ms).saturating_sub(hold)
            } else {
                since.saturating_add(at.millis().saturating_sub(down_at))
            });
        }
    }
}
