//! Rates, errors and durations of spans, by service, name, kind and status: the metrics that Grafana draws of them.

use barograph_model::Timestamp;
use barograph_wire::otlp::trace::{Kind, Span, Status};

use super::series::{Names, OVERFLOW, Table, cut};

const NAMES: Names =
    Names { counters: &["traces_spanmetrics_calls_total"], histograms: &["traces_spanmetrics_latency"] };

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    service: String,
    name: String,
    kind: Kind,
    status: Status,
}

/// Counts each span once.
pub(super) type Red = Table<Key>;

pub(super) fn red(series_max: usize) -> Red {
    Table::new(NAMES, series_max)
}

impl Red {
    pub(super) fn span(&mut self, service: &str, span: &Span<'_>, seconds: f64, now: Timestamp) {
        let key = |service: &str, name: &str| Key {
            service: service.to_owned(),
            name: name.to_owned(),
            kind: span.kind,
            status: span.status,
        };
        let labels = |key: &Key| {
            vec![
                ("service", key.service.clone()),
                ("span_name", key.name.clone()),
                ("span_kind", key.kind.as_str().to_owned()),
                ("status_code", key.status.as_str().to_owned()),
            ]
        };
        let cell = self.cell(key(service, cut(&span.name)), || key(OVERFLOW, OVERFLOW), now, labels);
        cell.count(0);
        cell.observe(0, seconds);
    }
}
