//! What was told within the last minute, so that it is not told at each evaluation.
//!
//! An alert is due that was not told for [`RESEND`], or that says something new: it began, began again, or ended. What was told
//! longer ago is due whatever is known of it, so it is forgotten, and what is held here is bounded by what a minute brings.

use std::collections::HashMap;

use barograph_alert::{
    raised::RESEND,
    routing::{Alert, Fingerprint},
};
use barograph_model::Timestamp;

/// Of no more alerts than this is it known that they were told; any beyond are told at each evaluation.
pub(super) const TOLD_MAX: usize = 100_000;

/// What was told of late.
#[derive(Debug, Default)]
pub(super) struct Told {
    alerts: HashMap<Fingerprint, Sent>,
    /// When what is old was forgotten.
    pruned_at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    at: i64,
    starts_at: i64,
    over: bool,
}

/// What is to be told now.
#[derive(Debug)]
pub(super) struct Due<'a> {
    pub(super) alerts: Vec<&'a Alert>,
    /// How many of them will be told again sooner than they need, as too many are known.
    pub(super) unremembered: u64,
}

impl Told {
    /// Those of a rule's alerts that are to be told now, and from now on count as told.
    pub(super) fn due<'a>(&mut self, alerts: &'a [Alert], now: Timestamp) -> Due<'a> {
        self.prune(now.millis());
        let mut due = Due { alerts: Vec::new(), unremembered: 0 };
        for alert in alerts {
            let sent = Sent { at: now.millis(), starts_at: alert.starts_at, over: alert.resolved(now) };
            let fingerprint = alert.fingerprint();
            let has_room = self.alerts.len() < TOLD_MAX;
            match self.alerts.get_mut(&fingerprint) {
                Some(known) if known.holds(sent) => continue,
                Some(known) => *known = sent,
                None if has_room => drop(self.alerts.insert(fingerprint, sent)),
                None => due.unremembered += 1,
            }
            due.alerts.push(alert);
        }
        due
    }

    /// Forgets what is due anyway. A clock that was set back makes all of it due.
    fn prune(&mut self, now: i64) {
        if (0..RESEND).contains(&now.saturating_sub(self.pruned_at)) && self.alerts.len() < TOLD_MAX {
            return;
        }
        self.alerts.retain(|_, sent| sent.is_recent(now));
        self.pruned_at = now;
    }
}

impl Sent {
    /// Whether telling this would say nothing new.
    fn holds(self, next: Self) -> bool {
        self.is_recent(next.at) && (self.starts_at, self.over) == (next.starts_at, next.over)
    }

    fn is_recent(self, now: i64) -> bool {
        (0..RESEND).contains(&now.saturating_sub(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onward::message::tests::alert;

    /// At which of these seconds an alert is told that fires from second 0 and ends at another.
    #[track_caller]
    fn check(end: i64, evaluations: &[i64], expected: &[i64]) {
        let mut told = Told::default();
        let mut found = Vec::new();
        for at in evaluations {
            let mut alert = alert("a", 0);
            alert.ends_at = Some(if *at >= end { end * 1000 } else { at * 1000 + 4 * RESEND });
            if !told.due(&[alert], Timestamp(at * 1000)).alerts.is_empty() {
                found.push(*at);
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn alerts_are_told_at_changes_and_each_minute() {
        check(1000, &[0, 15, 30, 45, 60, 75, 119, 120], &[0, 60, 120]);
        check(20, &[0, 15, 30, 45, 60, 75, 90], &[0, 30, 90]);
        // Evaluated once a minute it is told once a minute.
        check(1000, &[0, 60, 120, 180], &[0, 60, 120, 180]);
        // A clock that is set back holds nothing up.
        check(1000, &[500, 510, 100, 110, 160], &[500, 100, 160]);
    }

    #[test]
    fn one_that_begins_again_is_told_at_once() {
        let mut told = Told::default();
        let mut at = |starts: i64, now: i64| told.due(&[alert("a", starts)], Timestamp(now)).alerts.len();
        assert_eq!([at(0, 1000), at(0, 2000), at(2500, 3000), at(2500, 4000)], [1, 0, 1, 0]);
    }

    #[test]
    fn what_is_known_is_bounded() {
        let mut told = Told::default();
        let alerts: Vec<_> = (0..TOLD_MAX + 2).map(|n| alert(&n.to_string(), 0)).collect();
        let mut due = |now| {
            let due = told.due(&alerts, Timestamp(now));
            (due.alerts.len(), due.unremembered)
        };
        assert_eq!(due(0), (TOLD_MAX + 2, 2));
        assert_eq!(due(1000), (2, 2));
        assert_eq!(due(RESEND), (TOLD_MAX + 2, 2));
    }
}
