//! Incidents: that somebody takes what fires, and that others are asked if nobody does.
//!
//! An incident is the time in which one group of a route fires. In the order one needs them:
//!
//! 1. [`Policy`]: who is asked after whom, and how long each has. [`Target`]s name people, schedules, receivers and channels.
//! 2. [`Schedule`]: who is on call when, from layers that rotate and overrides.
//! 3. [`Incident`]: its state, its acknowledgement, its deadline. It changes by [`Act`]s of people, by what fires, and by time.
//! 4. [`Book`]: all incidents; the one way to change them. Each [`Change`] says what to store, whom to page, and which queued
//!    pages are off; [`notices`] are what those who are paged are told.
//! 5. [`Row`]: what happened, one line each, never changed: the timeline. [`statistics`] are made of incidents.
//! 6. [`document`]: what others are told, field by field.
//! 7. [`Link`]: signed, acknowledges one incident in one name.
//!
//! Deadlines are absolute. One that passed while nobody looked fires once. Whoever acknowledged or resolved is not asked
//! again, whatever the clock does: an incident that is not open has no deadline of an escalation.

mod book;
pub mod document;
mod link;
mod pages;
mod policy;
mod recipients;
mod schedule;
mod state;
pub mod statistics;
mod timeline;

pub use book::{Book, Change, Early, Fired, KEPT_MAX, Page, Refused, Standing};
pub use link::{BadLink, Link, LinkKey};
pub use pages::notices;
pub use policy::{Level, Policy, Target, Then, built_in_policies};
pub use recipients::{Recipients, Surrounding, recipients};
pub use schedule::{Layer, OnCall, Override, Restriction, Rotation, Schedule, Shift};
pub use state::{Ack, Act, Deadline, Escalation, Incident, Member, State};
pub use timeline::{Kind, Row};
