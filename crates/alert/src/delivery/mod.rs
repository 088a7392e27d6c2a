//! When a notice is sent, tried again, or given up: decided from plain data, with the time and a die as arguments.
//!
//! Each integration of a receiver has a [`Queue`] of its own with a [`Breaker`] and a rate; none waits for another.
//! [`Machine`] holds them all. The edge takes what is due ([`Machine::due`]), sends it, and tells what came of it
//! ([`Machine::done`]). What it has to write down about that is an [`Outcome`].
//!
//! - Notices of one incident keep their order; others go past one that waits.
//! - A try that fails is repeated after half a second, then 1.5 times as long each time, up to a minute, each time off by up to
//!   half. At the deadline of the notice it goes to the end of its queue and begins anew.
//! - A notice that is a day old is given up, and so is one that its receiver refuses.
//! - The state of a group that waits goes into a newer one, so whoever is back after an hour is told once.
//! - A queue that is full merges notices of a group; what is critical is never given up for that.
//! - A clock that is set makes nothing older, and no wait longer than it was meant.
//! - A notice that is taken back is not sent any more. One that is just being sent is not sent again.

mod breaker;
mod machine;
mod queue;
mod rate;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use breaker::{Breaker, Standing};
pub use machine::{Job, Machine, Pushed};
pub use queue::{QUEUE_MAX, Queue};

use crate::notice::Notice;

/// A notice that is older is given up, in milliseconds.
pub const AGE_MS_MAX: i64 = 24 * 3_600_000;
/// Tries that are remembered of a notice; of more, the first and the last.
pub const ATTEMPTS_MAX: usize = 20;

/// A notice that waits for being sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which one it is, in the order in which they were queued.
    pub id: u64,
    /// What is to be told.
    pub notice: Notice,
    /// Which kind of channel it is for.
    pub channel: String,
    /// When it was queued.
    pub queued_at: i64,
    /// The tries so far.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Of several addresses those that have it already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<String>,
    /// The notices that went into it, without those that went into them before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<u64>,
}

impl Entry {
    /// The wall clock jumped to `now` by so many milliseconds: it is no older for that.
    pub fn shift(&mut self, by: i64, now: i64) {
        self.queued_at = self.queued_at.saturating_add(by.max(0)).min(now);
    }

    /// Remembers a try.
    pub fn note(&mut self, mut attempt: Attempt) {
        self.taken.append(&mut attempt.taken);
        if self.attempts.len() >= ATTEMPTS_MAX {
            self.attempts.remove(1);
        }
        self.attempts.push(attempt);
    }
}

/// One try to send a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: i64,
    /// Whether it was taken.
    pub ok: bool,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it was not taken, or by which of several addresses it never will be.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u64,
    /// Of several addresses those that have it by this try; the notice keeps them.
    #[serde(skip)]
    pub taken: Vec<String>,
}

/// What a try comes to, for who writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent.
    Sent,
    /// It is tried again at this time.
    Again(i64),
    /// It is given up, for this reason.
    Dead(String),
}
