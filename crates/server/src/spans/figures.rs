//! All that is counted of spans, and written to the store together.

use std::sync::Arc;

use barograph_model::{Metadata, MetricType, Timestamp};
use barograph_wire::otlp::trace::{Attributes, Span};

use super::{
    graph::Graph,
    red::{Red, red},
    series::cut,
    targets::Targets,
};
use crate::intake::Batch;

/// Who does not say its name.
const UNKNOWN: &str = "unknown_service";

/// What the metrics mean.
const MEANINGS: [(&str, MetricType, &str); 7] = [
    ("traces_spanmetrics_calls", MetricType::Counter, "Spans, by service, name, kind and status."),
    ("traces_spanmetrics_latency", MetricType::Histogram, "Durations of spans, in seconds."),
    ("traces_service_graph_request", MetricType::Counter, "Calls of one service by another."),
    ("traces_service_graph_request_failed", MetricType::Counter, "Those of them that failed."),
    (
        "traces_service_graph_request_server_seconds",
        MetricType::Histogram,
        "Their durations as whoever answered saw them.",
    ),
    (
        "traces_service_graph_request_client_seconds",
        MetricType::Histogram,
        "Their durations as whoever asked saw them.",
    ),
    ("traces_target_info", MetricType::Gauge, "Always 1; the labels tell who sends spans."),
];

/// What is counted.
#[derive(Debug)]
pub(super) struct Figures {
    red: Red,
    graph: Graph,
    targets: Targets,
    written: Timestamp,
    described: bool,
}

/// What went over a limit since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) overflowed: u64,
    pub(super) unpaired: u64,
    pub(super) dropped: u64,
}

impl Seen {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            overflowed: self.overflowed + other.overflowed,
            unpaired: self.unpaired + other.unpaired,
            dropped: self.dropped + other.dropped,
        }
    }
}

impl Figures {
    pub(super) fn new(series_max: usize, now: Timestamp) -> Self {
        Self {
            red: red(series_max),
            graph: Graph::new(series_max),
            targets: Targets::new(series_max),
            written: now,
            described: false,
        }
    }

    /// Goes by other limits from now on.
    pub(super) fn limit(&mut self, series_max: usize, waiting_max: usize) {
        self.red.limit(series_max);
        self.graph.limit(series_max, waiting_max);
        self.targets.limit(series_max);
    }

    /// Whether there is nothing to write, and nothing that waits.
    pub(super) fn is_empty(&self) -> bool {
        self.red.is_empty() && self.graph.is_empty() && self.targets.is_empty()
    }

    /// Counts the spans of one request, each given with its resource.
    pub(super) fn request(&mut self, now: Timestamp) -> Request<'_> {
        Request { figures: self, last: None, now }
    }

    /// All samples at `now`.
    pub(super) fn written(&mut self, now: Timestamp) -> Batch {
        let mut batch = Batch::default();
        let before = std::mem::replace(&mut self.written, now);
        self.red.write(now, before, &mut batch);
        self.graph.write(now, before, &mut batch);
        self.targets.write(now, &mut batch);
        if !batch.samples.is_empty() && !std::mem::replace(&mut self.described, true) {
            let meaning = |(name, kind, help): &(&str, MetricType, &str)| {
                let metadata = Metadata { kind: *kind, help: (*help).to_owned(), ..Metadata::default() };
                ((*name).to_owned(), metadata)
            };
            batch.metadata = MEANINGS.iter().map(meaning).collect();
        }
        batch
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            overflowed: self.red.overflowed + self.graph.overflowed() + self.targets.overflowed,
            unpaired: self.graph.unpaired,
            dropped: self.graph.dropped,
        }
    }
}

/// One request that is being counted.
pub(super) struct Request<'f> {
    figures: &'f mut Figures,
    now: Timestamp,
    last: Option<(usize, Arc<str>)>,
}

impl Request<'_> {
    pub(super) fn span(&mut self, resource: &Attributes<'_>, span: &Span<'_>) {
        let service = match &self.last {
            Some((place, service)) if *place == resource.place() => service.clone(),
            _ => {
                let name = resource.text("service.name").filter(|name| !name.is_empty());
                let service: Arc<str> = cut(name.as_deref().unwrap_or(UNKNOWN)).into();
                self.figures.targets.resource(&service, resource, self.now);
                self.last = Some((resource.place(), service.clone()));
                service
            }
        };
        let seconds = span.duration() as f64 / 1e9;
        self.figures.red.span(&service, span, seconds, self.now);
        self.figures.graph.span(&service, span, seconds, self.now);
    }
}
