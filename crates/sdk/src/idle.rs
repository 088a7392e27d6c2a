//! Series that nobody records into any more.
//!
//! A series of a family that counts events (counters, meters, histograms, timers) is left out of what is collected once
//! nothing was recorded for the registry's idle time. It keeps its place and its cells, so handles stay good, and the
//! next recording shows it again with all it ever counted: to a scraper it was absent for a while and never went back.
//! Memory is bounded by the metric's cap. Gauges and up-down counters hold a state, which is true until it changes;
//! they and series that were registered by themselves never expire.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_model::Timestamp;

/// How long nothing has to be recorded into a series of a family before it is left out, if the registry is not told
/// otherwise.
pub const IDLE: Duration = Duration::from_secs(3_600);

/// The series of a metric that may expire.
#[derive(Default)]
pub(crate) struct Idle(Mutex<State>);

#[derive(Default)]
struct State {
    series: BTreeMap<u32, Activity>,
    looked: Option<Timestamp>,
}

/// What a series was like when it last changed.
struct Activity {
    /// A number that is another after a recording; `None` before the first look.
    mark: Option<u64>,
    since: Timestamp,
    hidden: bool,
}

impl Idle {
    /// From now on the series may expire.
    pub(crate) fn note(&self, index: u32) {
        let new = || Activity { mark: None, since: Timestamp(0), hidden: false };
        self.state().series.entry(index).or_insert_with(new);
    }

    /// Looks for series that did not change for the time `idle`; an eighth of it is between two looks. None expire
    /// where it is zero.
    pub(crate) fn tick(&self, idle: Duration, now: Timestamp, mark: impl Fn(u32) -> u64) {
        let idle = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
        let mut state = self.state();
        let wait = |looked: Timestamp| now.millis().saturating_sub(looked.millis()) < idle / 8;
        if state.looked.is_some_and(wait) {
            return;
        }
        state.looked = Some(now);
        for (index, activity) in &mut state.series {
            let mark = Some(mark(*index));
            if activity.mark == mark && idle > 0 {
                activity.hidden = now.millis().saturating_sub(activity.since.millis()) >= idle;
            } else {
                *activity = Activity { mark, since: now, hidden: false };
            }
        }
    }

    /// The series that are left out now. One that has changed since it was last looked at is not.
    pub(crate) fn hidden(&self, mark: impl Fn(u32) -> u64) -> BTreeSet<u32> {
        let state = self.state();
        let hidden = state.series.iter().filter(|(_, activity)| activity.hidden);
        hidden.filter(|(index, activity)| activity.mark == Some(mark(**index))).map(|it| *it.0).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
