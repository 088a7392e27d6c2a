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
    /// In the order in which they began to wait.
    queue: VecDeque<(Timestamp, Call)>,
    waiting_max: usize,
    /// Spans whose other side did not come.
    pub(super) unpaired: u64,
    /// Spans that did not find room to wait.
    pub(super) dropped: u64,
}

impl Graph {
    pub(super) fn new(series_max: usize, waiting_max: usize) -> Self {
        Self {
            edges: Table::new(NAMES, series_max),
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            waiting_max,
            unpaired: 0,
            dropped: 0,
        }
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
                let half = Half { asks, service: service.clone(), seconds, failed, messaging, peer: None };
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
                self.waiting.insert(call, Half { asks, service, seconds, failed, messaging, peer });
                self.queue.push_back((now, call));
            }
        }
    }

    /// Gives up on what waited too long, and adds all samples at `now` to a batch.
    pub(super) fn write(&mut self, now: Timestamp, before: Timestamp, batch: &mut Batch) {
        while let Some(&(since, call)) = self.queue.front() {
            if now.millis().saturating_sub(since.millis()) <= WAIT_MS {
                break;
            }
            self.queue.pop_front();
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
