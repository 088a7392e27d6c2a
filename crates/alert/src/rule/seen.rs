//! What a rule measured before, so that it knows when something is missing.

use std::collections::{BTreeMap, BTreeSet};

use barograph_model::{Labels, Timestamp};

use super::{Alert, Moment, RuleError, State};
use crate::kinds::{Missing, Standing};

/// Series that one rule remembers at most.
const SEEN_MAX: usize = 100_000;
/// What is missing for longer than this is gone for good.
const FORGOTTEN_MS: i64 = 24 * 3_600_000;

/// Alerts as they would be, of all series that were measured within a day, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(BTreeMap<Labels, (Alert, i64)>);

/// What is known of alerts besides what holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Judged {
    /// Those that stay as they are.
    pub(super) kept: BTreeSet<Labels>,
    /// Those of which it is known that they are well.
    pub(super) well: BTreeSet<Labels>,
}

impl Seen {
    /// Alerts whose series were there until a time.
    pub(super) fn remember(&mut self, alerts: impl Iterator<Item = Alert>, at: Timestamp) {
        self.0.extend(alerts.take(SEEN_MAX).map(|alert| {
            let new = Alert { state: State::Pending, fired_at: None, keep_firing_since: None, ..alert };
            (new.labels.clone(), (new, at.millis()))
        }));
    }

    /// The wall clock jumped by so many milliseconds: nothing is missing for longer for that.
    pub(super) fn shift(&mut self, by: i64) {
        self.0.values_mut().for_each(|(_, last)| *last = last.saturating_add(by));
    }

    /// Tells what holds, and which alerts stay as they are: those in the band, and those whose series is missing if that
    /// is what `missing` says.
    ///
    /// # Errors
    /// More would have to be remembered than a rule may.
    pub(super) fn judge(
        &mut self,
        measured: Vec<(Alert, Standing)>,
        missing: Missing,
        alerts: &BTreeMap<Labels, Alert>,
        moment: Moment,
    ) -> Result<(Vec<Alert>, Judged), RuleError> {
        let (mut holds, mut kept, mut well) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut present = BTreeSet::new();
        let at = moment.at.millis();
        for (alert, standing) in measured {
            if missing == Missing::Alert {
                if self.0.len() >= SEEN_MAX && !self.0.contains_key(&alert.labels) {
                    let found = self.0.len() + 1;
                    return Err(RuleError::Limit { limit: SEEN_MAX, found, what: "series to be missed" });
                }
                self.0.insert(alert.labels.clone(), (alert.clone(), at));
            }
            present.insert(alert.labels.clone());
            match standing {
                Standing::Holds => holds.push(alert),
                Standing::Band => drop(kept.insert(alert.labels)),
                Standing::Well => drop(well.insert(alert.labels)),
            }
        }
        match missing {
            Missing::Resolve => {}
            Missing::Keep => {
                let active = alerts.values().filter(|alert| alert.state != State::Inactive);
                let gone = active.filter(|alert| !present.contains(&alert.labels));
                kept.extend(gone.map(|alert| alert.labels.clone()));
            }
            Missing::Alert => {
                self.0.retain(|_, (_, last)| at.saturating_sub(*last) <= FORGOTTEN_MS);
                let gone = self.0.iter().filter(|(labels, _)| !present.contains(*labels));
                holds.extend(gone.map(|(_, (alert, _))| Alert {
                    value: f64::NAN,
                    active_at: moment.at,
                    ..alert.clone()
                }));
            }
        }
        Ok((holds, Judged { kept, well }))
    }
}
