//! What the registry holds of one client, and all clients of a server by their id.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
};

use super::{
    cells::{ClientCells, LANES},
    failure::cut,
    method::Usage,
    queue::Queue,
    time::{Moment, Stamp},
};

/// The client that stands for all that are beyond the limit of clients.
pub const OVERFLOW_CLIENT: &str = "__overflow__";

/// The most bytes of a client's id; longer ones are cut between two characters.
pub const CLIENT_ID_BYTES_MAX: usize = 128;

/// Parts of the table of clients, each with a lock of its own.
const PARTS: usize = 16;

/// Why a client went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It said so, or the server drained in order.
    Graceful,
    /// The transport broke, the handler panicked, or nobody said why.
    Error,
    /// It was silent for too long, or its time was up.
    Timeout,
}

impl Cause {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }
}

/// A client. Its statistics outlive it as long as somebody holds this.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Arc<str>,
    /// The how many-th client it is; 0 is the one that stands for many.
    pub(super) number: u64,
    pub(super) connected: Moment,
    pub(super) gone: OnceLock<(Moment, Cause)>,
    pub(super) cells: ClientCells,
    pub(super) usage: Usage,
    pub(super) queue: Queue,
    own: Mutex<Own>,
}

/// What is touched seldom, and grows.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) pieces: BTreeSet<Arc<str>>,
    pub(super) accessed: BTreeSet<Arc<str>>,
    pub(super) message: Option<Arc<str>>,
}

impl Entry {
    fn new(id: Arc<str>, number: u64, now: Moment) -> Arc<Self> {
        let cells = ClientCells { last_activity: Stamp::at(now), ..ClientCells::default() };
        Arc::new(Self {
            id,
            number,
            connected: now,
            gone: OnceLock::new(),
            cells,
            usage: Usage::default(),
            queue: Queue::default(),
            own: Mutex::default(),
        })
    }

    pub(super) const fn is_overflow(&self) -> bool {
        self.number == 0
    }

    /// The lane of the server's statistics that it records into.
    #[inline]
    pub(super) fn lane(&self) -> usize {
        usize::try_from(self.number % LANES as u64).unwrap_or(0)
    }

    pub(super) fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that the client touched a piece; whether there was room.
    pub(super) fn accessed(&self, piece: &str, max: usize) -> bool {
        let mut own = self.own();
        let room = own.accessed.len() < max;
        if room && !own.accessed.contains(piece) {
            let name = own.pieces.get(piece).cloned().unwrap_or_else(|| piece.into());
            own.accessed.insert(name);
        }
        room || own.accessed.contains(piece)
    }

    pub(super) fn failed(&self, now: Moment, message: &str) {
        self.cells.last_error.set(now);
        let mut own = self.own();
        if own.message.as_deref() != Some(cut(message)) {
            own.message = Some(cut(message).into());
        }
    }
}

/// Clients by id.
type Part = HashMap<Arc<str>, Arc<Entry>, RandomState>;

/// The clients that are connected, and the last that were.
#[derive(Debug)]
pub(super) struct Clients {
    hasher: RandomState,
    parts: [RwLock<Part>; PARTS],
    count: AtomicUsize,
    numbers: AtomicU64,
    finished: Mutex<VecDeque<Arc<Entry>>>,
    /// Connections that found no room.
    pub(super) refused: AtomicU64,
    overflow: Arc<Entry>,
    max: usize,
    finished_max: usize,
}

/// What became of a client that wants in.
pub(super) enum Admitted {
    New(Arc<Entry>),
    /// The id is taken by this one.
    Known(Arc<Entry>),
    /// There is no room: the one that stands for many.
    Overflow(Arc<Entry>),
}

impl Clients {
    pub(super) fn new(max: usize, finished_max: usize) -> Self {
        let hasher = RandomState::new();
        Self {
            parts: std::array::from_fn(|_| RwLock::new(HashMap::with_hasher(hasher.clone()))),
            hasher,
            count: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            finished: Mutex::default(),
            refused: AtomicU64::new(0),
            overflow: Entry::new(OVERFLOW_CLIENT.into(), 0, Moment(0)),
            max,
            finished_max,
        }
    }

