//! Who calls whom: the two spans of a call, matched.
//!
//! The span of whoever asks and that of whoever answers come in different requests. The first waits for the other in a
//! bounded table; what waits too long is counted and forgotten, unless it names its peer: then that is the other side. A call
//! of a database has one span, which is both sides.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use barograph_model::Timestamp;
use barograph_wire::otlp::trace::{Kind, Span, Status};

use super::series::{Names, OVERFLOW, Table, cut};
use crate::intake::Batch;

/// A span waits so long for its other side, in milliseconds.
const WAIT_MS: i64 = 30_000;
/// So many spans may wait.
pub(super) const WAITING_MAX: usize = 50_000;

const NAMES: Names = Names {
    counters: &["traces_service_graph_request_total", "traces_service_graph_request_failed_total"],
    histograms: &[
        "traces_service_graph_request_server_seconds",
        "traces_service_graph_request_client_seconds",
    ],
};

/// Trace and span of whoever asks.
type Call = ([u8; 16], [u8; 8]);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Edge {
    client: String,
    server: String,
    connection: &'static str,
}

/// One of the two spans of a call.
#[derive(Debug)]
struct Half {
    /// By which its place in the queue is known from an earlier one of the same call.
    turn: u64,
    asks: bool,
    service: Arc<str>,
    seconds: f64,
    failed: bool,
    messaging: bool,
    /// Who answers, as far as whoever asks knows.
    peer: Option<String>,
}

/// The calls that are counted, and the spans that wait.
#[derive(Debug)]
pub(super) struct Graph {
    edges: Table<Edge>,
    waiting: HashMap<Call, Half>,
    /// In the order in which they began to wait, and some that do not any more.
    queue: VecDeque<(Timestamp, u64, Call)>,
    turns: u64,
    waiting_max: usize,
    /// Spans whose other side did not come.
    pub(super) unpaired: u64,
    /// Spans that did not find room to wait.
    pub(super) dropped: u64,
}

impl Graph {
    pub(super) fn new(series_max: usize) -> Self {
        Self {
            edges: Table::new(NAMES, series_max),
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            turns: 0,
            waiting_max: WAITING_MAX,
            unpaired: 0,
            dropped: 0,
        }
    }

