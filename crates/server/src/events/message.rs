//! An event as it goes over the bus: one copy for everyone who keeps it or waits for it.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use barograph::session::{Event, Payload};
use barograph_model::Timestamp;
use bytes::Bytes;

use super::Bus;

/// An event.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its id. Later events have greater ones, whatever their topic.
    pub(crate) id: u64,
    /// Where it was told.
    pub(crate) bus: Bus,
    /// On which topic.
    pub(crate) topic: Arc<str>,
    /// What kind of thing happened.
    pub(crate) name: Box<str>,
    /// When it was told.
    pub(crate) at: Timestamp,
    /// What happened, as JSON without line breaks.
    pub(crate) document: Bytes,
    frame: OnceLock<Bytes>,
}

impl Message {
    pub(super) fn new(
        id: u64,
        (bus, topic): (Bus, Arc<str>),
        name: &str,
        at: Timestamp,
        document: Bytes,
    ) -> Self {
        Self { id, bus, topic, name: name.into(), at, document, frame: OnceLock::new() }
    }

    /// It as a server-sent event, made once for all streams.
    pub(crate) fn frame(&self) -> Bytes {
        self.frame
            .get_or_init(|| {
                let head = format!("event: {}\nid: {}\ndata: ", self.name, self.id);
                [head.as_bytes(), &self.document, b"\n\n"].concat().into()
            })
            .clone()
    }

    /// What keeping it takes, about.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.document.len()
    }
}

impl Payload for Message {
    fn bytes(&self) -> &[u8] {
        &self.document
    }
}

/// A message as the sessions hand it on. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Handed(Event);

impl Handed {
    /// `None` if the event is not of the bus.
    pub(super) fn of(event: Event) -> Option<Self> {
        event.downcast::<Message>().is_some().then_some(Self(event))
    }

    pub(super) fn event(&self) -> &Event {
        &self.0
    }
}

impl Deref for Handed {
    type Target = Message;

    fn deref(&self) -> &Message {
        self.0.downcast().expect("only events of the bus are handed on")
    }
}
