//! All alerts that fire or were over lately, and what becomes of one that is told again.
//!
//! Two tellings whose times overlap are one alert: it began when the first did, and ends when the last said. Without overlap the
//! later one is a new alert. What is kept across a restart changes only when an alert begins, changes its words, or ends.

use std::collections::BTreeMap;

use super::{Alert, Fingerprint};

/// Alerts that are held at most.
pub const ALERTS_MAX: usize = 100_000;
/// How long one that is over is held, in milliseconds.
pub const RESOLVED_KEPT: i64 = 30 * 60_000;

/// The alerts by what tells them apart.
#[derive(Clone, Debug, Default)]
pub struct Alerts(BTreeMap<Fingerprint, Held>);

#[derive(Clone, Debug)]
struct Held {
    alert: Alert,
    /// Whether it is kept across a restart as it is, and whether what is kept says that it is over.
    kept: bool,
    kept_over: bool,
}

/// What came of an alert that was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// As it is now.
    pub alert: Alert,
    /// Whether that has to be kept: it began, ended, or says something else.
    pub changed: bool,
    /// Whether it fires and did not before.
    pub begins: bool,
}

/// There are too many alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {ALERTS_MAX} alerts already")]
pub struct TooMany;

impl Alerts {
    /// Those that were kept. One that fired then gets as much time to be told again as it had; one that was over is, wherever the
    /// clock was set to meanwhile.
    pub fn restore(kept: impl IntoIterator<Item = (Alert, bool)>, resolve_timeout: i64, now: i64) -> Self {
        let held = |(mut alert, over): (Alert, bool)| {
            match alert.ends_at {
                Some(end) if over => alert.ends_at = Some(end.min(now)),
                Some(end) => {
                    let believed =
                        now.saturating_add(end.saturating_sub(alert.updated_at).max(resolve_timeout));
                    // An end that somebody told holds.
                    alert.ends_at = Some(if alert.timeout { believed } else { end.max(believed) });
                }
                None => {}
            }
            alert.updated_at = alert.updated_at.min(now);
            (alert.fingerprint(), Held { alert, kept: true, kept_over: over })
        };
        Self(kept.into_iter().map(held).collect())
    }

    /// Takes what is told of an alert.
    ///
    /// # Errors
    /// It is new, and there are too many.
    pub fn take(&mut self, alert: Alert, now: i64) -> Result<Taken, TooMany> {
        let fingerprint = alert.fingerprint();
        let before = self.0.get(&fingerprint);
        if before.is_none() && self.0.len() >= ALERTS_MAX {
            return Err(TooMany);
        }
        let merged = match before {
            Some(before) if overlap(&alert, &before.alert) => merge(&before.alert, alert, now),
            _ => alert,
        };
        let over = is_over(&merged, now);
        let changed = before.is_none_or(|before| {
            let old = &before.alert;
            let words = |alert: &Alert| (alert.annotations.clone(), alert.generator_url.clone());
            !before.kept
                || before.kept_over != over
                || old.starts_at != merged.starts_at
                // A rule says its words again; what was posted may not come again.
                || (merged.cause.is_none() && words(old) != words(&merged))
                || (over && old.ends_at != merged.ends_at)
        });
        let begins = !over && before.is_none_or(|before| is_over(&before.alert, now));
        let kept_over = before.is_some_and(|before| before.kept_over);
        self.0.insert(fingerprint, Held { alert: merged.clone(), kept: !changed, kept_over });
        Ok(Taken { alert: merged, changed, begins })
    }

