//! Live events: what happens in the server, and what its users tell each other, to everyone who wants to know at once.
//!
//! An event belongs to a topic of a [`Bus`], has a name, a document as JSON and an id. Ids only grow, over all topics and
//! from one start of the server to the next, so that one id says where a subscriber was. Of each topic the last events are
//! kept (`kept.rs`): who comes back with the last id it saw gets what it missed, or is told how many are gone.
//!
//! Subscribers are clients of [`Sessions`]: each has a bounded queue that drops its oldest event, so that nobody who reads
//! slowly holds up another, and all that is sent, delivered and dropped is in the statistics of the client. Events that were
//! dropped leave a mark where they were missed ([`Told::Missed`]). One lock is held from the id of an event to its offer to
//! the last queue: every subscriber sees ids in order.
//!
//! HTTP (`http/events.rs`, `http/socket.rs`) and gRPC only translate what a [`Subscription`] yields.

mod arrivals;
mod instruments;
mod kept;
mod logged;
mod message;
mod publishers;
mod subscription;
mod topic;
mod user;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use barograph::session::{Event, EventKind, Sessions};
use barograph_model::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::{clock::Clock, logging::messages};
pub(crate) use arrivals::announce;
pub(crate) use instruments::{Counts, Instruments};
pub(crate) use kept::{KEPT_MAX, Kept, Missed, Reason};
pub(crate) use message::{Handed, Message};
pub(crate) use publishers::run as publish_while_wanted;
pub(crate) use subscription::{Refused, Subscriber, Subscription, Told};
pub(crate) use topic::{BadTopic, Bus, CLIENTS, KNOWN, PERFORMANCE, SYSTEM, Topic, owned};
pub(crate) use user::{EVENT_BYTES_MAX, EVENTS_PER_SECOND_MAX, Unpublished};

/// Topics of one bus of which events are kept; events of more are told to whoever listens, and not kept.
pub(crate) const TOPICS_MAX: usize = 1_024;
/// A topic without a subscriber of which nothing was heard for so long makes room for another.
const QUIET_MS: i64 = 600_000;
/// Bytes of all events that are kept. The oldest goes first.
pub(crate) const KEPT_BYTES_MAX: usize = 16 << 20;

/// The bus. Cloning is cheap, and clones are the same.
#[derive(Clone)]
pub(crate) struct Events(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Documents that could not be written.
    failed: AtomicU64,
}

/// What is under the lock.
struct State {
    /// The id of the first event since the start, and of the next.
    first: u64,
    next: u64,
    topics: [BTreeMap<Arc<str>, Kept>; Bus::ALL.len()],
    bytes: usize,
    counts: Counts,
    /// Metrics that somebody listens to, or did a moment ago.
    followed: BTreeSet<Arc<str>>,
    /// How many events users published in the second.
    published: (i64, u64),
}

/// What happens to an event of a topic that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unkept {
    /// Subscribers are told, and it is counted.
    Told,
    /// It is refused.
    Refused,
}

/// A topic has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {TOPICS_MAX} topics on this bus, and no room for one more")]
pub(crate) struct TooManyTopics;

impl Events {
    /// Nothing happened yet.
    pub(crate) fn new(sessions: &Sessions, clock: Arc<dyn Clock>) -> Self {
        // Microseconds: more than anybody publishes, and few enough for a script's numbers.
        let first = clock.now().0.unsigned_abs().saturating_mul(1_000).max(1);
        let topics = Default::default();
        let (counts, followed, published) = Default::default();
        let state = State { first, next: first, topics, bytes: 0, counts, followed, published };
        let state = Mutex::new(state);
        Self(Arc::new(Inner { sessions: sessions.clone(), clock, state, failed: AtomicU64::new(0) }))
    }

    /// The clients that may subscribe.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// What tells them the time.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Tells all subscribers of `topic` on `bus`: `event` is its name, `document` is told as JSON. Never waits for a
    /// subscriber; keeps the last events of each topic.
    pub(crate) fn publish(&self, bus: Bus, topic: &str, event: &str, document: &impl Serialize) {
        self.publish_as(EventKind::PIECE, bus, topic, event, document);
    }

    /// The same for events that statistics count apart.
    pub(crate) fn publish_as(
        &self,
        kind: EventKind,
        bus: Bus,
        topic: &str,
        event: &str,
        document: &impl Serialize,
    ) {
        match serde_json::to_vec(document) {
            Ok(document) => self.publish_written(kind, bus, topic, event, document.into()),
            Err(error) => {
                self.0.failed.fetch_add(1, Relaxed);
                tracing::warn!(topic, event, %error, "an event cannot be written as JSON");
            }
        }
    }

    /// Tells what became of the server itself.
    pub(crate) fn system(&self, event: &str) {
        let document = json!({"version": crate::VERSION, "timestamp": self.0.clock.now().to_rfc3339()});
        self.publish_as(EventKind::SERVER, Bus::Health, SYSTEM, event, &document);
    }

    /// The same of a document that is JSON already, without line breaks.
    pub(crate) fn publish_written(
        &self,
        kind: EventKind,
        bus: Bus,
        topic: &str,
        event: &str,
        document: Bytes,
    ) {
        // Where there is no room, subscribers are told all the same.
        let _ = self.tell(kind, (bus, topic), event, document, Unkept::Told);
    }

    /// Whether somebody listens to a topic, so that what is costly to know is worth knowing.
    pub(crate) fn wanted(&self, bus: Bus, topic: &str) -> bool {
        self.subscribers(bus, topic) > 0
    }

    /// How many listen to a topic, by itself or with its whole bus.
    pub(crate) fn subscribers(&self, bus: Bus, topic: &str) -> u64 {
        let whole = topic::whole(bus, topic);
        self.0.sessions.subscribers(&topic::piece(bus, topic)) + self.0.sessions.subscribers(&whole)
    }

