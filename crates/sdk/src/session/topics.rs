//! Who is subscribed to which piece. A piece is anything that several clients work on: a document, a room, a topic.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::entry::Entry;

/// The pieces that have subscribers.
#[derive(Debug, Default)]
pub(super) struct Topics(HashMap<Arc<str>, Piece>);

#[derive(Debug, Default)]
struct Piece {
    /// By the number of the client.
    subscribers: HashMap<u64, Arc<Entry>>,
    events: u64,
}

/// What became of a wish to subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscribed {
    /// It is, among so many.
    Yes {
        subscribers: u64,
    },
    Already,
    /// A limit was reached.
    Refused,
}

/// How clients share pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collaboration {
    /// Pieces with a subscriber.
    pub pieces: u64,
    /// Pieces with two and more.
    pub shared: u64,
    /// Groups of two and more clients that are connected by sharing pieces.
    pub groups: u64,
    /// The pieces with most subscribers: their name, subscribers, and events published.
    pub largest: Vec<(Arc<str>, u64, u64)>,
}

/// How many pieces [`Collaboration::largest`] names.
const LARGEST: usize = 20;

impl Topics {
    pub(super) fn subscribe(
        &mut self,
        entry: &Arc<Entry>,
        own: &mut BTreeSet<Arc<str>>,
        piece: &str,
        (per_client, all): (usize, usize),
    ) -> Subscribed {
        if own.contains(piece) {
            return Subscribed::Already;
        }
        let known = self.0.get_key_value(piece).map(|(name, _)| name.clone());
        if own.len() >= per_client || (known.is_none() && self.0.len() >= all) {
            return Subscribed::Refused;
        }
        let name = known.unwrap_or_else(|| piece.into());
        let subscribers = &mut self.0.entry(name.clone()).or_default().subscribers;
        subscribers.insert(entry.number, entry.clone());
        own.insert(name);
        Subscribed::Yes { subscribers: subscribers.len() as u64 }
    }

    /// Whether it was subscribed.
    pub(super) fn unsubscribe(&mut self, entry: &Entry, own: &mut BTreeSet<Arc<str>>, piece: &str) -> bool {
        let Some(name) = own.take(piece) else { return false };
        if let Some(piece) = self.0.get_mut(&name) {
            piece.subscribers.remove(&entry.number);
            if piece.subscribers.is_empty() {
                self.0.remove(&name);
            }
        }
        true
    }

    /// Counts an event of the piece, and adds those that are to have it.
    pub(super) fn publish(&mut self, piece: &str, recipients: &mut Vec<Arc<Entry>>) {
        if let Some(piece) = self.0.get_mut(piece) {
            piece.events += 1;
            recipients.extend(piece.subscribers.values().cloned());
        }
    }

    /// How many there are.
    pub(super) fn subscribers(&self, piece: &str) -> u64 {
        self.0.get(piece).map_or(0, |piece| piece.subscribers.len() as u64)
    }

    /// Looks at all subscriptions.
    pub(super) fn collaboration(&self) -> Collaboration {
        let shared = self.0.values().filter(|piece| piece.subscribers.len() > 1);
        let mut groups = Groups::default();
        for piece in shared.clone() {
            let mut members = piece.subscribers.keys();
            if let Some(first) = members.next() {
                members.for_each(|member| groups.join(*first, *member));
            }
        }
        let of =
            |(name, piece): (&Arc<str>, &Piece)| (name.clone(), piece.subscribers.len() as u64, piece.events);
        let mut largest: Vec<_> = self.0.iter().map(of).collect();
        largest.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        largest.truncate(LARGEST);
        Collaboration {
            pieces: self.0.len() as u64,
            shared: shared.count() as u64,
            groups: groups.count(),
            largest,
        }
    }
}

/// Clients that are connected, each pointing at another of its group, the last at itself.
#[derive(Default)]
struct Groups(HashMap<u64, u64>);

impl Groups {
    fn join(&mut self, a: u64, b: u64) {
        let (a, b) = (self.root(a), self.root(b));
        self.0.insert(a, b);
    }

    fn root(&mut self, client: u64) -> u64 {
        let mut at = client;
        loop {
            let up = *self.0.entry(at).or_insert(at);
            if up == at {
                return at;
            }
            // Half of the way is cut off for the next who goes it.
            let further = *self.0.entry(up).or_insert(up);
            self.0.insert(at, further);
            at = further;
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().filter(|(client, up)| client == up).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_what_is_connected() {
        let mut groups = Groups::default();
        for (a, b) in [(1, 2), (2, 3), (4, 5), (3, 1), (6, 6)] {
            groups.join(a, b);
        }
        assert_eq!(groups.count(), 3);
        groups.join(5, 1);
        assert_eq!(groups.count(), 2);
    }
}
