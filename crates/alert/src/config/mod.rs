//! `alertmanager.yml`: who is told of which alerts, read strictly.
//!
//! A plain file of Alertmanager works. Ours may also have `escalation_policies` and `schedules`, and `escalation: NAME` on a
//! route. A key that is not known, a receiver or interval that is not there: each is a mistake with its place.

mod called;
mod intervals;
mod read;
mod receivers;
mod routes;

use std::collections::BTreeMap;

pub use crate::channels::Channel;
use crate::incident::{Policy, Schedule};
pub use crate::routing::{InhibitRule, Route, TimeInterval};
pub use called::check_called;
pub use read::parse;
pub use receivers::Receiver;

/// An alert that nobody tells again is over after this, in milliseconds, unless the configuration says otherwise.
pub const RESOLVE_TIMEOUT: i64 = 300_000;

/// All of it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The root of the tree.
    pub route: Route,
    /// Who can be told, by name.
    pub receivers: BTreeMap<String, Receiver>,
    /// Which alerts say so much that others need not be told.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Recurring times by name.
    pub time_intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// What holds for all.
    pub global: Global,
    /// Patterns of the files that hold templates.
    pub templates: Vec<String>,
    /// Who is asked next if nobody acknowledges, by name.
    pub policies: BTreeMap<String, Policy>,
    /// Who is on call when, by name.
    pub schedules: BTreeMap<String, Schedule>,
}

/// What holds for all.
#[derive(Clone, Debug)]
pub struct Global {
    /// An alert that nobody tells again is over after this, in milliseconds.
    pub resolve_timeout: i64,
    /// What channels have in common.
    pub channels: crate::channels::Global,
}

impl Default for Global {
    fn default() -> Self {
        Self { resolve_timeout: RESOLVE_TIMEOUT, channels: crate::channels::Global::default() }
    }
}

/// The receiver there is without a configuration: the pages and the live stream.
pub const DASHBOARD: &str = "dashboard";

impl Default for Config {
    fn default() -> Self {
        let receiver = Receiver { name: DASHBOARD.to_owned(), channels: vec![Channel::dashboard()] };
        let mut route = Route::root(DASHBOARD);
        route.settle();
        Self {
            route,
            receivers: BTreeMap::from([(DASHBOARD.to_owned(), receiver)]),
            inhibit_rules: Vec::new(),
            time_intervals: BTreeMap::new(),
            global: Global::default(),
            templates: Vec::new(),
            policies: BTreeMap::new(),
            schedules: BTreeMap::new(),
        }
    }
}
