//! The last events of a topic, for those who come back, and how many were there before them.

use std::collections::VecDeque;

use barograph_model::Timestamp;
use serde::Serialize;

use super::Handed;

/// Events of a topic that are kept.
pub(crate) const KEPT_MAX: usize = 1_024;
/// Bytes of a topic's events that are kept; the newest is kept whatever its size.
pub(crate) const KEPT_TOPIC_BYTES_MAX: usize = 1 << 20;
/// Events of which nothing but the id is kept, to tell exactly how many somebody missed.
const FORGOTTEN_MAX: usize = 1_024;

/// The events of a topic.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// How many there ever were since the start.
    pub(crate) published: u64,
    last: Option<Timestamp>,
    events: VecDeque<Handed>,
    bytes: usize,
    forgotten: VecDeque<u64>,
    /// Whether all that are not kept are among the forgotten.
    unknown: bool,
}

/// What a subscriber did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Missed {
    /// How many events.
    pub(crate) count: u64,
    /// Whether it was exactly so many; at least so many otherwise.
    pub(crate) exact: bool,
    /// Why.
    pub(crate) reason: Reason,
}

/// Why events were missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reason {
    /// The subscriber reads more slowly than events come: its queue was full.
    Queue,
    /// It came back so late that they are not kept any more.
    Forgotten,
    /// The server started since.
    Restarted,
}

impl Kept {
    pub(super) fn push(&mut self, event: Handed) {
        self.published += 1;
        self.last = Some(event.at);
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.events.len() > KEPT_MAX || (self.bytes > KEPT_TOPIC_BYTES_MAX && self.events.len() > 1) {
            self.forget();
        }
    }

    /// Forgets the oldest, and says how many bytes that gave.
    pub(super) fn forget(&mut self) -> usize {
        let Some(event) = self.events.pop_front() else { return 0 };
        if self.forgotten.len() == FORGOTTEN_MAX {
            self.forgotten.pop_front();
            self.unknown = true;
        }
        self.forgotten.push_back(event.id);
        self.bytes -= event.bytes();
        event.bytes()
    }

    /// Bytes of those that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// The id of the oldest that is kept.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.events.front().map(|event| event.id)
    }

    /// When the newest was told.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// The id of the newest.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.events.back().map(|event| event.id)
    }

    /// Those after an id.
    pub(super) fn since(&self, after: u64) -> impl Iterator<Item = &Handed> {
        let begin = self.events.partition_point(|event| event.id <= after);
        self.events.range(begin..)
    }

    /// How many after an id are not kept any more, and whether it is exactly so many.
    pub(super) fn forgotten_since(&self, after: u64) -> (u64, bool) {
        let begin = self.forgotten.partition_point(|id| *id <= after);
        let known = begin > 0 || !self.unknown;
        ((self.forgotten.len() - begin) as u64, known)
    }
}
