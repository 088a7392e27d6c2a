//! Where pieces are kept: as many as there is room for, those that are used longer than others.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use barograph_model::Version;

use super::{
    grid::{Numbered, Numbers},
    piece::Piece,
};
use crate::Options;

/// What pieces are of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Whose data they were made of.
    pub(super) owner: Option<Arc<str>>,
    /// The query, with the places of its parts.
    pub(super) text: String,
    pub(super) options: Options,
    pub(super) steps: Numbered,
    /// Whether infos are kept with them.
    pub(super) infos: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shelf {
    queries: HashMap<Arc<Key>, Query>,
    /// Each piece once, the next to go first. One that was used meanwhile goes to the back instead.
    turns: VecDeque<(Arc<Key>, i64)>,
    bytes: usize,
    bytes_max: usize,
}

/// The pieces of a query by their blocks.
#[derive(Debug, Default)]
pub(super) struct Query {
    slots: BTreeMap<i64, Slot>,
    /// Whether its answers come with messages, so that each piece must be evaluated by itself.
    pub(super) speaks: bool,
}

#[derive(Debug)]
struct Slot {
    piece: Arc<Piece>,
    /// It was right then.
    version: Version,
    used: bool,
    bytes: usize,
}

/// What a look for the piece of a block finds.
pub(super) enum Found {
    Piece(Arc<Piece>),
    /// There is one, and it is right no more.
    Changed,
    Nothing,
}

impl Shelf {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { queries: HashMap::new(), turns: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(super) fn pieces(&self) -> usize {
        self.turns.len()
    }

    /// Sets how many bytes there may be; how many pieces went.
    pub(super) fn limit(&mut self, bytes_max: usize) -> usize {
        self.bytes_max = bytes_max;
        self.evict()
    }

    pub(super) fn query(&mut self, key: &Key) -> Option<&mut Query> {
        self.queries.get_mut(key)
    }

    /// Puts a piece in the place of the one before; how many others went.
    pub(super) fn put(&mut self, key: &Arc<Key>, block: i64, piece: Arc<Piece>, version: Version) -> usize {
        let bytes = piece.bytes();
        if bytes > self.bytes_max / 2 {
            return 0;
        }
        let (key, query) = self.open(key);
        match query.slots.insert(block, Slot { piece, version, used: false, bytes }) {
            Some(before) => self.bytes -= before.bytes,
            None => self.turns.push_back((key, block)),
        }
        self.bytes += bytes;
        self.evict()
    }

    /// Notes that the answers of a query come with messages.
    pub(super) fn speaks(&mut self, key: &Arc<Key>) {
        let (key, query) = self.open(key);
        let is_new = query.slots.is_empty() && !query.speaks;
        query.speaks = true;
        if is_new {
            // A turn without a piece: when it comes, the query goes if it has none.
            self.turns.push_back((key, i64::MAX));
        }
    }

    /// The pieces of a query, and the key under which they are kept.
    fn open(&mut self, key: &Arc<Key>) -> (Arc<Key>, &mut Query) {
        let known = self.queries.get_key_value(key).map(|known| known.0.clone());
        let key = known.unwrap_or_else(|| {
            self.bytes += weight(key);
            key.clone()
        });
        let query = self.queries.entry(key.clone()).or_default();
        (key, query)
    }

    fn evict(&mut self) -> usize {
        let mut gone = 0;
        while self.bytes > self.bytes_max {
            let Some((key, block)) = self.turns.pop_front() else { break };
            let Some(query) = self.queries.get_mut(&*key) else { continue };
            if let Some(slot) = query.slots.get_mut(&block)
                && std::mem::take(&mut slot.used)
            {
                self.turns.push_back((key, block));
                continue;
            }
            if let Some(slot) = query.slots.remove(&block) {
                self.bytes -= slot.bytes;
                gone += 1;
            }
            if query.slots.is_empty() {
                self.queries.remove(&*key);
                self.bytes -= weight(&key);
            }
        }
        gone
    }
}

impl Query {
    /// The piece of a block, if it has the wanted steps and `holds` since it was right; then it does as of `now`.
    pub(super) fn find(
        &mut self,
        block: i64,
        wanted: Numbers,
        now: Version,
        holds: impl FnOnce(&Piece, Version) -> bool,
    ) -> Found {
        let Some(slot) = self.slots.get_mut(&block) else { return Found::Nothing };
        // What was said of some steps need not be true of fewer.
        let fits =
            slot.piece.steps.contains(wanted) && (slot.piece.steps == wanted || !slot.piece.said.has_notes());
        if !fits {
            return Found::Nothing;
        }
        if slot.version < now {
            if !holds(&slot.piece, slot.version) {
                return Found::Changed;
            }
            slot.version = now;
        }
        slot.used = true;
        Found::Piece(slot.piece.clone())
    }

    /// A piece before a block, if there is one.
    pub(super) fn before(&self, block: i64) -> Option<Arc<Piece>> {
        self.slots.range(..block).next_back().map(|(_, slot)| slot.piece.clone())
    }
}

/// Bytes of a key and its place, roughly.
fn weight(key: &Key) -> usize {
    size_of::<Key>() + size_of::<Query>() + key.text.len() + 64
}
