//! One subscriber: what it is subscribed to, and what it is told, one thing after the other.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, ready},
};

use barograph::session::{Cause, Client, Delivery, Observer};

use super::{
    Bus, Events, Handed, Missed, PERFORMANCE, Reason, State, Topic, logged::Logged, publishers::FOLLOWED_MAX,
};
use crate::logging::messages;

/// Who subscribes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subscriber<'a> {
    /// A client that named itself: what it is told counts for it, unless it has another stream.
    Named(&'a str),
    /// One that did not, known by where it calls from: each stream is a client of its own.
    At(&'a str),
}

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// An event.
    Event(Handed),
    /// Events that it did not get were here.
    Missed(Missed),
}

/// Why nobody was subscribed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Too many clients, or one that is gone already.
    #[error("there are too many clients; try again later")]
    Client,
    /// A limit of the sessions.
    #[error("too many subscriptions: {0} was refused")]
    Topic(Topic),
    /// Following a metric asks for it each second.
    #[error("{FOLLOWED_MAX} metrics are listened to already; {0} was refused")]
    Metric(Topic),
}

/// A subscriber, as long as it listens. Its client is gone with it, broken unless [`Subscription::end`] says otherwise.
#[derive(Debug)]
pub(crate) struct Subscription {
    client: Client,
    observer: Option<Observer>,
    /// What was yielded last: asking for more says that it was written.
    written: Option<Delivery>,
    /// What comes behind a mark.
    held: Option<Delivery>,
    marks: VecDeque<Missed>,
    logged: Option<Logged>,
}

impl Events {
    /// Subscribes a client. With the id of the last event it saw, `after`, what came since is told first, as far as it is
    /// kept; 0 is before all.
    ///
    /// # Errors
    /// A limit was reached; nobody is subscribed.
    pub(crate) fn subscribe(
        &self,
        who: Subscriber<'_>,
        topics: &[Topic],
        after: Option<u64>,
    ) -> Result<Subscription, Refused> {
        let mut subscription = self.open(who).ok_or(Refused::Client)?;
        match self.add(&mut subscription, topics, after) {
            Ok(()) => {
                subscription.logged = Some(Logged::begin(self, topics, subscription.client.id()));
                Ok(subscription)
            }
            Err(refused) => {
                subscription.end(Cause::Graceful);
                Err(refused)
            }
        }
    }

    /// Subscribes to more, as [`Events::subscribe`].
    ///
    /// # Errors
    /// A limit was reached; those before the one that is named are subscribed to.
    pub(crate) fn add(
        &self,
        subscription: &mut Subscription,
        topics: &[Topic],
        after: Option<u64>,
    ) -> Result<(), Refused> {
        // Under the lock, so that nothing comes between what is kept and what comes next.
        let mut state = self.state();
        let client = &subscription.client;
        for topic in topics {
            if !state.follow(topic) {
                return Err(Refused::Metric(topic.clone()));
            }
            if !client.subscribe(&topic.piece()) {
                return Err(Refused::Topic(topic.clone()));
            }
        }
        if let Some(after) = after {
            let (events, missed) = state.since(after, topics);
            subscription.marks.extend(missed);
            events.iter().for_each(|event| {
                client.send(event.event());
            });
        }
        Ok(())
    }

    /// Takes subscriptions back.
    pub(crate) fn remove(&self, subscription: &Subscription, topics: &[Topic]) {
        for topic in topics {
            subscription.client.unsubscribe(&topic.piece());
        }
    }

    fn open(&self, who: Subscriber<'_>) -> Option<Subscription> {
        let own = |client: Client| Some((client.observe()?, client));
        let another = |id| {
            // The subscription says when it goes.
            own(self.sessions().connect(Some(id)).detach())
        };
        let (observer, client) = match who {
            Subscriber::Named(id) => own(self.sessions().client(id)).or_else(|| another(id)),
            Subscriber::At(id) => another(id),
        }?;
        let (written, held, marks, logged) = Default::default();
        Some(Subscription { client, observer: Some(observer), written, held, marks, logged })
    }
}

impl State {
    /// Sees to it that a topic which is a metric is published; whether there was room.
    fn follow(&mut self, topic: &Topic) -> bool {
        let metric = topic.name.as_ref().filter(|name| topic.bus == Bus::Metrics && ***name != *PERFORMANCE);
        let Some(metric) = metric else { return true };
        let room = self.followed.contains(metric) || self.followed.len() < FOLLOWED_MAX;
        if room {
            self.followed.insert(metric.clone());
        }
        room
    }
}

impl Subscription {
    /// The next event, or the mark of some that were missed; `None` once the client is gone. What was yielded before
    /// counts as delivered now.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same for whoever writes a stream.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Told>> {
        if let Some(written) = self.written.take() {
            written.delivered();
            messages::forwarded();
        }
        if let Some(missed) = self.marks.pop_front() {
            return Poll::Ready(Some(Told::Missed(missed)));
        }
        loop {
            let delivery = match self.held.take() {
                Some(held) => held,
                None => {
                    let Some(observer) = &mut self.observer else { return Poll::Ready(None) };
                    let Some(delivery) = ready!(observer.poll_next(context)) else {
                        return Poll::Ready(None);
                    };
                    if delivery.missed() > 0 {
                        let count = delivery.missed();
                        self.held = Some(delivery);
                        let missed = Missed { count, exact: true, reason: Reason::Queue };
                        return Poll::Ready(Some(Told::Missed(missed)));
                    }
                    delivery
                }
            };
            if let Some(handed) = Handed::of(delivery.event().clone()) {
                self.written = Some(delivery);
                return Poll::Ready(Some(Told::Event(handed)));
            }
            // Not of the bus, and nothing that a subscriber asked for.
            delivery.delivered();
        }
    }

    /// Whose it is.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Ends it, and says why. What was yielded was written, if it ends in order.
    pub(crate) fn end(mut self, cause: Cause) {
        if let Some(written) = self.written.take()
            && cause == Cause::Graceful
        {
            written.delivered();
        }
        self.leave(cause);
    }

    fn leave(&mut self, cause: Cause) {
        (self.written, self.held, self.observer) = Default::default();
        self.client.disconnect(cause);
        if let Some(logged) = self.logged.take() {
            logged.end(cause.as_str());
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.leave(Cause::Error);
    }
}
