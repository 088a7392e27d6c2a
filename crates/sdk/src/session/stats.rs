//! Readings: all fields of the server, or of a client, as they stand at one moment.
//!
//! One reading is consistent in itself: totals are made of the parts that stand beside them, and what may not exceed
//! something else is read before it.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    Category, ClientStats, Collaboration, EventKind, FieldKind, RecentError, ServerStats, Sessions, Totals,
    UNMEASURED, Value,
    cells::{Count, EVENT_CLASSES, High, Low},
    entry::{Cause, Entry},
    method::MethodCells,
    time::{Moment, Stamp},
};
use crate::window::Figures;

/// How a queue fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueClass {
    /// There is room.
    Healthy,
    /// It is nearly full.
    Warning,
    /// It overflowed a short while ago.
    Critical,
}

impl QueueClass {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A server at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerSnapshot {
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The fields.
    pub raw: ServerStats,
    /// Events published, each once, however many clients it went to.
    pub events_published: u64,
    /// Events of the program's own kinds, one per recipient.
    pub other_events_sent: u64,
    /// Bytes that wait in all queues.
    pub queue_bytes: u64,
    /// How full the queues are on average, 0 to 1.
    pub queue_fill: f64,
    /// Who shares what.
    pub collaboration: Collaboration,
    /// The most calls that ended in one clock minute.
    pub peak_calls_per_minute: u64,
    /// Methods by name.
    pub methods: Vec<MethodSnapshot>,
    /// gRPC statuses that are errors.
    pub grpc_errors: Vec<(&'static str, u64)>,
    /// HTTP statuses that are errors.
    pub http_errors: Vec<(usize, u64)>,
    /// How long calls took in the last minutes, in seconds.
    pub window: Figures,
    /// Whether what earlier processes counted is known.
    pub keeps_totals: bool,
    /// How often each limit was hit, by its name.
    pub limits: [(&'static str, u64); 7],
}

/// A method at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MethodSnapshot {
    /// Its name.
    pub name: Arc<str>,
    /// Calls that succeeded.
    pub success: u64,
    /// Calls that failed.
    pub failure: u64,
    /// Bytes of requests.
    pub bytes_in: u64,
    /// Bytes of responses.
    pub bytes_out: u64,
    /// The slowest and the fastest call in milliseconds.
    pub slowest_ms: u64,
    /// As above; [`UNMEASURED`] before the first.
    pub fastest_ms: u64,
    /// Errors by category.
    pub errors: [u64; 7],
}

impl MethodSnapshot {
    /// Calls, all together.
    pub const fn calls(&self) -> u64 {
        self.success + self.failure
    }

    fn of(cells: &MethodCells) -> Self {
        Self {
            name: cells.name.clone(),
            success: cells.calls.success.get(),
            failure: cells.calls.failure.get(),
            bytes_in: cells.calls.bytes_in.get(),
            bytes_out: cells.calls.bytes_out.get(),
            slowest_ms: cells.calls.slowest.get() / 1_000,
            fastest_ms: low_ms(&cells.calls.fastest),
            errors: Category::ALL.map(|category| cells.errors[category.index()].get()),
        }
    }
}

/// A client at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientSnapshot {
    /// Its id.
    pub id: Arc<str>,
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// When and why it went, if it did.
    pub gone: Option<(u64, Cause)>,
    /// The fields.
    pub raw: ClientStats,
    /// How its queue fares.
    pub queue: QueueClass,
    /// How many events its queue holds.
    pub capacity: usize,
    /// Events of the program's own kinds that it received.
    pub other_events_received: u64,
    /// Events that could not be written.
    pub failed_writes: u64,
    /// Microseconds that its calls took together.
    pub busy_micros: u64,
    /// Bytes put into its queue.
    pub bytes_queued: u64,
    /// Bytes that wait there.
    pub bytes_waiting: u64,
    /// Pieces it is subscribed to.
    pub subscriptions: u64,
}

impl ClientSnapshot {
    /// Events it received, of all kinds.
    pub const fn events_received(&self) -> u64 {
        let raw = &self.raw;
        raw.server_events_received
            + raw.piece_events_received
            + raw.connect_events_received
            + raw.disconnect_events_received
            + self.other_events_received
    }
}

/// What is known of a client beside its fields; takes its lock and allocates.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientDetails {
    /// The pieces it is subscribed to.
    pub pieces: Vec<Arc<str>>,
    /// The pieces it touched, as far as they are remembered.
    pub accessed: Vec<Arc<str>>,
    /// Its calls by method.
    pub methods: Vec<(Arc<str>, u64)>,
}

impl Sessions {
    /// All of the server at one moment. Looks at each client and each method: some hundred nanoseconds a client.
    pub fn snapshot(&self) -> ServerSnapshot {
        let now = self.now();
        let inner = &*self.0;
        let (raw, queues) = server(self, now);
        let mut methods: Vec<_> = inner.methods.iter().map(MethodSnapshot::of).collect();
        methods.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        ServerSnapshot {
            at_ms: inner.clock.wall_ms(now),
            events_published: inner.cells.published.get(),
            other_events_sent: inner.cells.sum(|lane| lane.events_sent[EVENT_CLASSES - 1].get()),
            queue_bytes: queues.bytes,
            queue_fill: queues.fill,
            collaboration: self.topics().collaboration(),
            peak_calls_per_minute: inner.minutes.peak(),
            methods,
            grpc_errors: inner.statuses.grpc_errors(),
            http_errors: inner.statuses.http_errors(),
            window: inner.durations.figures(),
            keeps_totals: inner.lifetime.before.is_some(),
            limits: [
                ("clients", inner.clients.refused.load(Relaxed)),
                ("methods", inner.methods.refused.load(Relaxed)),
                ("event-kinds", inner.kinds.refused.load(Relaxed)),
                ("queue-length", raw.event_queues_overflow_total),
                ("subscriptions", inner.refused_subscriptions.load(Relaxed)),
                ("pieces-remembered", inner.refused_accesses.load(Relaxed)),
                ("errors-remembered", inner.recent.forgotten()),
            ],
            raw,
        }
    }

