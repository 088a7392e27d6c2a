//! Leaving a receiver alone that does not answer.

use serde::Serialize;

/// Failures one after another that open it.
const FAILURES: u32 = 5;
/// How long it stays open before a try, in milliseconds.
const OPEN_MS: i64 = 30_000;

/// Leaves a receiver alone for a while after failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// Until when nobody is asked.
    open_until: Option<i64>,
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// All is sent.
    Closed,
    /// Nothing is sent.
    Open,
    /// One try is allowed.
    HalfOpen,
}

impl Breaker {
    /// When something may be sent at the earliest.
    pub const fn opens_at(&self) -> Option<i64> {
        self.open_until
    }

    /// How it stands at a time.
    pub fn standing(&self, now: i64) -> Standing {
        match self.open_until {
            None => Standing::Closed,
            Some(until) if now < until => Standing::Open,
            Some(_) => Standing::HalfOpen,
        }
    }

    /// No clock that was set makes it stay open for longer.
    pub(super) fn reach(&mut self, now: i64) {
        self.open_until = self.open_until.map(|until| until.min(now.saturating_add(OPEN_MS)));
    }

    /// A clock jumped by so much.
    pub(super) fn shift(&mut self, by: i64) {
        self.open_until = self.open_until.map(|until| until.saturating_add(by));
    }

    /// Somebody answered.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Nobody answered, or an answer was that it cannot be taken now.
    pub fn failed(&mut self, now: i64) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.open_until = Some(now.saturating_add(OPEN_MS));
        }
    }
}
