//! What a thread has recorded by name before, so that it need not ask again.

use std::{
    cell::RefCell,
    hash::{DefaultHasher, Hash, Hasher},
};

use hashbrown::HashTable;

use super::RecordKind;
use crate::{metric::Kind, scope::Attributes};

/// How many name and attribute sets a thread remembers; then it starts anew.
const REMEMBERED_MAX: usize = 4_096;

/// Where a record goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) index: u32,
    /// What brings the value into the unit of the metric.
    pub(super) scale: f64,
}

/// What a record is of.
#[derive(Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) recorder: u64,
    pub(super) kind: RecordKind,
    pub(super) name: &'a str,
    pub(super) unit: Option<&'a str>,
    /// Of the open scopes.
    pub(super) outer: &'a Attributes,
    /// Its own, which win.
    pub(super) inner: &'a Attributes,
}

impl<'a> Key<'a> {
    /// The attributes by name.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (mut outer, mut inner) = (self.outer.iter().peekable(), self.inner.iter().peekable());
        std::iter::from_fn(move || match (outer.peek(), inner.peek()) {
            (Some((o, _)), Some((i, _))) if o < i => outer.next(),
            (Some((o, _)), Some((i, _))) => {
                if o == i {
                    outer.next();
                }
                inner.next()
            }
            (Some(_), None) => outer.next(),
            _ => inner.next(),
        })
    }

    pub(super) fn hash(&self) -> u64 {
        let mut state = DefaultHasher::new();
        (self.recorder, self.kind, self.name, self.unit).hash(&mut state);
        self.pairs().for_each(|pair| pair.hash(&mut state));
        state.finish()
    }
}

struct Seen {
    hash: u64,
    recorder: u64,
    kind: RecordKind,
    name: Box<str>,
    unit: Option<Box<str>>,
    pairs: Box<[(Box<str>, Box<str>)]>,
    target: Target,
}

impl Seen {
    fn is(&self, key: &Key<'_>) -> bool {
        let pairs = self.pairs.iter().map(|(name, value)| (&**name, &**value));
        (self.recorder, self.kind, &*self.name, self.unit.as_deref())
            == (key.recorder, key.kind, key.name, key.unit)
            && pairs.eq(key.pairs())
    }
}

thread_local! {
    static SEEN: RefCell<HashTable<Seen>> = const { RefCell::new(HashTable::new()) };
}

/// Where records of this key go, if this thread has sent one there.
pub(super) fn find(hash: u64, key: &Key<'_>) -> Option<Target> {
    let find =
        |seen: &RefCell<HashTable<Seen>>| seen.borrow().find(hash, |seen| seen.is(key)).map(|s| s.target);
    // While the thread ends there may be no memory left.
    SEEN.try_with(find).ok().flatten()
}

/// Remembers where records of this key go.
pub(super) fn remember(hash: u64, key: &Key<'_>, target: Target) {
    let pairs = key.pairs().map(|(name, value)| (name.into(), value.into())).collect();
    let (name, unit) = (key.name.into(), key.unit.map(Into::into));
    let new = Seen { hash, recorder: key.recorder, kind: key.kind, name, unit, pairs, target };
    let _ = SEEN.try_with(|seen| {
        let mut seen = seen.borrow_mut();
        if seen.len() >= REMEMBERED_MAX {
            seen.clear();
        }
        seen.insert_unique(hash, new, |seen| seen.hash);
    });
}