    /// How many listen to a topic, by itself or with its whole bus; to a whole bus, how many listen to all of it.
    pub(crate) fn subscribers_of(&self, topic: &Topic) -> u64 {
        match topic.key() {
            Some(key) => self.subscribers(topic.bus, &key),
            None => self.0.sessions.subscribers(&topic.piece()),
        }
    }

    /// The bus in numbers.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        let failed = self.0.failed.load(Relaxed);
        Counts { failed, kept_bytes: state.bytes, ..state.counts }
    }

    /// Looks at each topic.
    pub(crate) fn each_topic(&self, mut look: impl FnMut(Bus, &str, &Kept)) {
        let state = self.state();
        for bus in Bus::ALL {
            state.topics[bus.index()].iter().for_each(|(topic, kept)| look(bus, topic, kept));
        }
    }

    fn tell(
        &self,
        kind: EventKind,
        (bus, topic): (Bus, &str),
        name: &str,
        document: Bytes,
        unkept: Unkept,
    ) -> Result<u64, TooManyTopics> {
        let at = self.0.clock.now();
        let mut state = self.state();
        let known = state.topics[bus.index()].get_key_value(topic).map(|(topic, _)| topic.clone());
        let room = known.is_some() || self.make_room(&mut state, bus, at);
        if !room && unkept == Unkept::Refused {
            state.counts.refused += 1;
            return Err(TooManyTopics);
        }
        let topic = known.unwrap_or_else(|| topic.into());
        if room {
            state.topics[bus.index()].entry(topic.clone()).or_default();
        } else {
            state.counts.unkept += 1;
        }
        let id = state.next;
        state.next += 1;
        state.counts.published[bus.index()] += 1;
        let (piece, whole) = (topic::piece(bus, &topic), topic::whole(bus, &topic));
        let shown = match owned(&topic) {
            (None, _) => topic.clone(),
            (Some(_), shown) => shown.into(),
        };
        let event = Event::carrying(kind, piece.clone(), Message::new(id, (bus, shown), name, at, document));
        self.0.sessions.publish_to(&event, &[&piece, &whole]);
        if let (true, Some(handed)) = (room, Handed::of(event)) {
            state.keep(bus, &topic, handed);
        }
        drop(state);
        messages::broadcast(bus.name());
        Ok(id)
    }

    /// Metrics that somebody listens to.
    fn followed(&self) -> BTreeSet<Arc<str>> {
        let mut state = self.state();
        let listened =
            |metric: &Arc<str>| self.0.sessions.subscribers(&topic::piece(Bus::Metrics, metric)) > 0;
        state.followed.retain(listened);
        state.followed.clone()
    }

    /// Whether there is room for a topic more: one that is quiet and that nobody listens to makes it.
    fn make_room(&self, state: &mut State, bus: Bus, now: Timestamp) -> bool {
        let topics = &mut state.topics[bus.index()];
        if topics.len() < TOPICS_MAX {
            return true;
        }
        let quiet = |kept: &Kept| kept.last().is_none_or(|last| now.0 - last.0 >= QUIET_MS);
        let idle = topics.iter().filter(|(topic, kept)| {
            quiet(kept) && self.0.sessions.subscribers(&topic::piece(bus, topic)) == 0
        });
        let Some(oldest) = idle.min_by_key(|(_, kept)| kept.last()).map(|(topic, _)| topic.clone()) else {
            return false;
        };
        let gone = topics.remove(&oldest).map_or(0, |kept| kept.bytes());
        state.bytes -= gone;
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, bus: Bus, topic: &str, event: Handed) {
        let Some(kept) = self.topics[bus.index()].get_mut(topic) else { return };
        let before = kept.bytes();
        kept.push(event);
        self.bytes = self.bytes + kept.bytes() - before;
        while self.bytes > KEPT_BYTES_MAX {
            let topics = self.topics.iter_mut().flat_map(BTreeMap::values_mut);
            let oldest = topics.filter(|kept| kept.oldest().is_some()).min_by_key(|kept| kept.oldest());
            let Some(oldest) = oldest else { break };
            self.bytes -= oldest.forget();
        }
    }

    /// What of these topics came after an event, in order, and what of it is not kept any more.
    fn since(&self, after: u64, topics: &[Topic]) -> (Vec<Handed>, Option<Missed>) {
        // An id of another life: nobody knows how many came after it.
        let other_life = after >= self.next || (after > 0 && after + 1 < self.first);
        let after = if other_life { 0 } else { after };
        let mut events = BTreeMap::new();
        let mut missed = Missed { count: 0, exact: !other_life, reason: Reason::Forgotten };
        let mut add = |kept: &Kept| {
            let (count, exact) = kept.forgotten_since(after);
            missed.count += count;
            missed.exact &= exact;
            events.extend(kept.since(after).map(|event| (event.id, event.clone())));
        };
        let mut whole = [false; Bus::ALL.len()];
        for topic in topics.iter().filter(|topic| topic.name.is_none()) {
            if !std::mem::replace(&mut whole[topic.bus.index()], true) {
                let all = self.topics[topic.bus.index()].iter();
                all.filter(|(key, _)| topic.has_owner_of(key)).for_each(|(_, kept)| add(kept));
            }
        }
        for topic in topics.iter().filter(|topic| !whole[topic.bus.index()]) {
            let kept = topic.key().and_then(|key| self.topics[topic.bus.index()].get(&key));
            kept.into_iter().for_each(&mut add);
        }
        if other_life {
            missed.reason = Reason::Restarted;
        }
        let any = missed.count > 0 || !missed.exact;
        (events.into_values().collect(), any.then_some(missed))
    }
}

#[cfg(test)]
mod tests;