    /// So many edges there may be, and so many spans may wait, from now on; those that are more stay.
    pub(super) fn limit(&mut self, series_max: usize, waiting_max: usize) {
        self.edges.limit(series_max);
        self.waiting_max = waiting_max.max(1);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn span(&mut self, service: &Arc<str>, span: &Span<'_>, seconds: f64, now: Timestamp) {
        let (asks, messaging, id) = match span.kind {
            Kind::Client => (true, false, span.span_id),
            Kind::Producer => (true, true, span.span_id),
            // Who answers a client of Zipkin may have the very span of who asks.
            Kind::Server if is_shared(span) => (false, false, span.span_id),
            Kind::Server => (false, false, span.parent_id),
            Kind::Consumer => (false, true, span.parent_id),
            Kind::Unspecified | Kind::Internal => return,
        };
        let failed = span.status == Status::Error;
        if asks && let Some(database) = database(span) {
            self.count(service, cut(&database), "database", failed, (seconds, seconds), now);
            return;
        }
        // What nobody asked for is the beginning of a trace, not a call.
        let (Ok(trace), Ok(id)) = (span.trace_id.try_into(), id.try_into()) else { return };
        let call: Call = (trace, id);
        match self.waiting.get(&call) {
            Some(other) if other.asks != asks => {
                let Some(other) = self.waiting.remove(&call) else { return };
                let service = service.clone();
                let half = Half { turn: 0, asks, service, seconds, failed, messaging, peer: None };
                let (client, server) = if asks { (half, other) } else { (other, half) };
                let kind = if client.messaging && server.messaging { "messaging_system" } else { "" };
                let failed = client.failed || server.failed;
                let took = (server.seconds, client.seconds);
                self.count(&client.service, &server.service, kind, failed, took, now);
            }
            // One span that came twice.
            Some(_) => {}
            None if self.waiting.len() >= self.waiting_max => self.dropped += 1,
            None => {
                let peer = asks.then(|| span.attributes.text("peer.service")).flatten();
                let peer = peer.map(|peer| cut(&peer).to_owned());
                let service = service.clone();
                self.turns += 1;
                let turn = self.turns;
                self.waiting.insert(call, Half { turn, asks, service, seconds, failed, messaging, peer });
                self.queue.push_back((now, turn, call));
                if self.queue.len() > 2 * self.waiting.len().max(self.waiting_max) {
                    self.queue.retain(|(_, turn, call)| is_waiting(&self.waiting, *turn, call));
                }
            }
        }
    }

    /// Gives up on what waited too long, and adds all samples at `now` to a batch.
    pub(super) fn write(&mut self, now: Timestamp, before: Timestamp, batch: &mut Batch) {
        while let Some(&(since, turn, call)) = self.queue.front() {
            if now.millis().saturating_sub(since.millis()) <= WAIT_MS {
                break;
            }
            self.queue.pop_front();
            if !is_waiting(&self.waiting, turn, &call) {
                continue;
            }
            match self.waiting.remove(&call) {
                Some(Half { peer: Some(peer), service, seconds, failed, .. }) => {
                    self.count(&service, &peer, "virtual_node", failed, (seconds, seconds), now);
                }
                Some(_) => self.unpaired += 1,
                None => {}
            }
        }
        self.edges.write(now, before, batch);
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.edges.overflowed
    }

    fn count(
        &mut self,
        client: &str,
        server: &str,
        connection: &'static str,
        failed: bool,
        (answering, asking): (f64, f64),
        now: Timestamp,
    ) {
        let edge = |client: &str, server: &str| Edge {
            client: client.to_owned(),
            server: server.to_owned(),
            connection,
        };
        let labels = |edge: &Edge| {
            vec![
                ("client", edge.client.clone()),
                ("server", edge.server.clone()),
                ("connection_type", edge.connection.to_owned()),
            ]
        };
        let cell = self.edges.cell(edge(client, server), || edge(OVERFLOW, OVERFLOW), now, labels);
        cell.count(0);
        if failed {
            cell.count(1);
        }
        cell.observe(0, answering);
        cell.observe(1, asking);
    }
}

/// Whether what got that turn still waits.
fn is_waiting(waiting: &HashMap<Call, Half>, turn: u64, call: &Call) -> bool {
    waiting.get(call).is_some_and(|half| half.turn == turn)
}

/// Whether a span has the id of the one that called it, instead of having it as parent.
fn is_shared(span: &Span<'_>) -> bool {
    span.attributes.text("zipkin.shared").is_some_and(|said| said == "true")
}

/// What a span calls that is a database: its name there, or where it is, or what it is.
fn database(span: &Span<'_>) -> Option<String> {
    let first = |names: &[&str]| names.iter().find_map(|name| span.attributes.text(name));
    let system = first(&["db.system.name", "db.system"])?;
    let name = first(&["db.namespace", "db.name", "peer.service", "server.address"]);
    Some(name.filter(|name| !name.is_empty()).unwrap_or(system).into_owned())
}

#[cfg(test)]
mod tests {
    use barograph_wire::otlp::trace;

    use super::*;

    #[test]
    fn what_was_matched_takes_no_room_and_its_turn_is_over() {
        let mut graph = Graph::new(10);
        graph.limit(10, 4);
        let service: Arc<str> = "shop".into();
        // A call of one span that has no parent but itself is either side of it.
        let bytes =
            [&[0x0a, 34, 0x12, 32, 0x12, 30, 0x0a, 16][..], &[7; 16], &[0x12, 8], &[1; 8], &[0x30, 3]]
                .concat();
        let mut calls = 0;
        let mut at = |graph: &mut Graph, kind: Kind, now: i64| {
            trace::walk(&bytes, |_, mut span| {
                (span.kind, span.parent_id) = (kind, span.span_id);
                graph.span(&service, &span, 0.1, Timestamp(now));
                calls += 1;
            })
            .unwrap();
        };
        for _ in 0..100 {
            at(&mut graph, Kind::Client, 0);
            at(&mut graph, Kind::Server, 0);
        }
        assert!(graph.waiting.is_empty() && graph.queue.len() <= 8, "{}", graph.queue.len());
        // The same call again begins to wait when it comes, not when it came first.
        at(&mut graph, Kind::Client, WAIT_MS);
        graph.write(Timestamp(WAIT_MS + 1), Timestamp(0), &mut Batch::default());
        assert_eq!((graph.waiting.len(), graph.unpaired), (1, 0));
        graph.write(Timestamp(2 * WAIT_MS + 1), Timestamp(0), &mut Batch::default());
        assert_eq!((graph.waiting.len(), graph.unpaired, graph.dropped), (0, 1, 0));
        assert_eq!(calls, 201);
    }
}