    /// What the server counted, by the names of its counters, with what earlier processes did; `None` where that is not
    /// kept.
    pub fn totals(&self) -> Option<Totals> {
        self.0.lifetime.before.is_some().then(|| self.totals_with(&server(self, self.now()).0))
    }

    pub(super) fn totals_with(&self, raw: &ServerStats) -> Totals {
        let before = self.0.lifetime.before.as_ref();
        let counters = ServerStats::FIELDS.iter().zip(raw.values());
        let counters = counters.filter(|(field, _)| field.kind == FieldKind::Counter);
        counters
            .filter_map(|(field, value)| Some((field.name, value.as_integer()?)))
            .map(|(name, now)| {
                let before = before.and_then(|before| before.get(name)).copied().unwrap_or(0);
                // Starts are counted over all of them already.
                let before = if name == "server-restart-count" { 0 } else { before };
                (name.to_owned(), now.saturating_add(before))
            })
            .collect()
    }

    /// One field of the server by its name or alias.
    #[doc(alias = "get-server-stat")]
    pub fn server_stat(&self, name: &str) -> Value {
        server(self, self.now()).0.value(name)
    }

    /// One field of a client, connected or gone not long ago, by its name or alias.
    #[doc(alias = "get-client-stat")]
    pub fn client_stat(&self, id: &str, name: &str) -> Value {
        self.entry(id).map_or(Value::Unknown, |entry| client(self, &entry).value(name))
    }

    /// A client at one moment, connected or gone not long ago.
    pub fn client_snapshot(&self, id: &str) -> Option<(ClientSnapshot, ClientDetails)> {
        let entry = self.entry(id)?;
        let details = {
            let own = entry.own();
            ClientDetails {
                pieces: own.pieces.iter().cloned().collect(),
                accessed: own.accessed.iter().cloned().collect(),
                methods: entry.usage.by_method(&self.0.methods),
            }
        };
        Some((snapshot(self, &entry, self.now()), details))
    }

