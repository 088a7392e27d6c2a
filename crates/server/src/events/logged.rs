//! What the log is told of subscribers: when the first of a topic comes, and when the last goes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Bus, Events, Topic};
use crate::logging::messages::{self, Worker};

/// Subscriptions are numbered, so that the two lines of one can be told to belong together.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// A subscription that the log was told of.
pub(super) struct Logged {
    events: Events,
    topics: Vec<Topic>,
    subscriber: String,
    number: u64,
}

impl std::fmt::Debug for Logged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logged({})", self.number)
    }
}

impl Logged {
    /// Someone is subscribed to these.
    pub(super) fn begin(events: &Events, topics: &[Topic], subscriber: &str) -> Self {
        let number = NUMBERS.fetch_add(1, Relaxed);
        let logged = Self {
            events: events.clone(),
            topics: topics.to_vec(),
            subscriber: subscriber.to_owned(),
            number,
        };
        for topic in logged.topics.iter().filter(|topic| logged.listeners(topic) == 1) {
            messages::worker_activated(logged.worker(&topic.piece(), topic.bus));
            if topic.bus == Bus::Health {
                messages::subscribed_to_health(&topic.piece());
            }
        }
        logged
    }

    /// It ended.
    pub(super) fn end(self, reason: &str) {
        for topic in self.topics.iter().filter(|topic| self.listeners(topic) == 0) {
            messages::worker_terminated(reason, self.worker(&topic.piece(), topic.bus));
        }
    }

    fn listeners(&self, topic: &Topic) -> u64 {
        self.events.sessions().subscribers(&topic.piece())
    }

    fn worker<'a>(&'a self, topic: &'a str, bus: Bus) -> Worker<'a> {
        let (store, subscriber) = (bus.name(), self.subscriber.as_str());
        Worker { topic, store, scheduler: "tokio", pid: self.number, subscriber }
    }
}
