//! Who is told of an alert, and when: what Alertmanager does, decided from plain data.
//!
//! [`Alert`] is one alert as it is routed, whoever raised it: a rule, a Prometheus that posts it, or a person. [`Alerts`] holds
//! those there are; [`Route`] is the tree they go down; [`Dispatcher`] has them in groups and says when which receiver is told,
//! by what its [`Log`] says was told before; [`Announcements`] are for who watches live; [`Muting`] is what keeps that from happening: [`Silences`], [`Maintenance`],
//! [`Inhibitor`], [`TimeInterval`].

mod alert;
mod alerts;
mod announce;
mod dispatch;
pub mod interval;
mod log;
mod maintenance;
mod matcher;
mod muting;
mod notices;
mod silence;
#[cfg(test)]
mod tests;
mod tree;

pub use alert::{Alert, Cause, Fingerprint, LabelSet, Severity};
pub use alerts::{ALERTS_MAX, Alerts, RESOLVED_KEPT, Taken, TooMany};
pub use announce::Announcements;
pub use dispatch::{Dispatcher, Flush, GROUPS_MAX, GroupView, NOTICE_ALERTS_MAX, Told};
pub use interval::TimeInterval;
pub use log::{Entry, Log, LogKey, Sets};
pub use maintenance::{Every, Kept as KeptMaintenance, MAINTENANCE_MAX, Maintenance, Recurrence};
pub use matcher::{MatcherDocument, Matchers, shown};
pub use muting::{InhibitRule, Inhibitor, MuteKind, MutedBy, Mutes, Muting};
pub use silence::{SILENCE_KEPT, SILENCES_MAX, Silence, SilenceError, SilenceState, Silences};
pub use tree::{GROUP_INTERVAL, GROUP_WAIT, GroupBy, REPEAT_INTERVAL, Route};