    /// All clients that are connected, by id. With `finished`, also those that are not any more, behind them.
    pub fn client_snapshots(&self, finished: bool) -> Vec<ClientSnapshot> {
        let now = self.now();
        let mut all = self.0.clients.all();
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        if finished {
            all.extend(self.0.clients.last());
        }
        all.iter().map(|entry| snapshot(self, entry, now)).collect()
    }

    /// The last errors, the newest first.
    pub fn recent_errors(&self) -> Vec<RecentError> {
        self.0.recent.list()
    }

    fn entry(&self, id: &str) -> Option<Arc<Entry>> {
        let overflow = self.0.clients.overflow();
        let clients = &self.0.clients;
        let named = clients.find(id).or_else(|| clients.find_finished(id));
        named.or_else(|| (*overflow.id == *id).then(|| overflow.clone()))
    }
}

/// What the queues of all clients come to.
#[derive(Default)]
struct Queues {
    classes: [u64; 3],
    bytes: u64,
    fill: f64,
}

fn server(sessions: &Sessions, now: Moment) -> (ServerStats, Queues) {
    let inner = &*sessions.0;
    let cells = &inner.cells;
    let sum = |of: fn(&super::cells::Lane) -> &Count| cells.sum(|lane| of(lane).get());
    let first = |of: fn(&super::cells::Lane) -> &Count| cells.sum(|lane| of(lane).first());
    let high = |of: fn(&super::cells::Lane) -> &High| {
        cells.lanes.iter().map(|lane| of(lane).get()).max().unwrap_or(0)
    };
    // First what may not exceed what is read after it.
    let dropped = first(|lane| &lane.events_dropped);
    let overflows = first(|lane| &lane.overflows);
    let successes = first(|lane| &lane.successes);
    let attempts = sum(|lane| &lane.attempts);
    let sent: [u64; EVENT_CLASSES] =
        std::array::from_fn(|class| cells.sum(|lane| lane.events_sent[class].get()));
    let (success, failure) = (sum(|lane| &lane.calls.success), sum(|lane| &lane.calls.failure));
    let bytes =
        [sum(|lane| &lane.calls.bytes_in), sum(|lane| &lane.calls.bytes_out), sum(|lane| &lane.bytes_events)];
    let causes =
        [Cause::Graceful, Cause::Error, Cause::Timeout].map(|cause| cells.disconnected[cause as usize].get());
    let (clients, clients_peak) = cells.clients.get();
    let (calls, calls_peak) = cells.calls.get();
    let unsubscribed = cells.unsubscribed.get();
    let subscribed = cells.subscribed.get();
    let (active, active_peak) = cells.subscriptions.get();
    let queues = queues(sessions, now);
    let last_error = cells.last_error.get();
    let error_free = now.0.saturating_sub(last_error.unwrap_or_default().0);
    let fastest = cells.lanes.iter().map(|lane| low_ms(&lane.calls.fastest)).min().unwrap_or(UNMEASURED);
    let stats = ServerStats {
        clients_connected_total: cells.connected.get(),
        clients_connected_current: clients,
        clients_connected_peak: clients_peak,
        clients_disconnected_total: causes.iter().sum(),
        clients_disconnected_graceful: causes[0],
        clients_disconnected_error: causes[1],
        clients_disconnected_timeout: causes[2],
        connection_duration_total_ms: cells.connection_micros.get() / 1_000,
        shortest_session_ms: low_ms(&cells.shortest_session),
        longest_session_ms: cells.longest_session.get() / 1_000,
        api_calls_total: success + failure,
        api_calls_success: success,
        api_calls_failure: failure,
        api_concurrent_calls_current: calls,
        api_concurrent_calls_peak: calls_peak,
        api_slowest_call_ms: high(|lane| &lane.calls.slowest) / 1_000,
        api_fastest_call_ms: fastest,
        server_events_sent: sent[0],
        piece_events_sent: sent[1],
        connect_events_sent: sent[2],
        disconnect_events_sent: sent[3],
        events_sent_total: sent.iter().sum(),
        events_dropped_total: dropped,
        event_queues_overflow_total: overflows,
        event_queues_healthy_count: queues.classes[0],
        event_queues_warning_count: queues.classes[1],
        event_queues_critical_count: queues.classes[2],
        event_delivery_attempts: attempts,
        event_delivery_successes: successes,
        bytes_transferred_total: bytes.iter().sum(),
        bytes_api_requests_total: bytes[0],
        bytes_api_responses_total: bytes[1],
        bytes_events_total: bytes[2],
        largest_api_request_bytes: high(|lane| &lane.calls.largest_in),
        largest_api_response_bytes: high(|lane| &lane.calls.largest_out),
        largest_event_message_bytes: high(|lane| &lane.largest_event),
        conversion_errors_total: cells.errors(Category::Conversion),
        serialization_errors_total: cells.errors(Category::Serialization),
        network_errors_total: cells.errors(Category::Network),
        internal_errors_total: cells.errors(Category::Internal),
        timeout_errors_total: cells.errors(Category::Timeout),
        client_errors_total: cells.errors(Category::Client),
        server_errors_total: cells.errors(Category::Server),
        last_error_time: wall(sessions, last_error),
        error_free_duration_ms: error_free / 1_000,
        longest_error_free_period_ms: cells.longest_error_free.get().max(error_free) / 1_000,
        piece_subscriptions_total: subscribed,
        piece_subscriptions_active: active,
        piece_subscriptions_peak: active_peak,
        most_subscribed_piece_count: cells.most_subscribed.get(),
        subscription_changes_total: subscribed + unsubscribed,
        server_start_time: inner.clock.wall_ms(Moment(0)),
        server_restart_count: inner.lifetime.restarts,
    };
    (stats, queues)
}

fn queues(sessions: &Sessions, now: Moment) -> Queues {
    let all = sessions.0.clients.all();
    let mut queues = Queues::default();
    let mut waiting = 0;
    for entry in &all {
        queues.classes[class(sessions, entry, now) as usize] += 1;
        queues.bytes += entry.cells.queue.bytes_waiting.get();
        waiting += entry.cells.queue.size.get();
    }
    let capacity = sessions.0.settings.queue_capacity * all.len();
    queues.fill = if capacity == 0 { 0.0 } else { waiting as f64 / capacity as f64 };
    queues
}

fn class(sessions: &Sessions, entry: &Entry, now: Moment) -> QueueClass {
    let (settings, cells) = (&sessions.0.settings, &entry.cells.queue);
    let overflowed = |at: Moment| now.since(at) < settings.critical_window;
    if cells.last_overflow.get().is_some_and(overflowed) {
        QueueClass::Critical
    } else if cells.size.get() as f64 >= settings.warning_fill * settings.queue_capacity as f64 {
        QueueClass::Warning
    } else {
        QueueClass::Healthy
    }
}

/// The fields of a client.
pub(super) fn client(sessions: &Sessions, entry: &Entry) -> ClientStats {
    let cells = &entry.cells;
    // As with the server.
    let dropped = cells.queue.dropped.first();
    let overflows = cells.queue.overflows.first();
    let sent = cells.queue.sent.get();
    let size = cells.queue.size.get();
    let (success, failure) = (cells.calls.success.get(), cells.calls.failure.get());
    let bytes = [cells.calls.bytes_in.get(), cells.calls.bytes_out.get(), cells.bytes_events.get()];
    let (concurrent, concurrent_peak) = cells.concurrent.get();
    let errors = |category: Category| cells.errors[category.index()].get();
    let received = |kind: EventKind| cells.received[kind.class()].get();
    let kind = cells.last_event_kind.load(Relaxed).checked_sub(1).and_then(|kind| u16::try_from(kind).ok());
    ClientStats {
        connected_at: wall(sessions, Some(entry.connected)),
        last_activity_time: wall(sessions, cells.last_activity.get()),
        api_calls_total: success + failure,
        api_calls_success: success,
        api_calls_failure: failure,
        last_api_call: stamp(sessions, &cells.last_call),
        last_api_method: entry.usage.last(&sessions.0.methods),
        slowest_api_call_ms: cells.calls.slowest.get() / 1_000,
        fastest_api_call_ms: low_ms(&cells.calls.fastest),
        concurrent_api_calls_current: concurrent,
        concurrent_api_calls_peak: concurrent_peak,
        events_sent: sent,
        events_dropped: dropped,
        server_events_received: received(EventKind::SERVER),
        piece_events_received: received(EventKind::PIECE),
        connect_events_received: received(EventKind::CONNECT),
        disconnect_events_received: received(EventKind::DISCONNECT),
        last_event_time: stamp(sessions, &cells.last_event),
        last_event_type: kind.map(|kind| sessions.kind_name(EventKind(kind))),
        queue_size_current: size,
        queue_size_peak: cells.queue.peak.get().max(size),
        queue_overflow_count: overflows,
        queue_overflow_total_events_dropped: dropped,
        queue_offer_attempts: sent,
        queue_offer_successes: sent.saturating_sub(overflows),
        queue_consumer_lag_ms: cells.lag_micros.load(Relaxed) / 1_000,
        bytes_sent: bytes[1] + bytes[2],
        bytes_received: bytes[0],
        bytes_events: bytes[2],
        bytes_api_requests: bytes[0],
        bytes_api_responses: bytes[1],
        largest_request_bytes: cells.calls.largest_in.get(),
        largest_response_bytes: cells.calls.largest_out.get(),
        largest_event_bytes: cells.queue.largest.get(),
        network_errors: errors(Category::Network),
        serialization_errors: errors(Category::Serialization),
        conversion_errors: errors(Category::Conversion),
        timeout_errors: errors(Category::Timeout),
        last_error_time: stamp(sessions, &cells.last_error),
        last_error_message: cells.last_error.get().and_then(|_| entry.own().message.clone()),
        subscription_add_count: cells.subscribed.get(),
        subscription_remove_count: cells.unsubscribed.get(),
        peak_subscription_count: cells.most_subscribed.get(),
    }
}

fn snapshot(sessions: &Sessions, entry: &Entry, now: Moment) -> ClientSnapshot {
    let cells = &entry.cells;
    let (at, gone) = match entry.gone.get() {
        Some((at, cause)) => (*at, Some((sessions.0.clock.wall_ms(*at), *cause))),
        None => (now, None),
    };
    let unsubscribed = cells.unsubscribed.get();
    ClientSnapshot {
        id: entry.id.clone(),
        at_ms: sessions.0.clock.wall_ms(at),
        gone,
        raw: client(sessions, entry),
        queue: class(sessions, entry, now),
        capacity: sessions.0.settings.queue_capacity,
        other_events_received: cells.received[EVENT_CLASSES - 1].get(),
        failed_writes: cells.failed_writes.get(),
        busy_micros: cells.busy_micros.get(),
        bytes_queued: cells.queue.bytes_queued.get(),
        bytes_waiting: cells.queue.bytes_waiting.get(),
        subscriptions: cells.subscribed.get().saturating_sub(unsubscribed),
    }
}

fn low_ms(low: &Low) -> u64 {
    let micros = low.get();
    if micros == UNMEASURED { UNMEASURED } else { micros / 1_000 }
}

fn stamp(sessions: &Sessions, stamp: &Stamp) -> u64 {
    wall(sessions, stamp.get())
}

/// Milliseconds since the epoch; 0 of what was not yet.
fn wall(sessions: &Sessions, moment: Option<Moment>) -> u64 {
    moment.map_or(0, |moment| sessions.0.clock.wall_ms(moment))
}