    pub(super) fn overflow(&self) -> &Arc<Entry> {
        &self.overflow
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Entry>> {
        self.part(id).read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// One that is not connected any more, the last of that id.
    pub(super) fn find_finished(&self, id: &str) -> Option<Arc<Entry>> {
        self.finished().iter().rev().find(|entry| &*entry.id == id).cloned()
    }

    pub(super) fn admit(&self, id: &str, now: Moment) -> Admitted {
        let mut part = self.part(id).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = part.get(id) {
            return Admitted::Known(known.clone());
        }
        let room = |count: usize| (count < self.max).then_some(count + 1);
        if self.count.fetch_update(AcqRel, Relaxed, room).is_err() {
            self.refused.fetch_add(1, Relaxed);
            return Admitted::Overflow(self.overflow.clone());
        }
        let id: Arc<str> = id.into();
        let entry = Entry::new(id.clone(), self.numbers.fetch_add(1, Relaxed) + 1, now);
        part.insert(id, entry.clone());
        Admitted::New(entry)
    }

    /// An id that nobody has.
    pub(super) fn fresh_id(&self, wanted: Option<&str>) -> String {
        let number = self.numbers.load(Relaxed) + 1;
        match wanted {
            Some(wanted) => format!("{wanted}#{number}"),
            None => format!("client-{number}"),
        }
    }

    /// Takes a client out, which must have been admitted.
    pub(super) fn remove(&self, entry: &Arc<Entry>) {
        let removed = self.part(&entry.id).write().unwrap_or_else(PoisonError::into_inner).remove(&entry.id);
        if removed.is_some() {
            self.count.fetch_sub(1, AcqRel);
        }
        let mut finished = self.finished();
        finished.push_back(entry.clone());
        while finished.len() > self.finished_max {
            finished.pop_front();
        }
    }

    /// All that are connected, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.matching(|_| true)
    }

    pub(super) fn matching(&self, fits: impl Fn(&Entry) -> bool) -> Vec<Arc<Entry>> {
        let mut all = Vec::new();
        for part in &self.parts {
            let part = part.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(part.values().filter(|entry| fits(entry)).cloned());
        }
        all
    }

    /// The last that were connected, the newest first.
    pub(super) fn last(&self) -> Vec<Arc<Entry>> {
        self.finished().iter().rev().cloned().collect()
    }

    fn finished(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, id: &str) -> &RwLock<Part> {
        let hash = self.hasher.hash_one(id);
        &self.parts[usize::try_from(hash >> 60).unwrap_or(0) % PARTS]
    }
}

/// The id, cut to [`CLIENT_ID_BYTES_MAX`].
pub(super) fn cut_id(id: &str) -> &str {
    &id[..id.floor_char_boundary(CLIENT_ID_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_small() {
        assert!(size_of::<Entry>() <= 1_280, "{} bytes", size_of::<Entry>());
        assert!(size_of::<ClientCells>() <= 1_024, "{} bytes", size_of::<ClientCells>());
    }

    #[test]
    fn clients_come_and_go() {
        let clients = Clients::new(2, 1);
        let admit = |id: &str| match clients.admit(id, Moment(1)) {
            Admitted::New(entry) => ("new", entry),
            Admitted::Known(entry) => ("known", entry),
            Admitted::Overflow(entry) => ("overflow", entry),
        };
        let (word, a) = admit("a");
        assert_eq!(word, "new");
        assert_eq!(admit("a").0, "known");
        let b = admit("b").1;
        assert_eq!(admit("c").0, "overflow");
        assert!(clients.overflow().is_overflow());
        clients.remove(&a);
        clients.remove(&b);
        assert!(clients.find("a").is_none() && clients.find_finished("a").is_none());
        assert_eq!(clients.find_finished("b").map(|entry| entry.number), Some(2));
        assert_eq!(admit("c").0, "new");
        assert_eq!((clients.all().len(), clients.refused.load(Relaxed)), (1, 1));
    }
}
