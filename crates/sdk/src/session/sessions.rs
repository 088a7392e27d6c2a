//! The registry: clients come, call, subscribe, are told of events, and go.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::Duration,
};

use barograph_model::Timestamp;

use super::{
    Cause, Client, Connection, Event, EventKind, Lifetime, Method, OTHER, Settings,
    analytics::Extra,
    cells::{Count, ServerCells},
    entry::{Admitted, Clients, Entry, cut_id},
    failure::RecentErrors,
    method::{Methods, Minutes},
    queue::Offered,
    time::{Clock, Moment},
    topics::{Subscribed, Topics},
};
use crate::{
    Error, Family, Histogram, Outcome, Registry, Unit,
    requests::{GRPC_STATUSES, REQUEST_BOUNDS},
    window::Watch,
};

/// HTTP statuses that are counted one by one: 100 to 599.
const HTTP_STATUSES: usize = 500;

/// The clients of a server and all statistics of it. Cloning is cheap, and clones are the same.
///
/// See the [module](super) for what it is about.
#[derive(Clone, Debug)]
#[doc(alias("ClientRegistry", "client-registry", "server-statistics", "EventHub"))]
pub struct Sessions(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    registry: Registry,
    pub(super) settings: Settings,
    pub(super) lifetime: Lifetime,
    pub(super) clock: Clock,
    pub(super) cells: ServerCells,
    pub(super) clients: Clients,
    pub(super) methods: Methods,
    pub(super) kinds: Kinds,
    topics: Mutex<Topics>,
    pub(super) recent: RecentErrors,
    pub(super) statuses: Statuses,
    pub(super) minutes: Minutes,
    /// Queues that are open.
    pub(super) streams: AtomicUsize,
    pub(super) refused_subscriptions: AtomicU64,
    pub(super) refused_accesses: AtomicU64,
    pub(super) durations: Watch<Histogram>,
    serialization: Family<Histogram, 1>,
    pub(super) serializations: Watch<Histogram>,
    pub(super) extras: RwLock<Vec<Extra>>,
    listener: OnceLock<Listener>,
}

/// Who is told of clients that come and go.
struct Listener(Box<Announce>);

type Announce = dyn Fn(&str, Option<Cause>) + Send + Sync;

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// How many clients an event went to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Clients to whose queue it was offered.
    pub recipients: u64,
    /// Queues of these that were full.
    pub overflowed: u64,
}

impl Sessions {
    /// Sessions that measure calls in a registry of their own, which nobody exposes.
    pub fn new(settings: Settings) -> Self {
        Self::at(settings, Lifetime::default(), Clock::system())
    }

    /// The same with a time and a past of their own.
    pub fn at(settings: Settings, lifetime: Lifetime, clock: Clock) -> Self {
        Self::register(&Registry::new(), settings, lifetime, clock)
            .expect("an empty registry takes every well-formed group")
    }