    /// One of them.
    pub fn one(&self, fingerprint: Fingerprint) -> Option<&Alert> {
        self.0.get(&fingerprint).map(|held| &held.alert)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Alert> {
        self.0.values().map(|held| &held.alert)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that have ended by themselves since they were told, which is to be kept.
    pub fn ended(&self, now: i64) -> Vec<Alert> {
        let ended = self.0.values().filter(|held| !held.kept_over && is_over(&held.alert, now));
        ended.map(|held| held.alert.clone()).collect()
    }

    /// Notes that an alert is kept as it was at a time.
    pub fn kept(&mut self, alert: &Alert, now: i64) {
        if let Some(held) = self.0.get_mut(&alert.fingerprint()) {
            held.kept = held.alert == *alert;
            held.kept_over = is_over(alert, now);
        }
    }

    /// The wall clock jumped to `now`: what is believed until it is told again is believed for as long as it was.
    pub fn shift(&mut self, by: i64, now: i64) {
        self.0.values_mut().for_each(|held| shift(&mut held.alert, by, now));
    }

    /// Forgets those that were over for long.
    pub fn prune(&mut self, now: i64) -> Vec<Alert> {
        let old = |alert: &Alert| alert.ends_at.is_some_and(|end| end.saturating_add(RESOLVED_KEPT) <= now);
        let old: Vec<_> = self.all().filter(|alert| old(alert)).cloned().collect();
        old.iter().for_each(|alert| drop(self.0.remove(&alert.fingerprint())));
        old
    }
}

pub(super) fn is_over(alert: &Alert, now: i64) -> bool {
    alert.ends_at.is_some_and(|end| end <= now)
}

/// Moves the end that follows if an alert is not told again with a clock that jumped to `now`. One that was over before is
/// still.
pub(super) fn shift(alert: &mut Alert, by: i64, now: i64) {
    if is_over(alert, now.saturating_sub(by)) {
        alert.ends_at = alert.ends_at.map(|end| end.min(now));
    } else if alert.timeout {
        alert.ends_at = alert.ends_at.map(|end| end.saturating_add(by));
        alert.updated_at = alert.updated_at.saturating_add(by);
    }
    alert.updated_at = alert.updated_at.min(now);
}

/// Whether one of two tellings begins or ends within the other.
fn overlap(new: &Alert, old: &Alert) -> bool {
    let (new_end, old_end) = (new.ends_at.unwrap_or(i64::MAX), old.ends_at.unwrap_or(i64::MAX));
    // One that covers the other takes its place, which comes to the same.
    (new_end > old.starts_at && new_end < old_end)
        || (new.starts_at > old.starts_at && new.starts_at < old_end)
}

/// One alert of two tellings, of which `new` is the later.
fn merge(old: &Alert, new: Alert, now: i64) -> Alert {
    if new.updated_at < old.updated_at {
        return merge(&new, old.clone(), now);
    }
    let mut merged = new;
    merged.starts_at = merged.starts_at.min(old.starts_at);
    let later = old.ends_at.unwrap_or(i64::MAX) > merged.ends_at.unwrap_or(i64::MAX);
    let old_rules = match is_over(&merged, now) {
        // Of two ends that were told the later one holds.
        true => is_over(old, now) && later,
        // An end that nobody told gives way.
        false => later && !old.timeout,
    };
    if old_rules {
        merged.ends_at = old.ends_at;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::LabelSet;

    fn alert(starts_at: i64, ends_at: Option<i64>, timeout: bool, updated_at: i64) -> Alert {
        Alert {
            labels: LabelSet::from([("alertname".to_owned(), "a".to_owned())]),
            annotations: LabelSet::new(),
            starts_at,
            ends_at,
            timeout,
            updated_at,
            generator_url: String::new(),
            cause: None,
        }
    }

    #[test]
    fn tellings_that_overlap_are_one() {
        // What is held, what is told, what comes of both: begin and end.
        let cases = [
            ((10, 100, true), (20, 110, true), (10, 110)),
            ((10, 100, false), (20, 90, true), (10, 100)),
            ((10, 100, true), (20, 90, true), (10, 90)),
            ((10, 100, true), (20, 30, false), (10, 30)),
            ((10, 30, false), (20, 25, false), (10, 30)),
            ((10, 20, false), (25, 100, true), (25, 100)),
            ((20, 100, true), (10, 110, true), (10, 110)),
        ];
        for (old, new, expected) in cases {
            let mut alerts = Alerts::default();
            alerts.take(alert(old.0, Some(old.1), old.2, 1), 40).unwrap();
            let taken = alerts.take(alert(new.0, Some(new.1), new.2, 2), 40).unwrap();
            assert_eq!(
                (taken.alert.starts_at, taken.alert.ends_at),
                (expected.0, Some(expected.1)),
                "{new:?}"
            );
        }
    }

    #[test]
    fn only_transitions_are_kept() {
        let mut alerts = Alerts::default();
        let mut take = |alert, now| {
            let taken = alerts.take(alert, now).unwrap();
            if taken.changed {
                alerts.kept(&taken.alert, now);
            }
            taken.changed
        };
        assert!(take(alert(10, Some(300), true, 10), 10));
        assert!(!take(alert(10, Some(400), true, 110), 110));
        assert!(take(alert(10, Some(120), false, 120), 120));
        assert!(!take(alert(10, Some(120), false, 130), 130));
        assert!(take(alert(140, Some(500), true, 140), 140));
        assert_eq!(alerts.ended(499).len(), 0);
        let ended = alerts.ended(500);
        assert_eq!(ended.len(), 1);
        alerts.kept(&ended[0], 500);
        assert_eq!(alerts.ended(501).len(), 0);
        assert_eq!(alerts.prune(500 + RESOLVED_KEPT).len(), 1);
    }

    #[test]
    fn what_is_believed_goes_with_a_clock_that_jumps() {
        for by in [3_600_000, -3_600_000] {
            let now = 10_000_000;
            let mut alerts = Alerts::default();
            let over = Alert { labels: LabelSet::new(), ..alert(10, Some(500), true, 10) };
            for alert in [alert(10, Some(now + 300), true, 10), over] {
                alerts.take(alert, 20).unwrap();
            }
            alerts.shift(by, now + by);
            let mut ends: Vec<_> = alerts.all().map(|alert| alert.ends_at.unwrap()).collect();
            ends.sort_unstable();
            assert_eq!(ends, [500, now + by + 300]);
        }
    }

    #[test]
    fn what_is_over_stays_so_when_a_clock_is_set_back() {
        let (now, earlier) = (10_000_000, 6_400_000);
        let over = alert(now - 5_000, Some(now - 1_000), false, now - 1_000);
        let mut alerts = Alerts::default();
        alerts.take(over.clone(), now).unwrap();
        alerts.shift(earlier - now, earlier);
        assert!(alerts.all().all(|alert| is_over(alert, earlier)));
        let restored = Alerts::restore([(over, true)], 300_000, earlier);
        assert!(restored.all().all(|alert| is_over(alert, earlier)));
        // What is told next is the newer, though the clock shows less than when it was told before.
        let fires = alert(0, Some(now + 240_000), true, now);
        let mut restored = Alerts::restore([(fires, false)], 300_000, earlier);
        let ended = restored.take(alert(0, Some(earlier + 10), false, earlier + 10), earlier + 10).unwrap();
        assert!(is_over(&ended.alert, earlier + 10));
    }

    #[test]
    fn after_a_restart_what_fired_waits_to_be_told_again() {
        let kept = [(alert(10, Some(300_010), true, 10), false)];
        let alerts = Alerts::restore(kept, 300_000, 9_000_000);
        assert_eq!(alerts.all().next().and_then(|alert| alert.ends_at), Some(9_300_000));
    }
}
