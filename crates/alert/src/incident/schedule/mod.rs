//! Who is on call when: layers of people who take turns, and overrides.
//!
//! The last layer that has somebody at a time counts, and an override counts before all layers. A layer always has somebody
//! from its start on, but for the hours that its restrictions leave out. Turns change at a time of day on the clock of the
//! schedule's time zone, so that daylight saving moves no handover; turns of hours count hours that went by.
//!
//! In a configuration:
//!
//! ```yaml
//! schedules:
//!   payments:
//!     time_zone: Europe/Berlin
//!     layers:
//!       - name: weeks
//!         users: [ann, bo]
//!         rotation: weekly          # daily, weekly, or a span of hours such as 12h
//!         start: 2026-01-05T09:00   # the first handover
//!       - name: nights
//!         users: [cy]
//!         rotation: daily
//!         start: 2026-01-05T22:00
//!         restrictions:
//!           - {from: "22:00", to: "06:00", weekdays: [friday, saturday]}
//!     overrides:
//!       - {user: di, start: 2026-01-06T00:00, end: 2026-01-07T00:00}
//! ```

mod layer;
mod read;

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

pub use layer::{Layer, Restriction, Rotation};

/// So many shifts are told at once.
const SHIFTS_MAX: usize = 1_000;
/// So many changes of a schedule are looked at to tell shifts.
const STEPS_MAX: usize = 20_000;

/// Somebody is on call in place of who would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// What tells it apart.
    pub id: String,
    /// Who.
    pub user: String,
    /// From then on, in milliseconds since the epoch.
    pub start: i64,
    /// Until then.
    pub end: i64,
}

/// Who is on call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnCall {
    /// Who.
    pub user: String,
    /// By which layer, or `override`.
    pub by: String,
}

/// Somebody is on call for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// Who.
    pub user: String,
    /// From then on, in milliseconds since the epoch.
    pub start: i64,
    /// Until then.
    pub end: i64,
}

/// Who is on call when.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Where its clock hangs.
    pub zone: TimeZone,
    /// The name of that.
    pub time_zone: String,
    /// People who take turns; of those that have somebody, the last counts.
    pub layers: Vec<Layer>,
    /// Exceptions; of those that hold, the last counts.
    pub overrides: Vec<Override>,
}

impl Schedule {
    /// Everybody it names.
    pub fn people(&self) -> BTreeSet<&str> {
        let turns = self.layers.iter().flat_map(|layer| &layer.users);
        turns.chain(self.overrides.iter().map(|it| &it.user)).map(String::as_str).collect()
    }

    /// Who is on call at a time.
    pub fn on_call(&self, at: i64) -> Option<OnCall> {
        let overridden = self.overrides.iter().rev().find(|it| it.start <= at && at < it.end);
        if let Some(found) = overridden {
            return Some(OnCall { user: found.user.clone(), by: "override".to_owned() });
        }
        let time = Timestamp::from_millisecond(at).ok()?;
        self.layers.iter().rev().find_map(|layer| {
            let user = layer.on_call(time, &self.zone)?;
            Some(OnCall { user: user.to_owned(), by: layer.name.clone() })
        })
    }

    /// The first time after another at which somebody else may be on call.
    pub fn next_change(&self, after: i64) -> Option<i64> {
        let time = Timestamp::from_millisecond(after).ok()?;
        let layers = self.layers.iter().filter_map(|layer| layer.next_change(time, &self.zone));
        let layers = layers.map(Timestamp::as_millisecond);
        let overrides = self.overrides.iter().flat_map(|it| [it.start, it.end]);
        layers.chain(overrides).filter(|&at| at > after).min()
    }

    /// Who is on call from one time to another, one after the other; at most `SHIFTS_MAX`.
    pub fn shifts(&self, start: i64, end: i64) -> Vec<Shift> {
        let mut shifts: Vec<Shift> = Vec::new();
        let mut at = start;
        for _ in 0..STEPS_MAX {
            if at >= end || shifts.len() > SHIFTS_MAX {
                break;
            }
            let next = self.next_change(at).unwrap_or(end).min(end);
            if let Some(on_call) = self.on_call(at) {
                match shifts.last_mut() {
                    Some(last) if last.user == on_call.user && last.end == at => last.end = next,
                    _ => shifts.push(Shift { user: on_call.user, start: at, end: next }),
                }
            }
            at = next;
        }
        shifts.truncate(SHIFTS_MAX);
        shifts
    }
}

#[cfg(test)]
mod tests;