    /// Sessions whose calls are the histogram `session_call_duration_seconds{method}` of a registry, and whose messages
    /// `session_serialization_duration_seconds{message}`. Where its [`Registry::tick`] is called, percentiles are those of the last minutes. It lives as long as the process.
    ///
    /// # Errors
    /// The registry has another metric of this name.
    pub fn register(
        registry: &Registry,
        settings: Settings,
        lifetime: Lifetime,
        clock: Clock,
    ) -> Result<Self, Error> {
        let name = "session_call_duration";
        let histogram = registry.histogram(name).unit(Unit::Seconds).bounds(&REQUEST_BOUNDS);
        let durations = histogram.help("Time that calls of clients took, by method.").family(["method"])?;
        let coding = "session_serialization_duration";
        let histogram = registry.histogram(coding).unit(Unit::Seconds);
        let help = "Time that messages took to be encoded or decoded, by type of message.";
        let serialization = histogram.help(help).family(["message"])?;
        Ok(Self(Arc::new(Inner {
            serialization,
            serializations: registry.watch(coding).expect("it was registered above"),
            clients: Clients::new(settings.clients_max, settings.finished_max),
            methods: Methods::new(settings.methods_max, durations),
            kinds: Kinds::new(settings.kinds_max),
            durations: registry.watch(name).expect("it was registered above"),
            registry: registry.clone(),
            settings,
            lifetime,
            clock,
            cells: ServerCells::default(),
            topics: Mutex::default(),
            recent: RecentErrors::default(),
            statuses: Statuses::default(),
            minutes: Minutes::default(),
            streams: AtomicUsize::new(0),
            refused_subscriptions: AtomicU64::new(0),
            refused_accesses: AtomicU64::new(0),
            extras: RwLock::default(),
            listener: OnceLock::new(),
        })))
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What is to be kept until the next start.
    pub fn lifetime(&self) -> Lifetime {
        Lifetime { before: self.totals(), ..self.0.lifetime }
    }

    /// When the server started.
    pub fn started(&self) -> Timestamp {
        self.0.clock.start()
    }

    pub(super) fn now(&self) -> Moment {
        self.0.clock.now()
    }

    /// A client connects, and is connected until the guard says otherwise. If the id is taken it gets another that
    /// begins with it; without an id, a made one.
    #[doc(alias("update-server-connection-stats", "register-client"))]
    pub fn connect(&self, id: Option<&str>) -> Connection {
        let now = self.now();
        let clients = &self.0.clients;
        let mut name = id.map_or_else(|| clients.fresh_id(None), |id| cut_id(id).to_owned());
        loop {
            match clients.admit(&name, now) {
                Admitted::New(entry) => return Connection::new(self.arrived(entry)),
                Admitted::Overflow(entry) => return Connection::new(self.client_of(entry)),
                Admitted::Known(_) => name = clients.fresh_id(Some(cut_id(id.unwrap_or("client")))),
            }
        }
    }

    /// The client of this id, which is connected from now on if it was not. For protocols without connections, whose
    /// clients go by [`Client::disconnect`] and [`Sessions::sweep`].
    pub fn client(&self, id: &str) -> Client {
        let id = cut_id(id);
        if let Some(entry) = self.0.clients.find(id) {
            return self.client_of(entry);
        }
        match self.0.clients.admit(id, self.now()) {
            Admitted::New(entry) => self.arrived(entry),
            Admitted::Known(entry) | Admitted::Overflow(entry) => self.client_of(entry),
        }
    }

    /// The client of this id, if it is connected.
    pub fn find(&self, id: &str) -> Option<Client> {
        self.0.clients.find(id).map(|entry| self.client_of(entry))
    }

    /// Clients that are connected, in no order.
    pub fn clients(&self) -> Vec<Client> {
        self.0.clients.all().into_iter().map(|entry| self.client_of(entry)).collect()
    }

    /// It is `now`: the window of percentiles and rates moves on, that of the whole registry. To be called every second or
    /// so, unless the registry is told already.
    pub fn tick(&self, now: Timestamp) {
        self.0.registry.tick(now);
    }

    /// Streams of events that are open.
    pub fn open_streams(&self) -> u64 {
        self.0.streams.load(Relaxed) as u64
    }

    /// Disconnects clients that neither called nor listened for so long, and returns how many. To be called now and
    /// then.
    pub fn sweep(&self, idle: Duration) -> u64 {
        let now = self.now();
        let silent = |entry: &Entry| {
            let last = entry.cells.last_activity.get().unwrap_or(entry.connected);
            now.since(last) >= idle && entry.cells.concurrent.get().0 == 0 && !entry.queue.is_open()
        };
        let gone = self.0.clients.matching(silent);
        gone.iter().for_each(|entry| self.leave(entry, Cause::Timeout));
        gone.len() as u64
    }

    /// The method of this name. Takes no lock, and allocates for a name that is new.
    #[inline]
    pub fn method(&self, name: &str) -> Method {
        self.0.methods.find(name).clone()
    }

    /// The kind of events of this name, one of a few texts. Takes a lock.
    pub fn kind(&self, name: &str) -> EventKind {
        self.0.kinds.find(name)
    }

    /// A message of this type was encoded or decoded, which took so long. Types are few: those beyond the limit of series
    /// of a metric are counted as one.
    #[doc(alias = "serialization.duration")]
    pub fn serialized(&self, message: &str, took: Duration) {
        self.0.serialization.with([message]).record_duration(took);
    }

    /// The name of a kind of events.
    pub fn kind_name(&self, kind: EventKind) -> Arc<str> {
        self.0.kinds.name(kind)
    }

    /// Tells an event to all clients with an open stream; one of a piece to its subscribers.
    #[doc(alias = "create-and-queue-event")]
    pub fn publish(&self, event: &Event) -> Published {
        let recipients = match event.piece() {
            Some(piece) => return self.publish_to(event, &[piece]),
            None if self.0.streams.load(Relaxed) == 0 => Vec::new(),
            None => self.0.clients.matching(|entry| entry.queue.is_open()),
        };
        self.0.cells.published.add(1);
        self.tell(event, &recipients)
    }

    /// Tells an event to the subscribers of any of these pieces, to each once: of a room, and of the house it is in.
    pub fn publish_to(&self, event: &Event, pieces: &[&str]) -> Published {
        let mut recipients = Vec::new();
        {
            let mut topics = self.topics();
            for piece in pieces {
                let known = recipients.len();
                topics.publish(piece, &mut recipients);
                if known > 0 && recipients.len() > known {
                    recipients.sort_unstable_by_key(|entry: &Arc<Entry>| entry.number);
                    recipients.dedup_by_key(|entry| entry.number);
                }
            }
        }
        self.0.cells.published.add(1);
        self.tell(event, &recipients)
    }

    /// How many clients are subscribed to a piece.
    pub fn subscribers(&self, piece: &str) -> u64 {
        self.topics().subscribers(piece)
    }

    /// Tells `listener` of clients that come, and of those that go with their cause, in place of the events of
    /// [`Settings::announce`]. It is called at once and must neither wait nor call these sessions. Only the first is kept.
    pub fn announce_to(&self, listener: impl Fn(&str, Option<Cause>) + Send + Sync + 'static) {
        let _ = self.0.listener.set(Listener(Box::new(listener)));
    }

    /// Tells an event to these.
    pub(super) fn tell(&self, event: &Event, recipients: &[Arc<Entry>]) -> Published {
        let now = self.now();
        let Settings { queue_capacity, queue_policy, .. } = self.0.settings;
        let mut published = Published::default();
        let mut to_go = Vec::new();
        for entry in recipients {
            let lane = &self.0.cells.lanes[entry.lane()];
            let cells = (&entry.cells.queue, lane);
            let offered = entry.queue.offer(event, now, cells, (queue_capacity, queue_policy));
            published.recipients += u64::from(offered != Offered::Closed);
            published.overflowed += u64::from(matches!(offered, Offered::Overflowed | Offered::Disconnect));
            if offered == Offered::Disconnect {
                to_go.push(entry);
            }
        }
        to_go.into_iter().for_each(|entry| self.leave(entry, Cause::Error));
        published
    }

    pub(super) fn client_of(&self, entry: Arc<Entry>) -> Client {
        Client { sessions: self.clone(), entry }
    }

    fn arrived(&self, entry: Arc<Entry>) -> Client {
        self.0.cells.connected.add(1);
        self.0.cells.clients.raise();
        self.announce(EventKind::CONNECT, &entry, None);
        self.client_of(entry)
    }

    /// A client goes. Whoever says so first says why.
    pub(super) fn leave(&self, entry: &Arc<Entry>, cause: Cause) {
        let now = self.now();
        if entry.is_overflow() || entry.gone.set((now, cause)).is_err() {
            return;
        }
        self.release(entry);
        if entry.queue.end() {
            self.0.streams.fetch_sub(1, AcqRel);
        }
        let cells = &self.0.cells;
        let lasted = now.0.saturating_sub(entry.connected.0);
        cells.connection_micros.add(lasted);
        cells.shortest_session.see(lasted);
        cells.longest_session.see(lasted);
        cells.disconnected[cause as usize].add(1);
        cells.clients.lower(1);
        self.0.clients.remove(entry);
        self.announce(EventKind::DISCONNECT, entry, Some(cause));
    }

    fn announce(&self, kind: EventKind, of: &Arc<Entry>, cause: Option<Cause>) {
        if let Some(Listener(listener)) = self.0.listener.get() {
            return listener(&of.id, cause);
        }
        if !self.0.settings.announce || self.0.streams.load(Relaxed) == 0 {
            return;
        }
        let others = self.0.clients.matching(|entry| entry.queue.is_open() && entry.number != of.number);
        if !others.is_empty() {
            self.0.cells.published.add(1);
            self.tell(&Event::new(kind, of.id.as_bytes()), &others);
        }
    }

    pub(super) fn subscribe(&self, entry: &Arc<Entry>, piece: &str) -> bool {
        let Settings { pieces_per_client, pieces_max, .. } = self.0.settings;
        let mut topics = self.topics();
        let mut own = entry.own();
        // A client that goes sets this before it waits for the lock that is held here.
        if entry.gone.get().is_some() {
            return false;
        }
        match topics.subscribe(entry, &mut own.pieces, piece, (pieces_per_client, pieces_max)) {
            Subscribed::Yes { subscribers } => {
                let cells = &self.0.cells;
                cells.subscribed.add(1);
                cells.subscriptions.raise();
                cells.most_subscribed.see(subscribers);
                entry.cells.subscribed.add(1);
                entry.cells.most_subscribed.see(own.pieces.len() as u64);
            }
            Subscribed::Already => {}
            Subscribed::Refused => {
                self.0.refused_subscriptions.fetch_add(1, Relaxed);
                return false;
            }
        }
        drop((topics, own));
        if !entry.accessed(piece, self.0.settings.accessed_max) {
            self.0.refused_accesses.fetch_add(1, Relaxed);
        }
        true
    }

    pub(super) fn unsubscribe(&self, entry: &Entry, piece: &str) -> bool {
        let held = self.topics().unsubscribe(entry, &mut entry.own().pieces, piece);
        if held {
            self.unsubscribed(entry, 1);
        }
        held
    }

    /// Takes all subscriptions of a client away.
    fn release(&self, entry: &Entry) {
        let released = {
            let mut topics = self.topics();
            let mut own = entry.own();
            let mut released = 0;
            while let Some(piece) = own.pieces.first().cloned() {
                released += u64::from(topics.unsubscribe(entry, &mut own.pieces, &piece));
            }
            released
        };
        if released > 0 {
            self.unsubscribed(entry, released);
        }
    }

    fn unsubscribed(&self, entry: &Entry, pieces: u64) {
        self.0.cells.unsubscribed.add(pieces);
        self.0.cells.subscriptions.lower(pieces);
        entry.cells.unsubscribed.add(pieces);
    }

    pub(super) fn topics(&self) -> MutexGuard<'_, Topics> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kinds of events by name.
#[derive(Debug)]
pub(super) struct Kinds {
    names: RwLock<Vec<Arc<str>>>,
    max: usize,
    pub(super) refused: AtomicU64,
}

impl Kinds {
    fn new(max: usize) -> Self {
        let names = EventKind::NAMES.map(Arc::from).into();
        Self {
            names: RwLock::new(names),
            max: max.min(usize::from(u16::MAX) - 8),
            refused: AtomicU64::new(0),
        }
    }

    fn find(&self, name: &str) -> EventKind {
        let at = |names: &[Arc<str>]| names.iter().position(|known| &**known == name);
        let kind = |at: usize| EventKind(u16::try_from(at).unwrap_or(u16::MAX));
        if let Some(at) = at(&self.names.read().unwrap_or_else(PoisonError::into_inner)) {
            return kind(at);
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = at(&names) {
            return kind(at);
        }
        if names.len() >= EventKind::NAMES.len() + self.max {
            self.refused.fetch_add(1, Relaxed);
            return EventKind(u16::MAX);
        }
        names.push(name.into());
        kind(names.len() - 1)
    }

    pub(super) fn name(&self, kind: EventKind) -> Arc<str> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(kind.0)).cloned().unwrap_or_else(|| OTHER.into())
    }
}

/// How calls ended, by status.
#[derive(Debug)]
pub(super) struct Statuses {
    grpc: [Count; GRPC_STATUSES.len()],
    http: Box<[Count]>,
}

impl Default for Statuses {
    fn default() -> Self {
        Self { grpc: Default::default(), http: (0..HTTP_STATUSES).map(|_| Count::default()).collect() }
    }
}

impl Statuses {
    #[inline]
    fn at(&self, outcome: Outcome) -> Option<&Count> {
        match outcome {
            Outcome::Status(status) => self.http.get(usize::from(status).checked_sub(100)?),
            // `UNKNOWN` stands for codes that do not exist.
            Outcome::Grpc(code) => self.grpc.get(usize::try_from(code).ok()?).or(self.grpc.get(2)),
            Outcome::Failed(_) => None,
        }
    }

    #[inline]
    pub(super) fn note(&self, outcome: Outcome) {
        if let Some(count) = self.at(outcome) {
            count.add(1);
        }
    }

    /// Statuses that are errors, by name.
    pub(super) fn grpc_errors(&self) -> Vec<(&'static str, u64)> {
        let counts = GRPC_STATUSES.into_iter().zip(self.grpc.iter().map(Count::get));
        counts.skip(1).filter(|(_, count)| *count > 0).collect()
    }

    /// Statuses that are errors.
    pub(super) fn http_errors(&self) -> Vec<(usize, u64)> {
        let counts = (100..).zip(self.http.iter().map(Count::get));
        counts.filter(|(status, count)| *status >= 400 && *count > 0).collect()
    }
}
