//! Overrides of schedules that were set while running: somebody takes over for a while.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use barograph_alert::incident::{Override, Schedule};
use barograph_state::{Table, View};
use serde::{Deserialize, Serialize};

use super::Incidents;

/// So many are kept; more are refused.
const OVERRIDES_MAX: usize = 10_000;
/// One is kept so long after its end, for who looks back.
const KEPT_MS: i64 = 400 * 86_400_000;
/// One is no longer than that.
const LENGTH_MAX_MS: i64 = 366 * 86_400_000;

const OVERRIDES: Table<String, Kept> = Table::new("oncall_overrides");

/// An override and the schedule it is of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    schedule: String,
    by: String,
    of: Override,
}

/// Why an override is not set or not taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OverrideRefused {
    #[error("there is no schedule {0:?}; `schedules` of the file of `alertmanager_config` has them")]
    Schedule(String),
    #[error("there is no receiver `{0}` by which the user `{0}` is told; add it to `receivers`")]
    User(String),
    #[error("there is no override {0:?}; those of the file are taken back there")]
    Unknown(String),
    #[error("{0}")]
    Wrong(&'static str),
    #[error("there are {OVERRIDES_MAX} overrides already; take some back")]
    TooMany,
    #[error("it could not be stored")]
    NotStored(#[from] barograph_state::Error),
}

pub(super) fn load(view: &View) -> Result<BTreeMap<String, Kept>, barograph_state::Error> {
    Ok(view.all(&OVERRIDES)?.into_iter().collect())
}

impl Incidents {
    fn overrides(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.0.overrides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schedules with all overrides: those of the file, then those that were set, in order.
    pub(crate) fn schedules(&self) -> BTreeMap<String, Schedule> {
        let mut schedules = self.config().schedules.clone();
        for kept in self.overrides().values() {
            if let Some(schedule) = schedules.get_mut(&kept.schedule) {
                schedule.overrides.push(kept.of.clone());
            }
        }
        schedules
    }

    /// Somebody takes over. Durable when it returns; blocks on the disk.
    pub(crate) fn set_override(
        &self,
        schedule: &str,
        user: &str,
        (start, end): (i64, i64),
        by: &str,
    ) -> Result<Override, OverrideRefused> {
        if !self.config().schedules.contains_key(schedule) {
            return Err(OverrideRefused::Schedule(schedule.to_owned()));
        }
        if user.is_empty() || user.len() > 256 {
            return Err(OverrideRefused::Wrong("user: a name of 1 to 256 bytes is needed"));
        }
        let config = self.config();
        // Where nobody is paged by it, it is there to be read.
        let is_paged = config.policies.values().any(|policy| policy.asks(schedule));
        if is_paged && !config.receivers.contains_key(user) {
            return Err(OverrideRefused::User(user.to_owned()));
        }
        if end <= start || end - start > LENGTH_MAX_MS {
            return Err(OverrideRefused::Wrong("end: it is after start, by at most 366 days"));
        }
        let mut all = self.overrides();
        if all.len() >= OVERRIDES_MAX {
            return Err(OverrideRefused::TooMany);
        }
        // Ids go up, so that the one that was set last counts.
        let last = all.keys().next_back().and_then(|id| id.strip_prefix("override-")?.parse::<u64>().ok());
        let id = format!("override-{:012}", last.unwrap_or(0) + 1);
        let of = Override { id: id.clone(), user: user.to_owned(), start, end };
        let kept = Kept { schedule: schedule.to_owned(), by: by.to_owned(), of: of.clone() };
        self.0.state.write(|batch| batch.put(&OVERRIDES, &id, &kept))?;
        all.insert(id, kept);
        Ok(of)
    }

    /// Takes one back. Durable when it returns; blocks on the disk.
    pub(crate) fn remove_override(&self, schedule: &str, id: &str) -> Result<(), OverrideRefused> {
        let mut all = self.overrides();
        if all.get(id).is_none_or(|kept| kept.schedule != schedule) {
            return Err(OverrideRefused::Unknown(id.to_owned()));
        }
        self.0.state.write(|batch| batch.remove(&OVERRIDES, &id.to_owned()))?;
        all.remove(id);
        Ok(())
    }

    pub(super) fn prune_overrides(&self) {
        let before = self.now() - KEPT_MS;
        let mut all = self.overrides();
        let old: Vec<String> =
            all.iter().filter(|(_, kept)| kept.of.end < before).map(|(id, _)| id.clone()).collect();
        if old.is_empty() {
            return;
        }
        let removed =
            self.0.state.write(|batch| old.iter().try_for_each(|id| batch.remove(&OVERRIDES, id).map(drop)));
        if removed.is_ok() {
            old.iter().for_each(|id| drop(all.remove(id)));
        }
    }
}
