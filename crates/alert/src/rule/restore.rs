//! What of a rule's alerts survives a restart, and how they go on after it.
//!
//! Each change of an alert's state is kept ([`Rule::changes`]); what was measured is not, as the next evaluation says it again.
//! After an outage of at most `outage_tolerance`:
//!
//! - an alert that was pending goes on where it was: the time that nobody looked does not count. One that had less than the
//!   grace period left waits for that long, so that its condition may turn out to be over;
//! - an alert that fired goes on firing as soon as its condition is seen to hold, since when it did before, so that nobody
//!   is told twice. Until then it stays as it is, at most as long as whoever was told of it believes it: what is asked may not
//!   have an answer yet, since nothing was scraped meanwhile;
//! - one that is over, or rests, does so to its end.
//!
//! After a longer one everything that was active begins afresh.

use std::collections::{BTreeMap, BTreeSet};

use barograph_model::{Labels, METRIC_NAME, Matcher, Sample, Selection, SourceError, TimeRange, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Alert, Moment, Reader, Rule, State, alerts::millis, ask::ALERT_NAME};
use crate::{file::AlertSpec, kinds::Missing};

/// Annotations of more bytes are not kept; the next evaluation at which the alert holds makes them again.
const TEXTS_BYTES_MAX: usize = 16 << 10;
/// After a jump of the clock that is longer, in milliseconds, what was stored before may be no answer.
const BLIND_MS: u64 = 30_000;
/// What fires is believed for so many intervals, or as many minutes if those are longer, without being told again.
pub const BELIEVED: i64 = 4;

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

/// An alert as it is kept. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    state: State,
    #[serde(default)]
    value: Option<f64>,
    #[serde(default)]
    threshold: Option<f64>,
    #[serde(default)]
    evidence: Option<serde_json::Value>,
    active_at: i64,
    #[serde(default)]
    fired_at: Option<i64>,
    #[serde(default)]
    keep_firing_since: Option<i64>,
    #[serde(default)]
    resolved_at: Option<i64>,
    /// The evaluation at which it came to be so.
    at: i64,
}

impl Kept {
    fn of(alert: &Alert, at: Timestamp) -> Self {
        let texts: usize = alert.annotations.iter().map(|(name, text)| name.len() + text.len()).sum();
        let finite = |value: f64| value.is_finite().then_some(value);
        let ms = |time: Option<Timestamp>| time.map(Timestamp::millis);
        Self {
            labels: alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            annotations: if texts > TEXTS_BYTES_MAX { BTreeMap::new() } else { alert.annotations.clone() },
            state: alert.state,
            value: finite(alert.value),
            threshold: alert.threshold.and_then(finite),
            evidence: alert.evidence.clone(),
            active_at: alert.active_at.millis(),
            fired_at: ms(alert.fired_at),
            keep_firing_since: ms(alert.keep_firing_since),
            resolved_at: ms(alert.resolved_at),
            at: at.millis(),
        }
    }

    /// `None` if the labels are none.
    fn alert(self) -> Option<Alert> {
        let pairs = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Some(Alert {
            labels: Labels::from_pairs(pairs).ok()?,
            annotations: self.annotations,
            state: self.state,
            value: self.value.unwrap_or(f64::NAN),
            threshold: self.threshold,
            evidence: self.evidence,
            active_at: Timestamp(self.active_at),
            fired_at: self.fired_at.map(Timestamp),
            keep_firing_since: self.keep_firing_since.map(Timestamp),
            resolved_at: self.resolved_at.map(Timestamp),
        })
    }

    /// When it was looked at last for certain.
    pub const fn at(&self) -> Timestamp {
        Timestamp(self.at)
    }
}

/// What makes an alert another one to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    state: State,
    active_at: Timestamp,
    times: [Option<Timestamp>; 3],
}

impl Mark {
    fn of(alert: &Alert) -> Self {
        let times = [alert.fired_at, alert.keep_firing_since, alert.resolved_at];
        Self { state: alert.state, active_at: alert.active_at, times }
    }
}

/// Alerts that were active before a restart and were not seen since.
#[derive(Clone, Debug)]
pub(super) struct Left {
    labels: BTreeSet<Labels>,
    restoring: Restoring,
    /// When they were looked at last before, and first after.
    down_at: Timestamp,
    back_at: Option<Timestamp>,
}

impl Left {
    /// Lets alerts go on that are there again, and says which wait to be seen. `there` are those that hold or stay as they are,
    /// `well` those of which it is known that they are over.
    pub(super) fn meet(
        &mut self,
        alerts: &mut BTreeMap<Labels, Alert>,
        spec: &AlertSpec,
        there: impl Fn(&Labels) -> bool,
        well: &BTreeSet<Labels>,
        moment: Moment,
    ) -> BTreeSet<Labels> {
        let at = moment.at.millis();
        let back_at = self.back_at.get_or_insert(moment.at).millis();
        let down_at = self.down_at.millis();
        if back_at.saturating_sub(down_at) > self.restoring.outage_tolerance_ms {
            std::mem::take(&mut self.labels).iter().for_each(|labels| drop(alerts.remove(labels)));
            return BTreeSet::new();
        }
        let waits = at.saturating_sub(back_at) < moment.interval_ms.max(60_000).saturating_mul(BELIEVED);
        let mut waiting = BTreeSet::new();
        let restoring = self.restoring;
        self.labels.retain(|labels| {
            let Some(alert) = alerts.get_mut(labels) else { return false };
            if there(labels) {
                go_on(alert, millis(spec.hold), down_at, at, restoring.grace_ms);
                return false;
            }
            if !waits || well.contains(labels) {
                return false;
            }
            waiting.insert(labels.clone());
            true
        });
        waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Puts the times of an alert where they are if the time that nobody looked does not count.
fn go_on(alert: &mut Alert, hold: i64, down_at: i64, at: i64, grace: i64) {
    let outage = at.saturating_sub(down_at).max(0);
    let later = |time: Timestamp| Timestamp(time.millis().saturating_add(outage).min(at));
    alert.keep_firing_since = alert.keep_firing_since.map(later);
    if alert.state != State::Pending {
        return;
    }
    let since = alert.active_at.millis();
    let remaining = hold.saturating_sub(down_at.saturating_sub(since).max(0));
    // What fires within the grace period anyway waits for no longer than it has to hold.
    let grace = grace.min(hold);
    alert.active_at = match remaining {
        ..=0 => alert.active_at,
        left if left < grace => Timestamp(at.saturating_add(grace).saturating_sub(hold)),
        _ => later(alert.active_at),
    };
}

impl Rule {
    /// What it is called among the rules of its group, across restarts: name and labels, which more than one may have.
    pub fn key(&self) -> String {
        let spec = &self.spec;
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for (name, value) in spec.labels() {
            for text in [name, value] {
                hash.update(text.as_bytes());
                hash.update(&[0xff]);
            }
        }
        format!("{};{:016x}", spec.name(), hash.digest())
    }

    /// Alerts that are not kept as they are after an evaluation: as they are to be kept, or `None` if they are forgotten.
    pub fn changes(&self, at: Timestamp) -> Vec<(Labels, Option<Kept>)> {
        let new =
            self.alerts.values().filter(|alert| self.marks.get(&alert.labels) != Some(&Mark::of(alert)));
        let mut changes: Vec<_> =
            new.map(|alert| (alert.labels.clone(), Some(Kept::of(alert, at)))).collect();
        let gone = self.marks.keys().filter(|labels| !self.alerts.contains_key(*labels));
        changes.extend(gone.map(|labels| (labels.clone(), None)));
        changes
    }

    /// Notes that its alerts are kept as they are.
    pub fn kept(&mut self) {
        self.marks = self.alerts.values().map(|alert| (alert.labels.clone(), Mark::of(alert))).collect();
    }

    /// When its alerts were looked at last, as far as the series tell that they left.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn looked_at(
        &self,
        now: Timestamp,
        restoring: &Restoring,
        reader: Reader<'_>,
    ) -> Result<Option<Timestamp>, SourceError> {
        let matchers =
            [Matcher::equal(METRIC_NAME, "ALERTS_FOR_STATE"), Matcher::equal(ALERT_NAME, self.spec.name())];
        let range = TimeRange::closed(now.saturating_add(-restoring.outage_tolerance_ms), now);
        let last: Vec<(Labels, Sample)> =
            reader.source.last_samples(&Selection { matchers: &matchers, range }, reader.budget)?;
        let own = |series: &Labels| self.alerts.contains_key(&series.with(METRIC_NAME, ""));
        Ok(last.iter().filter(|(series, _)| own(series)).map(|(_, sample)| sample.at).max())
    }

    /// Takes back what was kept, before the first evaluation.
    pub fn restore(&mut self, kept: Vec<Kept>) {
        self.alerts = kept.into_iter().filter_map(Kept::alert).map(|it| (it.labels.clone(), it)).collect();
        self.kept();
        self.given = self.active().flat_map(|alert| [alert.state_series(), alert.for_series()]).collect();
        self.given.sort_unstable();
    }

    /// Says when its alerts were looked at last before the restart, and how they go on.
    pub fn resume(&mut self, down_at: Timestamp, restoring: Restoring) {
        let labels: BTreeSet<Labels> = self.active().map(|alert| alert.labels.clone()).collect();
        if labels.is_empty() {
            return;
        }
        if self.spec.alerting().is_some_and(|spec| spec.missing == Missing::Alert) {
            let active = self.alerts.values().filter(|alert| alert.state != State::Inactive);
            self.seen.remember(active.cloned(), down_at);
        }
        self.left = Some(Left { labels, restoring, down_at, back_at: None });
    }

    /// The wall clock jumped by so many milliseconds: what is pending, or is kept firing, goes on for as long as it had left. After a
    /// longer jump what was stored before may be no answer any more, so that alerts wait to be seen again, as after a
    /// restart. `at` is the evaluation before by the clock as it is now.
    pub fn shift(&mut self, by: i64, at: Timestamp) {
        let shifted = |time: Timestamp| time.saturating_add(by);
        for alert in self.alerts.values_mut() {
            if alert.state == State::Pending {
                alert.active_at = shifted(alert.active_at);
            }
            alert.keep_firing_since = alert.keep_firing_since.map(shifted);
            alert.resolved_at = alert.resolved_at.map(shifted);
        }
        self.seen.shift(by);
        self.watchers.shift(by);
        if let Some(left) = &mut self.left {
            left.back_at = left.back_at.map(shifted);
            left.down_at = shifted(left.down_at);
        } else if by.unsigned_abs() > BLIND_MS {
            self.resume(at, Restoring { grace_ms: 0, ..Restoring::default() });
        }
    }
}
